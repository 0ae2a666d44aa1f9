"""The findings of a check: a stable code, one of four verdicts, what was found and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gridbyoc.stack.model import no_values
from gridbyoc.stack.words import Place

Verdict = Literal["pass", "warn", "fail", "unknown"]
WORST: tuple[Verdict, ...] = ("fail", "unknown", "warn", "pass")
"""From worst to best: unknown is worse than a warning."""
NOT_CHECKED = "not checked"
"""Said of a part that an option left out, on a page and in its documents."""


@dataclass(frozen=True, slots=True)
class FindingKind:
    """The meaning of a stable code. ``meaning`` is for the documentation: what is checked, and what fails or warns.

    ``group`` is the word that ``--only`` and ``--skip`` take for all codes of a group; ``link`` is a page about it.
    ``otherwise``: what the verdicts other than ``pass`` mean, if ``meaning`` is a question.
    """

    code: str
    group: str
    title: str
    meaning: str
    link: str = ""
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check. ``detail`` is what was found, ``source`` the call it comes from (``ec2:DescribeVpcs``).

    ``needed`` is what would pass, ``fix`` what to do, with the command. ``facts`` are the numbers behind it, for JSON;
    ``subject`` tells findings of one kind apart (an instance type, an action); ``at`` is the place in the stack file
    that it is about. ``statements`` are the policy statements that decided it. ``role`` is the role's name if a stack
    has several.
    """

    kind: FindingKind
    verdict: Verdict
    detail: str
    needed: str = ""
    fix: str = ""
    source: str = ""
    subject: str = ""
    facts: Mapping[str, Any] = field(default_factory=no_values)
    at: Place | None = None
    statements: tuple[str, ...] = ()
    role: str = ""

    @property
    def code(self) -> str:
        """The kind's stable code."""
        return self.kind.code

    @property
    def title(self) -> str:
        """What was checked, in a few words."""
        title = f"{self.kind.title}: {self.subject}" if self.subject else self.kind.title
        return f"{self.role}: {title}" if self.role else title


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts; ``pass`` if there are none."""
    found = set(verdicts)
    return next((verdict for verdict in WORST if verdict in found), "pass")


def holds(findings: Iterable[Finding], *, strict: bool) -> bool:
    """Whether no finding fails and at least one passes; if ``strict``, whether every finding passes.

    Findings that are all unknown prove nothing.
    """
    found = {finding.verdict for finding in findings}
    return found == {"pass"} if strict else "fail" not in found and "pass" in found


def tally(verdicts: Iterable[str], order: Sequence[str] = ("pass", "warn", "fail", "unknown")) -> str:
    """The number of each verdict in ``order``, such as ``12 pass, 1 warn``; empty if there are none."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])
