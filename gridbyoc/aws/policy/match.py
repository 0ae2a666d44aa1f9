"""Three answers instead of two: it matches, it does not, or it cannot be told from here; and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """``holds`` is ``None`` where it cannot be told; ``why`` says what decided, and never holds a policy's values."""

    holds: bool | None
    why: str = ""

    def negated(self) -> Match:
        """The opposite; what cannot be told stays so."""
        return Match(None if self.holds is None else not self.holds, self.why)


YES = Match(True)
NO = Match(False)


def every(matches: Iterable[Match]) -> Match:
    """All of them: the first that fails decides, then the first that cannot be told. Of none: yes."""
    result = YES
    for match in matches:
        if match.holds is False:
            return match
        if match.holds is None and result.holds:
            result = match
    return result


def some(matches: Iterable[Match]) -> Match:
    """Any of them: the first that holds decides, then the first that cannot be told. Of none: no."""
    result = NO
    for match in matches:
        if match.holds:
            return match
        if match.holds is None and result.holds is False:
            result = match
    return result
