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
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ControlPlaneError,
    ExitStatus,
    FileError,
    GridbyocError,
    StalePlanError,
)
from gridbyoc.operations.cluster_times import expected_wait, expected_words, record_running
from gridbyoc.operations.fleet.find import (
    ReadOptions,
    durations,
    longest_first,
    refuse_one_name,
    refuse_one_state,
    validate_members,
)
from gridbyoc.operations.fleet.model import (
    RESULTS,
    WRITING,
    EmitFleet,
    FleetNote,
    FleetStarted,
    Member,
    MemberFinished,
    MemberSaid,
    MemberStarted,
    MemberWaiting,
    Outcome,
    Result,
    Verb,
    detail_of,
    fleet_status,
)
from gridbyoc.operations.fleet.providers import Provision, available_memory, default_jobs, provision, usable_cores
from gridbyoc.operations.fleet.record import FleetRecord, modules_digest
from gridbyoc.operations.fleet.waiting import AwaitedCluster, ClusterSeen, PlaneWait, Poller, awaited_clusters
from gridbyoc.operations.journal import JOURNAL, Journal
from gridbyoc.operations.wait import WaitLimits, wait_limits
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.load import load
from gridbyoc.stack.model import ControlPlane, Stack
from gridbyoc.terraform.process import ExitInfo, Interrupts, NotStartedError, ProcessCommand, run

_LAST_WORDS = 5
NO_WAIT = "--no-wait"
FINISH = "--finish"
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


def no_options(_member: Member) -> tuple[str, ...]:
    """No options of its own for any stack."""
    return ()


@dataclass(frozen=True, slots=True)
class Work:
    """The runs to start, and how.

    ``finished`` is called in this thread with each result, before its event. ``read``: reads a stack's files; if given,
    a file that names another stack than the fleet was started with is refused, and so is a stack whose files change
    between the two parts of its run. ``start`` runs a process to its end. ``own``: further options for one stack.
    """

    verb: Verb
    options: tuple[str, ...]
    cwd: Path
    environ: Callable[[Member], Mapping[str, str]]
    jobs: int
    fail_fast: bool = False
    grace: float = GRACE
    finished: Callable[[Result], None] = lambda _result: None
    clock: Callable[[], float] = time.monotonic
    waiting: FleetWait | None = None
    read: Callable[[Member], StackInputs] | None = None
    start: Callable[..., ExitInfo] = run
    own: Callable[[Member], tuple[str, ...]] = no_options


@dataclass(frozen=True, slots=True)
class StackInputs:
    """A stack as its file, its bases and the command line say, and a digest of its local modules."""

    stack: Stack
    modules: str = ""


@dataclass(frozen=True, slots=True)
class FleetWait:
    """How a fleet waits for clusters in place of its stacks' runs, which are run with ``--no-wait`` first.

    ``connect`` opens a control plane; ``limits`` are those of a wait at it. Control planes with the same ``address``
    are asked once for all: their credentials are the same, too.
    """

    connect: Callable[[ControlPlane], Registrar]
    limits: Callable[[ControlPlane], WaitLimits]
    address: Callable[[ControlPlane], ControlPlane] = lambda plane: plane


@dataclass(slots=True)
class _Running:
    """A stack's run. Its thread only reads; everything else happens in the main thread.

    ``inputs``: the stack's files as they were when the run began; ``None`` if nobody reads them here, or if they were
    not valid. ``first``: the result of the run's first part.
    """

    member: Member
    began: float
    inputs: StackInputs | None = None
    first: Result | None = None
    interrupts: Interrupts = field(default_factory=Interrupts)
    listener: Listener = field(default_factory=Listener)


@dataclass(frozen=True, slots=True)
class _HalfDone:
    """A stack whose run has ended with clusters on their way, or with something left to do."""

    member: Member
    began: float
    inputs: StackInputs | None
    first: Result


@dataclass(frozen=True, slots=True)
class _Listed:
    """A control plane's answer, for the waiting stacks."""

    plane: PlaneWait
    answer: tuple[Cluster, ...] | GridbyocError


