"""A cluster's spec: parsing, checking and storing it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gridbyoc.sandbox.api.failures import invalid
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import VendorType, facts_of

_STRINGS = """
authToken bastionAmiOverride bucketEndpoint bucketName builderAmiNameOverride builderAmiOverride
builderNodeInstanceType clusterCorednsVersion clusterKubeproxyVersion clusterType clusterVpcCniVersion costFactor
cpuAmiOverride cpuImageOverride cpuLimits cpuRequest desiredState ec2CpuAmi ec2CpuAmiCloudSpace ec2GpuAmi
ec2GpuAmiCloudSpace externalId gpuAmiOverride gpuImageOverride gridletVersion instanceType internalGcTtl key kmsKeyId
kubernetesVersion lokiBucketName managementNodeInstanceType memoryLimits memoryRequest name namespace
originalClusterName paddingFactor performanceProfile primaryRegion region resourceType roleArn rootDomainName
subnetCIDRPrefix tensorboardNodeInstanceType userId value amiOwnerId
"""
_INTEGERS = """
abortIncompleteDatastoreNumDays count datastoreTransitionToIntelligentTieringNumDays
experimentTransitionToIntelligentTieringNumDays maxCpu maximumCount minimumCount overprovisionedOndemandCount
rootVolumeSize shmSizeMb storageRetentionPeriodDays volumeSize xMultiAzCount
"""
_BOOLEANS = """
cloudFormationDisabled containersNonPrivileged deleteArtifacts deleteFilesystems deleteSystemLogs
disableAutomaticAmiUpdates disablePublicIp efsEnabled enableDatastoreTransitionToIntelligentTiering enableDnsFirewall
enableExperimentTransitionToIntelligentTiering encryptClusterBucket encryptInstanceVolumes fsxEnabled
guarddutyIntegration internalTestCluster isSpot kubernetesOnlyMode pauseAutomation privateSshGateway
protectInstanceMetadata rootlessDocker supportLocalAvailabilityZones tagBucketObjects
tagInstancesWithTeamspaceName tagInstancesWithUsername tagInstancesWithWorkloadName useLaunchTemplates
"""
_LISTS = """
availableAccelerators availableInstanceTypes azNames azSkipIds customTags instanceTypes overprovisioning regions
secondaryRegions sourceCidrIps
"""
_OBJECTS = """
aws awsV1 azure azureV1 byom defaultLightningFlowComputeConfig defaultLightningWorkComputeConfig deletionOptions
external extraGridletEnvVar googleCloudV1 gridletResources kubeconfig kubernetes kubernetesV1 logService resources
s3proxyResources securityOptions slurm slurmV1 taggingOptions
"""
_EITHER = "driver"  # an object until 2025, the provider's name since then

_FREE_KEYS = {"extraGridletEnvVar", "external", "resources"}
_KINDS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(_STRINGS.split(), ("a string", str)),
    **dict.fromkeys(_INTEGERS.split(), ("a whole number", int)),
    **dict.fromkeys(_BOOLEANS.split(), ("true or false", bool)),
    **dict.fromkeys(_LISTS.split(), ("a list", list)),
    **dict.fromkeys(_OBJECTS.split(), ("an object", dict)),
    _EITHER: ("an object or the provider's name", (dict, str)),
}
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CAMEL: dict[str, str] = {_BOUNDARY.sub("_", name).lower(): name for name in _KINDS}
_DIGITS = re.compile(r"-?[0-9]{1,18}")


def camel(name: str) -> str:
    """``name`` in lowerCamelCase, for names of a request or its query."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def normalised(value: dict[str, Any], path: str = "spec") -> dict[str, Any]:
    """``value`` with known names in lowerCamelCase, without nulls, and with types checked (``ApiError`` 400)."""
    result: dict[str, Any] = {}
    for key, item in value.items():
        name: str = _CAMEL.get(key, key)
        if item is None:
            continue
        if name in result:
            raise invalid(f"{path}: {name} is given twice, as {name} and in snake_case")
        result[name] = _field(name, item, f"{path}.{name}")
    return result


