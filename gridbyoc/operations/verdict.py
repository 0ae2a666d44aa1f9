"""How a check came out, in four words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "unknown"]
WORST: tuple[Verdict, ...] = ("fail", "unknown", "warn", "pass")
"""From the worst to the best: unknown is worse than a warning."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; ``pass`` of none."""
    found = set(verdicts)
    return next((verdict for verdict in WORST if verdict in found), "pass")


def tally(verdicts: Iterable[str], order: Sequence[str] = ("pass", "warn", "fail", "unknown")) -> str:
    """The number of each in ``order``, as in ``12 pass, 1 warn``; empty where there are none."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])
