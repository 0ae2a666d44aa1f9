"""The typed events of a run: ``show`` renders them, the journal keeps them.

``type`` is the event's name in ``--format jsonl``; readers rely on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from gridbyoc.operations.finding import Verdict

StepName = Literal["preflight", "render", "init", "plan", "apply", "output", "trust", "register", "wait",
                   "delete", "destroy", "migrate", "push", "compare"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins."""

    type: ClassVar[str] = "step_started"

    step: StepName
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended; ``seconds`` is its wall time, ``detail`` its result in words."""

    type: ClassVar[str] = "step_finished"

    step: StepName
    seconds: float
    outcome: Literal["done", "skipped", "failed"] = "done"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ResourceProgress:
    """Terraform works on a resource."""

    type: ClassVar[str] = "resource_progress"

    address: str
    action: str
    state: Literal["started", "progress", "done", "failed"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ClusterProgress:
    """The last observed status of a cluster."""

    type: ClassVar[str] = "cluster_progress"

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FindingMade:
    """The result of a preflight check; ``code`` is its stable code.

    ``path``, ``file`` and ``line`` name the place in the stack file that it concerns; empty or ``None`` if there is
    none.
    """

    type: ClassVar[str] = "finding_made"

    code: str
    check: str
    verdict: Verdict
    read: str
    needed: str = ""
    fix: str = ""
    path: str = ""
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A message for the user that belongs to no other event."""

    type: ClassVar[str] = "note"

    message: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class Asking:
    """The user is being asked, or has an editor open: displays pause until an event with ``over``."""

    over: bool = False


Event = StepStarted | StepFinished | ResourceProgress | ClusterProgress | FindingMade | Note | Asking
Emit = Callable[[Event], None]
