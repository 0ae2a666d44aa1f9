"""The shards of a CI engine's matrix: which stacks, and how they are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.steps.fleet.changed import Changes, changes_since
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
    members = find_members(paths, cwd, may_be_none=since is not None)
    changes = changes_since(since.revision, cwd, environ, untracked=since.untracked) if since else None
    kept = [member for member in members if changes is None or changes.touch(member)]
    seconds = durations(kept, verb)
    ordered = longest_first(kept, seconds)
    if shards is None:
        made = tuple(Shard(member.label, (member,), seconds[member]) for member in ordered)
    else:
        spread = balanced([(member, seconds[member]) for member in ordered], shards)
        made = tuple(_numbered(index, len(spread), each, seconds) for index, each in enumerate(spread))
    return Matrix(made, len(members), _gone(changes, cwd))


def _numbered(index: int, count: int, members: tuple[Member, ...], seconds: Mapping[Member, float]) -> Shard:
    return Shard(f"{index + 1} of {count}", members, sum(seconds[member] for member in members))


def _gone(changes: Changes | None, cwd: Path) -> tuple[str, ...]:
    return tuple(shown_path(changes.top / path, cwd.resolve()) for path in changes.deleted) if changes else ()
