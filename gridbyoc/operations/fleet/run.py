"""Run a fleet: several stacks in parallel, each in its own process, until all have ended."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from gridbyoc.errors import ExitStatus, FileError
from gridbyoc.operations.fleet.find import (
    ReadOptions,
    durations,
    longest_first,
    refuse_one_name,
    refuse_one_state,
    validate_members,
)
from gridbyoc.operations.fleet.model import (
    WRITING,
    EmitFleet,
    FleetNote,
    FleetStarted,
    Member,
    MemberFinished,
    MemberSaid,
    MemberStarted,
    Outcome,
    Result,
    Verb,
    detail_of,
    fleet_status,
)
from gridbyoc.operations.fleet.providers import Provision, available_memory, default_jobs, provision, usable_cores
from gridbyoc.operations.fleet.record import FleetRecord
from gridbyoc.terraform.process import ExitInfo, Interrupts, NotStartedError, ProcessCommand, run

_LAST_WORDS = 5
_ONE_FOR_ALL = frozenset({"GITHUB_OUTPUT", "GITLAB_CI"})


def child_argv(verb: Verb, member: Member, options: Sequence[str]) -> tuple[str, ...]:
    """The command ``gridbyoc VERB FILE OPTIONS --format jsonl``, run by this Python."""
    # without -P, `-m` looks for the package in the current directory first
    safe = ("-P",) if sys.version_info >= (3, 11) else ()
    return (sys.executable, *safe, "-m", "gridbyoc", verb, member.shown, *options, "--format", "jsonl")


def child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without variables that name one output for a whole job: the last stack would overwrite the others.

    These are GitHub's outputs and GitLab's report files (written if GitLab's own variable is set).
    """
    return {name: value for name, value in environ.items() if name not in _ONE_FOR_ALL}


class Listener:
    """Collects the output of a run: its events, its result, and the last lines of stderr in case it crashes."""

    def __init__(self) -> None:
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._said: dict[str, Mapping[str, Any]] = {}

    def line(self, stream: str, line: str) -> Mapping[str, Any] | None:
        """The line's JSON document, if it is an event, a result or an error."""
        if stream == "stderr":
            self._words.append(line)
            return None
        found = _document(line)
        if found is not None:
            self._said[str(found["type"])] = found
        return found

    def result(self, verb: Verb, member: Member, code: int, seconds: float, *, asked: bool) -> Result:
        """The run's result. ``code`` is minus the signal that ended it; ``asked``: it was asked to stop."""
        said = dict(self._said)
        error = said.get("error", {})
        outcome: Outcome = "done" if code == 0 else "changes" if code == int(ExitStatus.CHANGES_PENDING) else "failed"
        status = int(ExitStatus.FAILED) if code < 0 else code
        if asked and outcome == "failed":
            outcome, status = "interrupted", int(ExitStatus.INTERRUPTED)
        detail = detail_of(verb, said) or (f"ended by signal {-code}" if code < 0 else "")
        if outcome == "failed" and not detail:
            detail = " ".join(word.strip() for word in self._words)[:300]
        named = error.get("code")
        return Result(member, outcome, status, seconds, detail, named if isinstance(named, str) else None, said)


def _document(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


GRACE = 90.0
"""Seconds from an interrupt until a stack's run is killed; the run itself gives Terraform 60."""
PATIENCE = 10.0
"""Seconds from a second Ctrl-C until a run is killed.

It kills its Terraform meanwhile and reports what may be locked.
"""
_KEEP_UMASK = -1
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Work:
    """The runs to start, and how. ``finished`` is called in this thread with each result, before its event."""

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
    """A stack's run. Its thread only reads; everything else happens in the main thread."""

    member: Member
    interrupts: Interrupts = field(default_factory=Interrupts)
    listener: Listener = field(default_factory=Listener)


_Message = tuple[_Running, "tuple[str, str] | ExitInfo | NotStartedError"]


def run_members(work: Work, members: Sequence[Member], emit: EmitFleet, interrupts: Interrupts) -> tuple[Result, ...]:
    """Run the verb for ``members`` in order, ``work.jobs`` in parallel; returns a result for each.

    A failing stack stops no other; with ``fail_fast`` no new one is started afterwards. The first SIGINT or SIGTERM is
    forwarded to each run as SIGINT. A second SIGINT is forwarded too, and the runs then kill Terraform. After either,
    nothing new is started.
    """
    with interrupts.listening(), _hearing_children():
        return _Fleet(work, members, emit, interrupts).to_the_end()


@contextmanager
def _hearing_children() -> Iterator[None]:
    """Let the runs receive SIGINT even if this process ignores it (`&` in a script, nohup), which they would inherit.

    A handler that does nothing also ignores the signal, but is not inherited.
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
        self._stopping = self._interrupted = self._second_interrupt = False

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
        """Runs in its own thread: every line becomes a message, and so does the end."""
        work = self._work
        argv = child_argv(work.verb, one.member, work.options)
        environ = child_environ(work.environ(one.member))
        command = ProcessCommand(argv, environ, work.cwd, math.inf, work.grace, _KEEP_UMASK, PATIENCE)
        try:
            ended = run(
                command,
                lambda stream, line: self._messages.put((one, (stream, line))),
                interrupts=one.interrupts,
            )
        except Exception as error:  # whatever it is: the main thread waits for a final message
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

    def _result(self, one: _Running, ended: ExitInfo | NotStartedError) -> Result:
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
        """Forward our interrupts to the runs: the first one, and the second one."""
        if self._interrupts.asked and not self._interrupted:
            self._stopping = self._interrupted = True
            for one in self._running:
                one.interrupts.request()
        if self._interrupts.second_interrupt and not self._second_interrupt:
            self._second_interrupt = True
            for one in self._running:
                one.interrupts.insist()

    def _abandon(self) -> None:
        """Stop each run properly and wait for it: an error of ours, such as a full disk, must leave no run behind."""
        for one in self._running:
            one.interrupts.request()
        left = len(self._running)
        while left:
            left -= not isinstance(self._messages.get()[1], tuple)


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """The command line's choices.

    ``options`` go to each stack's run; ``jobs`` ``None``: as many as the machine can bear.

    ``overrides``: the ``--set`` options among them.

    ``again``: run stacks again that an interrupted run has completed. ``pending``: whether pending changes make the
    exit status 3.
    """

    verb: Verb
    options: tuple[str, ...] = ()
    jobs: int | None = None
    fail_fast: bool = False
    again: bool = False
    pending: bool = True
    terraform_bin: str | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment of a fleet's run. ``clock`` is monotonic seconds, ``now`` the time in UTC."""

    cwd: Path
    home: Path
    environ: Mapping[str, str]
    emit: EmitFleet
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    interrupts: Interrupts = field(default_factory=Interrupts)


@dataclass(frozen=True, slots=True)
class FleetReport:
    """The result of a fleet's run; ``results`` in the order of the files."""

    verb: Verb
    jobs: int
    seconds: float
    results: tuple[Result, ...]
    interrupted: bool
    pending: bool = True

    @property
    def status(self) -> int:
        """The exit status; see ``fleet_status``."""
        status = fleet_status(self.results, interrupted=self.interrupted)
        return 0 if status == int(ExitStatus.CHANGES_PENDING) and not self.pending else status

    def counts(self) -> dict[str, int]:
        """The number of results per outcome, without outcomes that did not occur."""
        outcomes = [result.outcome for result in self.results]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}


