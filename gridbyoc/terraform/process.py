"""Run Terraform as a process: start it, read it line by line, stop it, never leave it behind."""

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

# Its file descriptors: 0 is our lifeline; 1 and 2 are the *reading* ends of Terraform's stdout and stderr.
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
    """Stops a child if this process dies. Call ``release()`` after the child has ended."""

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        reading, self._lifeline = os.pipe()
        self._watcher: subprocess.Popen[bytes] | None = None
        try:
            # A machine without /bin/sh runs Terraform without a watchdog.
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
        """End the watcher, because the child has ended."""
        with suppress(OSError):
            os.write(self._lifeline, b"done\n")
        os.close(self._lifeline)
        if self._watcher is not None:
            self._watcher.wait()


Stream = Literal["stdout", "stderr"]
LineSink = Callable[[Stream, str], None]
Clock = Callable[[], float]

_TICK = 0.1  # seconds between two checks of signals, the clock and the child
_LINGER = 1.0  # seconds to read a pipe that another process still holds after the child has ended


class NotStartedError(Exception):
    """The program cannot be started; the message is the system's reason."""


@dataclass(frozen=True, slots=True)
class ProcessCommand:
    """A command. Times in seconds: after ``timeout`` it is interrupted, and after another ``grace`` killed.

    A second Ctrl-C kills it at once; with ``patience`` it is interrupted again first and has that long to end.
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
        self._ended_at: float | None = None
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
        self._watchdog = ParentWatchdog(self._process.pid, out.fileno(), err.fileno())
        self._selector = selectors.DefaultSelector()
        self._splitters = (_Splitter("stdout"), _Splitter("stderr"))
        for pipe, splitter in zip((out, err), self._splitters, strict=True):
            self._selector.register(pipe, selectors.EVENT_READ, splitter)

    @property
    def code(self) -> int:
        return self._process.wait()

    def ended(self, clock: Clock) -> bool:
        """Whether the process has ended and its output is complete, or ``_LINGER`` has passed since it ended."""
        if not self._selector.get_map():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_TICK)
                return True
        if self._process.poll() is None:
            return False
        self._ended_at = clock() if self._ended_at is None else self._ended_at
        return clock() - self._ended_at >= _LINGER

    def pump(self, on_line: LineSink) -> None:
        """Wait up to ``_TICK`` for output and pass on every complete line."""
        for key, _ in self._selector.select(_TICK if self._selector.get_map() else 0):
            data = os.read(key.fd, 65536)
            if data:
                self._lines.extend(key.data.feed(data))
            else:
                self._selector.unregister(key.fileobj)
        self._pass_on(on_line)

    def flush(self, on_line: LineSink) -> None:
        """Pass on the last lines, which have no line feed."""
        for splitter in self._splitters:
            self._lines.extend(splitter.finish())
        self._pass_on(on_line)

    def _pass_on(self, on_line: LineSink) -> None:
        while self._lines:
            on_line(*self._lines.popleft())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> bool:
        """Kill the process group; return false if the process had already ended."""
        if self._process.poll() is not None:
            return False
        self.sweep()
        return True

    def sweep(self) -> None:
        """Kill the rest of the process group.

        Terraform stops a provisioner's shell, but not the processes that the shell started. If Terraform is killed, its
        providers run on and continue their work.
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
        self._watchdog.release()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


class _Splitter:
    """Splits bytes into lines. Invalid UTF-8 becomes replacement characters."""

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


_BOUNCE = 0.3  # seconds; `uv run`, `make` and others forward a Ctrl-C that the terminal has already delivered


class Interrupts:
    """The requests to stop while a command runs.

    ``asked`` is true after the first SIGINT or SIGTERM, or a ``request()``; ``second_interrupt`` after a second SIGINT.
    A later SIGTERM is not a second interrupt: CI services send SIGINT first and SIGTERM some seconds later.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requested = threading.Event()
        self._must_end = threading.Event()
        self._first: float | None = None
        self._second_interrupt = False

    @property
    def asked(self) -> bool:
        """Whether the command was asked to stop."""
        return self._first is not None or self.requested

    @property
    def requested(self) -> bool:
        """Whether ``request()`` was called; never reset."""
        return self._requested.is_set()

    @property
    def second_interrupt(self) -> bool:
        """Whether Ctrl-C was pressed again: do not wait any longer."""
        return self._second_interrupt or self._must_end.is_set()

    def request(self) -> None:
        """Stop this command and every later one. Callable from any thread."""
        self._requested.set()

    def insist(self) -> None:
        """Act as a second Ctrl-C. Callable from any thread."""
        self._requested.set()
        self._must_end.set()

    def signalled(self, number: int, _frame: FrameType | None = None) -> None:
        """The signal handler: records the signal."""
        if self._first is None:
            self._first = self._clock()
        elif number == signal.SIGINT and self._clock() - self._first >= _BOUNCE:
            self._second_interrupt = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while one command runs; a no-op outside the main thread."""
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
            # An ignored signal (nohup, `&` in a script) stays ignored. None: not set from Python, so not restorable.
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
    """How a command ended. ``code`` is the exit status, or minus the signal that ended it."""

    code: int
    seconds: float
    cause: Cause = Cause.EXIT
    killed: bool = False
    second_interrupt: bool = False


def say_nothing(_cause: Cause) -> None:
    """An ``on_stop`` that does nothing."""


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
        """Run it, pass every line to ``on_line``, and return how it ended."""


def run(
    command: ProcessCommand,
    on_line: LineSink,
    *,
    interrupts: Interrupts,
    clock: Clock = time.monotonic,
    on_stop: Callable[[Cause], None] = say_nothing,
) -> ExitInfo:
    """Run a command to its end. Every line goes to ``on_line`` as it arrives, in this thread.

    The child has its own session, so that a terminal's Ctrl-C reaches only us; its standard input is closed. An
    interrupt or the time-out sends SIGINT once, and only to Terraform: its providers ignore SIGINT, and Terraform stops
    its provisioners. After ``grace`` or a second Ctrl-C the whole group is killed. If ``on_line`` raises, the child is
    stopped in the same way, further lines still go to ``on_line``, and then the exception is raised. Raises
    ``NotStartedError``. ``on_stop`` is called right after the child has been asked to stop.
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
    """Decides at every tick whether the child runs on, is asked to stop, or is killed."""

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
            self._check(child)
        if self._kill_at is not None:
            child.sweep()
        child.flush(on_line)

    def stop(self, child: Child, cause: Cause) -> None:
        if self._kill_at is None:
            self._kill_at = self._clock() + self._grace
            self.cause = cause
            child.interrupt()

    def _check(self, child: Child) -> None:
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
