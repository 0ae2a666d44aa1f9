"""The parts of requests and responses that all dialects share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.control_plane import parse
from gridbyoc.control_plane.create import ClusterIdentity
from gridbyoc.control_plane.http import Http, cluster_path, read_object
from gridbyoc.control_plane.model import Clean, Cluster, Grant, Listing, Phase
from gridbyoc.control_plane.parse import MalformedError
from gridbyoc.errors import SAFE_NOTHING_DONE, ClusterNotFoundError, UsageError
from gridbyoc.stack.secret import Secret

CLUSTERS = "/v1/core/clusters"


def listing(raw: Mapping[str, Any], clean: Clean) -> Listing:
    """The clusters that are not deleted, and the default cluster's id."""
    found = tuple(parse.cluster(item, clean) for item in parse.children(raw, "clusters"))
    default = parse.text(raw, "defaultCluster")
    return Listing(
        tuple(item for item in found if item.phase is not Phase.DELETED), clean(default) if default else None
    )


def pick(clusters: tuple[Cluster, ...], name: str) -> Cluster | None:
    """The cluster with a name; one that is being deleted only if there is no other."""
    named = [item for item in clusters if item.name == name]
    return min(named, key=lambda item: item.status in {"terminating", "deleted"}, default=None)


def wanted_of(body: Mapping[str, Any]) -> ClusterIdentity:
    """Name, role and secrets of a possibly edited create request. Raises ``UsageError`` if one is missing."""
    try:
        place = parse.aws_place(parse.child(body, "spec"))
        found = parse.text(body, "name"), parse.text(place, "roleArn"), parse.text(place, "externalId")
        problem = "name, role ARN or external id is missing"
    except MalformedError as error:
        found, problem = (None, None, None), error.where
    name, role_arn, secret = found
    if not name or not role_arn or not secret:
        raise UsageError(f"The create request cannot be sent: {problem}.", rerun=SAFE_NOTHING_DONE)
    return ClusterIdentity(name, role_arn, (Secret(secret),))


def cluster_secrets(cluster: Cluster, grant: Grant | None = None) -> tuple[Secret, ...]:
    """The external ids that the response to an update may repeat."""
    return tuple(held.external_id for held in (grant, cluster) if held is not None and held.external_id)


def delete_cluster(http: Http, cluster_id: str, query: tuple[tuple[str, str], ...]) -> None:
    """DELETE with the body ``{}``, as the service's clients do; a cluster that no longer exists is not an error."""
    path = cluster_path(cluster_id)
    try:
        http.call("DELETE", path, read_object, query=query, body={}, cluster_id=cluster_id)
    except ClusterNotFoundError:
        return
