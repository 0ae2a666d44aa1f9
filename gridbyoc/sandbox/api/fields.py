"""The names in a cluster's spec in one spelling: protobuf's JSON mapping takes lowerCamelCase and snake_case.

What an editor puts into a field that was empty reaches the wire as it was typed, so both spellings do come in.
Names that are not known are kept as they are, with all that is in them.
"""

from __future__ import annotations

import re
from typing import Any

from gridbyoc.sandbox.api.failures import invalid

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
_EITHER = "driver"  # an object until 2025, the provider's name since

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
    """``name`` in lowerCamelCase, where it is one of a request or of its query."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def normalised(value: dict[str, Any], path: str = "spec") -> dict[str, Any]:
    """``value`` with known names in lowerCamelCase, nulls left out and types checked (``ApiError`` 400)."""
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
        item = int(item)  # protobuf's JSON mapping takes numbers in quotes, and 1.0 for 1
    if kind is int and isinstance(item, float) and item.is_integer():
        item = int(item)
    if not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
        raise invalid(f"{path} must be {words}")
    return item if name in _FREE_KEYS else _inner(item, path)


def _inner(item: object, path: str) -> object:
    if isinstance(item, list):
        return [_inner(each, f"{path}[{index}]") for index, each in enumerate(item)]
    return normalised(item, path) if isinstance(item, dict) else item
