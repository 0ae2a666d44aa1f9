"""Answers read into our models: unknown and missing fields are fine, wrong types are not.

Fields are taken in lowerCamelCase and snake_case alike, as protobuf's JSON mapping does; ``null`` is absence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from gridbyoc.control_plane.model import Clean, Cluster, OfferedInstanceType, Phase
from gridbyoc.stack.model import DialectName, InstanceType
from gridbyoc.stack.secret import Secret

Object = Mapping[str, Any]
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-]\d\d:\d\d))")
PROFILES = {
    "CLUSTER_PERFORMANCE_PROFILE_DEFAULT": "default",
    "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING": "cost-saving",
}


class MalformedError(Exception):
    """An answer with a field of another type than the API's; ``where`` says which."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def snake(name: str) -> str:
    """``roleArn`` → ``role_arn``."""
    return re.sub(r"(?<!^)([A-Z])", lambda match: "_" + match.group(1).lower(), name)


def present(source: Object, name: str) -> str:
    """The key of the field ``name`` in ``source``: as given (lowerCamelCase) unless only snake_case is there."""
    return name if source.get(name) is not None or source.get(snake(name)) is None else snake(name)


def member(source: Object, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """The field ``name`` in either spelling, or ``None``."""
    return source.get(present(source, name))


def text(source: Object, name: str) -> str | None:
    """A string field."""
    value = member(source, name)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"{name} is not text")


