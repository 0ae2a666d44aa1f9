"""A real terminal with the tool on it, for what somebody sees and types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class Terminal:
    """``text`` is everything that was written so far, without control sequences."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid = pid
        self._descriptor = descriptor
        self._raw = ""

    @property
    def text(self) -> str:
        return _CONTROL.sub("", self._raw).replace("\r\n", "\n")

    def send(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def expect(self, word: str, seconds: float = 60.0) -> str:
        """Everything up to now, once ``word`` has been written."""
        end = time.monotonic() + seconds
        while word not in self.text and self._read(end):
            pass
        assert word in self.text, f"{word!r} was not written:\n{self.text}"
        return self.text

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing is written for so long."""
        before = self.text
        end = time.monotonic() + seconds
        while self._read(end):
            pass
        return self.text == before

    def end(self) -> int:
        """Read to the end; the exit status."""
        while self._read(time.monotonic() + 120):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, end - time.monotonic()))
        try:
            data = os.read(self._descriptor, 65536) if ready else b""
        except OSError:  # the other end is closed
            data = b""
        self._raw += data.decode(errors="replace")
        return bool(data)


@contextmanager
def on_terminal(*args: str, cwd: Path, env: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    """``gridbyoc ARGS`` on a terminal of its own."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        argv = [sys.executable, "-m", "gridbyoc", *args]
        own = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}  # a test worker has them
        os.execve(sys.executable, argv, {**own, "TERM": "xterm"})  # noqa: S606 -- a list, and no shell is wanted
    try:
        yield Terminal(pid, descriptor)
    finally:
        os.close(descriptor)
