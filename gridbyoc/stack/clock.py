"""The current time in UTC, and the pauses between retries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone


def utc_now() -> datetime:
    """The current time, with UTC as its zone."""
    return datetime.now(timezone.utc)


def backoff(first: float, factor: float, longest: float, *, least: float = 0.0) -> Iterator[float]:
    """Yield pauses in seconds, endlessly: ``first``, then each ``factor`` times the previous one, up to ``longest``.

    The second pause is at least ``least`` times ``factor``, so the pauses grow even if ``first`` is 0.
    """
    pause = min(first, longest)
    while True:
        yield pause
        pause = min(max(pause, least) * factor, longest)
