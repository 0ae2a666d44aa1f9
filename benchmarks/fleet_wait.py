"""``gridbyoc fleet bootstrap`` of eight stacks whose clusters take 30 seconds, ``--jobs 2``: waiting holds no job.

The baseline comes from the same run: the work of all stacks (from each one's begin until it waits), divided by the
jobs, and the time that one cluster takes. The target is at most 1.25 times that. ``--light``: stacks of a module that
makes nothing in AWS, for hundreds of them; peak memory of the whole process tree and the lists a minute are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sysconfig
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from gridbyoc.sandbox import SandboxSettings, running_sandbox
from gridbyoc.vendors import facts_of

GRIDBYOC = Path(sysconfig.get_path("scripts"), "gridbyoc")
STACK = (
    "version: 1\nname: {0}\nclusters: [{{name: {0}, performance_profile: cost-saving, instance_types: [t2.medium]}}]\n"
)
LIGHT = "terraform: {{module: {{source: ../module}}}}\n"
MODULE = """
resource "terraform_data" "this" {}
output "role_arn" { value = "ROLE_ARN" }
output "external_id" {
  value     = "EXTERNAL_ID"
  sensitive = true
}
"""
EXTERNAL_ID = "light-0123456789abcdef"
TARGET = 1.25


def tree_memory(root: int) -> int:
    """Resident bytes of a process and all below it (Pss, so that shared pages count once)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    total, queue = 0, [root]
    while queue:
        process = queue.pop()
        queue += children.get(process, [])
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def make_role(environ: dict[str, str]) -> str:
    """A role that all light stacks use; its ARN."""
    facts = facts_of("grid")
    iam = boto3.client("iam", region_name="us-east-1", endpoint_url=environ["AWS_ENDPOINT_URL"],
                       aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    who = {"Effect": "Allow", "Action": "sts:AssumeRole",
           "Principal": {"AWS": f"arn:aws:iam::{facts.trusted_account.account_id}:root"},
           "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}}  # fmt: skip
    may = {"Effect": "Allow", "Action": list(facts.permissions.statements[0]), "Resource": "*"}
    version = "2012-10-17"
    role = iam.create_role(
        RoleName="light", AssumeRolePolicyDocument=json.dumps({"Version": version, "Statement": [who]})
    )["Role"]
    document = json.dumps({"Version": version, "Statement": [may]})
    iam.put_role_policy(RoleName="light", PolicyName="own", PolicyDocument=document)
    for name in facts.permissions.managed_policies:
        iam.attach_role_policy(RoleName="light", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    return str(role["Arn"])


def new_stacks(directory: Path, count: int, light_role: str | None) -> None:
    """``count`` stack files, each in a directory of its own. ``light_role``: they use this role and make nothing."""
    (directory / "module").mkdir()
    if light_role:
        text = MODULE.replace("ROLE_ARN", light_role).replace("EXTERNAL_ID", EXTERNAL_ID)
        (directory / "module" / "main.tf").write_text(text)
    for number in range(count):
        name = f"wait-{number}"
        (directory / name).mkdir()
        (directory / name / "gridbyoc.yaml").write_text((STACK + (LIGHT if light_role else "")).format(name))


@dataclass
class Timeline:
    """The events of a fleet's run; ``at`` has the seconds from the start to the first event of each type and stack."""

    began: float
    at: dict[tuple[str, str], float] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    memory: list[tuple[int, int]] = field(default_factory=list)

    def take(self, line: str, process: int) -> None:
        """An event; while nothing else is at work, the memory of the process tree is read as well."""
        event = json.loads(line)
        kind, stack = event["type"], str(event.get("stack", ""))
        self.at.setdefault((kind, stack), time.perf_counter() - self.began)
        if kind == "stack_waiting":
            self.memory.append((self.count("stack_waiting"), tree_memory(process)))
        if kind == "fleet":
            self.last = event

    def count(self, kind: str) -> int:
        """How many stacks have told this."""
        return sum(each == kind for each, _ in self.at)

    def work(self) -> float:
        """Seconds from each stack's begin until it waited, in all."""
        return sum(self.at["stack_waiting", name] - self.at["stack_started", name]
                   for kind, name in tuple(self.at) if kind == "stack_waiting")  # fmt: skip


def main() -> None:
    """Print the figures; end with status 1 if the ratio is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--create-seconds", type=float, default=30.0)
    parser.add_argument("--light", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        requests = Path(scratch, "requests.log")
        settings = SandboxSettings(create_seconds=given.create_seconds, access_log=requests)
        directory = Path(scratch, "stacks")
        directory.mkdir()
        with running_sandbox(settings) as sandbox:
            new_stacks(directory, given.stacks, make_role(sandbox.env) if given.light else None)
            command = [str(GRIDBYOC), "fleet", "bootstrap", ".", "--yes", "--format", "jsonl", f"--jobs={given.jobs}"]
            command += ["--skip-preflight"] if given.light else []
            seen = Timeline(time.perf_counter())
            process = subprocess.Popen(
                command, cwd=directory, env={**os.environ, **sandbox.env}, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            for line in process.stdout:
                seen.take(line, process.pid)
            status, wall = process.wait(), time.perf_counter() - seen.began
        lists = sum('"GET"' in line and "clusters" in line for line in requests.read_text().splitlines())
    work = seen.work()
    best = work / given.jobs + given.create_seconds
    print(f"{given.stacks} stacks, --jobs {given.jobs}: {wall:.1f} s, status {status}")
    print(f"work of all {work:.1f} s; {work:.1f} / {given.jobs} + {given.create_seconds:g} = {best:.1f} s")
    print(f"lists, those of each stack's own run among them: {lists}")
    waiting, memory = max(seen.memory, default=(0, 0))
    print(f"memory of the process tree with {waiting} stacks that had begun to wait: {memory / 2**20:.0f} MB")
    print(f"ratio {wall / best:.2f} (target {TARGET})")
    raise SystemExit(status or wall / best > TARGET)


if __name__ == "__main__":
    main()
