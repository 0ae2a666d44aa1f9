"""``gridbyoc fleet bootstrap`` of eight stacks: ``--jobs 2`` compared with ``--jobs 1``, on one sandbox; target 1.6x.

Clusters take two seconds to run, so that waiting can overlap, as in reality (20 to 50 minutes). Both sides have fresh
stacks and the real AWS provider. The machine's load before each run is printed: on a busy machine, both sides wait for
cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

from gridbyoc.sandbox import SandboxSettings, running_sandbox

GRIDBYOC = Path(sysconfig.get_path("scripts"), "gridbyoc")
STACK = (
    "version: 1\nname: {0}\nclusters: [{{name: {0}, performance_profile: cost-saving, instance_types: [t2.medium]}}]\n"
)
TARGET = 1.6


def new_stacks(directory: Path, count: int) -> None:
    """``count`` stack files, each in its own directory."""
    for number in range(count):
        name = f"{directory.name}-{number}"
        (directory / name).mkdir(parents=True)
        (directory / name / "gridbyoc.yaml").write_text(STACK.format(name))


def timed(directory: Path, jobs: int, environ: dict[str, str]) -> float:
    """Wall seconds of one fleet run that must succeed."""
    load = os.getloadavg()[0]
    command = [str(GRIDBYOC), "fleet", "bootstrap", ".", "--yes", "--jobs", str(jobs), "--format", "json"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"fleet bootstrap ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    report = json.loads(done.stdout.splitlines()[-1])
    sizes = ", ".join(f"{stack['seconds']:.1f}" for stack in report["stacks"])
    print(f"--jobs {jobs}: {took:6.2f} s   (load {load:.1f}; each: {sizes})")
    return took


def main() -> None:
    """Print each run and the ratio; end with status 1 if it is below the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=8)
    parser.add_argument("--create-seconds", type=float, default=2.0)
    given = parser.parse_args()
    settings = SandboxSettings(create_seconds=given.create_seconds)
    with tempfile.TemporaryDirectory() as scratch, running_sandbox(settings) as sandbox:
        environ = {**os.environ, **sandbox.env}
        took = {}
        for jobs in (1, 2):
            directory = Path(scratch, f"jobs-{jobs}")
            new_stacks(directory, given.stacks)
            took[jobs] = timed(directory, jobs, environ)
    ratio = took[1] / took[2]
    print(f"--jobs 2 is {ratio:.2f}x as fast for {given.stacks} stacks (target: {TARGET}x)")
    raise SystemExit(ratio < TARGET)


if __name__ == "__main__":
    main()