def _field(name: str, item: object, path: str) -> object:
    if name not in _KINDS:
        return item
    words, kind = _KINDS[name]
    if kind is int and isinstance(item, str) and _DIGITS.fullmatch(item):
        item = int(item)  # protobuf's JSON mapping accepts quoted numbers, and 1.0 for 1
    if kind is int and isinstance(item, float) and item.is_integer():
        item = int(item)
    if not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
        raise invalid(f"{path} must be {words}")
    return item if name in _FREE_KEYS else _inner(item, path)


def _inner(item: object, path: str) -> object:
    if isinstance(item, list):
        return [_inner(each, f"{path}[{index}]") for index, each in enumerate(item)]
    return normalised(item, path) if isinstance(item, dict) else item


_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ROLE_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/[A-Za-z0-9+=,.@_/-]{1,576}")
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]{0,31}\.[a-z0-9-]{1,31}")
_ACCELERATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Arm families: a1, and those with a g among the letters after the generation (t4g, m7gd, im4gn, x2gd, hpc7g).
_ARM = re.compile(r"(a1|[a-z]+[0-9]+[a-z]*g[a-z]*)\.")


def check_name(name: object) -> str:
    """Check a cluster name. A trailing line feed is rejected as well: the clients do not notice it."""
    if not isinstance(name, str) or not name:
        raise invalid("name is required")
    if not _NAME.fullmatch(name):
        raise invalid(
            f"name {name[:80]!r} is not valid: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end"
        )
    return name


def check_role_arn(value: object, path: str) -> None:
    """Check an IAM role's ARN, in any partition."""
    if not isinstance(value, str) or not value:
        raise invalid(f"{path} is required: the ARN of the role that admits this control plane")
    if not _ROLE_ARN.fullmatch(value):
        raise invalid(f"{path} {value[:200]!r} is not the ARN of an IAM role")


def check_external_id(value: object, path: str) -> None:
    """Check IAM's format of an external id. The value does not appear in the message."""
    if not isinstance(value, str) or not value:
        raise invalid(f"{path} is required: the external id that the role's trust policy asks for")
    if not _EXTERNAL_ID.fullmatch(value):
        raise invalid(f"{path} is not valid: 2 to 1224 letters, digits and characters of _+=,.@:/-")


def check_region(value: object, path: str) -> None:
    """Check a region against botocore's; a zone gets its own message."""
    if not value or not isinstance(value, str):
        raise invalid(f"{path} is required")
    if value in known_regions():
        return
    if value[-1].isalpha() and value[:-1] in known_regions():
        raise invalid(f"{path} {value!r} is a zone; its region is {value[:-1]}")
    raise invalid(f"{path} {value[:80]!r} is not an AWS region")


def check_instance_type(value: object, path: str) -> None:
    """Check the format of an EC2 instance type of an x86-64 family."""
    if not isinstance(value, str) or not _INSTANCE_TYPE.fullmatch(value):
        raise invalid(f"{path} {str(value)[:80]!r} is not an instance type; one looks like t3.large")
    _check_architecture(value, path)


def check_accelerator(value: object, path: str) -> None:
    """Check an accelerator of today's Lightning: an instance type, or an accelerator's own name."""
    if not isinstance(value, str) or not _ACCELERATOR.fullmatch(value):
        raise invalid(f"{path} {str(value)[:80]!r} is not an instance type or accelerator")
    _check_architecture(value, path)


def _check_architecture(value: str, path: str) -> None:
    if _ARM.match(value):
        raise invalid(f"{path} {value[:80]!r} has an Arm processor; only x86-64 instance types are supported")


def account_of(role_arn: str) -> str:
    """The account in a role's ARN."""
    match = _ROLE_ARN.fullmatch(role_arn)
    return match["account"] if match else ""


@lru_cache(maxsize=1)
def known_regions() -> frozenset[str]:
    """Every region of every partition, from botocore's data."""
    import botocore.session

    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(name for part in partitions for name in session.get_available_regions("ec2", part))


_BYOC = "CLUSTER_TYPE_BYOC"
_PROFILE = "CLUSTER_PERFORMANCE_PROFILE_"
_RUNNING = "CLUSTER_STATE_RUNNING"


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """The role in a spec, the external id to assume it with, and the vendor of the spec's format."""

    role_arn: str
    external_id: Secret
    vendor: VendorType = "grid"


