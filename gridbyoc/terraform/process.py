"""The one place where Terraform is a process: started, read line by line, stopped, never left behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gridbyoc.terraform.child import Child, Clock, Command, LineSink, NotStartedError, Stream
from gridbyoc.terraform.interrupts import Interrupts

__all__ = ["Cause", "Command", "Ended", "NotStartedError", "RunCommand", "Stream", "run"]


class Cause(Enum):
    """Why a command ended."""

    EXIT = "exit"
    INTERRUPT = "interrupt"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. ``code`` is the exit status, or minus the signal that ended it."""

    code: int
    seconds: float
    cause: Cause = Cause.EXIT
    killed: bool = False
    insisted: bool = False


def say_nothing(_cause: Cause) -> None:
    """For callers that need no word when a command is asked to stop."""


class RunCommand(Protocol):
    """Runs a command to its end, as ``run`` does."""

    def __call__(
        self,
        command: Command,
        on_line: LineSink,
        *,
        interrupts: Interrupts,
        clock: Clock = time.monotonic,
        on_stop: Callable[[Cause], None] = say_nothing,
    ) -> Ended:
        """Hand every line to ``on_line``; how it ended."""


def run(
    command: Command,
    on_line: LineSink,
    *,
    interrupts: Interrupts,
    clock: Clock = time.monotonic,
    on_stop: Callable[[Cause], None] = say_nothing,
) -> Ended:
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
        return Ended(child.code, clock() - started, watch.cause, watch.killed, interrupts.insisted)


class _Watch:
    """Decides, at every look, whether the child goes on, is asked to stop, or is killed."""

    def __init__(
        self,
        command: Command,
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
        self._insisted = False
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
        if self._interrupts.insisted and not self._insisted:
            self._insisted = True
            self._kill_at = min(self._kill_at, now + self._patience)
            if self._patience:
                child.interrupt()
        if not self.killed and now >= self._kill_at:
            self.killed = child.kill()
