"""How a check came out, in four words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Verdict = Literal["pass", "warn", "fail", "unknown"]
WORST: tuple[Verdict, ...] = ("fail", "unknown", "warn", "pass")
"""From the worst to the best: unknown is worse than a warning."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; ``pass`` of none."""
    found = set(verdicts)
    return next((verdict for verdict in WORST if verdict in found), "pass")
