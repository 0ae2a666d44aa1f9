"""The one place where Terraform is a process: started, read line by line, stopped, never left behind."""

from __future__ import annotations

import codecs
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal, Protocol

# Its fds: 0 is our lifeline, 1 and 2 are the *reading* ends of Terraform's stdout and stderr.
_SCRIPT = """
trap '' HUP INT TERM
read -r word && exit 0
kill -INT "$1"
cat <&1 >/dev/null 2>/dev/null &
cat <&2 >/dev/null 2>/dev/null
wait
kill -KILL "-$1" 2>/dev/null
"""


class ParentWatchdog:
    """Holds one child; ``release()`` when it has ended."""

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        reading, self._lifeline = os.pipe()
        self._watcher: subprocess.Popen[bytes] | None = None
        try:
            # A machine without /bin/sh runs Terraform without a leash.
            with suppress(OSError):
                self._watcher = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, "gridbyoc-leash", str(pid)],
                    stdin=reading,
                    stdout=stdout,
                    stderr=stderr,
                    env={"PATH": os.defpath},
                    start_new_session=True,
                )
        finally:
            os.close(reading)

    def release(self) -> None:
        """The child has ended: send the watcher home."""
        with suppress(OSError):
            os.write(self._lifeline, b"done\n")
        os.close(self._lifeline)
        if self._watcher is not None:
            self._watcher.wait()


Stream = Literal["stdout", "stderr"]
LineSink = Callable[[Stream, str], None]
Clock = Callable[[], float]

_TICK = 0.1  # seconds between two looks at signals, the clock and the child
_LINGER = 1.0  # seconds for a pipe that somebody else still holds after the child has ended


class NotStartedError(Exception):
    """The program cannot be started; says why."""


@dataclass(frozen=True, slots=True)
class ProcessCommand:
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


def _start(command: ProcessCommand) -> subprocess.Popen[bytes]:
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

    def __init__(self, command: ProcessCommand) -> None:
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
        self._leash = ParentWatchdog(self._process.pid, out.fileno(), err.fileno())
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


_BOUNCE = 0.3  # seconds; `uv run`, `make` and the like pass on a Ctrl-C that the terminal has delivered already


class Interrupts:
    """What was asked for while a command runs.

    ``asked`` is true after the first SIGINT or SIGTERM, or a ``request()``; ``second_interrupt`` after a second SIGINT.
    A SIGTERM that follows is none: CI services send SIGINT first and SIGTERM some seconds later.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requested = threading.Event()
        self._must_end = threading.Event()
        self._first: float | None = None
        self._second_interrupt = False

    @property
    def asked(self) -> bool:
        """Someone wants the command to stop."""
        return self._first is not None or self.requested

    @property
    def requested(self) -> bool:
        """``request()`` was called, which stays so."""
        return self._requested.is_set()

    @property
    def second_interrupt(self) -> bool:
        """Ctrl-C was pressed again: no more waiting."""
        return self._second_interrupt or self._must_end.is_set()

    def request(self) -> None:
        """Stop this command and every later one; from any thread."""
        self._requested.set()

    def insist(self) -> None:
        """What a second Ctrl-C does; from any thread."""
        self._requested.set()
        self._must_end.set()

    def signalled(self, number: int, _frame: FrameType | None = None) -> None:
        """The signal handler: takes note and returns."""
        if self._first is None:
            self._first = self._clock()
        elif number == signal.SIGINT and self._clock() - self._first >= _BOUNCE:
            self._second_interrupt = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the time of one command; a no-op outside of the main thread."""
        self._first, self._second_interrupt = None, False
        before = dict(self._take_over()) if threading.current_thread() is threading.main_thread() else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take_over(self) -> Iterator[tuple[signal.Signals, Any]]:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            # Ignored (nohup, `&` in a script) stays ignored; None was not set from Python and cannot be restored.
            if handler not in (signal.SIG_IGN, None):
                yield number, handler
                signal.signal(number, self.signalled)


