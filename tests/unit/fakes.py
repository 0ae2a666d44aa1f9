"""Real little parts that stand in for the outside: a clock that a sleep moves, a registrar that keeps a dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gridbyoc.control_plane.model import (
    Cluster,
    Created,
    FieldChange,
    Grant,
    Listing,
    OfferedInstanceType,
    Phase,
)
from gridbyoc.errors import ClusterNotFoundError
from gridbyoc.stack.model import Aws, ClusterSpec, ControlPlane, InstanceType, Role, Stack, TerraformSettings
from gridbyoc.stack.secret import Secret

ROLE = "arn:aws:iam::123456789012:role/grid-cloud-x"
GRANT = Grant(ROLE, Secret("canary-external-id"), "us-east-1")


class Time:
    """A monotonic clock that only ``sleep`` moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.naps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def stack(*clusters: ClusterSpec, **fields: Any) -> Stack:
    """A small valid stack with these clusters."""
    parts = {"aws": Aws("us-east-1"), "role": Role(), "control_plane": ControlPlane(), "terraform": TerraformSettings()}
    return Stack(name="demo", clusters=clusters, **{**parts, **fields})


def cluster(name: str, *, role_arn: str | None = ROLE, **fields: Any) -> Cluster:
    """A running cluster of that name."""
    return Cluster(id=f"id-{name}", name=name, phase=fields.pop("phase", Phase.RUNNING), role_arn=role_arn, **fields)


@dataclass
class MemoryRegistrar:
    """A control plane in memory: enough of a Registrar for what is decided above it."""

    clusters: dict[str, Cluster] = field(default_factory=dict)
    url: str = "http://127.0.0.1"
    unasked: str = ""
    calls: list[str] = field(default_factory=list)
    default: str | None = None

    def check(self, spec: ClusterSpec) -> None:
        self.calls.append(f"check {spec.name}")

    def list(self) -> tuple[Cluster, ...]:
        return tuple(each for each in self.clusters.values() if each.phase is not Phase.DELETED)

    def listing(self) -> Listing:
        return Listing(self.list(), self.default)

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        for found in self.clusters.values():
            if found.id == cluster_id:
                return found
        raise ClusterNotFoundError(f"no {cluster_id}")

    def find(self, name: str) -> Cluster | None:
        return self.clusters.get(name)

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        return {"name": spec.name, "spec": {"roleArn": grant.role_arn}}

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        self.calls.append(f"create {spec.name}")
        made = cluster(spec.name, role_arn=grant.role_arn, phase=Phase.PENDING, instance_types=spec.instance_types)
        self.clusters[spec.name] = made
        return Created(made, adopted=False)

    def diff(self, found: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        if found.instance_types == spec.instance_types:
            return ()
        return (FieldChange("instance_types", _names(found.instance_types), _names(spec.instance_types)),)

    def update(self, found: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        self.calls.append(f"update {spec.name}")
        self.clusters[spec.name] = replace(found, instance_types=spec.instance_types)
        return self.clusters[spec.name]

    def replace(self, found: Cluster, spec: Mapping[str, Any]) -> Cluster:
        self.calls.append(f"replace {found.name}")
        self.clusters[found.name] = replace(found, raw={**found.raw, "spec": spec})
        return self.clusters[found.name]

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        self.calls.append(f"delete {cluster_id}")

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        return ()

    def cloud_account_id(self, cluster_id: str) -> str | None:
        return None


def _names(kinds: tuple[InstanceType, ...]) -> str:
    return ", ".join(kind.name for kind in kinds)
