"""The shards of a CI engine's matrix: which stacks, and how they are spread."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.render.data import data_dir
from gridbyoc.steps.fleet.changed import Changes, Shipped, changes_since
from gridbyoc.steps.fleet.find import find_members, shown_path
from gridbyoc.steps.fleet.model import Member
from gridbyoc.steps.fleet.order import balanced, durations, longest_first


@dataclass(frozen=True, slots=True)
class Shard:
    """What one job of the engine runs; ``seconds`` is what that took the last time, or is thought to take."""

    name: str
    members: tuple[Member, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Since:
    """``revision`` to compare with; ``untracked``: files that Git does not know yet count as changed."""

    revision: str
    untracked: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """The shards, the longest first; ``total`` stacks were looked at, ``deleted`` stack files are gone since then."""

    shards: tuple[Shard, ...]
    total: int
    deleted: tuple[str, ...]


def make_matrix(
    paths: Sequence[str],
    cwd: Path,
    environ: Mapping[str, str],
    *,
    since: Since | None = None,
    shards: int | None = None,
    verb: str = "bootstrap",
) -> Matrix:
    """Find the stacks, keep those that changed, and spread them; without ``shards`` each is one of its own.

    Raises ``UsageError`` for paths that lead to no stack, and for what Git refuses.
    """
    members = find_members(paths, cwd, environ=environ, may_be_none=since is not None)
    changes = _changes(since, cwd, environ) if since else None
    kept = [member for member in members if changes is None or changes.touch(member)]
    _refuse_elsewhere(changes, members)
    seconds = durations(kept, verb)
    ordered = longest_first(kept, seconds)
    if shards is None:
        made = tuple(Shard(member.label, (member,), seconds[member]) for member in ordered)
    else:
        spread = balanced([(member, seconds[member]) for member in ordered], shards)
        made = tuple(_numbered(index, len(spread), each, seconds) for index, each in enumerate(spread))
    return Matrix(made, len(members), _gone(changes, paths, cwd))


def _changes(since: Since, cwd: Path, environ: Mapping[str, str]) -> Changes:
    shipped = Shipped(data_dir("modules") / "gridbyoc", tuple(data_dir("templates").glob("*.tf.j2")))
    return changes_since(since.revision, cwd, environ, untracked=since.untracked, shipped=shipped)


def _numbered(index: int, count: int, members: tuple[Member, ...], seconds: Mapping[Member, float]) -> Shard:
    return Shard(f"{index + 1} of {count}", members, sum(seconds[member] for member in members))


def _refuse_elsewhere(changes: Changes | None, members: Sequence[Member]) -> None:
    """Stacks of another repository would all count as unchanged."""
    if changes and members and not any(changes.holds(member.file) for member in members):
        raise UsageError(
            f"None of the stacks lies in the Git repository {changes.top}.",
            fix="Run this in the repository that holds them, or without --since.",
            rerun=SAFE_NOTHING_DONE,
        )


def _gone(changes: Changes | None, paths: Sequence[str], cwd: Path) -> tuple[str, ...]:
    """Deleted stack files that the paths would have led to."""
    here = cwd.resolve()
    places = [os.path.normpath(here / path) for path in paths]
    gone = [changes.top / path for path in changes.deleted] if changes else []
    return tuple(shown_path(file, here) for file in gone if any(_leads(place, file) for place in places))


def _leads(place: str, file: Path) -> bool:
    return file.is_relative_to(place) or fnmatch.fnmatchcase(str(file), place)
