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
    """Terraform works on a resource.

    ``finished`` of the ``total`` changes of this apply or destroy are done. A replacement is two changes, as in the
    plan's counts; reading is none. ``total`` is ``None`` if the number of changes is unknown.
    """

    type: ClassVar[str] = "resource_progress"

    address: str
    action: str
    state: Literal["started", "progress", "done", "failed"]
    seconds: float = 0.0
    finished: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class ProviderProgress:
    """``terraform init`` installs a provider.

    ``source`` is where it comes from, empty if that is unknown; ``place`` is the registry's host or the mirror's
    directory.
    """

    type: ClassVar[str] = "provider_progress"

    provider: str
    version: str
    state: Literal["installing", "installed"]
    source: Literal["registry", "mirror", "cache", ""] = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class WaitExpected:
    """How long clusters of a control plane take to run; emitted when a wait for a new cluster begins.

    ``usual`` is the guide's wording, empty if no source names it. ``count`` clusters were waited for on this machine
    before; ``shortest``, ``median`` and ``longest`` are their times in seconds, ``None`` if there were none.
    """

    type: ClassVar[str] = "wait_expected"

    control_plane: str
    usual: str = ""
    count: int = 0
    shortest: float | None = None
    median: float | None = None
    longest: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterProgress:
    """The last observed status of a cluster.

    ``seconds`` since the wait began. ``age``: seconds since the control plane created a cluster that starts; ``None``
    if that is unknown, for a cluster that ran already, and during a deletion.
    """

    type: ClassVar[str] = "cluster_progress"

    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    age: float | None = None


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


Event = (
    StepStarted
    | StepFinished
    | ResourceProgress
    | ProviderProgress
    | WaitExpected
    | ClusterProgress
    | FindingMade
    | Note
    | Asking
)
Emit = Callable[[Event], None]


def provider_words(event: ProviderProgress) -> str:
    """A provider, its version and where it comes from."""
    origin = {"registry": event.place, "mirror": f"the mirror {event.place}", "cache": "the plugin cache", "": ""}
    source = origin[event.source]
    return f"{event.provider} {event.version}{f' from {source}' if source else ''}"
