"""Measure thousands of stacks: the requests of one stack, the list of clusters, and the fleet's own work.

``requests``: one stack with the real AWS provider on the sandbox; the requests to AWS and to the control plane are
counted for each command. ``list``: the answer that lists N clusters, with the size of the sandbox's records. ``fleet``:
a fleet of N stacks in memory, whose runs take no time, and which all wait at the same time. ``validate``: N files.
Nothing is a target; docs/scale.md has the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests

from gridbyoc.control_plane.model import Cleaner, Cluster, Phase
from gridbyoc.control_plane.transport import ANSWER_LIMIT
from gridbyoc.control_plane.wire import listing
from gridbyoc.operations.fleet.model import FleetEvent, Member, MemberWaiting
from gridbyoc.operations.fleet.record import FleetRecord
from gridbyoc.operations.fleet.run import FleetWait, StackInputs, Work, remembering, run_members
from gridbyoc.operations.wait import WaitLimits
from gridbyoc.sandbox import SandboxSettings, running_sandbox
from gridbyoc.stack.load import load
from gridbyoc.terraform.process import ExitInfo, Interrupts, ProcessCommand

GRIDBYOC = Path(sysconfig.get_path("scripts"), "gridbyoc")
STACK = (
    "version: 1\nname: {0}\naws: {{region: us-east-1}}\n"
    "clusters: [{{name: {0}, performance_profile: cost-saving, instance_types: [t2.medium, g4dn.xlarge]}}]\n"
)
COMMANDS = ("bootstrap --yes", "bootstrap --yes", "plan", "drift", "drift --refresh", "verify", "status",
            "destroy --yes-destroy")  # fmt: skip


def count_requests() -> None:
    """Print the requests of one stack for each command, by service."""
    with tempfile.TemporaryDirectory() as scratch:
        logs = {"aws": Path(scratch, "aws.log"), "plane": Path(scratch, "plane.log")}
        settings = SandboxSettings(create_seconds=1, delete_seconds=1, aws_log=logs["aws"], access_log=logs["plane"])
        with running_sandbox(settings) as sandbox:
            Path(scratch, "gridbyoc.yaml").write_text(STACK.format("scale"))
            for command in COMMANDS:
                before = {name: len(lines(log)) for name, log in logs.items()}
                environ = {**os.environ, **sandbox.env}
                began = cpu_of_children()
                done = subprocess.run([GRIDBYOC, *command.split()], cwd=scratch, env=environ, capture_output=True)
                took = cpu_of_children() - began
                new = {name: lines(log)[before[name]:] for name, log in logs.items()}  # fmt: skip
                aws = Counter(str(each.get("action", "?")).partition(":")[0] for each in new["aws"])
                plane = Counter(str(each["method"]) for each in new["plane"])
                print(f"{command:<22} status {done.returncode} {took:5.1f} s CPU  AWS {aws.total():3} {dict(aws)}"
                      f"  control plane {plane.total()} {dict(plane)}")  # fmt: skip


def cpu_of_children() -> float:
    """The CPU time of all processes that have ended below this one; providers that Terraform stopped count, too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines(log: Path) -> list[dict[str, Any]]:
    """The records of a log."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def one_record() -> dict[str, Any]:
    """A cluster as the sandbox's control plane lists it."""
    with tempfile.TemporaryDirectory() as scratch, running_sandbox(SandboxSettings(create_seconds=0)) as sandbox:
        Path(scratch, "gridbyoc.yaml").write_text(STACK.format("scale"))
        environ = {**os.environ, **sandbox.env}
        subprocess.run([GRIDBYOC, "bootstrap", "--yes", "--skip-preflight"], cwd=scratch, env=environ, check=True,
                       capture_output=True)  # fmt: skip
        auth = (sandbox.env["GRID_USER_ID"], sandbox.env["GRID_API_KEY"])
        answer = requests.get(f"{sandbox.control_plane_url}/v1/core/clusters", auth=auth, timeout=10)
        found: dict[str, Any] = next(each for each in answer.json()["clusters"] if each["name"] == "scale")
        return found


def measure_list(counts: list[int]) -> None:
    """Print the size of a list of so many clusters, and what reading it costs."""
    record = one_record()
    for count in counts:
        text = json.dumps({"clusters": [{**record, "id": f"id-{n}", "name": f"cluster-{n}"} for n in range(count)]})
        began = time.process_time()
        found = listing(json.loads(text), Cleaner())
        took = time.process_time() - began
        share = len(text) / ANSWER_LIMIT
        print(f"list of {len(found.clusters):6} clusters: {len(text) / 2**20:6.1f} MiB ({share:.0%} of the limit), "
              f"{took:5.2f} s to read")  # fmt: skip


