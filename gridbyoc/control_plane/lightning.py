"""A cluster's spec in Lightning's current form, read from the classes of lightning-sdk 2026.10.13."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from gridbyoc.control_plane import changes, parse
from gridbyoc.control_plane.model import Clean, Grant, OfferedInstanceType, SpecForm
from gridbyoc.stack.model import ClusterSpec, InstanceType


def new_spec(spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
    """The spec for a create request. Without instance types, the control plane chooses."""
    aws = {
        "externalId": grant.external_id.reveal(),
        "primaryRegion": grant.region,
        "regions": [grant.region],
        "roleArn": grant.role_arn,
    }
    whole: dict[str, Any] = {"awsV1": aws, "clusterType": "CLUSTER_TYPE_BYOC", "driver": "AWS"}
    _set_types(whole, spec, grant.region)
    return whole


def merged(before: Mapping[str, Any], spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
    """A cluster's whole spec ``before``, with our fields set; all other fields stay."""
    whole = copy.deepcopy(dict(before))
    aws = changes.sub_object(whole, "awsV1")
    changes.set_field(aws, "roleArn", grant.role_arn)
    changes.set_field(aws, "externalId", grant.external_id.reveal())
    _set_types(whole, spec, grant.region)
    return whole


def _set_types(whole: dict[str, Any], spec: ClusterSpec, region: str) -> None:
    """If there are types, set ``availableAccelerators``, and ``overprovisioning`` for those with a count or size.

    Entries that a stack file cannot express (spot market, another region) stay unchanged.
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
    """An overprovisioning entry, or an empty one if the type has neither a count nor a volume size."""
    count, size = item.overprovisioned_ondemand_count, item.root_volume_size
    if not count and not size and not before:
        return {}
    body = {"instanceType": item.name, "isSpot": False, "region": region, **before}
    changes.set_field(body, "minimumCount", count)
    changes.set_field(body, "maximumCount", max(count, parse.whole(body, "maximumCount") or 0))
    if size is not None:
        changes.set_field(body, "volumeSize", size)
    return body


def offered(raw: Mapping[str, Any], clean: Clean) -> tuple[OfferedInstanceType, ...]:
    """The instance types in the response to a request for a cluster's accelerators, as this API calls them."""
    return tuple(_accelerator(item, clean) for item in parse.children(raw, "accelerator"))


def _accelerator(item: Mapping[str, Any], clean: Clean) -> OfferedInstanceType:
    resources = parse.child(item, "resources")
    name = parse.text(item, "instanceId") or parse.text(item, "slug") or parse.text(item, "displayName") or ""
    cpu, gpu, memory = (clean(str(parse.member(resources, key) or "")) for key in ("cpu", "gpu", "memory"))
    return OfferedInstanceType(clean(name), cpu, gpu, memory, parse.price(item, "cost"), parse.price(item, "spotPrice"))


FORM = SpecForm(new_spec, merged, offered)
