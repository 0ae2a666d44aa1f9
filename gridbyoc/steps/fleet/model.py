"""What a fleet is made of, how each stack's run came out, and what happens meanwhile, as typed events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gridbyoc.errors import ExitStatus
from gridbyoc.stack.files import home_of

Verb = Literal["validate", "plan", "bootstrap", "drift", "verify", "status", "destroy"]
Outcome = Literal["done", "changes", "failed", "interrupted", "skipped", "not started"]
WRITING: frozenset[Verb] = frozenset({"bootstrap", "destroy"})
"""The verbs that change something, of which a run that was broken off is remembered."""


@dataclass(frozen=True, slots=True)
class Member:
    """One stack of a fleet. ``label`` names it alone in the fleet, ``shown`` is its file as a command line takes it.

    ``name`` is ``None`` where it could not be told: the file is then refused by its own run, in words.
    """

    label: str
    file: Path
    shown: str
    name: str | None
    sources: tuple[Path, ...] = ()
    modules: tuple[Path, ...] = ()
    work_root: Path | None = None

    @property
    def work_dir(self) -> Path | None:
        """Where its runs keep their journal."""
        return home_of(self.file.parent, self.work_root) / self.name if self.name else None


@dataclass(frozen=True, slots=True)
class Result:
    """How a stack's run came out. ``status`` is its exit status, ``None`` where it was never run; no secret in it."""

    member: Member
    outcome: Outcome
    status: int | None = None
    seconds: float = 0.0
    detail: str = ""
    code: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetStarted:
    """A fleet's run begins: how many stacks will be run at once, and those that need not be run again."""

    verb: Verb
    members: tuple[Member, ...]
    jobs: int
    skipped: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """A stack's run begins."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberSaid:
    """An event or a result of a stack's run, as that wrote it."""

    member: Member
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MemberFinished:
    """A stack's run ended, or will not begin."""

    result: Result


@dataclass(frozen=True, slots=True)
class FleetNote:
    """Something worth a line."""

    message: str


FleetEvent = FleetStarted | MemberStarted | MemberSaid | MemberFinished | FleetNote
EmitFleet = Callable[[FleetEvent], None]


def fleet_status(results: Iterable[Result], *, interrupted: bool = False) -> int:
    """The fleet's exit status.

    0 where all is done, 130 where the fleet was interrupted; else what the stacks that failed ended with, if that is
    one and the same, and 1 if it is not. Changes that are pending (3) count where none failed.
    """
    if interrupted:
        return int(ExitStatus.INTERRUPTED)
    statuses = {int(result.status) for result in results if result.status}
    failed = statuses - {int(ExitStatus.CHANGES_PENDING)}
    if not failed:
        return int(ExitStatus.CHANGES_PENDING) if statuses else int(ExitStatus.DONE)
    (one, *others) = failed
    return int(ExitStatus.FAILED) if others else one
