"""A cluster's spec as it comes in and as it is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from gridbyoc.sandbox.api.failures import invalid
from gridbyoc.sandbox.api.fields import normalised
from gridbyoc.sandbox.api.names import (
    check_accelerator,
    check_external_id,
    check_instance_type,
    check_region,
    check_role_arn,
)
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import VendorType, facts_of

_BYOC = "CLUSTER_TYPE_BYOC"
_PROFILE = "CLUSTER_PERFORMANCE_PROFILE_"
_RUNNING = "CLUSTER_STATE_RUNNING"


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """The role that a spec names, what it is to be assumed with, and whose form the spec has."""

    role_arn: str
    external_id: Secret
    vendor: VendorType = "grid"


def grant_of(spec: dict[str, Any]) -> RoleGrant:
    """The role in a spec that was accepted."""
    section = aws_section(spec)
    return RoleGrant(section["roleArn"], Secret(section["externalId"]), "lightning" if is_direct(spec) else "grid")


def is_direct(spec: dict[str, Any]) -> bool:
    """Whether it is of the form of today's Lightning (``awsV1``), not of the Kubernetes driver."""
    return "awsV1" in spec or isinstance(spec.get("driver"), str)


def aws_section(spec: dict[str, Any]) -> dict[str, Any]:
    """The part that names role, external id, region and bucket (``ApiError`` 400 where there is none)."""
    driver = spec.get("driver", {})
    if is_direct(spec):
        section, path = spec.get("awsV1"), "spec.awsV1"
        if isinstance(driver, str) and driver != "AWS":
            raise invalid(f"spec.driver {driver[:80]!r} is not supported: clusters are made in AWS only")
    else:
        kubernetes = driver.get("kubernetes", {})
        section, path = kubernetes.get("aws"), "spec.driver.kubernetes.aws"
    if not isinstance(section, dict):
        raise invalid(f"{path} is required: clusters are made in AWS only")
    return section


def accepted(raw: object, name: str, user_id: str, bucket: str | None = None) -> dict[str, Any]:
    """A cluster's spec, checked, with what the server sets: state, user, bucket, instance types.

    ``raw`` is as the client sent it; nothing in it is changed. ``bucket`` is used where the spec names none.
    """
    if not isinstance(raw, dict):
        raise invalid("spec is required and must be an object")
    spec: dict[str, Any] = normalised(raw)
    section = aws_section(spec)
    _check_state_and_type(spec)
    if is_direct(spec):
        _check_direct(spec, section)
        section["regions"] = section.get("regions") or [section["primaryRegion"]]
    else:
        _check_kubernetes(section)
        defaults = facts_of("grid").default_instance_types
        section["instanceTypes"] = section.get("instanceTypes") or [{"name": each} for each in defaults]
        spec["performanceProfile"] = _profile(spec)
    section["bucketName"] = section.get("bucketName") or bucket or _bucket_name(name, section["roleArn"])
    return spec | {"clusterType": _BYOC, "desiredState": _RUNNING, "userId": user_id}


def updated(raw: object, name: str, before: dict[str, Any]) -> dict[str, Any]:
    """The spec that takes the place of ``before``: as given, but region and bucket stay (``ApiError`` 400).

    Nothing is merged except what only the server sets; role and external id may change, as a rotation needs.
    """
    old = aws_section(before)
    spec = accepted(raw, name, before["userId"], old["bucketName"])
    new = aws_section(spec)
    if is_direct(spec) != is_direct(before):
        raise invalid("the form of spec.driver cannot be changed")
    for field in ("region", "primaryRegion", "bucketName"):
        if new.get(field) != old.get(field):
            raise invalid(f"{field} cannot be changed: it is {old.get(field)} since the cluster was created")
    return spec


def _check_state_and_type(spec: dict[str, Any]) -> None:
    kind = spec.get("clusterType", _BYOC)
    if kind not in (_BYOC, "CLUSTER_TYPE_UNSPECIFIED"):
        raise invalid(f"spec.clusterType {kind[:80]!r} cannot be created here, only {_BYOC}")
    state = spec.get("desiredState", _RUNNING)
    if state not in (_RUNNING, "CLUSTER_STATE_UNSPECIFIED"):
        raise invalid(f"spec.desiredState cannot be set to {state[:80]!r}; to delete a cluster, use DELETE")


def _profile(spec: dict[str, Any]) -> str:
    profile: str = spec.get("performanceProfile", _PROFILE + "DEFAULT")
    if profile not in (_PROFILE + "DEFAULT", _PROFILE + "COST_SAVING", _PROFILE + "UNSPECIFIED"):
        raise invalid(f"spec.performanceProfile {profile[:80]!r} is not one of {_PROFILE}DEFAULT and COST_SAVING")
    return _PROFILE + "DEFAULT" if profile.endswith("UNSPECIFIED") else profile


def _check_kubernetes(aws: dict[str, Any]) -> None:
    path = "spec.driver.kubernetes.aws"
    check_role_arn(aws.get("roleArn"), f"{path}.roleArn")
    check_external_id(aws.get("externalId"), f"{path}.externalId")
    check_region(aws.get("region"), f"{path}.region")
    for index, entry in enumerate(aws.get("instanceTypes", [])):
        where = f"{path}.instanceTypes[{index}]"
        if not isinstance(entry, dict):
            raise invalid(f"{where} must be an object with a name")
        check_instance_type(entry.get("name"), f"{where}.name")
        for field in ("overprovisionedOndemandCount", "rootVolumeSize", "maxCpu"):
            if entry.get(field, 0) < 0:
                raise invalid(f"{where}.{field} must be 0 or more")


def _check_direct(spec: dict[str, Any], aws: dict[str, Any]) -> None:
    check_role_arn(aws.get("roleArn"), "spec.awsV1.roleArn")
    check_external_id(aws.get("externalId"), "spec.awsV1.externalId")
    check_region(aws.get("primaryRegion"), "spec.awsV1.primaryRegion")
    for index, region in enumerate(aws.get("regions", [])):
        check_region(region, f"spec.awsV1.regions[{index}]")
    for index, accelerator in enumerate(spec.get("availableAccelerators", [])):
        check_accelerator(accelerator, f"spec.availableAccelerators[{index}]")
    for index, entry in enumerate(spec.get("overprovisioning", [])):
        where = f"spec.overprovisioning[{index}]"
        if not isinstance(entry, dict):
            raise invalid(f"{where} must be an object with an instanceType")
        check_instance_type(entry.get("instanceType"), f"{where}.instanceType")
        if any(entry.get(field, 0) < 0 for field in ("minimumCount", "maximumCount", "volumeSize", "count")):
            raise invalid(f"{where}: counts and sizes must be 0 or more")


def _bucket_name(name: str, role_arn: str) -> str:
    """A bucket's name of at most 63 characters; the hash stands for S3's one name space for all accounts."""
    return f"grid-{name[:45].rstrip('-')}-{hashlib.sha256(role_arn.encode()).hexdigest()[:12]}"
