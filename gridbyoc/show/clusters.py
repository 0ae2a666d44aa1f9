"""Clusters, as text and as JSON, without their external ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from gridbyoc.control_plane.model import Cluster, FieldChange
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import counted, minute

COLUMNS = ("id", "name", "type", "status", "created")


def cluster_rows(clusters: Iterable[Cluster]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: id, name, type, status (``terminating`` during a deletion), created (UTC)."""
    return COLUMNS, [(c.id, c.name, c.cluster_type, c.status, minute(c.created_at)) for c in clusters]


class InstanceTypeBody(TypedDict):
    """An instance type that the cluster may use."""

    name: str
    overprovisioned_ondemand_count: int | None
    root_volume_size: int | None


class ClusterFields(TypedDict):
    """A cluster as the control plane reports it; ``null`` for fields that it does not report."""

    id: str
    name: str
    type: str
    status: str
    reason: str
    created: str | None
    region: str | None
    role_arn: str | None
    performance_profile: str | None
    instance_types: list[InstanceTypeBody]
    bucket_name: str | None


class AwaitedBody(TypedDict):
    """A cluster that has not reached ``target`` yet."""

    id: str
    name: str
    status: str
    target: Literal["running", "deleted"]


def awaits_json(starting: Iterable[Cluster], deleting: Iterable[Cluster]) -> list[AwaitedBody]:
    """The clusters that were not waited for."""

    def body(one: Cluster, target: Literal["running", "deleted"]) -> AwaitedBody:
        return {"id": one.id, "name": one.name, "status": one.status, "target": target}

    return [*(body(one, "running") for one in starting), *(body(one, "deleted") for one in deleting)]


def cluster_json(cluster: Cluster) -> ClusterFields:
    """A cluster, without its external id."""
    return {
        "id": cluster.id,
        "name": cluster.name,
        "type": cluster.cluster_type,
        "status": cluster.status,
        "reason": cluster.reason,
        "created": cluster.created_at.isoformat() if cluster.created_at else None,
        "region": cluster.region,
        "role_arn": cluster.role_arn,
        "performance_profile": cluster.performance_profile,
        "instance_types": [
            {
                "name": kind.name,
                "overprovisioned_ondemand_count": kind.overprovisioned_ondemand_count,
                "root_volume_size": kind.root_volume_size,
            }
            for kind in cluster.instance_types
        ],
        "bucket_name": cluster.bucket_name,
    }


class ClusterBody(TypedDict):
    """One cluster; ``null`` if it was deleted."""

    cluster: ClusterFields | None


def _write_cluster(cluster: Cluster | None, screen: Screen) -> None:
    """The cluster's fields, one per line; the external id stays masked."""
    from gridbyoc.control_plane.changes import type_words

    if cluster is None:
        return
    types = [f"{item.name} ({type_words(item)})" for item in cluster.instance_types]
    shown = {"instance_types": ", ".join(types), "created": minute(cluster.created_at)}
    for key, value in {**cluster_json(cluster), **shown}.items():
        screen.line(f"{key} = {'' if value is None else value}")
    screen.line(f"external_id = {cluster.external_id or ''}")


def _one_json(cluster: Cluster | None) -> ClusterBody:
    return {"cluster": cluster_json(cluster) if cluster else None}


CLUSTER: Output[Cluster | None] = Output("cluster", _one_json, _write_cluster, stack="optional")


def _write_created(cluster: Cluster, screen: Screen) -> None:
    screen.table(*cluster_rows([cluster]))


CREATED = Output("cluster", _one_json, _write_created, stack="optional")
"""A cluster that was created: the same document; as text, a table."""


class ClustersBody(TypedDict):
    """Every cluster of the control plane that is not deleted."""

    clusters: list[ClusterFields]


def clusters_json(clusters: Sequence[Cluster]) -> ClustersBody:
    """A list of clusters."""
    return {"clusters": [cluster_json(cluster) for cluster in clusters]}


def _write_clusters(clusters: Sequence[Cluster], screen: Screen) -> None:
    if clusters:
        screen.table(*cluster_rows(clusters))
    else:
        screen.note("There are no clusters.")


CLUSTERS = Output("clusters", clusters_json, _write_clusters, stack="none")


@dataclass(frozen=True, slots=True)
class EditedCluster:
    """The changes of an edit to ``cluster``; ``file`` is the stack file that was changed as well."""

    cluster: Cluster
    changes: tuple[FieldChange, ...]
    file: str | None


class EditedBody(TypedDict):
    """The changes of an edit; ``file``: the stack file that was changed as well, ``null`` if none was."""

    changed: bool
    changes: list[Annotated[dict[str, Any], FieldChange]]
    file: str | None
    cluster: ClusterFields


def edited_json(edited: EditedCluster) -> EditedBody:
    """The result of an edit."""
    changes = [{"field": each.field, "before": each.before, "after": each.after} for each in edited.changes]
    cluster = cluster_json(edited.cluster)
    return {"changed": bool(changes), "changes": changes, "file": edited.file, "cluster": cluster}


def _write_edited(edited: EditedCluster, screen: Screen) -> None:
    name, count = edited.cluster.name, counted(len(edited.changes), "field")
    screen.line(f"The cluster {name} was changed ({count})." if edited.changes else f"{name} is unchanged.")
    if edited.file:
        screen.line(f"{edited.file} was changed as well; commit it.")


EDITED = Output("edited", edited_json, _write_edited, stack="optional")