def carry_out(members: Sequence[Member], wanted: FleetOptions, outside: Surroundings) -> FleetReport:
    """Run the verb for each member.

    Raises ``UsageError`` for stacks that would share a name or a state, ``FileError`` if the record cannot be written.
    """
    began = outside.clock()
    refuse_one_name(wanted.overrides)
    if wanted.verb != "validate":  # validate reads every file anyway, and reports this itself
        refuse_one_state(members, wanted.overrides, outside.environ, outside.home)
    record = FleetRecord(outside.cwd, wanted.verb, outside.now, outside.environ) if wanted.verb in WRITING else None
    done = _done_before(record, members, wanted)
    left = [member for member in members if member not in done]
    supply = _supply(left, wanted, outside)
    outside.emit(FleetStarted(wanted.verb, tuple(members), supply.jobs, done))
    for note in supply.notes:
        outside.emit(note)
    if done:
        outside.emit(FleetNote(f"{len(done)} already done by the previous run; --all runs them again."))
    skipped = [Result(member, "skipped", 0, detail="done in the previous run") for member in done]
    for result in skipped:
        outside.emit(MemberFinished(result))
    results = [*skipped, *_results(left, wanted, outside, supply, record)]
    place = {member: index for index, member in enumerate(members)}
    results.sort(key=lambda result: place[result.member])
    interrupted = outside.interrupts.asked
    report = FleetReport(wanted.verb, supply.jobs, outside.clock() - began, tuple(results), interrupted, wanted.pending)
    if record is not None and report.status == 0:
        with suppress(FileError):  # all is done, and the report matters more than a record of a day
            record.clear(members)
    return report


def _results(
    left: Sequence[Member], wanted: FleetOptions, outside: Surroundings, supply: Provision, record: FleetRecord | None
) -> tuple[Result, ...]:
    emit, interrupts = outside.emit, outside.interrupts
    if wanted.verb == "validate":
        reading = ReadOptions(wanted.overrides, outside.environ, outside.cwd, outside.home, outside.clock)
        return validate_members(left, reading, emit, interrupts, fail_fast=wanted.fail_fast)
    ordered = longest_first(left, durations(left, wanted.verb))
    return run_members(_work(wanted, outside, supply, record), ordered, emit, interrupts)


def _done_before(record: FleetRecord | None, members: Sequence[Member], wanted: FleetOptions) -> tuple[Member, ...]:
    if record is None:
        return ()
    record.require_writable()
    if wanted.again:
        record.clear(members)
        return ()
    return record.done(members, wanted.options)


def _supply(left: Sequence[Member], wanted: FleetOptions, outside: Surroundings) -> Provision:
    if wanted.verb == "validate":
        return Provision(lambda _member: outside.environ, 1)
    jobs = wanted.jobs or default_jobs(wanted.verb, len(left), cores=usable_cores(), available=available_memory())
    place = {"cwd": outside.cwd, "home": outside.home}
    return provision(left, jobs, environ=outside.environ, terraform_bin=wanted.terraform_bin, **place)


def _work(wanted: FleetOptions, outside: Surroundings, supply: Provision, record: FleetRecord | None) -> Work:
    work = Work(wanted.verb, wanted.options, outside.cwd, supply.environ, supply.jobs, wanted.fail_fast)
    return work if record is None else replace(work, finished=remembering(record, wanted.options, outside.emit))


def remembering(record: FleetRecord, options: Sequence[str], emit: EmitFleet) -> Callable[[Result], None]:
    """A callback that records each completed stack. If recording fails (a full disk), the other runs continue."""

    def remember(result: Result) -> None:
        if result.outcome != "done":
            return
        try:
            record.add(result.member, options)
        except FileError as error:
            emit(FleetNote(f"warning: {result.member.label} is done, but this could not be recorded: {error}"))

    return remember
