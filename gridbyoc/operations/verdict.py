"""How a check came out, in four words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "unknown"]
WORST: tuple[Verdict, ...] = ("fail", "unknown", "warn", "pass")
"""From the worst on: what cannot be told is worse than what is merely worth a word."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; ``pass`` of none."""
    found = set(verdicts)
    return next((verdict for verdict in WORST if verdict in found), "pass")
