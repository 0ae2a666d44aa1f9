"""A running Terraform: its process, its two pipes, its lines."""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from gridbyoc.terraform.leash import Leash

Stream = Literal["stdout", "stderr"]
LineSink = Callable[[Stream, str], None]
Clock = Callable[[], float]

_TICK = 0.1  # seconds between two looks at signals, the clock and the child
_LINGER = 1.0  # seconds for a pipe that somebody else still holds after the child has ended


class NotStartedError(Exception):
    """The program cannot be started; says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. Times in seconds: ``timeout`` until it is asked to stop, ``grace`` from there until it is killed.

    A second Ctrl-C kills it at once; with ``patience`` it gets that signal, too, and so long to end by itself.
    """

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path | None = None
    timeout: float = 1800.0
    grace: float = 60.0
    umask: int = 0o077
    patience: float = 0.0


def _start(command: Command) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            umask=command.umask,
        )
    except OSError as error:
        raise NotStartedError(error.strerror or str(error)) from None


class Child:
    """A running process and its two pipes."""

    def __init__(self, command: Command) -> None:
        self._process = _start(command)
        self._gone_at: float | None = None
        self._lines: deque[tuple[Stream, str]] = deque()
        try:
            self._open_pipes()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _open_pipes(self) -> None:
        out, err = self._process.stdout, self._process.stderr
        assert out is not None  # noqa: S101 - both are pipes, as asked for above
        assert err is not None  # noqa: S101
        self._leash = Leash(self._process.pid, out.fileno(), err.fileno())
        self._selector = selectors.DefaultSelector()
        self._splitters = (_Splitter("stdout"), _Splitter("stderr"))
        for pipe, splitter in zip((out, err), self._splitters, strict=True):
            self._selector.register(pipe, selectors.EVENT_READ, splitter)

    @property
    def code(self) -> int:
        return self._process.wait()

    def ended(self, clock: Clock) -> bool:
        """The process is gone and so is its output, or whoever still holds a pipe had its time."""
        if not self._selector.get_map():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TICK)
                return True
        if self._process.poll() is None:
            return False
        self._gone_at = clock() if self._gone_at is None else self._gone_at
        return clock() - self._gone_at >= _LINGER

    def pump(self, on_line: LineSink) -> None:
        """Wait a moment for output and hand on every complete line of it."""
        for key, _ in self._selector.select(_TICK if self._selector.get_map() else 0):
            data = os.read(key.fd, 65536)
            if data:
                self._lines.extend(key.data.feed(data))
            else:
                self._selector.unregister(key.fileobj)
        self._hand_on(on_line)

    def flush(self, on_line: LineSink) -> None:
        """Hand on the last lines that had no end."""
        for splitter in self._splitters:
            self._lines.extend(splitter.finish())
        self._hand_on(on_line)

    def _hand_on(self, on_line: LineSink) -> None:
        while self._lines:
            on_line(*self._lines.popleft())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> bool:
        """Kill the group; false when the process had ended already."""
        if self._process.poll() is not None:
            return False
        self.sweep()
        return True

    def sweep(self) -> None:
        """Kill what is left of the group: Terraform stops a provisioner's shell, but not what that has started.

        Providers go on for ever, and with what they were at, when Terraform is killed under them.
        """
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if self._process.wait() < 0:
            self.sweep()
        self._selector.close()
        self._leash.release()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


class _Splitter:
    """Bytes in, lines out. Text that is not UTF-8 is shown with replacement marks."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest: list[str] = []

    def feed(self, data: bytes) -> Iterator[tuple[Stream, str]]:
        head, *tails = self._decoder.decode(data).split("\n")
        self._rest.append(head)
        for following in tails:
            line, self._rest = "".join(self._rest), [following]
            yield self._stream, line.rstrip("\r")

    def finish(self) -> Iterator[tuple[Stream, str]]:
        line, self._rest = "".join(self._rest) + self._decoder.decode(b"", final=True), []
        if line:
            yield self._stream, line
