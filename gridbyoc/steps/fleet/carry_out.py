"""One verb over a fleet: what is left to do, the longest first, and what was done remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.errors import ExitStatus, FileError
from gridbyoc.steps.fleet.capacity import available_memory, default_jobs, usable_cores
from gridbyoc.steps.fleet.model import (
    WRITING,
    EmitFleet,
    FleetNote,
    FleetStarted,
    Member,
    MemberFinished,
    Result,
    Verb,
    fleet_status,
)
from gridbyoc.steps.fleet.order import durations, longest_first
from gridbyoc.steps.fleet.providers import Provision, provision
from gridbyoc.steps.fleet.record import Record
from gridbyoc.steps.fleet.run import Work, run_members
from gridbyoc.steps.fleet.shared import refuse_one_name, refuse_one_state
from gridbyoc.steps.fleet.validate import Reading, validate_members
from gridbyoc.terraform.interrupts import Interrupts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. ``options`` go to each stack's run; ``jobs`` ``None``: what the machine bears.

    ``overrides`` are the ``--set`` among them.

    ``again``: also those that the last run, broken off, has done. ``pending``: whether pending changes make the
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
    """What a fleet's run gets from outside. ``clock`` is monotonic seconds, ``now`` the time in UTC."""

    cwd: Path
    home: Path
    environ: Mapping[str, str]
    emit: EmitFleet
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    interrupts: Interrupts = field(default_factory=Interrupts)


@dataclass(frozen=True, slots=True)
class FleetReport:
    """How a fleet's run came out; ``results`` in the order of the files."""

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
        """How many came out how, without what did not occur."""
        outcomes = [result.outcome for result in self.results]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}

    def as_json(self) -> dict[str, Any]:
        """The report as the last object of ``--format json``."""
        head = {"type": "fleet", "verb": self.verb, "status": self.status, "interrupted": self.interrupted}
        stacks = [result_object(result) for result in self.results]
        return head | {"jobs": self.jobs, "seconds": round(self.seconds, 3), "counts": self.counts(), "stacks": stacks}


def result_object(result: Result) -> dict[str, Any]:
    """One stack's result as JSON."""
    return {
        "stack": result.member.label,
        "file": result.member.shown,
        "outcome": result.outcome,
        "status": result.status,
        "seconds": round(result.seconds, 3),
        "detail": result.detail,
        "code": result.code,
    }


def carry_out(members: Sequence[Member], wanted: Wanted, outside: Surroundings) -> FleetReport:
    """Run the verb for each member.

    Raises ``UsageError`` for stacks that would share a name or a state, ``FileError`` where nothing can be noted.
    """
    began = outside.clock()
    refuse_one_name(wanted.overrides)
    if wanted.verb != "validate":  # which reads every file anyway, and tells
        refuse_one_state(members, wanted.overrides, outside.environ, outside.home)
    record = Record(outside.cwd, wanted.verb, outside.now, outside.environ) if wanted.verb in WRITING else None
    done = _done_before(record, members, wanted)
    left = [member for member in members if member not in done]
    supply = _supply(left, wanted, outside)
    outside.emit(FleetStarted(wanted.verb, tuple(members), supply.jobs, done))
    for note in supply.notes:
        outside.emit(note)
    if done:
        outside.emit(FleetNote(f"{len(done)} done already by the run before; --all runs them again."))
    skipped = [Result(member, "skipped", 0, detail="done in the run before") for member in done]
    for result in skipped:
        outside.emit(MemberFinished(result))
    results = [*skipped, *_results(left, wanted, outside, supply, record)]
    place = {member: index for index, member in enumerate(members)}
    results.sort(key=lambda result: place[result.member])
    interrupted = outside.interrupts.asked
    report = FleetReport(wanted.verb, supply.jobs, outside.clock() - began, tuple(results), interrupted, wanted.pending)
    if record is not None and report.status == 0:
        with suppress(FileError):  # all is done, and the report counts more than a note of a day
            record.clear(members)
    return report


def _results(
    left: Sequence[Member], wanted: Wanted, outside: Surroundings, supply: Provision, record: Record | None
) -> tuple[Result, ...]:
    emit, interrupts = outside.emit, outside.interrupts
    if wanted.verb == "validate":
        reading = Reading(wanted.overrides, outside.environ, outside.cwd, outside.home, outside.clock)
        return validate_members(left, reading, emit, interrupts, fail_fast=wanted.fail_fast)
    ordered = longest_first(left, durations(left, wanted.verb))
    return run_members(_work(wanted, outside, supply, record), ordered, emit, interrupts)


def _done_before(record: Record | None, members: Sequence[Member], wanted: Wanted) -> tuple[Member, ...]:
    if record is None:
        return ()
    record.require_writable()
    if wanted.again:
        record.clear(members)
        return ()
    return record.done(members, wanted.options)


def _supply(left: Sequence[Member], wanted: Wanted, outside: Surroundings) -> Provision:
    if wanted.verb == "validate":
        return Provision(lambda _member: outside.environ, 1)
    jobs = wanted.jobs or default_jobs(wanted.verb, len(left), cores=usable_cores(), available=available_memory())
    place = {"cwd": outside.cwd, "home": outside.home}
    return provision(left, jobs, environ=outside.environ, terraform_bin=wanted.terraform_bin, **place)


def _work(wanted: Wanted, outside: Surroundings, supply: Provision, record: Record | None) -> Work:
    work = Work(wanted.verb, wanted.options, outside.cwd, supply.environ, supply.jobs, wanted.fail_fast)
    return work if record is None else replace(work, finished=remembering(record, wanted.options, outside.emit))


def remembering(record: Record, options: Sequence[str], emit: EmitFleet) -> Callable[[Result], None]:
    """What notes each stack that is done. A note that fails (a full disk) must not break off the runs of others."""

    def remember(result: Result) -> None:
        if result.outcome != "done":
            return
        try:
            record.add(result.member, options)
        except FileError as error:
            emit(FleetNote(f"warning: {result.member.label} is done; that could not be noted: {error}"))

    return remember
