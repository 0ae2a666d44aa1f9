"""A fleet's run: so many stacks at once, each a process of its own, until all have come to an end."""

from __future__ import annotations

import math
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from gridbyoc.steps.fleet.child import Listener, child_argv, child_environ
from gridbyoc.steps.fleet.model import EmitFleet, Member, MemberFinished, MemberSaid, MemberStarted, Result, Verb
from gridbyoc.terraform.child import Command, NotStartedError
from gridbyoc.terraform.interrupts import Interrupts
from gridbyoc.terraform.process import Ended, run

GRACE = 90.0
"""Seconds from an interrupt until a stack's run is killed: it gives Terraform 60 of its own."""
PATIENCE = 10.0
"""Seconds from a second Ctrl-C, on which a run kills its Terraform and says what may be locked, until it is killed."""
_KEEP_UMASK = -1
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Work:
    """What to run for each stack, and how. ``finished`` is called in this thread with each result, before its event."""

    verb: Verb
    options: tuple[str, ...]
    cwd: Path
    environ: Callable[[Member], Mapping[str, str]]
    jobs: int
    fail_fast: bool = False
    grace: float = GRACE
    finished: Callable[[Result], None] = lambda _result: None


@dataclass(slots=True)
class _Running:
    """A stack's run. Its thread reads; all else happens in the main thread."""

    member: Member
    interrupts: Interrupts = field(default_factory=Interrupts)
    listener: Listener = field(default_factory=Listener)


_Message = tuple[_Running, "tuple[str, str] | Ended | NotStartedError"]


def run_members(work: Work, members: Sequence[Member], emit: EmitFleet, interrupts: Interrupts) -> tuple[Result, ...]:
    """Run the verb for each of ``members``, in their order, ``work.jobs`` at once; a result for every one.

    A stack that fails stops no other; with ``fail_fast`` no new one is begun after it. The first SIGINT or SIGTERM
    is passed on to each run as SIGINT, and so is a second SIGINT, on which they kill. Nothing new is begun either way.
    """
    with interrupts.listening(), _hearing_children():
        return _Fleet(work, members, emit, interrupts).to_the_end()


@contextmanager
def _hearing_children() -> Iterator[None]:
    """Where SIGINT is ignored (`&` in a script, nohup), it would be in every run as well: they could not be stopped.

    A handler that does nothing ignores it just as well, and is not inherited.
    """
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not deaf or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Fleet:
    def __init__(self, work: Work, members: Sequence[Member], emit: EmitFleet, interrupts: Interrupts) -> None:
        self._work = work
        self._waiting = deque(members)
        self._emit = emit
        self._interrupts = interrupts
        self._messages: SimpleQueue[_Message] = SimpleQueue()
        self._running: list[_Running] = []
        self._results: list[Result] = []
        self._stopping = self._interrupted = self._insisted = False

    def to_the_end(self) -> tuple[Result, ...]:
        try:
            while self._running or (self._waiting and not self._stopping):
                self._begin()
                self._listen()
                self._pass_on()
        except BaseException:
            self._abandon()
            raise
        for member in self._waiting:
            self._end(Result(member, "not started"))
        return tuple(self._results)

    def _begin(self) -> None:
        while self._waiting and not self._stopping and len(self._running) < self._work.jobs:
            one = _Running(self._waiting.popleft())
            self._running.append(one)
            self._emit(MemberStarted(one.member))
            threading.Thread(target=self._watch, args=(one,), daemon=True).start()

    def _watch(self, one: _Running) -> None:
        """In a thread of its own: every line becomes a message, and so does the end."""
        work = self._work
        argv = child_argv(work.verb, one.member, work.options)
        environ = child_environ(work.environ(one.member))
        command = Command(argv, environ, work.cwd, math.inf, work.grace, _KEEP_UMASK, PATIENCE)
        try:
            ended = run(
                command,
                lambda stream, line: self._messages.put((one, (stream, line))),
                interrupts=one.interrupts,
            )
        except Exception as error:  # whatever it is: the main thread waits for a last word
            self._messages.put((one, NotStartedError(str(error) or type(error).__name__)))
        else:
            self._messages.put((one, ended))

    def _listen(self) -> None:
        try:
            one, message = self._messages.get(timeout=_TICK)
        except Empty:
            return
        if isinstance(message, tuple):
            event = one.listener.line(*message)
            if event is not None:
                self._emit(MemberSaid(one.member, event))
            return
        self._running.remove(one)
        self._end(self._result(one, message))

    def _result(self, one: _Running, ended: Ended | NotStartedError) -> Result:
        if isinstance(ended, NotStartedError):
            return Result(one.member, "failed", 1, 0.0, f"cannot be started: {ended}")
        asked = one.interrupts.asked
        return one.listener.result(self._work.verb, one.member, ended.code, ended.seconds, asked=asked)

    def _end(self, result: Result) -> None:
        self._results.append(result)
        self._work.finished(result)
        self._emit(MemberFinished(result))
        if self._work.fail_fast and result.outcome == "failed":
            self._stopping = True

    def _pass_on(self) -> None:
        """Ours to theirs: once asked, once insisted."""
        if self._interrupts.asked and not self._interrupted:
            self._stopping = self._interrupted = True
            for one in self._running:
                one.interrupts.request()
        if self._interrupts.insisted and not self._insisted:
            self._insisted = True
            for one in self._running:
                one.interrupts.insist()

    def _abandon(self) -> None:
        """A fault of ours, such as a full disk, leaves no run behind: each is stopped properly, and waited for."""
        for one in self._running:
            one.interrupts.request()
        left = len(self._running)
        while left:
            left -= not isinstance(self._messages.get()[1], tuple)