class MemoryFleet:
    """A fleet whose runs end at once with a cluster on its way; its control plane lists all when all wait."""

    def __init__(self, directory: Path, count: int) -> None:
        directory.mkdir(parents=True)
        self.members = [self.member(directory, f"stack-{number:05}") for number in range(count)]
        self.all_wait, self.waiting, self.first = threading.Event(), 0, 0.0
        self.read_at: list[float] = []
        self.record = FleetRecord(directory, "bootstrap", lambda: datetime.now(timezone.utc))

    @staticmethod
    def member(directory: Path, name: str) -> Member:
        file = directory / name / "gridbyoc.yaml"
        file.parent.mkdir()
        file.write_text(STACK.format(name))
        return Member(name, file, f"{name}/{file.name}", name, (file,))

    def start(self, command: ProcessCommand, on_line: Callable[[str, str], None], **_: object) -> ExitInfo:
        name = Path(command.argv[command.argv.index("bootstrap") + 1]).parent.name
        report = {"type": "report", "changed": True, "resources": {"add": 14, "change": 0, "destroy": 0},
                  "clusters": [{"name": name, "status": "pending", "action": "create"}], "seconds": {"apply": 3.0},
                  "role_arn": "arn:aws:iam::123456789012:role/" + name, "policies": None, "unfinished": False,
                  "awaits": [{"id": name, "name": name, "target": "running"}]}  # fmt: skip
        for step in ("preflight", "render", "init", "plan", "apply", "output", "trust", "register"):
            on_line("stdout", json.dumps({"type": "step_started", "step": step}))
        on_line("stdout", json.dumps(report))
        return ExitInfo(0, 1.0)

    def list(self) -> tuple[Cluster, ...]:
        self.all_wait.wait()
        self.read_at.append(time.process_time())
        count, most = len(self.members), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begin = 1000 * (self.read_at[-1] - self.first) / count
        print(f"fleet of {count:6} stacks: {begin:5.1f} ms CPU each until all wait; {most:.0f} MB then", flush=True)
        return tuple(Cluster(each.label, each.label, Phase.RUNNING) for each in self.members)

    def emit(self, event: FleetEvent) -> None:
        self.waiting += isinstance(event, MemberWaiting)
        if self.waiting == len(self.members):
            self.all_wait.set()

    def run(self) -> None:
        """Print the fleet's own CPU time and memory."""
        environ: dict[str, str] = {}
        waiting = FleetWait(lambda _plane: self, lambda _plane: WaitLimits(3600.0, 5.0, 0.0))
        began = {member: self.record.digest(member, ()) for member in self.members}
        work = Work(
            "bootstrap", (), Path("/"), lambda _member: environ, 8, waiting=waiting, start=self.start,
            finished=remembering(self.record, (), self.emit, began),
            read=lambda one: StackInputs(load(one.file, environ=environ, cwd=one.file.parent, home=one.file.parent)),
        )  # fmt: skip
        self.first = time.process_time()
        found = run_members(work, self.members, self.emit, Interrupts())
        last, count = time.process_time(), len(found)
        assert {result.outcome for result in found} == {"done"}
        print(f"to end them: {1000 * (last - self.read_at[-1]) / count:5.1f} ms CPU each")


def measure_validate(count: int) -> None:
    """Print what ``fleet validate`` of so many files takes."""
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(count):
            name = f"stack-{number:05}"
            Path(scratch, name).mkdir()
            Path(scratch, name, "gridbyoc.yaml").write_text(STACK.format(name))
        began = cpu_of_children()
        subprocess.run([GRIDBYOC, "fleet", "validate", "."], cwd=scratch, check=True, capture_output=True)
        print(f"fleet validate of {count:6} files: {cpu_of_children() - began:5.1f} s CPU")


def main() -> None:
    """Print the figures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["requests", "list", "fleet", "validate"])
    parser.add_argument("--counts", type=int, nargs="*", default=[1000, 10_000])
    given = parser.parse_args()
    if "one-fleet" in given.what:
        with tempfile.TemporaryDirectory() as scratch:
            MemoryFleet(Path(scratch, "fleet"), given.counts[0]).run()
        return
    if "requests" in given.what:
        count_requests()
    if "list" in given.what:
        measure_list(given.counts)
    for count in given.counts:
        if "fleet" in given.what:  # a process of its own, for the memory
            subprocess.run([sys.executable, __file__, "one-fleet", "--counts", str(count)], check=True)
        if "validate" in given.what:
            measure_validate(count)


if __name__ == "__main__":
    main()
