"""make itself, with a shell that takes down what it is given before it runs it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.job_shell import Machine
from tests.e2e.shell_steps import make_shells

NOTING = '#!/bin/sh\nprintf "%s\\t%s\\n" "$1" "$3" >> "{log}"\nshift\nexec /bin/sh "$@"\n'
OWN = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of a make that runs this suite
VARIABLE = re.compile(r"\\\$\\\*|\\\$\\\(\w+\\\)")


@dataclass
class Make:
    """The makefile ``text``, which one in ``directory`` includes."""

    text: str
    machine: Machine
    directory: Path
    env: dict[str, str]

    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]:
        log = self.machine.root / "recipes"
        log.write_text("")
        self.machine.program("noting-shell", NOTING.format(log=log))
        shell = f"SHELL={self.machine.root / 'bin' / 'noting-shell'}"
        env = {name: value for name, value in self.machine.env.items() if name not in OWN} | self.env
        ran = subprocess.run(
            ["make", shell, ".SHELLFLAGS=$@ -c", *args], cwd=self.directory, env=env, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
        self.machine.said += ran.stdout + ran.stderr
        for line in log.read_text().splitlines():
            self.note(*line.split("\t"))
        return ran

    def note(self, target: str, command: str) -> None:
        """Find the line of the makefile that this is, with the values of its variables."""
        for shell in make_shells(self.text):
            form = VARIABLE.sub(".*", re.escape(shell.text))
            if re.fullmatch(re.escape(shell.job).replace("%", ".+"), target) and re.fullmatch(form, command):
                self.machine.ledger.note(shell.job, shell.text, {1})
                return
        assert target not in self.text, f"{target} ran what it does not hold: {command}"
