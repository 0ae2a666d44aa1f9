"""The time in UTC, and the pauses between tries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(timezone.utc)


def backoff(first: float, factor: float, longest: float, *, least: float = 0.0) -> Iterator[float]:
    """Pauses in seconds, without end: ``first``, then each ``factor`` times the one before, up to ``longest``.

    The second is made of at least ``least``: where ``first`` is 0, the pauses still grow.
    """
    pause = min(first, longest)
    while True:
        yield pause
        pause = min(max(pause, least) * factor, longest)
