"""What a page about a stack is made of. A piece that could not be read is there with the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.drift import DriftFound
from gridbyoc.steps.preflight.model import Finding
from gridbyoc.steps.status import Status
from gridbyoc.steps.verdict import Verdict
from gridbyoc.steps.verify import Proof

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A piece of the page: its ``value``, or ``None`` and ``why`` it could not be read."""

    value: T | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody whom a trust policy names. ``who`` is what they are to the stack, ``terms`` on what they get in."""

    name: str
    who: str
    terms: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GrantedPolicy:
    """A policy of the role, or its boundary. ``name`` is an ARN or a name; ``allows`` a few words on what it says."""

    name: str
    kind: str
    allows: str
    verdict: Verdict = "pass"
    remark: str = ""

    @property
    def short(self) -> str:
        """The name without its path."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Granted:
    """What is granted to whom. ``live``: as AWS has it now; otherwise only as the stack file asks."""

    role_name: str
    role_arn: str
    session_hours: float | None
    admitted: tuple[Admitted, ...]
    policies: tuple[GrantedPolicy, ...]
    boundary: GrantedPolicy | None
    live: bool


@dataclass(frozen=True, slots=True)
class PastStep:
    """A step of a run. ``after`` are seconds since the run began; ``outcome`` is done, skipped, failed or killed."""

    name: str
    outcome: str
    after: float
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the journal. ``seconds`` is ``None``, and ``code`` ``killed``, where it never wrote its end.

    ``code`` is the error's that it ended with, empty where it ended well.
    """

    ident: str
    verb: str
    began: str
    seconds: float | None
    code: str
    version: str
    steps: tuple[PastStep, ...]

    @property
    def last_step(self) -> str:
        """The step that it came to."""
        return self.steps[-1].name if self.steps else ""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything, as it stood at ``made`` (UTC). ``secrets`` are for redaction alone; they never show."""

    stack: Stack
    made: datetime
    version: str
    granted: Granted
    status: Reading[Status]
    proof: Reading[Proof]
    drift: Reading[DriftFound]
    findings: Reading[tuple[Finding, ...]]
    history: tuple[PastRun, ...]
    secrets: tuple[Secret, ...]

    @property
    def unread(self) -> dict[str, str]:
        """The pieces that could not be read, each with the reason."""
        readings: dict[str, Reading[Any]] = {
            "status": self.status,
            "verify": self.proof,
            "drift": self.drift,
            "preflight": self.findings,
        }
        return {name: each.why for name, each in readings.items() if each.value is None}
