"""``gridbyoc fleet drift`` of unchanged stacks from a fresh checkout, compared with ``fleet drift --refresh``.

The states are in S3, and every work_dir is empty, as in a nightly job. CPU seconds of all processes are counted, for
each stack. The baseline, from another fresh checkout in the same minute, starts Terraform and the AWS provider for
``--refreshed`` of the stacks. The target is less than one CPU second for each stack that has not changed.

To bring up the stacks, Terraform gets the tests' provider, which starts at once; the baseline gets the real one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from gridbyoc.sandbox import SandboxSettings, running_sandbox

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.shared_provider import installed_provider, shared_provider

GRIDBYOC = Path(sysconfig.get_path("scripts"), "gridbyoc")
MIRROR = "GRIDBYOC_PROVIDER_MIRROR"
STACK = """version: 1
name: {0}
aws: {{region: us-east-1}}
clusters: [{{name: {0}, performance_profile: cost-saving, instance_types: [t2.medium]}}]
terraform: {{backend: {{s3: {{bucket: states, key: night/{0}.tfstate, region: us-east-1}}}}}}
"""
TARGET = 1.0


@dataclass(frozen=True)
class Night:
    """A fleet's run: CPU and wall seconds in all, and what it says of each stack."""

    cpu: float
    wall: float
    status: int
    documents: tuple[dict[str, Any], ...]

    @property
    def each(self) -> float:
        """CPU seconds for one stack."""
        return self.cpu / len(self.documents)

    @property
    def by_record(self) -> int:
        """How many stacks needed no Terraform."""
        return sum(bool(each.get("by_record")) for each in self.documents)


def run(directory: Path, environ: dict[str, str], *words: str) -> Night:
    """``gridbyoc fleet`` in ``directory``; CPU seconds include every process below it."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [str(GRIDBYOC), "fleet", *words, "--format", "json"]
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    stacks = json.loads(done.stdout)["stacks"]
    return Night(cpu, wall, done.returncode, tuple(each["document"] for each in stacks))


def fresh_checkout(directory: Path, name: str, count: int) -> Path:
    """A copy of the first ``count`` stack files alone."""
    checkout = directory / name
    for number in range(count):
        stack = checkout / f"night-{number}"
        stack.mkdir(parents=True)
        shutil.copy(directory / "main" / stack.name / "gridbyoc.yaml", stack)
    return checkout


def bring_up(directory: Path, count: int, environ: dict[str, str]) -> None:
    """Bootstrap ``count`` stacks, whose states are in a versioned bucket."""
    s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=environ["AWS_ENDPOINT_URL"],
                      aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    s3.create_bucket(Bucket="states")
    s3.put_bucket_versioning(Bucket="states", VersioningConfiguration={"Status": "Enabled"})
    for number in range(count):
        stack = directory / "main" / f"night-{number}"
        stack.mkdir(parents=True)
        (stack / "gridbyoc.yaml").write_text(STACK.format(stack.name))
    (directory / "provider").mkdir()
    mirror = Path(environ[MIRROR]) if environ.get(MIRROR) else None
    with shared_provider(installed_provider(mirror, directory / "provider")) as stand_in:
        words = ("bootstrap", ".", "--yes", "--skip-preflight", "--poll-interval", "0.2s", "--jobs", "2")
        done = run(directory / "main", {**environ, MIRROR: str(stand_in)}, *words)
    print(f"{count} stacks brought up in {done.wall:.0f} s, {done.each:.1f} CPU seconds each")


def main() -> None:
    """Print the figures; end with status 1 if a stack took more than the target, or needed Terraform."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=6)
    parser.add_argument("--refreshed", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    jobs = ("--jobs", str(given.jobs))
    with tempfile.TemporaryDirectory() as scratch, running_sandbox(SandboxSettings(create_seconds=0.0)) as sandbox:
        directory, environ = Path(scratch), {**os.environ, **sandbox.env}
        bring_up(directory, given.stacks, environ)
        night = run(fresh_checkout(directory, "night", given.stacks), environ, "drift", ".", *jobs)
        few = min(given.refreshed, given.stacks)
        base = run(fresh_checkout(directory, "refreshed", few), environ, "drift", ".", "--refresh", *jobs)
    print(f"fleet drift: {given.stacks} stacks in {night.wall:.1f} s, {night.by_record} of them without Terraform")
    print(f"  {night.each:.2f} CPU seconds each (target {TARGET:g})")
    print(f"fleet drift --refresh: {few} stacks in {base.wall:.1f} s, {base.by_record} of them without Terraform")
    print(f"  {base.each:.2f} CPU seconds each")
    print(f"ratio {night.each / base.each:.2f}")
    raise SystemExit(night.each > TARGET or night.by_record < given.stacks or base.by_record > 0)


if __name__ == "__main__":
    main()
