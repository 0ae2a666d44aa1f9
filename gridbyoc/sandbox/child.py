"""The parent's side of a sandbox server: start it, learn its port, stop it."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, SandboxStartError, SandboxStoppedError

START_SECONDS = 60.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: ``port`` on 127.0.0.1, its output in ``log``."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def hang_up(self) -> None:
        """Close its lifeline, on which it ends; do not wait for it."""
        _hang_up(self.process)

    def stop(self) -> None:
        """Close its lifeline and wait; kill it if it takes longer than five seconds."""
        _end(self.process)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send it something that was not known when it started."""
        _write_line(self.process, message)

    def check(self) -> None:
        """Raise ``SandboxStoppedError`` if it has ended."""
        if self.process.poll() is not None:
            raise SandboxStoppedError(f"The sandbox's {self.name} has stopped.", why=_last_lines(self.log))


def start_server(
    name: str, module: str, config: Mapping[str, Any], environ: Mapping[str, str], log: Path
) -> ServerProcess:
    """Start ``python -m module`` and wait (60 s at most) until it listens.

    ``config`` goes through its standard input, which then stays open as its lifeline. It runs in a session of its own:
    a Ctrl-C on the terminal is for the command that uses the sandbox. Raises ``SandboxStartError``.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            env=dict(environ),
            start_new_session=True,
        )
    try:
        port = _introduce(process, config)
    except BaseException:
        _end(process)
        raise
    if port is None:
        _end(process)
        raise SandboxStartError(
            f"The sandbox's {name} did not start.",
            why=_last_lines(log),
            fix="If a port was given, see that it is free.",
            rerun=SAFE_NOTHING_DONE,
        )
    return ServerProcess(name, process, port, log)


def _introduce(process: subprocess.Popen[bytes], config: Mapping[str, Any]) -> int | None:
    """Send the settings, take the port; ``None`` when the child has nothing to say."""
    if process.stdout is None:
        return None
    _write_line(process, config)
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    process.stdout.close()
    return int(json.loads(line)["port"]) if line else None


def _write_line(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        if process.stdin:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    _hang_up(process)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:])
