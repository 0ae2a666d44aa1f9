"""``gridbyoc fleet bootstrap`` of eight stacks whose clusters take 30 seconds, ``--jobs 2``: waiting holds no job.

The baseline comes from the same run: the work of all stacks (from each one's begin until it waits), divided by the
jobs, and the time that one cluster takes. The target is at most 1.25 times that. ``--light``: stacks of a module that
makes nothing in AWS, and a Terraform that leaves the AWS provider out, for hundreds of them: the fleet's own lists and
the memory of the whole process tree have targets then. ``--latency`` and ``--rate``: a control plane that is slow, and
that refuses more requests a second than that (429 with ``Retry-After``).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

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
TARGET, MANY, MOST_MEMORY, MOST_LISTS = 1.25, 300, 400 * 2**20, 2.0
"""The ratio; from that many stacks: bytes of the process tree while most of them wait, the fleet's lists a minute."""
WITHOUT_AWS = """#!/bin/sh
case "$1" in -chdir=*) cd "${1#-chdir=}" || exit 1; shift ;; esac
rm -f providers.tf versions.tf
exec TERRAFORM "$@"
"""
HOP = frozenset({"host", "connection", "transfer-encoding", "content-length"})


@dataclass
class Front:
    """A proxy before the control plane that answers late, and 429 above ``rate`` requests a second (0: no limit).

    ``requests`` counts the requests by client connection, method and status. The fleet keeps one connection.
    """

    url: str
    latency: float
    rate: float
    requests: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    _free: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def refused(self) -> bool:
        """Whether the request exceeds the rate. The requests of one second may arrive together."""
        with self._turn:
            now = time.monotonic()
            if self.rate and self._free - now > 1.0:
                return True
            self._free = max(self._free, now) + (1 / self.rate if self.rate else 0)
            return False

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        time.sleep(self.latency)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        status, answer, headers = 429, b"{}", {"Retry-After": "2"}
        if not self.refused():
            place = urlsplit(self.url)
            upstream = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
            sent = {name: value for name, value in handler.headers.items() if name.lower() not in HOP}
            upstream.request(handler.command, handler.path, body or None, sent)
            response = upstream.getresponse()
            status, answer = response.status, response.read()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in HOP}
            upstream.close()
        self.requests[handler.client_address[1], handler.command, status] += 1
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address while it serves."""
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing: the counter is the log."""

            def answer(self) -> None:
                front.forward(self)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the library's names

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()

    def lists(self) -> tuple[int, int]:
        """The lists of the connection that asked most often, the fleet's own, and those of all."""
        by_connection: Counter[int] = Counter()
        for (connection, method, status), count in self.requests.items():
            by_connection[connection] += count if method == "GET" and status == 200 else 0
        return max(by_connection.values(), default=0), by_connection.total()


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
    """The events of a fleet's run; ``at`` has the seconds from the start to the first event of each type and stack.

    ``memory`` has, at each stack that begins or ceases to wait, how many wait, and the bytes of the process tree.
    """

    began: float
    at: dict[tuple[str, str], float] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    memory: list[tuple[int, int]] = field(default_factory=list)

    def take(self, line: str, process: int) -> None:
        """An event."""
        event = json.loads(line)
        kind, stack = event["type"], str(event.get("stack", ""))
        self.at.setdefault((kind, stack), time.perf_counter() - self.began)
        if kind in ("stack_waiting", "stack_finished"):
            (self.waiting.add if kind == "stack_waiting" else self.waiting.discard)(stack)
            self.memory.append((len(self.waiting), tree_memory(process)))

    def first_and_last(self, kind: str) -> tuple[float, float]:
        """When the first and the last stack told this."""
        found = [seconds for (each, _), seconds in self.at.items() if each == kind]
        return min(found, default=0.0), max(found, default=0.0)

    def work(self) -> float:
        """Seconds from each stack's begin until it waited, in all."""
        return sum(self.at["stack_waiting", name] - self.at["stack_started", name]
                   for kind, name in tuple(self.at) if kind == "stack_waiting")  # fmt: skip


def run_fleet(directory: Path, environ: dict[str, str], options: list[str]) -> tuple[Timeline, int, float]:
    """The fleet's events, exit status and wall time."""
    seen = Timeline(time.perf_counter())
    command = [str(GRIDBYOC), "fleet", "bootstrap", ".", "--yes", "--format", "jsonl", *options]
    process = subprocess.Popen(command, cwd=directory, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        seen.take(line, process.pid)
    return seen, process.wait(), time.perf_counter() - seen.began


def main() -> None:
    """Print the figures; end with status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--create-seconds", type=float, default=30.0)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=0.0)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_sandbox(SandboxSettings(create_seconds=given.create_seconds)) as sandbox,
    ):
        front = Front(sandbox.control_plane_url, given.latency, given.rate)
        directory = Path(scratch, "stacks")
        directory.mkdir()
        new_stacks(directory, given.stacks, make_role(sandbox.env) if given.light else None)
        options, environ = [f"--jobs={given.jobs}"], {**os.environ, **sandbox.env}
        if given.light:
            terraform = Path(scratch, "terraform")
            terraform.write_text(WITHOUT_AWS.replace("TERRAFORM", shutil.which("terraform") or "terraform"))
            terraform.chmod(0o755)
            environ["GRIDBYOC_TERRAFORM_BIN"] = str(terraform)
            options.append("--skip-preflight")
        with front.serving() as url:
            seen, status, wall = run_fleet(directory, {**environ, "GRID_URL": url}, options)
    work = seen.work()
    best = work / given.jobs + given.create_seconds
    print(f"{given.stacks} stacks, --jobs {given.jobs}: {wall:.1f} s, status {status}")
    print(f"work of all {work:.1f} s; {work:.1f} / {given.jobs} + {given.create_seconds:g} = {best:.1f} s")
    own, every = front.lists()
    (first, _), (_, last) = seen.first_and_last("stack_waiting"), seen.first_and_last("stack_finished")
    rate = own / max((last - first) / 60, 1.0)
    print(f"lists: {own} by the fleet in {last - first:.0f} s, {rate:.1f} a minute (target {MOST_LISTS:g} from {MANY})")
    print(f"lists of the stacks' runs: {every - own}, {(every - own) / given.stacks:.1f} for each stack")
    refused = sum(count for (_, _, code), count in front.requests.items() if code == 429)
    print(f"requests: {front.requests.total()}, refused with 429: {refused}")
    waiting, memory = max(seen.memory, default=(0, 0))
    print(f"memory of the process tree with {waiting} stacks that wait: {memory / 2**20:.0f} MB")
    print(f"most memory of the process tree: {max((m for _, m in seen.memory), default=0) / 2**20:.0f} MB")
    print(f"ratio {wall / best:.2f} (target {TARGET})")
    missed = wall / best > TARGET or (given.stacks >= MANY and (memory > MOST_MEMORY or rate > MOST_LISTS))
    raise SystemExit(status or missed)


if __name__ == "__main__":
    main()
