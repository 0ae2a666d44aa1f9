"""The dialect ``lightning``: the service as it lives today, read from the classes of lightning-sdk 2026.10.13."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gridbyoc.control_plane import changes, parse
from gridbyoc.control_plane.create import Calls, ClusterIdentity, create_once
from gridbyoc.control_plane.failures import JsonObject
from gridbyoc.control_plane.http import Http, cluster_path, read_object
from gridbyoc.control_plane.model import Clean, Cluster, Created, FieldChange, Grant, OfferedInstanceType
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
from gridbyoc.errors import SAFE_NOTHING_DONE, UnsupportedByDialectError
from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.stack.secret import Secret


class Lightning:
    """``Registrar`` for Lightning. ``org_id`` names the organisation; ``None`` is the account's own."""

    def __init__(self, http: Http, *, org_id: str | None = None) -> None:
        self._http = http
        self._org: tuple[tuple[str, str], ...] = (("orgId", org_id),) if org_id else ()

    @property
    def url(self) -> str:
        """The control plane's base address."""
        return self._http.url

    def check(self, spec: ClusterSpec) -> None:
        """Name rule, instance types, and no performance profile: this API has none. Nothing is sent."""
        check_cluster(spec, "lightning")
        if spec.performance_profile is not None:
            raise UnsupportedByDialectError(
                f"Cluster {spec.name} asks for a performance profile; this control plane has none.",
                why="The lightning API has no such field any more.",
                fix="Take performance_profile out of the stack file.",
                rerun=SAFE_NOTHING_DONE,
            )

    def list(self) -> tuple[Cluster, ...]:
        """Every cluster that is not deleted."""
        return self._listing().clusters

    def default_cluster_id(self) -> str | None:
        """The id of the account's default cluster, if any."""
        return self._listing().default_id

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        """One cluster by id."""
        path = cluster_path(cluster_id)
        return self._http.call("GET", path, self._cluster, query=self._org, cluster_id=cluster_id, within=within)

    def find(self, name: str) -> Cluster | None:
        """The live cluster of that name, else one that is being deleted."""
        return pick(self.list(), name)

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        """The body of the create. Secret-bearing. Without instance types the control plane chooses."""
        aws = {
            "externalId": grant.external_id.reveal(),
            "primaryRegion": grant.region,
            "regions": [grant.region],
            "roleArn": grant.role_arn,
        }
        whole: dict[str, Any] = {"awsV1": aws, "clusterType": "CLUSTER_TYPE_BYOC", "driver": "AWS"}
        _set_types(whole, spec, grant.region)
        return {"name": spec.name, **dict(self._org), "spec": whole}

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        """Create once; ``body`` is an edited ``request``. See ``create_once``."""
        self.check(spec)
        sent = dict(body) if body is not None else self.request(spec, grant)
        wanted = wanted_of(sent)
        check_name(wanted.name, "lightning")
        return create_once(Calls(self.find, partial(self._post, sent, wanted)), wanted, self._http.timing.sleep)

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        """What an update would change; there is no performance profile to differ in."""
        return (*changes.grant_differences(cluster, grant), *changes.type_differences(cluster, spec))

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        """Read, merge, PUT; nothing is sent where nothing changes. The region cannot be changed."""
        self.check(spec)
        current = self.get(cluster.id)
        changes.refuse_impossible(current, grant, direct=True)
        if not self.diff(current, spec, grant):
            return current
        whole = merged(parse.child(current.raw, "spec"), spec, grant)
        return self._put(current, whole, cluster_secrets(current, grant))

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        """PUT ``spec``, a whole one, in the place of the cluster's own."""
        changes.refuse_change(cluster, direct=True)
        return self._put(cluster, spec, cluster_secrets(cluster))

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        """Ask for deletion. ``force`` makes the control plane forget the cluster and leave its resources behind."""
        delete_cluster(self._http, cluster_id, (("force", str(force)), *self._org))

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        """What the cluster offers (its accelerators, as the API calls them), with prices."""
        return self._http.call(
            "GET",
            cluster_path(cluster_id, "accelerators"),
            lambda raw: accelerators(parse.children(raw, "accelerator"), self._http.clean),
            query=self._org,
            cluster_id=cluster_id,
        )

    def cloud_account_id(self, cluster_id: str) -> str | None:
        """``None``: the API does not tell."""
        return None

    def _put(self, cluster: Cluster, spec: Mapping[str, Any], secrets: tuple[Secret, ...]) -> Cluster:
        body = {"name": cluster.name, **dict(self._org), "spec": spec}
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
        return self._http.call("GET", CLUSTERS, lambda raw: listing(raw, self._http.clean), query=self._org)

    def _cluster(self, raw: JsonObject) -> Cluster:
        return parse.cluster(raw, self._http.clean)


def merged(before: Mapping[str, Any], spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
    """``before``, a cluster's whole spec, with our fields set in it; all others survive."""
    whole = copy.deepcopy(dict(before))
    aws = changes.sub_object(whole, "awsV1")
    changes.set_field(aws, "roleArn", grant.role_arn)
    changes.set_field(aws, "externalId", grant.external_id.reveal())
    _set_types(whole, spec, grant.region)
    return whole


def _set_types(whole: dict[str, Any], spec: ClusterSpec, region: str) -> None:
    """``availableAccelerators``, and ``overprovisioning`` for types kept ready or sized; nothing named, nothing set.

    Entries that a stack file has no word for (on the spot market, in another region) stay as they are.
    """
    if not spec.instance_types:
        return
    known = parse.kept_ready(whole)
    ready = {item.name: _ready(item, known.get(item.name, {}), region) for item in spec.instance_types}
    entries: list[Mapping[str, Any]] = []
    for entry in parse.children(whole, "overprovisioning"):
        name = parse.text(entry, "instanceType") or ""
        kept = ready.pop(name, {}) if entry is known.get(name) else entry
        entries += [kept] if kept else []
    entries += [entry for entry in ready.values() if entry]
    changes.set_field(whole, "availableAccelerators", [item.name for item in spec.instance_types])
    changes.set_field(whole, "overprovisioning", entries or None)


def _ready(item: InstanceType, before: Mapping[str, Any], region: str) -> dict[str, Any]:
    """An overprovisioning entry, or an empty one where nothing is kept ready or sized."""
    count, size = item.overprovisioned_ondemand_count, item.root_volume_size
    if not count and not size and not before:
        return {}
    body = {"instanceType": item.name, "isSpot": False, "region": region, **before}
    changes.set_field(body, "minimumCount", count)
    changes.set_field(body, "maximumCount", max(count, parse.whole(body, "maximumCount") or 0))
    if size is not None:
        changes.set_field(body, "volumeSize", size)
    return body


def accelerators(items: Sequence[Mapping[str, Any]], clean: Clean) -> tuple[OfferedInstanceType, ...]:
    """``ClusterAccelerator`` rows as offered instance types."""
    return tuple(_accelerator(item, clean) for item in items)


def _accelerator(item: Mapping[str, Any], clean: Clean) -> OfferedInstanceType:
    resources = parse.child(item, "resources")
    name = parse.text(item, "instanceId") or parse.text(item, "slug") or parse.text(item, "displayName") or ""
    cpu, gpu, memory = (clean(str(parse.member(resources, key) or "")) for key in ("cpu", "gpu", "memory"))
    return OfferedInstanceType(clean(name), cpu, gpu, memory, parse.price(item, "cost"), parse.price(item, "spotPrice"))
