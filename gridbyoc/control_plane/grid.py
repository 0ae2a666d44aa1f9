"""The dialect ``grid``: the API of the guide's own client (lightning-grid 0.8.81), as it was seen on the wire."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

from gridbyoc.control_plane import changes, parse
from gridbyoc.control_plane.create import Calls, ClusterIdentity, create_once
from gridbyoc.control_plane.failures import JsonObject
from gridbyoc.control_plane.http import Http, cluster_path, read_object
from gridbyoc.control_plane.model import Cluster, Created, FieldChange, Grant, OfferedInstanceType
from gridbyoc.control_plane.settings import check_cluster, check_name
from gridbyoc.control_plane.wire import (
    CLUSTERS,
    Listing,
    cluster_secrets,
    delete_cluster,
    listing,
    pick,
    wanted_of,
)
from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of

PROFILES = {
    "default": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT",
    "cost-saving": "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING",
}
NOT_DELETED = (("phaseNotIn", "CLUSTER_STATE_DELETED"),)


class Grid:
    """``Registrar`` for Grid. Everything it raises is a ``ControlPlaneError``."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def url(self) -> str:
        """The control plane's base address."""
        return self._http.url

    def check(self, spec: ClusterSpec) -> None:
        """Name rule and instance types; nothing is sent."""
        check_cluster(spec, "grid")

    def list(self) -> tuple[Cluster, ...]:
        """Every cluster that is not deleted."""
        return self._listing().clusters

    def default_cluster_id(self) -> str | None:
        """The id of the account's default cluster, if any."""
        return self._listing().default_id

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """One cluster by id."""
        return self._http.call("GET", cluster_path(cluster_id), self._cluster, cluster_id=cluster_id, within=within)

    def find(self, name: str) -> Cluster | None:
        """The live cluster of that name, else one that is being deleted."""
        return pick(self.list(), name)

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        """The body of the create, key for key as the guide's client sends it. Secret-bearing."""
        types = spec.instance_types or tuple(InstanceType(name) for name in facts_of("grid").default_instance_types)
        aws = {
            "externalId": grant.external_id.reveal(),
            "instanceTypes": [_type_body(item, {}) for item in types],
            "region": grant.region,
            "roleArn": grant.role_arn,
        }
        profile = PROFILES[spec.performance_profile or "default"]
        return {
            "name": spec.name,
            "spec": {
                "clusterType": "CLUSTER_TYPE_BYOC",
                "driver": {"kubernetes": {"aws": aws}},
                "performanceProfile": profile,
            },
        }

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        """Create once; ``body`` is an edited ``request``. See ``create_once``."""
        self.check(spec)
        sent = dict(body) if body is not None else self.request(spec, grant)
        wanted = wanted_of(sent)
        check_name(wanted.name, "grid")
        return create_once(Calls(self.find, partial(self._post, sent, wanted)), wanted, self._http.timing.sleep)

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        """What an update would change."""
        return changes.differences(cluster, spec, grant)

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        """Read, merge, PUT; nothing is sent where nothing changes. The region cannot be changed."""
        self.check(spec)
        current = self.get(cluster.id)
        changes.refuse_impossible(current, grant, direct=False)
        if not self.diff(current, spec, grant):
            return current
        spec_after = merged(parse.child(current.raw, "spec"), spec, grant)
        return self._put(current, spec_after, cluster_secrets(current, grant))

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        """PUT ``spec``, a whole one, in the place of the cluster's own."""
        changes.refuse_change(cluster, direct=False)
        return self._put(cluster, spec, cluster_secrets(cluster))

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        """Ask for deletion. ``force`` makes the control plane forget the cluster and leave its resources behind."""
        delete_cluster(self._http, cluster_id, (("force", str(force)),))

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        """What the cluster offers, with prices."""
        return self._http.call(
            "GET",
            cluster_path(cluster_id, "instance-types"),
            lambda raw: parse.offered_types(parse.children(raw, "instanceTypes"), self._http.clean),
            cluster_id=cluster_id,
        )

    def cloud_account_id(self, cluster_id: str) -> str | None:
        """The AWS account that assumes the customer's role."""
        path = cluster_path(cluster_id, "cloud-provider-id")
        return self._http.call("GET", path, lambda raw: parse.text(raw, "accountId") or None, cluster_id=cluster_id)

    def _put(self, cluster: Cluster, spec: Mapping[str, Any], secrets: tuple[Secret, ...]) -> Cluster:
        # The guide's client sends the id as the name; the service keeps the cluster's name all the same.
        body = {"name": cluster.id, "spec": spec}
        path = cluster_path(cluster.id)
        self._http.call("PUT", path, read_object, body=body, cluster_id=cluster.id, secrets=secrets)
        return self.get(cluster.id)

    def _post(self, body: Mapping[str, Any], wanted: ClusterIdentity) -> Cluster:
        return self._http.call(
            "POST",
            CLUSTERS,
            lambda raw: parse.created_cluster(raw, self._http.clean),
            body=body,
            secrets=wanted.secrets,
        )

    def _listing(self) -> Listing:
        return self._http.call("GET", CLUSTERS, lambda raw: listing(raw, self._http.clean), query=NOT_DELETED)

    def _cluster(self, raw: JsonObject) -> Cluster:
        return parse.cluster(raw, self._http.clean)


def merged(before: Mapping[str, Any], spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
    """``before``, a cluster's whole spec, with our fields set in it; all others survive."""
    whole = copy.deepcopy(dict(before))
    kubernetes = changes.sub_object(changes.sub_object(whole, "driver"), "kubernetes")
    aws = changes.sub_object(kubernetes, "aws")
    changes.set_field(aws, "roleArn", grant.role_arn)
    changes.set_field(aws, "externalId", grant.external_id.reveal())
    changes.set_field(aws, "region", grant.region)
    if spec.instance_types:
        known = {parse.text(item, "name"): item for item in parse.children(aws, "instanceTypes")}
        types = [_type_body(item, known.get(item.name, {})) for item in spec.instance_types]
        changes.set_field(aws, "instanceTypes", types)
    if spec.performance_profile is not None:
        changes.set_field(whole, "performanceProfile", PROFILES[spec.performance_profile])
    return whole


def _type_body(item: InstanceType, before: Mapping[str, Any]) -> dict[str, Any]:
    """An InstanceSpec: set fields only, as the guide's client does; what ``before`` has besides survives."""
    body = {"name": item.name, **before}
    changes.set_field(body, "overprovisionedOndemandCount", item.overprovisioned_ondemand_count or None)
    if item.root_volume_size is not None:
        changes.set_field(body, "rootVolumeSize", item.root_volume_size)
    return body
