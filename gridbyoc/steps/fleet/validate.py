"""Every stack file of a fleet read and checked, in this process: nothing else is needed, and there may be thousands."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gridbyoc.errors import ExitStatus, Problem, StackError
from gridbyoc.stack.load import Loaded, read
from gridbyoc.stack.words import place_text
from gridbyoc.steps.fleet.detail import detail_of
from gridbyoc.steps.fleet.model import EmitFleet, Member, MemberFinished, Outcome, Result
from gridbyoc.steps.fleet.shared import OWN_KEY, States
from gridbyoc.terraform.interrupts import Interrupts


@dataclass(frozen=True, slots=True)
class Reading:
    """What each stack file is read with; see ``stack.load.read``."""

    overrides: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path
    home: Path
    clock: Callable[[], float]


def validate_members(
    members: Sequence[Member], reading: Reading, emit: EmitFleet, interrupts: Interrupts, *, fail_fast: bool = False
) -> tuple[Result, ...]:
    """A result for every member, in their order, with its problems as ``gridbyoc validate --format json`` has them."""
    results: list[Result] = []
    waiting, states = deque(members), States()
    with interrupts.listening():
        while waiting and not interrupts.asked and not (fail_fast and results and results[-1].outcome == "failed"):
            results.append(_validated(waiting.popleft(), reading, states))
            emit(MemberFinished(results[-1]))
    for member in waiting:
        results.append(Result(member, "not started"))
        emit(MemberFinished(results[-1]))
    return tuple(results)


def _validated(member: Member, reading: Reading, states: States) -> Result:
    began = reading.clock()
    try:
        loaded = read(
            member.shown, overrides=reading.overrides, environ=reading.environ, cwd=reading.cwd, home=reading.home
        )
        shared = list(_objects(_shared(member, loaded, states), "error"))
        problems = [*shared, *_objects(loaded.warnings, "warning")]
        status = ExitStatus.USAGE if shared else ExitStatus.DONE
    except StackError as error:
        status, problems = ExitStatus.USAGE, list(_objects(error.problems, "error"))
    said = {"document": {"document": problems}}
    outcome: Outcome = "failed" if status else "done"
    return Result(member, outcome, int(status), reading.clock() - began, detail_of("validate", said), None, said)


def _shared(member: Member, loaded: Loaded, states: States) -> list[Problem]:
    found = states.other(member, loaded.stack)
    if found is None:
        return []
    place = ("terraform", "backend", "s3", "key")
    file, line = loaded.origin(place)
    return [Problem(file, line, place_text(place), f"{found[0].shown} has the same state: {found[1]}", OWN_KEY)]


def _objects(problems: Sequence[Problem], level: str) -> Iterator[dict[str, Any]]:
    for problem in problems:
        yield {"level": level, **asdict(problem)}
