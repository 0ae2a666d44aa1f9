"""The control plane's half of a plan: the changes that each cluster of the stack needs, and who owns a name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from gridbyoc.control_plane.model import Cluster, FieldChange, Grant, Registrar
from gridbyoc.errors import SAFE_NOTHING_DONE, ClusterConflictError
from gridbyoc.stack.model import ClusterSpec, ControlPlaneType, Stack
from gridbyoc.vendors import facts_of

Action = Literal["create", "update", "delete", "none"]


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """The change one cluster needs. ``spec`` is ``None`` for a deletion, ``cluster`` for a creation."""

    action: Action
    name: str
    spec: ClusterSpec | None = None
    cluster: Cluster | None = None
    fields: tuple[FieldChange, ...] = ()


def cluster_changes(
    registrar: Registrar,
    stack: Stack,
    clusters: Iterable[Cluster],
    grant: Grant | None,
    *,
    our_roles: frozenset[str] = frozenset(),
    only: Collection[str] = (),
) -> tuple[ClusterChange, ...]:
    """Compare the stack's clusters with the control plane's.

    ``grant`` is ``None`` before the role exists: an existing cluster with such a name is then not ours. ``our_roles``
    are further ARNs that count as ours (a role that is being replaced). ``only``: the clusters of the stack to compare;
    no other cluster is compared, or deleted because the stack file does not list it.

    Raises ``ClusterConflictError`` if a name belongs to a cluster that runs through somebody else's role or is still
    being deleted.
    """
    ours = our_roles | ({grant.role_arn} if grant else set())
    # A cluster that is being deleted counts only if no other cluster has its name.
    live = {cluster.name: cluster for cluster in sorted(clusters, key=lambda cluster: cluster.status != "terminating")}
    specs = (spec for spec in stack.clusters if not only or spec.name in only)
    wanted = tuple(_wanted(registrar, spec, live.get(spec.name), grant, ours) for spec in specs)
    if only:
        return wanted
    listed = {spec.name for spec in stack.clusters}
    gone = tuple(
        ClusterChange("delete", cluster.name, cluster=cluster)
        for cluster in live.values()
        if cluster.role_arn in ours and cluster.name not in listed and cluster.status != "terminating"
    )
    return wanted + gone


def _wanted(
    registrar: Registrar, spec: ClusterSpec, cluster: Cluster | None, grant: Grant | None, ours: frozenset[str]
) -> ClusterChange:
    if cluster is None:
        return ClusterChange("create", spec.name, spec)
    if cluster.role_arn not in ours:
        raise ClusterConflictError(
            f"A cluster named {spec.name} already exists, but it does not run through this stack's role.",
            why=f"It runs through {cluster.role_arn or 'a role that the control plane does not show'}"
            + (f", this stack's role is {grant.role_arn}." if grant else ", and this stack has no role yet."),
            fix="Choose another name in the stack file, or, if the role is yours, use the stack file and state "
            "that made it.",
            rerun=SAFE_NOTHING_DONE,
        )
    if cluster.status == "terminating":
        raise ClusterConflictError(
            f"The cluster {spec.name} is being deleted.",
            fix="Wait until `gridbyoc clusters list` no longer shows it, then run again.",
            rerun=SAFE_NOTHING_DONE,
        )
    fields = registrar.diff(cluster, spec, grant)
    return ClusterChange("update" if fields else "none", spec.name, spec, cluster, fields)


def dollars_a_day(spec: ClusterSpec, dialect: ControlPlaneType) -> int | None:
    """The standing cost according to the vendor's guide; ``None`` if the guide gives none."""
    if dialect == "manual":
        return None
    return facts_of(dialect).dollars_a_day.get(spec.performance_profile or "default")


def standing_cost(spec: ClusterSpec, dialect: ControlPlaneType) -> str:
    """One sentence on a cluster's standing cost. Overprovisioned instances are listed; AWS sets their price."""
    kept = [f"{t.overprovisioned_ondemand_count} x {t.name}" for t in spec.instance_types]
    kept = [text for text, t in zip(kept, spec.instance_types, strict=True) if t.overprovisioned_ondemand_count]
    extra = f" plus {', '.join(kept)} kept running at the on-demand price" if kept else ""
    dollars = dollars_a_day(spec, dialect)
    if dollars is None:
        return f"{spec.name}: this control plane has no performance profile to price;{extra or ' see its own pricing'}"
    return f"{spec.name}: about ${dollars} a day standing ({spec.performance_profile or 'default'} profile){extra}"
