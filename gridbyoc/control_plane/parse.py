"""Parse responses into our models. Unknown and missing fields are accepted, wrong types are not.

Field names may be lowerCamelCase or snake_case, as in protobuf's JSON mapping; ``null`` means absent.
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
    """A response has a field of the wrong type; ``where`` says which."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def snake(name: str) -> str:
    """``roleArn`` → ``role_arn``."""
    return re.sub(r"(?<!^)([A-Z])", lambda match: "_" + match.group(1).lower(), name)


def present(source: Object, name: str) -> str:
    """The key of the field ``name`` in ``source``: lowerCamelCase, unless only the snake_case key exists."""
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
    """An object field; an empty object if it is missing."""
    value = member(source, name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise MalformedError(f"{name} is not an object")


def children(source: Object, name: str) -> Sequence[Object]:
    """A list of objects; empty if it is missing."""
    value = member(source, name)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise MalformedError(f"{name} is not a list of objects")


def texts(source: Object, name: str) -> Sequence[str]:
    """A list of strings; empty if it is missing."""
    value = member(source, name)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise MalformedError(f"{name} is not a list of texts")


def whole(source: Object, name: str) -> int | None:
    """A whole number; protobuf writes 64-bit numbers as strings."""
    value = member(source, name)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MalformedError(f"{name} is not a whole number")


def enum_word(source: Object, name: str, prefix: str) -> str:
    """An enumeration's value without its prefix, in lower case; empty if it is missing or a number."""
    value = member(source, name)
    if value is None or isinstance(value, int):
        return ""
    if isinstance(value, str):
        return value.removeprefix(prefix).lower()
    raise MalformedError(f"{name} is not text")


def phase(source: Object, name: str) -> Phase:
    """A ``ClusterState``; an unknown one becomes ``UNSPECIFIED``."""
    word = enum_word(source, name, "CLUSTER_STATE_")
    return Phase(word) if word in {known.value for known in Phase} else Phase.UNSPECIFIED


def moment(value: object) -> datetime | None:
    """An RFC 3339 time with up to nine decimals; ``None`` for anything else: an invalid time is not an error."""
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
    """Parse the API's cluster, with either kind of driver. Raises ``MalformedError`` for wrong types."""
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
    """Parse the response to a create request, which must have the new cluster's id."""
    made = cluster(raw, clean)
    if not made.id:
        raise MalformedError("id is missing")
    return made


def aws_place(spec: Object) -> Object:
    """The part of a spec with role, external id and region: ``awsV1``, or the Kubernetes driver's ``aws``."""
    if is_direct(spec):
        return child(spec, "awsV1")
    return child(child(child(spec, "driver"), "kubernetes"), "aws")


def is_direct(spec: Object) -> bool:
    """Whether the spec has Lightning's current form, in which ``driver`` is a word, not an object."""
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
    """The overprovisioning entries that a stack file can express, by instance type: on demand, in the primary region.

    A stack file cannot express entries on the spot market or in other regions, so they are left alone. If several
    entries match, the first counts.
    """
    primary = text(aws_place(spec), "primaryRegion")
    found: dict[str, Object] = {}
    for item in children(spec, "overprovisioning"):
        here = text(item, "region") in (None, "", primary)
        if here and not member(item, "isSpot"):
            found.setdefault(text(item, "instanceType") or "", item)
    return found


def offered_types(items: Sequence[Object], clean: Clean) -> tuple[OfferedInstanceType, ...]:
    """Merge rows by name: the row with ``spot`` has the spot price, the other the on-demand price."""
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
    """A price in USD per hour; ``None`` if it is missing or not a number."""
    value = member(source, name)
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
        return number if math.isfinite(number) else None
    except (ValueError, OverflowError):
        return None


PlainKind = Literal["text", "whole", "yesno", "any"]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object that has only these fields; names in lowerCamelCase."""

    of: Mapping[str, FieldKind]


@dataclass(frozen=True, slots=True)
class Many:
    """A list whose items have the kind ``of``."""

    of: FieldKind


FieldKind = PlainKind | Fields | Many


def _fields(whole: str = "", yesno: str = "", text: str = "", **others: FieldKind) -> Fields:
    """Fields from space-separated names, by type."""
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
    """The dialect of the spec in ``body``, a create request or a cluster."""
    return "lightning" if is_direct(child(body, "spec")) else "grid"
