"""Small root modules, fake binaries, and a driver: the Runner in a process of its own, to be sent real signals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridbyoc.terraform import Binary, Runner, TerraformEvent

ROLE_ARN = "arn:aws:iam::123456789012:role/grid-test"
OUTPUTS = f"""
output "role_arn" {{ value = "{ROLE_ARN}" }}
output "external_id" {{
  value     = "canary-7f3a91"
  sensitive = true
}}
"""
CANARY = "canary-7f3a91"


def environment(**more: str) -> dict[str, str]:
    """The tests' environment without a word about Terraform or this tool."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "GRIDBYOC_", "AWS_"))}
    return kept | more


def thing(name: str = "a", script: str = "true", more: str = "") -> str:
    """A built-in resource whose creation runs a shell script."""
    return f"""
resource "terraform_data" "{name}" {{
  input = "x"
  {more}
  provisioner "local-exec" {{
    command = {json.dumps(script)}
  }}
}}
"""


def root(directory: Path, *parts: str) -> Path:
    """Write a root module."""
    directory.mkdir(exist_ok=True)
    (directory / "main.tf").write_text("\n".join(parts))
    return directory


def make_runner(binary: Binary, work_dir: Path, **options: Any) -> Runner:
    """A Runner with a short grace, in the tests' environment."""
    settings: dict[str, Any] = {"environ": environment(), "grace": 20.0} | options
    return Runner(binary, work_dir, **settings)


class Recorder:
    """A listener that keeps what it hears, and when."""

    def __init__(self) -> None:
        self.events: list[TerraformEvent] = []
        self.times: list[float] = []

    def __call__(self, event: TerraformEvent) -> None:
        self.events.append(event)
        self.times.append(time.monotonic())

    def __iter__(self) -> Iterator[TerraformEvent]:
        return iter(self.events)


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def processes_in(directory: Path) -> list[str]:
    """The command lines of the processes that work in a directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == directory:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


def nobody_in(directory: Path) -> None:
    """No process works in the directory any more; the kernel may need a moment to bury the last."""
    wait_for(lambda: processes_in(directory) == [], 3)


@dataclass(frozen=True)
class Driver:
    """The Runner in another process."""

    process: subprocess.Popen[str]

    def until(self, text: str) -> None:
        """Read on until a line holds ``text``."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if text in line:
                return
        raise AssertionError(f"{text!r} was never said: {seen} {self.process.stderr and self.process.stderr.read()}")

    def end(self, seconds: float = 40.0) -> tuple[int, dict[str, Any]]:
        """Wait for the end: the exit status, and the error as it was told on the last line."""
        out, err = self.process.communicate(timeout=seconds)
        assert "Traceback" not in err, err
        return self.process.returncode, json.loads(out.strip().splitlines()[-1])


def drive(
    binary: Binary,
    work_dir: Path,
    verb: str,
    environ: Mapping[str, str] | None = None,
    *,
    file_size: int | None = None,
    **options: float | str,
) -> Driver:
    """Start one verb of the Runner in a process of its own, in which no file may grow beyond ``file_size`` bytes."""
    asked = {"argv": binary.argv, "flavour": binary.flavour, "version": binary.version, "path": binary.path}
    call = {"binary": asked, "work_dir": str(work_dir), "verb": verb, "options": options, "file_size": file_size}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("terraform_driver.py")), json.dumps(call)],
        env=dict(environ or environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return Driver(process)