def child(source: Object, name: str) -> Object:
    """An object field; an empty object where it is missing."""
    value = member(source, name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise MalformedError(f"{name} is not an object")


def children(source: Object, name: str) -> Sequence[Object]:
    """A list of objects; empty where it is missing."""
    value = member(source, name)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise MalformedError(f"{name} is not a list of objects")


def texts(source: Object, name: str) -> Sequence[str]:
    """A list of strings; empty where it is missing."""
    value = member(source, name)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise MalformedError(f"{name} is not a list of texts")


def whole(source: Object, name: str) -> int | None:
    """A whole number; protobuf writes 64-bit ones as strings."""
    value = member(source, name)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MalformedError(f"{name} is not a whole number")


def enum_word(source: Object, name: str, prefix: str) -> str:
    """An enumeration's value without its prefix, in lower case; empty where missing or a bare number."""
    value = member(source, name)
    if value is None or isinstance(value, int):
        return ""
    if isinstance(value, str):
        return value.removeprefix(prefix).lower()
    raise MalformedError(f"{name} is not text")


def phase(source: Object, name: str) -> Phase:
    """A ``ClusterState``; what we do not know is ``UNSPECIFIED``."""
    word = enum_word(source, name, "CLUSTER_STATE_")
    return Phase(word) if word in {known.value for known in Phase} else Phase.UNSPECIFIED


def moment(value: object) -> datetime | None:
    """RFC 3339 with up to nine decimals; ``None`` for anything else: a time is never worth failing for."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    day, clock, decimals, zone = match.groups()
    try:
        parsed = datetime.fromisoformat(f"{day}T{clock}.{(decimals or '0')[:6].ljust(6, '0')}{zone or '+00:00'}")
        return parsed.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def cluster(raw: Object, clean: Clean) -> Cluster:
    """A ``Cluster`` as the API answers it, made by either kind of driver. ``MalformedError`` for wrong types."""
    spec, status = child(raw, "spec"), child(raw, "status")
    place = aws_place(spec)
    secret = text(place, "externalId")
    external_id = Secret(secret) if secret else None
    also = (external_id,) if external_id else ()
    return Cluster(
        id=clean(text(raw, "id") or "", *also),
        name=clean(text(raw, "name") or "", *also),
        phase=phase(status, "phase"),
        reason=clean(text(status, "reason") or "", *also),
        cluster_type=clean(enum_word(spec, "clusterType", "CLUSTER_TYPE_") or "unknown"),
        desired_state=phase(spec, "desiredState"),
        created_at=moment(member(raw, "createdAt")),
        role_arn=_shown(text(place, "roleArn"), clean, also),
        external_id=external_id,
        region=_shown(text(place, "region") or text(place, "primaryRegion"), clean, also),
        performance_profile=PROFILES.get(text(spec, "performanceProfile") or ""),
        instance_types=_instance_types(spec, place, clean),
        bucket_name=_shown(text(place, "bucketName"), clean, also),
        raw=raw,
    )


def created_cluster(raw: Object, clean: Clean) -> Cluster:
    """The same, of an answer that must tell the new cluster's id."""
    made = cluster(raw, clean)
    if not made.id:
        raise MalformedError("id is missing")
    return made


def aws_place(spec: Object) -> Object:
    """Where a spec keeps role, external id and region: ``awsV1``, or the Kubernetes driver's ``aws``."""
    if is_direct(spec):
        return child(spec, "awsV1")
    return child(child(child(spec, "driver"), "kubernetes"), "aws")


def is_direct(spec: Object) -> bool:
    """Whether the spec is of today's form, whose ``driver`` is a word, not the Kubernetes driver's."""
    return bool(child(spec, "awsV1")) or isinstance(member(spec, "driver"), str)


def _shown(value: str | None, clean: Clean, also: tuple[Secret, ...]) -> str | None:
    return clean(value, *also) if value else None


def _instance_types(spec: Object, place: Object, clean: Clean) -> tuple[InstanceType, ...]:
    ready = kept_ready(spec)
    found = [
        InstanceType(
            clean(text(item, "name") or ""),
            whole(item, "overprovisionedOndemandCount") or 0,
            whole(item, "rootVolumeSize") or None,
        )
        for item in children(place, "instanceTypes")
    ]
    for name in texts(spec, "availableAccelerators"):
        item = ready.get(name, {})
        count = whole(item, "minimumCount") or whole(item, "count") or 0
        found.append(InstanceType(clean(name), count, whole(item, "volumeSize") or None))
    return tuple(found)


def kept_ready(spec: Object) -> dict[str, Object]:
    """By instance type, the overprovisioning entry that a stack file can say: on demand, in the primary region.

    Entries on the spot market and in other regions are somebody else's, for a stack file has no word for them. Of
    several that are alike, the first counts.
    """
    primary = text(aws_place(spec), "primaryRegion")
    found: dict[str, Object] = {}
    for item in children(spec, "overprovisioning"):
        here = text(item, "region") in (None, "", primary)
        if here and not member(item, "isSpot"):
            found.setdefault(text(item, "instanceType") or "", item)
    return found


def offered_types(items: Sequence[Object], clean: Clean) -> tuple[OfferedInstanceType, ...]:
    """Rows merged by name: the one with ``spot`` gives the spot price, the other the on-demand price."""
    merged: dict[str, OfferedInstanceType] = {}
    for item in items:
        name = clean(text(item, "name") or "")
        spot, cost, known = bool(member(item, "spot")), price(item, "hourlyCost"), merged.get(name)
        cpu, gpu, memory = (clean(str(member(item, key) or "")) for key in ("cpu", "gpu", "memory"))
        on_demand = (known.on_demand_hourly if known else None) if spot else cost
        merged[name] = OfferedInstanceType(
            name, cpu, gpu, memory, on_demand, cost if spot else (known.spot_hourly if known else None)
        )
    return tuple(merged.values())


def price(source: Object, name: str) -> float | None:
    """USD an hour; ``None`` where it is missing or no number."""
    value = member(source, name)
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):
        return None


