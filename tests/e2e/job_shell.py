"""How an engine's runner runs a job's shell steps: a fresh checkout, a bash without a profile, artifacts.

No engine is here. What a step would install is there already: ``pip install`` is noted, and nothing more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import warm_python
from tests.e2e.shell_steps import Ledger

SHIM = """#!/bin/sh
[ "$1 $2 $3" = "-I -m pip" ] && shift
case "$1 $2" in
  "-m pip") echo "$*" >> "{root}/pip"; exit 0 ;;
  "-m venv") mkdir -p "$3/bin" && ln -sf "{root}/bin/python" "{root}/bin/gridbyoc" "$3/bin/"; exit 0 ;;
esac
exec "{python}" "$@"
"""
# Bash reads it first, and then tells each line of the script that it comes to; from root's environment it takes no PS4.
TRACE = """unset BASH_ENV
PS4='+@$LINENO@ '
exec {BASH_XTRACEFD}>> "$STEP_TRACE"
unset STEP_TRACE
set -x
"""
TRACED = re.compile(r"^\++@(\d+)@ ", re.MULTILINE)


@dataclass
class Machine:
    """Where jobs run. ``said`` is all that was written to any job's log; ``ledger`` takes down which lines ran."""

    root: Path
    repository: Path
    env: dict[str, str]
    ledger: Ledger
    said: str = ""
    jobs: int = 0
    stored: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = self.root / "bin"
        programs.mkdir(parents=True)
        for name in ("python", "python3"):
            self.program(name, SHIM.format(root=self.root, python=sys.executable))
        warm_python.write_program(programs / "gridbyoc")
        # the suite may itself run as a job of one of the engines
        own = ("GITHUB_", "GITLAB_", "CI_", "RUNNER_")
        self.env = {name: value for name, value in self.env.items() if not name.startswith(own)}
        self.env["PATH"] = f"{programs}:{self.env['PATH']}"

    def program(self, name: str, text: str) -> None:
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    @property
    def installed(self) -> list[str]:
        """The command lines of pip."""
        return (self.root / "pip").read_text().splitlines()

    def workspace(self) -> Path:
        """A directory for one job: empty, as on a fresh machine."""
        self.jobs += 1
        made = self.root / f"job-{self.jobs}"
        made.mkdir()
        return made

    def check_out(self, workspace: Path) -> None:
        """What Git has: no work_dir, and nothing that an earlier job left."""
        ignore = shutil.ignore_patterns(".gridbyoc")
        shutil.copytree(self.repository, workspace, dirs_exist_ok=True, ignore=ignore)

    def bash(
        self, job: str, script: str, workspace: Path, env: dict[str, str],
        flags: tuple[str, ...] = ("--noprofile", "--norc", "-eo", "pipefail"), written: str = "",
    ) -> int:  # fmt: skip
        """Run it as runners do, its environment closed; return its status.

        ``written`` is the script as it stands in the pipeline, if the test had to replace a path in it.
        """
        file, trace, prelude = self.root / "step.sh", self.root / "step.trace", self.root / "trace.sh"
        file.write_text(script)
        prelude.write_text(TRACE)
        trace.write_text("")
        traced = {"BASH_ENV": str(prelude), "STEP_TRACE": str(trace)}
        ran = subprocess.run(
            ["bash", *flags, str(file)], cwd=workspace, env={**self.env, **env, **traced},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        self.ledger.note(job, written or script, {int(line) for line in TRACED.findall(trace.read_text())})
        trace.unlink()
        self.said += ran.stdout + ran.stderr
        assert "Traceback" not in ran.stdout + ran.stderr, ran.stdout + ran.stderr
        return ran.returncode

    def store(self, name: str, *files: Path, below: Path | None = None) -> None:
        """Keep files under a name, by their paths ``below`` a directory, or by their own names."""
        kept = self.root / "artifacts" / name
        shutil.rmtree(kept, ignore_errors=True)
        for file in files:
            target = kept / (file.relative_to(below) if below else file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        self.stored[name] = kept

    def fetch(self, name: str, workspace: Path) -> None:
        shutil.copytree(self.stored[name], workspace, dirs_exist_ok=True)
