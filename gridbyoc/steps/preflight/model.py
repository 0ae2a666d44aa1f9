"""What a preflight is made of: kinds of findings with stable codes, findings, and the checks that give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gridbyoc.stack.model import no_values
from gridbyoc.stack.words import Place
from gridbyoc.steps.verdict import Verdict

if TYPE_CHECKING:
    from gridbyoc.steps.preflight.scene import Scene


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code stands for. ``meaning`` is for the documentation: what is looked at, and what fails or warns.

    ``group`` is the word that ``--only`` and ``--skip`` take for all codes of a kind; ``link`` is a page about it.
    """

    code: str
    group: str
    title: str
    meaning: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. ``read`` is what was found, ``source`` the call it comes from (``ec2:DescribeVpcs``).

    ``needed`` is what would pass, ``fix`` what to do, with the command. ``facts`` are the numbers behind it, for JSON;
    ``subject`` tells findings of one kind apart (an instance type, an action); ``at`` is the place in the stack file
    that it is about.
    """

    kind: Kind
    verdict: Verdict
    read: str
    needed: str = ""
    fix: str = ""
    source: str = ""
    subject: str = ""
    facts: Mapping[str, Any] = field(default_factory=no_values)
    at: Place | None = None

    @property
    def code(self) -> str:
        """The kind's stable code."""
        return self.kind.code

    @property
    def title(self) -> str:
        """What was looked at, in a few words."""
        return f"{self.kind.title}: {self.subject}" if self.subject else self.kind.title


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the outside, which gives findings of ``kinds``.

    ``look`` may raise: every kind it has not told about is then unknown, with the words of a ``GridbyocError``.
    """

    kinds: tuple[Kind, ...]
    look: Callable[[Scene], Iterable[Finding]]
