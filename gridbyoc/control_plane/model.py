"""The control plane's objects and our client's interface, common to all dialects."""

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
    """What the control plane needs to use the account: the module's outputs and the region."""

    role_arn: str
    external_id: Secret
    region: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as the control plane reports it. ``raw`` is the whole response (contains secrets; never shown)."""

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
        """The word for a table: the phase, or ``terminating`` while it is being deleted."""
        if self.desired_state is Phase.DELETED and self.phase is not Phase.DELETED:
            return "terminating"
        return self.phase.value


@dataclass(frozen=True, slots=True)
class Created:
    """The result of a create. ``adopted``: the cluster already existed with the same role and was left unchanged."""

    cluster: Cluster
    adopted: bool


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a cluster that differs; ``before`` and ``after`` are printable and contain no secrets."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class OfferedInstanceType:
    """An instance type that the control plane offers on a cluster; prices in USD per hour, ``None`` if unknown."""

    name: str
    cpu: str = ""
    gpu: str = ""
    memory: str = ""
    on_demand_hourly: float | None = None
    spot_hourly: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The clusters that are not deleted; ``default_id``: the default cluster for the account's commands."""

    clusters: tuple[Cluster, ...]
    default_id: str | None = None


WithoutKey = Literal["refused", "unknown", "nothing"]
"""What missing credentials mean: an error; the clusters are unknown; the user states that there are no clusters."""


class Registrar(Protocol):
    """Our client of a control plane's cluster-creation API. Methods raise ``ControlPlaneError`` or a subclass."""

    @property
    def url(self) -> str:
        """The control plane's base address."""

    @property
    def unasked(self) -> str:
        """Why the control plane cannot be queried, so that its clusters are unknown; empty if it can."""

    def check(self, spec: ClusterSpec) -> None:
        """Raise ``UnsupportedByDialectError``, before any call, for a spec that this dialect cannot express."""

    def listing(self) -> Listing:
        """Every cluster that is not deleted, and the default one."""

    def list(self) -> tuple[Cluster, ...]:
        """Every cluster that is not deleted."""

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """One cluster by id, within ``within`` seconds including retries. Raises ``ClusterNotFoundError``."""

    def find(self, name: str) -> Cluster | None:
        """The live cluster with a name, else one with that name that is being deleted."""

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        """The body of a create request. It contains the external id: never log it."""

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        """Create once: look the name up first and after an unclear answer; adopt the cluster if it is ours."""

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        """The changes that an update would make. ``grant`` ``None``: the role is not known yet."""

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        """Read the whole spec, merge ours into it and PUT it, so that unknown fields stay."""

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        """Replace the cluster's spec with a whole ``spec`` (contains secrets); return the cluster as it is then."""

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        """Request deletion; a cluster that no longer exists is not an error."""

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        """The instance types that the cluster offers."""

    def cloud_account_id(self, cluster_id: str) -> str | None:
        """The AWS account that assumes the customer's role; ``None`` if the dialect does not return it."""


TEXT_LIMIT = 500


class Clean(Protocol):
    """Makes a text of the server safe to show."""

    def __call__(self, text: str, *also: Secret) -> str:
        """``text`` without control characters, known secrets and the secrets in ``also``."""


@dataclass(frozen=True, slots=True)
class SpecForm:
    """How one API represents a cluster's spec. Specs contain secrets.

    ``new``: a new spec. ``merged``: an existing spec with ours merged into it; its other fields stay. ``offered``: the
    instance types in the response to a request for them.
    """

    new: Callable[[ClusterSpec, Grant], dict[str, Any]]
    merged: Callable[[Mapping[str, Any], ClusterSpec, Grant], dict[str, Any]]
    offered: Callable[[Mapping[str, Any], Clean], tuple[OfferedInstanceType, ...]]


class Cleaner:
    """A ``Clean`` that knows the secrets of one connection (the API key) and accepts more for a single text."""

    def __init__(self, *secrets: Secret, limit: int = TEXT_LIMIT) -> None:
        self._secrets = secrets
        self._limit = limit

    def learn(self, *secrets: Secret) -> None:
        """Redact these secrets as well from now on."""
        self._secrets += secrets

    def __call__(self, text: str, *also: Secret) -> str:
        """Redact first, then truncate, so that no part of a secret remains at the end."""
        shown = Redactor((*self._secrets, *also)).clean(printable(text))
        return shown if len(shown) <= self._limit else shown[: self._limit].rstrip() + " ..."
