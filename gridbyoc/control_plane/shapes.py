"""The fields of a create request, as the service's API classes list them: what an editor may set, and its types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gridbyoc.control_plane.parse import child, is_direct
from gridbyoc.stack.model import DialectName

Plain = Literal["text", "whole", "yesno", "any"]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these fields and no others; names in lowerCamelCase."""

    of: Mapping[str, Kind]


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    of: Kind


Kind = Plain | Fields | Many


def _fields(whole: str = "", yesno: str = "", text: str = "", **others: Kind) -> Fields:
    """Fields from names written in a row, by type."""
    rows: tuple[tuple[str, Kind], ...] = ((text, "text"), (whole, "whole"), (yesno, "yesno"))
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
    """The dialect that ``body`` is a create request of."""
    return "lightning" if is_direct(child(body, "spec")) else "grid"
