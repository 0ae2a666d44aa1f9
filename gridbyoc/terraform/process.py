"""The one place where Terraform is a process: started, read line by line, stopped, never left behind."""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Literal

from gridbyoc.terraform.interrupts import Interrupts
from gridbyoc.terraform.leash import Leash

Stream = Literal["stdout", "stderr"]
LineSink = Callable[[Stream, str], None]
Clock = Callable[[], float]

_TICK = 0.1  # seconds between two looks at signals, the clock and the child
_LINGER = 1.0  # seconds for a pipe that somebody else still holds after the child has ended


class Cause(Enum):
    """Why a command ended."""

    EXIT = "exit"
    INTERRUPT = "interrupt"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. Times in seconds: ``timeout`` until it is asked to stop, ``grace`` from there until it is killed."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path | None = None
    timeout: float = 1800.0
    grace: float = 60.0
    umask: int = 0o077


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. ``code`` is the exit status, or minus the signal that ended it."""

    code: int
    seconds: float
    cause: Cause = Cause.EXIT
    killed: bool = False
    insisted: bool = False


def run(command: Command, on_line: LineSink, *, interrupts: Interrupts, clock: Clock = time.monotonic) -> Ended:
    """Run it to its end. Every line goes to ``on_line`` as it comes, in this thread.

    Own session (a Ctrl-C of the terminal reaches us alone), standard input closed. An interrupt or the time-out
    sends SIGINT once, to Terraform alone: its providers ignore it and its provisioners are stopped by Terraform.
    After ``grace``, or a second Ctrl-C, the whole group is killed. When ``on_line`` raises, the child is stopped
    in the same way, further lines still go to ``on_line``, and then its exception comes out. Raises ``OSError``
    when the program cannot be started.
    """
    started = clock()
    with interrupts.listening(), _Child(command) as child:
        watch = _Watch(command, interrupts, clock, started)
        try:
            watch.until_end(child, on_line)
        except BaseException:
            watch.stop(child, Cause.INTERRUPT)
            watch.until_end(child, on_line)
            raise
        if interrupts.asked:
            watch.cause = Cause.INTERRUPT
        return Ended(child.code, clock() - started, watch.cause, watch.killed, interrupts.insisted)


class _Watch:
    """Decides, at every look, whether the child goes on, is asked to stop, or is killed."""

    def __init__(self, command: Command, interrupts: Interrupts, clock: Clock, started: float) -> None:
        self._interrupts = interrupts
        self._clock = clock
        self._deadline = started + command.timeout
        self._grace = command.grace
        self._kill_at: float | None = None
        self.cause = Cause.EXIT
        self.killed = False

    def until_end(self, child: _Child, on_line: LineSink) -> None:
        while not child.ended(self._clock):
            child.pump(on_line)
            self._look(child)
        child.flush(on_line)

    def stop(self, child: _Child, cause: Cause) -> None:
        if self._kill_at is None:
            self._kill_at = self._clock() + self._grace
            self.cause = cause
            child.interrupt()

    def _look(self, child: _Child) -> None:
        now = self._clock()
        if self._kill_at is None:
            if self._interrupts.asked:
                self.stop(child, Cause.INTERRUPT)
            elif now >= self._deadline:
                self.stop(child, Cause.TIMEOUT)
        elif not self.killed and (self._interrupts.insisted or now >= self._kill_at):
            self.killed = child.kill()


class _Child:
    """A running process and its two pipes."""

    def __init__(self, command: Command) -> None:
        self._process = subprocess.Popen(
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
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return True

    def __enter__(self) -> _Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.wait()
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