PlainKind = Literal["text", "whole", "yesno", "any"]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these fields and no others; names in lowerCamelCase."""

    of: Mapping[str, FieldKind]


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    of: FieldKind


FieldKind = PlainKind | Fields | Many


def _fields(whole: str = "", yesno: str = "", text: str = "", **others: FieldKind) -> Fields:
    """Fields from names written in a row, by type."""
    rows: tuple[tuple[str, FieldKind], ...] = ((text, "text"), (whole, "whole"), (yesno, "yesno"))
    return Fields({name: kind for row, kind in rows for name in row.split()} | others)


_RESOURCES = _fields(text="cpuLimits cpuRequest memoryLimits memoryRequest")
_INSTANCE = _fields(text="name", whole="maxCpu overprovisionedOndemandCount rootVolumeSize")
_AWS = _fields(
    text="bastionAmiOverride bucketName builderAmiNameOverride builderAmiOverride builderNodeInstanceType "
    "cpuAmiOverride externalId gpuAmiOverride internalGcTtl kubernetesVersion managementNodeInstanceType "
    "originalClusterName region roleArn tensorboardNodeInstanceType",
    whole="abortIncompleteDatastoreNumDays datastoreTransitionToIntelligentTieringNumDays "
    "experimentTransitionToIntelligentTieringNumDays xMultiAzCount",
    yesno="enableDatastoreTransitionToIntelligentTiering enableDnsFirewall "
    "enableExperimentTransitionToIntelligentTiering fsxEnabled guarddutyIntegration internalTestCluster",
    azSkipIds=Many("text"),
    instanceTypes=Many(_INSTANCE),
)
_KUBERNETES = _fields(
    text="namespace rootDomainName",
    yesno="kubernetesOnlyMode privateSshGateway",
    aws=_AWS,
    extraGridletEnvVar="any",
    gridletResources=_RESOURCES,
    kubeconfig=_fields(text="kubeconfig"),
)
GRID = _fields(
    text="name",
    spec=_fields(
        text="clusterType costFactor desiredState gridletVersion paddingFactor performanceProfile userId",
        yesno="pauseAutomation",
        driver=_fields(kubernetes=_KUBERNETES, external="any"),
    ),
)
"""CreateClusterRequest of lightning-grid 0.8.81."""

_AWS_V1 = _fields(
    text="amiOwnerId bucketEndpoint bucketName externalId primaryRegion roleArn subnetCidrPrefix",
    yesno="cloudFormationDisabled efsEnabled supportLocalAvailabilityZones useLaunchTemplates",
    regions=Many("text"),
    sourceCidrIps=Many("text"),
)
_OVERPROVISIONING = _fields(
    text="instanceType region resourceType", whole="count maximumCount minimumCount volumeSize", yesno="isSpot"
)
_TAGGING = _fields(
    yesno="tagBucketObjects tagInstancesWithTeamspaceName tagInstancesWithUsername",
    customTags=Many(_fields(text="key value")),
)
_SECURITY = _fields(
    text="bucketKmsKey kmsKeyId",
    yesno="containersNonPrivileged disablePublicIp encryptClusterBucket encryptInstanceVolumes "
    "protectInstanceMetadata rootlessDocker",
)
LIGHTNING = _fields(
    text="name orgId phase",
    spec=_fields(
        text="clusterType desiredState driver gridletVersion userId",
        whole="storageRetentionPeriodDays",
        yesno="pauseAutomation",
        availableAccelerators=Many("text"),
        awsV1=_AWS_V1,
        deletionOptions=_fields(yesno="deleteArtifacts deleteFilesystems deleteSystemLogs"),
        overprovisioning=Many(_OVERPROVISIONING),
        securityOptions=_SECURITY,
        taggingOptions=_TAGGING,
    ),
)
"""CreateClusterRequest of lightning-sdk 2026.10.13, as far as it concerns AWS."""


SHAPES: Mapping[DialectName, Fields] = {"grid": GRID, "lightning": LIGHTNING}


def dialect_of(body: Mapping[str, Any]) -> DialectName:
    """The dialect in whose form ``body``, a create request or a cluster, has its spec."""
    return "lightning" if is_direct(child(body, "spec")) else "grid"
