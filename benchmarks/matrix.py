"""``gridbyoc fleet matrix`` over a Git repository of many stack files; the target is under 2 s for 1,000 of them.

Every fourth stack has a journal; every stack extends its team's base, which extends the company's. The baseline is a
full read of every file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gridbyoc.stack.document import read_document

STACK = """\
# {name}
version: 1
extends: ../team.yaml
name: {name}
aws:
  region: us-west-2
  account_id: "123456789012"
role:
  tags: {{stack: {name}}}
clusters:
  - name: {name}
    performance_profile: cost-saving
    instance_types:
      - t2.medium
      - {{name: g4dn.xlarge, overprovisioned_ondemand_count: 1}}
terraform:
  backend:
    s3: {{bucket: acme-tf-state, key: gridbyoc/{name}.tfstate}}
"""


def git(top: Path, *args: str) -> None:
    """Run one Git command, which must succeed."""
    names = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
    subprocess.run(["git", *names, *args], cwd=top, check=True, capture_output=True)


def build(top: Path, count: int) -> None:
    """Create a repository with ``count`` stacks in directories of fifty; the second commit changes every tenth."""
    git(top, "init", "--quiet")
    (top / "company.yaml").write_text("role: {tags: {owner: platform}}\n")
    for number in range(count):
        team = top / f"team-{number // 50:02}"
        stack = team / f"stack-{number:04}"
        stack.mkdir(parents=True)
        (team / "team.yaml").write_text("extends: ../company.yaml\naws: {profile: admin}\n")
        (stack / "gridbyoc.yaml").write_text(STACK.format(name=f"stack-{number:04}"))
        if number % 4 == 0:
            journal(stack / ".gridbyoc" / f"stack-{number:04}", number)
    (top / ".gitignore").write_text(".gridbyoc\n")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message", "first")
    for file in sorted(top.glob("*/*/gridbyoc.yaml"))[::10]:
        file.write_text(file.read_text() + "# changed\n")
    git(top, "commit", "--quiet", "--all", "--message", "second")


def journal(work_dir: Path, number: int) -> None:
    """A journal of twenty runs, each with thirty records."""
    work_dir.mkdir(parents=True)
    lines = []
    for run in range(20):
        at = f"2026-01-{run + 1:02}T10:"
        lines.append({"time": f"{at}00:00.000+00:00", "run": f"r{run}", "type": "run_started", "verb": "bootstrap"})
        lines += [{"time": f"{at}01:00.000+00:00", "run": f"r{run}", "type": "step_done", "step": "init"}] * 28
        end = {"time": f"{at}{number % 60:02}:30.000+00:00", "run": f"r{run}", "type": "run_ended", "verb": "bootstrap"}
        lines.append({**end, "code": None})
    (work_dir / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def timed(top: Path, *args: str) -> tuple[float, str]:
    """Wall seconds of one ``gridbyoc fleet matrix`` process, and its output."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "gridbyoc", "fleet", "matrix", ".", *args]
    done = subprocess.run(command, cwd=top, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, done.stdout


def main() -> None:
    """Print each measurement; end with status 1 if the slowest exceeds the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=1000)
    count = parser.parse_args().stacks
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch)
        build(top, count)
        for args in (
            ("--shards", "20"),
            ("--shards", "20", "--since", "HEAD~1"),
            ("--since", "HEAD~1", "--for", "argo"),
        ):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            took, text = min(timed(top, *args) for _ in range(3))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 3
            slowest = max(slowest, took)
            print(f"matrix {' '.join(args):<38} {took:5.2f} s, CPU {cpu:4.2f} s   {len(text)} characters")
        began = time.perf_counter()
        for file in top.glob("*/*/gridbyoc.yaml"):
            read_document(file.read_text(), str(file))
        full = time.perf_counter() - began
    print(f"baseline: a full read of {count} files alone {full:5.2f} s; load {os.getloadavg()[0]:.1f}")
    print(f"slowest {slowest:.2f} s for {count} stacks (target: under {2.0 * count / 1000:.1f} s)")
    raise SystemExit(slowest >= 2.0 * count / 1000)


if __name__ == "__main__":
    main()
