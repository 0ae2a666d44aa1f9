"""A policy document, read: what its statements say, without judging anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Effect = Literal["Allow", "Deny"]
PrincipalKind = Literal["AWS", "Service", "Federated", "CanonicalUser", "Unknown"]
CURRENT = "2012-10-17"


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, as written. Values stay out of the repr: an external id is among them.

    ``exact`` is ``False`` where one is a JSON number with a fraction or an exponent, whose text is lost in parsing.
    """

    operator: str
    key: str
    values: tuple[str, ...] = field(repr=False)
    exact: bool = True


@dataclass(frozen=True, slots=True)
class PrincipalEntry:
    """One name in ``Principal`` or ``NotPrincipal``; ``*`` alone is kept as an ``AWS`` one.

    The value of an ``Unknown`` one begins with its kind as it is written.
    """

    kind: PrincipalKind
    value: str

    def __str__(self) -> str:
        return self.value if self.kind in ("AWS", "Unknown") else f"{self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class Principals:
    """``Principal``, or (``negated``) ``NotPrincipal``."""

    entries: tuple[PrincipalEntry, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """``Action`` or ``Resource``, or (``negated``) ``NotAction`` or ``NotResource``: patterns with ``*`` and ``?``."""

    patterns: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class StatementName:
    """Where a statement stands: its policy, its number (from 1) and its ``Sid`` where it has one."""

    policy: str
    number: int
    sid: str | None = None

    def __str__(self) -> str:
        if self.number == 0:
            return self.policy
        return f"statement {self.number}{f' (Sid {self.sid})' if self.sid else ''} of {self.policy}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``strange`` names an element that is not known here: it can then never be told to match."""

    name: StatementName
    effect: Effect
    actions: Selection
    principals: Principals | None = None
    resources: Selection | None = None
    conditions: tuple[Condition, ...] = ()
    strange: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A document's statements; ``name`` is what people call it (``the trust policy``, ``inline policy x``)."""

    name: str
    statements: tuple[Statement, ...]
    version: str = CURRENT

    @property
    def has_variables(self) -> bool:
        """Whether ``${...}`` is a variable in it; before 2012-10-17 it was plain text."""
        return self.version == CURRENT


@dataclass(frozen=True, slots=True)
class Decision:
    """What a request comes to. ``statement`` decided it (``None``: nothing allows it); ``why`` says so in words."""

    effect: Literal["allowed", "denied", "unknown"]
    statement: StatementName | None
    why: str


def unreadable(name: str, why: str) -> Policy:
    """A policy that is there and could not be read: it may allow anything, and it may deny anything."""
    place = StatementName(name, 0)
    everything = Selection(("*",))
    return Policy(
        name,
        (
            Statement(place, "Deny", everything, strange=why),
            Statement(place, "Allow", everything, strange=why),
        ),
    )