def grant_of(spec: dict[str, Any]) -> RoleGrant:
    """The role in an accepted spec."""
    section = aws_section(spec)
    return RoleGrant(section["roleArn"], Secret(section["externalId"]), "lightning" if is_direct(spec) else "grid")


def is_direct(spec: dict[str, Any]) -> bool:
    """Whether the spec has the format of today's Lightning (``awsV1``), not of the Kubernetes driver."""
    return "awsV1" in spec or isinstance(spec.get("driver"), str)


def aws_section(spec: dict[str, Any]) -> dict[str, Any]:
    """The part with role, external id, region and bucket (``ApiError`` 400 if it is missing)."""
    driver = spec.get("driver", {})
    if is_direct(spec):
        section, path = spec.get("awsV1"), "spec.awsV1"
        if isinstance(driver, str) and driver != "AWS":
            raise invalid(f"spec.driver {driver[:80]!r} is not supported: clusters run in AWS only")
    else:
        kubernetes = driver.get("kubernetes", {})
        section, path = kubernetes.get("aws"), "spec.driver.kubernetes.aws"
    if not isinstance(section, dict):
        raise invalid(f"{path} is required: clusters run in AWS only")
    return section


def accepted(raw: object, name: str, user_id: str, bucket: str | None = None) -> dict[str, Any]:
    """A cluster's spec, checked, with the server's own values: state, user, bucket, instance types.

    ``raw`` is the client's spec, and is not changed. ``bucket`` is used if the spec names none.
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
    """The spec that replaces ``before``: as given, except that region and bucket stay (``ApiError`` 400).

    Only values that the server sets are merged. Role and external id may change, as a rotation needs.
    """
    old = aws_section(before)
    spec = accepted(raw, name, before["userId"], old["bucketName"])
    new = aws_section(spec)
    if is_direct(spec) != is_direct(before):
        raise invalid("the form of spec.driver cannot be changed")
    for field in ("region", "primaryRegion", "bucketName"):
        if new.get(field) != old.get(field):
            raise invalid(f"{field} cannot be changed: it has been {old.get(field)} since the cluster was created")
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
    """A bucket name of at most 63 characters; the hash makes it unique in S3's global namespace."""
    return f"grid-{name[:45].rstrip('-')}-{hashlib.sha256(role_arn.encode()).hexdigest()[:12]}"


QUEUED = "QUEUED"
PENDING = "PENDING"
CONFIGURING = "CONFIGURING"
RUNNING = "RUNNING"
FAILED = "FAILED"
DELETED = "DELETED"

_QUEUED_SHARE = 0.2
_CONFIGURING_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class ClusterTiming:
    """How long things take, in seconds."""

    create_seconds: float
    delete_seconds: float


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """One cluster. Times are seconds since the epoch; ``started_at`` is when its creation last started.

    ``verdict`` is the result of inspecting the role: ``None`` not inspected, empty good, otherwise the problem.
    ``revision`` counts updates, so that a verdict on an older spec is discarded.
    """

    id: str
    name: str
    spec: dict[str, Any]
    created_at: float
    started_at: float
    deleted_at: float | None = None
    verdict: str | None = None
    revision: int = 0


def phase_at(record: ClusterRecord, now: float, timing: ClusterTiming) -> str:
    """The phase, from the times alone. A deletion is never FAILED: clients would treat that as its outcome."""
    if record.deleted_at is not None:
        return DELETED if now >= record.deleted_at + timing.delete_seconds else PENDING
    if record.verdict is None:
        return QUEUED
    if record.verdict:
        return FAILED
    elapsed = now - record.started_at
    if elapsed >= timing.create_seconds:
        return RUNNING
    return CONFIGURING if elapsed >= timing.create_seconds * _CONFIGURING_SHARE else PENDING


def is_due(record: ClusterRecord, now: float, timing: ClusterTiming) -> bool:
    """Whether the cluster should leave QUEUED, so that its role must be inspected."""
    waited = now - record.started_at
    return record.deleted_at is None and record.verdict is None and waited >= timing.create_seconds * _QUEUED_SHARE