_Message = tuple[_Running, "tuple[str, str] | ExitInfo | NotStartedError"] | _Listed


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
        self._unbegun = deque(members)
        self._count = len(members)
        self._emit = emit
        self._interrupts = interrupts
        self._messages: SimpleQueue[_Message] = SimpleQueue()
        self._running: list[_Running] = []
        self._planes: dict[ControlPlane, tuple[PlaneWait, Poller]] = {}
        self._waiting: dict[Member, _HalfDone] = {}
        self._there: deque[_HalfDone] = deque()
        self._results: list[Result] = []
        self._stopping = self._interrupted = self._second_interrupt = False

    def to_the_end(self) -> tuple[Result, ...]:
        try:
            while self._running or self._waiting or self._there or (self._unbegun and not self._stopping):
                self._begin()
                self._listen()
                self._pass_on()
        except BaseException:
            self._abandon()
            raise
        finally:
            for _, poller in self._planes.values():
                poller.stop()
        for member in self._unbegun:
            self._end(Result(member, "not started"))
        return tuple(self._results)

    def _begin(self) -> None:
        """Start runs while there are jobs: first those whose clusters are there, then new ones."""
        while len(self._running) < self._work.jobs:
            if self._there:
                half = self._there.popleft()
                if moved := self._moved(half.member, half.inputs):
                    self._end(self._failed(half, moved))
                    continue
                one = _Running(half.member, half.began, half.inputs, half.first)
            elif self._unbegun and not self._stopping:
                member, began = self._unbegun.popleft(), self._work.clock()
                self._emit(MemberStarted(member))
                inputs = self._read(member)
                if inputs and member.name and inputs.stack.name != member.name:
                    self._end(failed_result(self._work.verb, member, _another_stack(member, inputs.stack), {}, 0.0))
                    continue
                one = _Running(member, began, inputs)
            else:
                return
            self._running.append(one)
            try:
                threading.Thread(target=self._watch, args=(one,), daemon=True).start()
            except RuntimeError as error:  # no more threads; its final message would be waited for without end
                self._messages.put((one, NotStartedError(str(error))))

    def _read(self, member: Member) -> StackInputs | None:
        """The stack's files as they are now; ``None`` if they are not valid, which the stack's own run reports."""
        try:
            return self._work.read(member) if self._work.read else None
        except GridbyocError:
            return None

    def _moved(self, member: Member, before: StackInputs | None) -> StalePlanError | None:
        """An error if the stack's files have changed since the first part of the run, which nobody approved."""
        now = self._read(member)
        if before is None or now == before:
            return None
        only_module = now is not None and now.stack == before.stack
        return StalePlanError(
            f"{f'The module of {member.shown}' if only_module else member.shown} has changed while the fleet waited "
            "for its clusters.",
            why="The rest of the run would be carried out with other files than it began with.",
            fix="Check the change, then run the same command again.",
            rerun=SAFE_RESUMES,
        )

    def _watch(self, one: _Running) -> None:
        """Runs in its own thread: every line becomes a message, and so does the end."""
        work = self._work
        part = FINISH if one.first else NO_WAIT if work.waiting else None
        argv = child_argv(work.verb, one.member, (*work.options, *work.own(one.member), *((part,) if part else ())))
        environ = child_environ(work.environ(one.member))
        command = ProcessCommand(argv, environ, work.cwd, math.inf, work.grace, _KEEP_UMASK, PATIENCE)
        try:
            ended = work.start(
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
            message = self._messages.get(timeout=_TICK)
        except Empty:
            return
        if isinstance(message, _Listed):
            self._hear_plane(message)
            return
        one, said = message
        if isinstance(said, tuple):
            event = one.listener.line(*said)
            if event is not None:
                self._emit(MemberSaid(one.member, event))
            return
        self._running.remove(one)
        result = self._result(one, said)
        if not self._wait_for(one, result):
            self._end(result if one.first is None else joined(self._work.verb, one.first, result))

    def _result(self, one: _Running, ended: ExitInfo | NotStartedError) -> Result:
        if isinstance(ended, NotStartedError):
            return Result(one.member, "failed", 1, 0.0, f"cannot be started: {ended}")
        asked, seconds = one.interrupts.asked, self._work.clock() - one.began
        return one.listener.result(self._work.verb, one.member, ended.code, seconds, asked=asked)

    def _wait_for(self, one: _Running, result: Result) -> bool:
        """Whether only the first part of a stack's run is done; if so, wait for its clusters."""
        document = result.document(self._work.verb) or {}
        waiting, clusters = self._work.waiting, awaited_clusters(document)
        begins = waiting is not None and one.first is None and result.outcome == "done"
        if waiting is None or not begins or not (clusters or document.get("unfinished")):
            return False
        half = _HalfDone(one.member, one.began, one.inputs or self._read(one.member), result)
        if self._interrupts.asked:
            self._end(self._interrupted_half(half, waits=bool(clusters)))
        elif clusters and half.inputs:
            self._wait_at_plane(waiting, half, half.inputs.stack.control_plane, clusters)
        elif clusters:
            self._end(self._failed(half, _unreadable(one.member)))
        else:
            self._there.append(half)
        return True

    def _wait_at_plane(
        self, waiting: FleetWait, half: _HalfDone, plane: ControlPlane, clusters: tuple[AwaitedCluster, ...]
    ) -> None:
        try:
            address = waiting.address(plane)
            found = self._planes.get(address)
            wait = found[0] if found else PlaneWait(waiting.connect(plane), self._work.clock, self._count)
            wait.add(half.member, clusters, waiting.limits(plane))
            if found is None:
                self._planes[address] = wait, Poller(wait, lambda answer: self._messages.put(_Listed(wait, answer)))
                if any(cluster.target == "running" for cluster in clusters):
                    self._emit_expected(half, plane)
        except GridbyocError as error:
            self._end(self._failed(half, error))
            return
        except RuntimeError as error:  # no more threads; the other stacks go on
            what = f"The control plane cannot be asked for the clusters of {half.member.label}: {error}."
            self._end(self._failed(half, ControlPlaneError(what, rerun=SAFE_RESUMES)))
            return
        self._waiting[half.member] = half
        self._emit(MemberWaiting(half.member, tuple(cluster.name for cluster in clusters)))

    def _emit_expected(self, half: _HalfDone, plane: ControlPlane) -> None:
        """Say once for each control plane how long its clusters take."""
        work_dir = half.member.work_dir
        if work_dir and (words := expected_words(expected_wait(plane.api, work_dir.parent))):
            self._emit(FleetNote(f"{words[0].upper()}{words[1:]}."))

    def _hear_plane(self, listed: _Listed) -> None:
        for event in listed.plane.take(listed.answer):
            if isinstance(event, ClusterSeen):
                self._record_running(event)
                self._emit(MemberSaid(event.member, {"type": event.progress.type, **asdict(event.progress)}))
            elif half := self._waiting.pop(event.member, None):
                self._arrived(half, event.error)

    def _record_running(self, event: ClusterSeen) -> None:
        """Record in the stack's journal that a cluster runs now: its run has ended, and no other would know."""
        half, work_dir = self._waiting.get(event.member), event.member.work_dir
        if half and half.inputs and work_dir and event.target == event.progress.status == "running":
            journal = Journal(work_dir / JOURNAL, utc_now, "fleet")
            with suppress(GridbyocError):  # the time is only for later estimates
                plane = half.inputs.stack.control_plane.api
                record_running(journal, plane, event.progress.name, event.id, event.progress.age)

    def _arrived(self, half: _HalfDone, error: GridbyocError | None) -> None:
        """Queue the second part of a stack's run if the first has left anything to do; else its run is over."""
        verb, document = self._work.verb, half.first.document(self._work.verb) or {}
        if error is not None:
            self._end(self._failed(half, error))
        elif document.get("unfinished"):
            self._there.append(half)
        else:
            self._end(replace(arrived(verb, half.first), seconds=self._work.clock() - half.began))

    def _interrupted_half(self, half: _HalfDone, *, waits: bool) -> Result:
        """A stack between its two parts when the fleet is interrupted. ``waits``: for its clusters, not for a job."""
        under_way = "being deleted" if self._work.verb == "destroy" else "on their way"
        detail = f"its clusters are {under_way}; the control plane continues by itself"
        if not waits:
            detail = "its clusters are as they should be; the rest of its run had not begun"
        status, seconds = int(ExitStatus.INTERRUPTED), self._work.clock() - half.began
        return Result(half.member, "interrupted", status, seconds, detail, None, half.first.said)

    def _failed(self, half: _HalfDone, error: GridbyocError) -> Result:
        seconds = self._work.clock() - half.began
        return failed_result(self._work.verb, half.member, error, half.first.said, seconds)

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
            for half in self._waiting.values():
                self._end(self._interrupted_half(half, waits=True))
            for half in self._there:
                self._end(self._interrupted_half(half, waits=False))
            self._waiting.clear()
            self._there.clear()
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
            message = self._messages.get()
            left -= not isinstance(message, _Listed) and not isinstance(message[1], tuple)


def failed_result(
    verb: Verb, member: Member, error: GridbyocError, before: Mapping[str, Mapping[str, Any]], seconds: float
) -> Result:
    """The result that a single stack's run would have had. ``before``: what it said until then."""
    fields = {name: getattr(error, name) for name in ("code", "what", "why", "fix", "rerun")}
    said = {**before, "error": {"type": "error", "exit_status": int(error.exit_status), **fields}}
    return Result(member, "failed", int(error.exit_status), seconds, detail_of(verb, said), error.code, said)


def _another_stack(member: Member, stack: Stack) -> StalePlanError:
    return StalePlanError(
        f"{member.shown} is now the file of the stack {stack.name}; the fleet was started for {member.name}.",
        why="Nobody approved that for this stack.",
        fix="Check the file, then run the same command again.",
        rerun=SAFE_NOTHING_DONE,
    )


def _unreadable(member: Member) -> StalePlanError:
    return StalePlanError(
        f"{member.shown} is not valid any more, so its control plane is not known.",
        fix="Check the file, then run the same command again.",
        rerun=SAFE_RESUMES,
    )


def arrived(verb: Verb, first: Result) -> Result:
    """The result of a stack's run whose clusters run now, and that has nothing more to do."""
    before = first.document(verb) or {}
    report = {**before, "awaits": [], "clusters": [{**each, "status": "running"} for each in before["clusters"]]}
    said = {**first.said, RESULTS[verb]: report}
    return replace(first, said=said, detail=detail_of(verb, said))


def joined(verb: Verb, first: Result, last: Result) -> Result:
    """The result of a stack's run in two parts: how the last came out, and what both did."""
    before, after = first.document(verb), last.said.get(RESULTS[verb])
    if before is None or after is None:
        return last
    if verb == "destroy":
        names = [each["name"] for each in before["awaits"]]
        said = {**last.said, RESULTS[verb]: {**after, "clusters": [*names, *after["clusters"]]}}
        return replace(last, said=said, detail=last.detail if "error" in said else detail_of(verb, said))
    counts = {name: before["resources"][name] + after["resources"][name] for name in before["resources"]}
    acts = {each["name"]: each["action"] for each in before["clusters"]}
    clusters = [
        {**each, "action": acts.get(each["name"], "none") if each["action"] == "none" else each["action"]}
        for each in after["clusters"]
    ]
    steps = {**after["seconds"], **before["seconds"]}
    report = {
        **after,
        "changed": before["changed"] or after["changed"],
        "resources": counts,
        "clusters": clusters,
        "seconds": {name: round(before["seconds"].get(name, 0) + after["seconds"].get(name, 0), 3) for name in steps},
    }
    said = {**first.said, **last.said, RESULTS[verb]: report}
    return replace(last, said=said, detail=last.detail if "error" in last.said else detail_of(verb, said))


@dataclass(frozen=True, slots=True)
class WaitChosen:
    """What the command line says of waiting; ``None`` is each control plane's own. ``url`` is its address."""

    url: str | None
    timeout: float | None
    poll_interval: float
    failed_grace: float | None


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """The command line's choices.

    ``options`` go to each stack's run; ``jobs`` ``None``: as many as the machine can bear.

    ``overrides``: the ``--set`` options among them.

    ``again``: run stacks again that an interrupted run has completed. ``pending``: whether pending changes make the
    exit status 3. ``wait``: how the fleet waits for clusters; ``None`` if it does not. ``own``: further options for
    one stack's run. ``terraform``: whether the runs may start Terraform.
    """

    verb: Verb
    options: tuple[str, ...] = ()
    jobs: int | None = None
    fail_fast: bool = False
    again: bool = False
    pending: bool = True
    terraform_bin: str | None = None
    overrides: tuple[str, ...] = ()
    wait: WaitChosen | None = None
    own: Callable[[Member], tuple[str, ...]] = no_options
    terraform: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment of a fleet's run. ``clock`` is monotonic seconds, ``now`` the time in UTC.

    ``start`` runs a stack's process to its end.
    """

    cwd: Path
    home: Path
    environ: Mapping[str, str]
    emit: EmitFleet
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    interrupts: Interrupts = field(default_factory=Interrupts)
    start: Callable[..., ExitInfo] = run


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
    return run_members(_work(left, wanted, outside, supply, record), ordered, emit, interrupts)


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
    if not wanted.terraform:
        return Provision(lambda _member: outside.environ, jobs)
    return provision(left, jobs, environ=outside.environ, terraform_bin=wanted.terraform_bin, **place)


def _work(
    left: Sequence[Member], wanted: FleetOptions, outside: Surroundings, supply: Provision, record: FleetRecord | None
) -> Work:
    work = Work(
        wanted.verb, wanted.options, outside.cwd, supply.environ, supply.jobs, wanted.fail_fast,
        clock=outside.clock, waiting=_waiting(wanted.wait, outside) if wanted.wait else None,
        read=_reader(wanted, outside) if wanted.verb in WRITING else None,
        start=outside.start, own=wanted.own,
    )  # fmt: skip
    if record is None:
        return work
    began = {member: record.digest(member, wanted.options) for member in left}
    return replace(work, finished=remembering(record, wanted.options, outside.emit, began))


def _reader(wanted: FleetOptions, outside: Surroundings) -> Callable[[Member], StackInputs]:
    def read(member: Member) -> StackInputs:
        stack = load(
            member.file, overrides=wanted.overrides, environ=outside.environ, cwd=outside.cwd, home=outside.home
        )
        return StackInputs(stack, modules_digest(member))

    return read


def _waiting(chosen: WaitChosen, outside: Surroundings) -> FleetWait:
    def opened(plane: ControlPlane) -> Registrar:
        from gridbyoc.control_plane import connect  # here: it loads the HTTP client

        def warn(text: str) -> None:
            outside.emit(FleetNote(f"warning: {text}"))

        return connect(plane, environ=outside.environ, home=outside.home, url=chosen.url, on_warning=warn)

    def address(plane: ControlPlane) -> ControlPlane:
        from gridbyoc.control_plane.settings import resolve_url, without_default_port

        resolved = resolve_url(plane.api, chosen.url, plane.url, outside.environ, outside.home)
        return replace(plane, url=without_default_port(resolved))

    return FleetWait(
        opened,
        lambda plane: wait_limits(plane.api, chosen.timeout, chosen.poll_interval, chosen.failed_grace),
        address,
    )


def remembering(
    record: FleetRecord, options: Sequence[str], emit: EmitFleet, began: Mapping[Member, str]
) -> Callable[[Result], None]:
    """A callback that records each completed stack. If recording fails (a full disk), the other runs continue.

    ``began``: the digest of each stack when the fleet began. A stack whose files have changed since is not recorded,
    because its run may have read the old ones: the next fleet must not skip it.
    """

    def remember(result: Result) -> None:
        if result.outcome != "done" or record.digest(result.member, options) != began.get(result.member):
            return
        try:
            record.add(result.member, options)
        except FileError as error:
            emit(FleetNote(f"warning: {result.member.label} is done, but this could not be recorded: {error}"))

    return remember
