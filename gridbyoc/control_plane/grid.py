"""A cluster's spec in the form of Grid's own client (lightning-grid 0.8.81), as seen on the wire."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from gridbyoc.control_plane import changes, parse
from gridbyoc.control_plane.model import Clean, Grant, OfferedInstanceType, SpecForm
from gridbyoc.stack.model import ClusterSpec, InstanceType
from gridbyoc.vendors import facts_of

PROFILES = {word: value for value, word in parse.PROFILES.items()}


def new_spec(spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
    """The spec for a create request."""
    types = spec.instance_types or tuple(InstanceType(name) for name in facts_of("grid").default_instance_types)
    aws = {
        "externalId": grant.external_id.reveal(),
        "instanceTypes": [_type_body(item, {}) for item in types],
        "region": grant.region,
        "roleArn": grant.role_arn,
    }
    return {
        "clusterType": "CLUSTER_TYPE_BYOC",
        "driver": {"kubernetes": {"aws": aws}},
        "performanceProfile": PROFILES[spec.performance_profile or "default"],
    }


def merged(before: Mapping[str, Any], spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
    """A cluster's whole spec ``before``, with our fields set; all other fields stay."""
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
    """An InstanceSpec with only set fields, as the guide's client sends it; other fields of ``before`` stay."""
    body = {"name": item.name, **before}
    changes.set_field(body, "overprovisionedOndemandCount", item.overprovisioned_ondemand_count or None)
    if item.root_volume_size is not None:
        changes.set_field(body, "rootVolumeSize", item.root_volume_size)
    return body


def offered(raw: Mapping[str, Any], clean: Clean) -> tuple[OfferedInstanceType, ...]:
    """The instance types in the response to a request for them."""
    return parse.offered_types(parse.children(raw, "instanceTypes"), clean)


FORM = SpecForm(new_spec, merged, offered)
