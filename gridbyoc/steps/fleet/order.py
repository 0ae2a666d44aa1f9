"""The longest first: a long run that begins last is waited for alone. What a run took is in the stack's journal."""

from __future__ import annotations

import os
import statistics
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gridbyoc.errors import ForeignFileError
from gridbyoc.stack.files import open_private
from gridbyoc.steps.fleet.model import Member
from gridbyoc.steps.journal import JOURNAL, parse_record

T = TypeVar("T")
_TAIL = 256 * 1024
RECENT = 5
"""Runs that are looked back at."""
_READS = frozenset({"plan", "render"})
"""Verbs that hold the lock, and are in the journal, yet change nothing outside of the work_dir."""


def runs_of(work_dir: Path | None) -> tuple[dict[str, Any], ...]:
    """The begins and ends of the newest runs in a stack's journal (its last 256 KiB), oldest first."""
    if work_dir is None:
        return ()
    records = (parse_record(line) for line in _tail(work_dir / JOURNAL) if b'"run_' in line)
    return tuple(record for record in records if record.get("type") in {"run_started", "run_ended"})


def _tail(path: Path) -> list[bytes]:
    try:
        with os.fdopen(open_private(path, os.O_RDONLY), "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            return stream.read().splitlines()
    except (OSError, ForeignFileError):  # the stack's own run says that it is one
        return []


def recent_seconds(records: Iterable[Mapping[str, Any]], verb: str) -> float | None:
    """The longest of the last runs of ``verb`` that went well; ``None`` where there is none.

    The last one alone would tell little: a run that finds nothing to do is over in a second.
    """
    began: dict[object, datetime] = {}
    found: deque[float] = deque(maxlen=RECENT)
    for record in records:
        when = _time(record)
        if when is None or record.get("verb") != verb:
            continue
        if record.get("type") == "run_started":
            began[record.get("run")] = when
        elif record.get("code") is None and record.get("run") in began:
            found.append(max(0.0, (when - began[record.get("run")]).total_seconds()))
    return max(found, default=None)


def last_change(records: Iterable[Mapping[str, Any]]) -> str | None:
    """The id of the newest run that may have changed something outside: of a long one only the end may be at hand."""
    changes = [each for each in records if each.get("verb") not in _READS]
    return str(changes[-1].get("run")) if changes else None


def _time(record: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(record.get("time")))
    except ValueError:
        return None


def durations(members: Sequence[Member], verb: str) -> dict[Member, float]:
    """Seconds that ``verb`` takes for each member; for one that nobody knows of, the others' median."""
    known = {member: recent_seconds(runs_of(member.work_dir), verb) for member in members}
    told = [seconds for seconds in known.values() if seconds is not None]
    median = statistics.median(told) if told else 1.0
    return {member: median if seconds is None else seconds for member, seconds in known.items()}


def longest_first(members: Sequence[Member], seconds: Mapping[Member, float]) -> tuple[Member, ...]:
    """By duration, then in the order they came."""
    return tuple(sorted(members, key=lambda member: -seconds[member]))


def balanced(items: Sequence[tuple[T, float]], shards: int) -> tuple[tuple[T, ...], ...]:
    """Spread items, with what each takes, over shards of about the same length; no shard is empty.

    Each goes to the shard that has least so far, the longest first (LPT), which is at most 4/3 of the best there is:
    https://doi.org/10.1137/0117039.
    """
    count = max(1, min(shards, len(items)))
    filled: list[list[T]] = [[] for _ in range(count)]
    loads = [0.0] * count
    for item, takes in sorted(items, key=lambda pair: -pair[1]):
        least = min(range(count), key=lambda index: (loads[index], len(filled[index])))
        filled[least].append(item)
        loads[least] += takes
    return tuple(map(tuple, filled)) if items else ()