__all__ = ["Cause", "ExitInfo", "NotStartedError", "ProcessCommand", "RunCommand", "Stream", "run"]


class Cause(Enum):
    """Why a command ended."""

    EXIT = "exit"
    INTERRUPT = "interrupt"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How it ended. ``code`` is the exit status, or minus the signal that ended it."""

    code: int
    seconds: float
    cause: Cause = Cause.EXIT
    killed: bool = False
    second_interrupt: bool = False


def say_nothing(_cause: Cause) -> None:
    """For callers that need no word when a command is asked to stop."""


class RunCommand(Protocol):
    """Runs a command to its end, as ``run`` does."""

    def __call__(
        self,
        command: ProcessCommand,
        on_line: LineSink,
        *,
        interrupts: Interrupts,
        clock: Clock = time.monotonic,
        on_stop: Callable[[Cause], None] = say_nothing,
    ) -> ExitInfo:
        """Hand every line to ``on_line``; how it ended."""


def run(
    command: ProcessCommand,
    on_line: LineSink,
    *,
    interrupts: Interrupts,
    clock: Clock = time.monotonic,
    on_stop: Callable[[Cause], None] = say_nothing,
) -> ExitInfo:
    """Run it to its end. Every line goes to ``on_line`` as it comes, in this thread.

    Own session (a Ctrl-C of the terminal reaches us alone), standard input closed. An interrupt or the time-out
    sends SIGINT once, to Terraform alone: its providers ignore it and its provisioners are stopped by Terraform.
    After ``grace``, or a second Ctrl-C, the whole group is killed. When ``on_line`` raises, the child is stopped
    in the same way, further lines still go to ``on_line``, and then its exception comes out. Raises
    ``NotStartedError``. ``on_stop`` hears of an interrupt or a time-out when the child has just been asked to stop.
    """
    started = clock()
    with interrupts.listening(), Child(command) as child:
        watch = _Watch(command, interrupts, clock, started, on_stop)
        try:
            watch.until_end(child, on_line)
        except BaseException:
            watch.stop(child, Cause.INTERRUPT)
            watch.until_end(child, on_line)
            raise
        if interrupts.asked:
            watch.cause = Cause.INTERRUPT
        return ExitInfo(child.code, clock() - started, watch.cause, watch.killed, interrupts.second_interrupt)


class _Watch:
    """Decides, at every look, whether the child goes on, is asked to stop, or is killed."""

    def __init__(
        self,
        command: ProcessCommand,
        interrupts: Interrupts,
        clock: Clock,
        started: float,
        on_stop: Callable[[Cause], None],
    ) -> None:
        self._interrupts = interrupts
        self._clock = clock
        self._deadline = started + command.timeout
        self._grace = command.grace
        self._patience = command.patience
        self._second_interrupt = False
        self._on_stop = on_stop
        self._kill_at: float | None = None
        self.cause = Cause.EXIT
        self.killed = False

    def until_end(self, child: Child, on_line: LineSink) -> None:
        while not child.ended(self._clock):
            child.pump(on_line)
            self._look(child)
        if self._kill_at is not None:
            child.sweep()
        child.flush(on_line)

    def stop(self, child: Child, cause: Cause) -> None:
        if self._kill_at is None:
            self._kill_at = self._clock() + self._grace
            self.cause = cause
            child.interrupt()

    def _look(self, child: Child) -> None:
        now = self._clock()
        if self._kill_at is None:
            if self._interrupts.asked or now >= self._deadline:
                self.stop(child, Cause.INTERRUPT if self._interrupts.asked else Cause.TIMEOUT)
                self._on_stop(self.cause)
            return
        if self._interrupts.second_interrupt and not self._second_interrupt:
            self._second_interrupt = True
            self._kill_at = min(self._kill_at, now + self._patience)
            if self._patience:
                child.interrupt()
        if not self.killed and now >= self._kill_at:
            self.killed = child.kill()
