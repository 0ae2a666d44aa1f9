"""What the control plane and we speak of, whatever its dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Protocol

from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import printable


class Phase(str, Enum):
    """A cluster's phase, in the API's words without ``CLUSTER_STATE_``."""

    UNSPECIFIED = "unspecified"
    QUEUED = "queued"
    PENDING = "pending"
    CONFIGURING = "configuring"
    RUNNING = "running"
    FAILED = "failed"
    OFFLINE = "offline"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Grant:
    """What lets the control plane into the account: the module's outputs and where."""

    role_arn: str
    external_id: Secret
    region: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as the control plane has it. ``raw`` is the whole answer (secret-bearing: never shown)."""

    id: str
    name: str
    phase: Phase
    reason: str = ""
    cluster_type: str = "byoc"
    desired_state: Phase = Phase.RUNNING
    created_at: datetime | None = None
    role_arn: str | None = None
    external_id: Secret | None = None
    region: str | None = None
    performance_profile: str | None = None
    instance_types: tuple[InstanceType, ...] = ()
    bucket_name: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def status(self) -> str:
        """The word for a table: the phase, or ``terminating`` while a deletion is under way."""
        if self.desired_state is Phase.DELETED and self.phase is not Phase.DELETED:
            return "terminating"
        return self.phase.value


@dataclass(frozen=True, slots=True)
class Created:
    """What came of a create. ``adopted``: it was there before, runs through the same role, and was left as it is."""

    cluster: Cluster
    adopted: bool


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a cluster that differs; ``before``/``after`` are printable and hold no secret."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class OfferedInstanceType:
    """An instance type that the control plane offers on a cluster; prices in USD an hour, ``None`` unknown."""

    name: str
    cpu: str = ""
    gpu: str = ""
    memory: str = ""
    on_demand_hourly: float | None = None
    spot_hourly: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of clusters, without the deleted ones; ``default_id``: the one that the account's commands go to."""

    clusters: tuple[Cluster, ...]
    default_id: str | None = None


WithoutKey = Literal["refused", "unknown", "nothing"]
"""What a lack of credentials means: an error; nothing is known; there is nothing, as the user says."""


class Registrar(Protocol):
    """Our client of one control plane's cluster-creation API. Every method raises ``ControlPlaneError`` kinds."""

    @property
    def url(self) -> str:
        """The control plane's base address."""

    @property
    def unasked(self) -> str:
        """Why the control plane is not asked, so that what it has is unknown; empty where it is."""

    def check(self, spec: ClusterSpec) -> None:
        """Refuse, before any call, what this dialect cannot carry (``UnsupportedByDialectError``)."""

    def listing(self) -> Listing:
        """Every cluster that is not deleted, and the default one."""

    def list(self) -> tuple[Cluster, ...]:
        """Every cluster that is not deleted."""

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """One cluster by id, in at most ``within`` seconds with all retries; ``ClusterNotFoundError``."""

    def find(self, name: str) -> Cluster | None:
        """The live cluster of that name, else one that is being deleted."""

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        """The body a create would send. It carries the external id: for an editor or the wire, not for a log."""

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        """Create, once: looked up by name first and again after an unclear answer; adopted when it is ours."""

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        """What an update would change; empty when nothing. ``grant`` ``None``: role not known yet."""

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        """PUT the whole spec, read first and merged, so that unknown fields survive."""

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        """PUT ``spec``, a whole one, in the place of the cluster's own; the cluster as it is then. Secret-bearing."""

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        """Ask for deletion; one that is gone already is no error."""

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        """What the cluster offers."""

    def cloud_account_id(self, cluster_id: str) -> str | None:
        """The AWS account that assumes the customer's role; ``None`` where the dialect cannot tell."""


TEXT_LIMIT = 500


class Clean(Protocol):
    """Makes one text of the server's showable."""

    def __call__(self, text: str, *also: Secret) -> str:
        """``text`` without control characters and without the secrets known, ``also`` among them."""


@dataclass(frozen=True, slots=True)
class SpecForm:
    """How one API writes a cluster's spec: a ``new`` one, its own one with ours ``merged`` into it (all other fields
    survive), and what the answer to a request for instance types has ``offered``. Specs are secret-bearing.
    """

    new: Callable[[ClusterSpec, Grant], dict[str, Any]]
    merged: Callable[[Mapping[str, Any], ClusterSpec, Grant], dict[str, Any]]
    offered: Callable[[Mapping[str, Any], Clean], tuple[OfferedInstanceType, ...]]


class Cleaner:
    """A ``Clean`` that knows the secrets of one connection (the API key) and takes more for one text."""

    def __init__(self, *secrets: Secret, limit: int = TEXT_LIMIT) -> None:
        self._secrets = secrets
        self._limit = limit

    def learn(self, *secrets: Secret) -> None:
        """Redact these as well from now on."""
        self._secrets += secrets

    def __call__(self, text: str, *also: Secret) -> str:
        """Redacted before it is cut, so that no half of a secret is left at the end."""
        shown = Redactor((*self._secrets, *also)).clean(printable(text))
        return shown if len(shown) <= self._limit else shown[: self._limit].rstrip() + " ..."
