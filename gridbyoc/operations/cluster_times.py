"""How long clusters take to run: recorded in the journals, and read from all journals beside a stack's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from gridbyoc.control_plane.model import Cluster
from gridbyoc.operations.events import WaitExpected
from gridbyoc.operations.journal import JOURNAL, Journal, newest_lines, parse_record
from gridbyoc.stack.model import DialectName
from gridbyoc.stack.words import counted
from gridbyoc.vendors import facts_of

RECORD = "cluster_running"
"""The journal's record of a cluster that somebody waited for and that now runs."""
LONGEST = 86400.0
"""Seconds. Longer times are not believed: clocks differ, and other people may have written the journal."""
MOST_STACKS = 200
MOST_TIMES = 20
"""How many of the newest times are considered."""


def age_of(cluster: Cluster | None, now: datetime) -> float | None:
    """Seconds since the control plane created the cluster; ``None`` if that is unknown, or in the future."""
    if cluster is None or cluster.created_at is None or cluster.created_at.tzinfo is None:
        return None
    seconds = (now - cluster.created_at).total_seconds()
    return seconds if seconds >= 0 else None


def record_running(journal: Journal, control_plane: str, name: str, ident: str, age: float | None) -> None:
    """Record that a cluster was seen to begin to run ``age`` seconds after its creation; nothing if that is unknown."""
    if age is not None and age <= LONGEST:
        journal.write(RECORD, control_plane=control_plane, cluster=name, id=ident, seconds=round(age, 3))


def expected_wait(control_plane: DialectName, work_root: Path) -> WaitExpected:
    """How long clusters of the control plane take: by the journals below ``work_root``, and by the vendor's guide."""
    found = sorted(_recorded(work_root, control_plane))[-MOST_TIMES:]
    times = sorted(seconds for _, seconds in found)
    usual = facts_of(control_plane).duration.usual
    if not times:
        return WaitExpected(control_plane, usual)
    middle = len(times) // 2
    median = times[middle] if len(times) % 2 else (times[middle - 1] + times[middle]) / 2
    return WaitExpected(control_plane, usual, len(times), times[0], median, times[-1])


def _recorded(work_root: Path, control_plane: str) -> Iterator[tuple[str, float]]:
    """Time of the record and seconds, for each usable record."""
    for work_dir in _stacks(work_root):
        for line in newest_lines(work_dir / JOURNAL):
            record = parse_record(line) if RECORD.encode() in line else {}
            seconds = record.get("seconds")
            if record.get("type") != RECORD or record.get("control_plane") != control_plane:
                continue
            if isinstance(seconds, int | float) and math.isfinite(seconds) and 0 < seconds <= LONGEST:
                yield str(record.get("time")), float(seconds)


def _stacks(work_root: Path) -> Iterable[Path]:
    """The work_dirs below the root; links are not followed, because they may lead anywhere."""
    try:
        found = (path for path in work_root.iterdir() if path.is_dir() and not path.is_symlink())
        return list(islice(found, MOST_STACKS))
    except OSError:
        return []


def expected_words(expected: WaitExpected) -> str:
    """One clause: how long clusters took before, otherwise how long they usually take; empty if neither is known."""
    plane = expected.control_plane
    if expected.shortest is not None and expected.longest is not None:
        low, high = minutes(expected.shortest), minutes(expected.longest)
        took = low if low == high else f"{low} to {high}"
        return f"{counted(expected.count, 'cluster')} of {plane} took {took} on this machine"
    return f"a cluster of {plane} usually takes {expected.usual}" if expected.usual else ""


def minutes(seconds: float) -> str:
    """A time rounded to whole minutes, from one minute on; otherwise to whole seconds."""
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
