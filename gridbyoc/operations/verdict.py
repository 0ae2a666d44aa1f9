"""The four verdicts of a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "unknown"]
WORST: tuple[Verdict, ...] = ("fail", "unknown", "warn", "pass")
"""From worst to best: unknown is worse than a warning."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts; ``pass`` if there are none."""
    found = set(verdicts)
    return next((verdict for verdict in WORST if verdict in found), "pass")


def tally(verdicts: Iterable[str], order: Sequence[str] = ("pass", "warn", "fail", "unknown")) -> str:
    """The number of each verdict in ``order``, such as ``12 pass, 1 warn``; empty if there are none."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])
