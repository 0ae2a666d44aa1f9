"""Marks of allowed actions that a reviewer looks for: creating principals, spending, deleting, reading data.

An action is marked by its name. A pattern is marked if an action that it may match is. For a service that a mark does
not list, the verb decides: there may be a mark too many.
Names: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from gridbyoc.aws.policy.patterns import glob, read_pattern


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """``verbs`` are patterns of action names of any service that ``services`` does not list."""

    words: str
    verbs: tuple[str, ...]
    services: Mapping[str, tuple[str, ...]]


PRINCIPALS = Mark(
    "creates principals",
    (),
    {
        "iam": (
            "Add*ToGroup", "AddClientIDToOpenIDConnectProvider", "AddRoleToInstanceProfile", "Attach*Policy",
            "ChangePassword", "CreateAccessKey", "CreateGroup", "CreateInstanceProfile", "CreateLoginProfile",
            "CreateOpenIDConnectProvider", "CreatePolicy*", "CreateRole", "CreateSAMLProvider",
            "CreateService*", "CreateUser", "CreateVirtualMFADevice", "Delete*PermissionsBoundary", "DeleteRolePolicy",
            "DeleteUserPolicy", "DetachRolePolicy", "DetachUserPolicy", "EnableMFADevice", "PassRole",
            "Put*PermissionsBoundary", "Put*Policy", "ResetServiceSpecificCredential", "SetDefaultPolicyVersion",
            "UpdateAccessKey", "UpdateAssumeRolePolicy", "UpdateLoginProfile", "UpdateOpenIDConnectProviderThumbprint",
            "UpdateSAMLProvider", "Upload*",
        ),
        "sts": ("AssumeRole*", "AssumeRoot", "GetFederationToken"),
        "eks": ("AssociateAccessPolicy", "AssociateIdentityProviderConfig", "CreateAccessEntry",
                "CreatePodIdentityAssociation", "UpdateAccessEntry", "UpdatePodIdentityAssociation"),
        "identitystore": ("Create*",),
        "organizations": ("AcceptHandshake", "CreateAccount", "CreateGovCloudAccount", "InviteAccountToOrganization"),
        "rolesanywhere": ("Create*", "Enable*", "Import*", "Update*"),
        "sso": ("Attach*", "Create*", "Provision*", "Put*", "Update*"),
        "sso-directory": ("Add*", "Create*"),
    },
)  # fmt: skip
"""Makes a user, a role, a key or an identity provider, changes what one may do, or acts as another."""

SPENDS = Mark(
    "spends money",
    ("Allocate*", "Create*", "Launch*", "Provision*", "Purchase*", "Request*", "Restore*", "Run*", "Start*",
     "Subscribe*"),
    {
        "access-analyzer": (),
        "autoscaling": ("CreateAutoScalingGroup", "SetDesiredCapacity", "StartInstanceRefresh",
                        "UpdateAutoScalingGroup", "PutScalingPolicy", "PutWarmPool"),
        "cloudwatch": ("Put*",),
        "ec2": ("Accept*", "AllocateAddress", "AllocateHosts", "CopyImage", "CopySnapshot", "CreateCapacity*",
                "CreateClientVpnEndpoint", "CreateFleet", "CreateFlowLogs", "CreateImage", "CreateIpam*",
                "CreateNatGateway", "CreateNetworkInsights*", "CreateSnapshot*", "CreateTrafficMirror*",
                "CreateTransitGateway*", "CreateVerifiedAccess*", "CreateVolume", "CreateVpcEndpoint",
                "CreateVpnConnection", "EnableFastSnapshotRestores", "ImportImage", "ImportSnapshot", "ModifyFleet",
                "ModifyInstanceAttribute", "ModifySpotFleetRequest", "ModifyVolume", "Purchase*", "RequestSpot*",
                "RunInstances", "RunScheduledInstances", "StartInstances"),
        "ecr": ("CreatePullThroughCacheRule", "CreateRepository", "PutImage", "StartImageScan"),
        "eks": ("CreateAddon", "CreateCluster", "CreateEksAnywhereSubscription", "CreateFargateProfile",
                "CreateNodegroup", "UpdateClusterConfig", "UpdateNodegroupConfig"),
        "elasticloadbalancing": ("CreateLoadBalancer",),
        "events": ("CreateArchive", "PutEvents", "StartReplay"),
        "health": (),
        "iam": (),
        "kms": ("CreateKey", "ReplicateKey"),
        "logs": ("CreateDelivery", "CreateExportTask", "CreateLogAnomalyDetector", "PutLogEvents", "StartLiveTail",
                 "StartQuery"),
        "organizations": (),
        "resource-groups": (),
        "s3": ("CreateBucket", "CreateJob", "PutObject", "PutReplicationConfiguration", "ReplicateObject",
               "RestoreObject"),
        "servicequotas": (),
        "sns": ("Publish",),
        "sqs": ("SendMessage",),
        "sso": (),
        "sts": (),
        "tag": (),
    },
)  # fmt: skip
"""Starts or enlarges something that AWS bills."""

_DELETING = ("AdminDelete*", "BatchDelete*", "BulkDelete*", "Delete*", "Deregister*", "Destroy*", "Drop*", "Empty*",
             "ForceDelete*", "Purge*", "Release*", "Terminate*")  # fmt: skip
DELETES = Mark(
    "deletes",
    _DELETING,
    {
        "kms": (*_DELETING, "ScheduleKeyDeletion"),
        "logs": (*_DELETING, "PutRetentionPolicy"),
        "s3": (*_DELETING, "PutLifecycleConfiguration", "PutObject", "ReplicateDelete"),
    },
)
"""Destroys something, or overwrites it."""

READS = Mark(
    "reads data",
    ("BatchGet*", "Download*", "Export*", "Get*", "Query*", "Read*", "Receive*", "Retrieve*", "Scan*", "Search*",
     "Select*"),
    {
        "access-analyzer": (),
        "autoscaling": (),
        "cloudwatch": (),
        "ec2": ("CreateInstanceExportTask", "CreateStoreImageTask", "ExportImage", "GetConsole*", "GetPasswordData",
                "ModifyImageAttribute", "ModifySnapshotAttribute"),
        "ec2-instance-connect": ("*",),
        "ecr": ("BatchGetImage", "GetDownloadUrlForLayer"),
        "eks": ("AccessKubernetesApi",),
        "elasticloadbalancing": (),
        "events": (),
        "guardduty": (),
        "health": (),
        "iam": (),
        "kms": ("CreateGrant", "Decrypt", "ReEncrypt*"),
        "lambda": ("GetFunction", "GetLayerVersion"),
        "logs": ("CreateExportTask", "FilterLogEvents", "Get*Events", "GetLogObject", "GetLogRecord", "GetQueryResults",
                 "PutSubscriptionFilter", "StartLiveTail", "StartQuery", "Unmask"),
        "organizations": (),
        "resource-groups": (),
        "route53resolver": (),
        "s3": ("CreateJob", "GetObject*", "PutBucketAcl", "PutBucketPolicy", "PutObjectAcl",
               "PutReplicationConfiguration"),
        "servicequotas": (),
        "sns": ("AddPermission", "SetTopicAttributes", "Subscribe"),
        "sqs": ("AddPermission", "ReceiveMessage", "SetQueueAttributes"),
        "ssm": ("GetParameter*", "SendCommand", "StartSession", "GetCommandInvocation", "StartAutomationExecution"),
        "sso": (),
        "sts": (),
        "tag": (),
    },
)  # fmt: skip
"""Hands out what somebody has stored (objects, messages, logs, secrets), or lets others read it."""

MARKS = (PRINCIPALS, SPENDS, DELETES, READS)


def marks_of(patterns: Iterable[str], *, everything_but: bool = False) -> tuple[str, ...]:
    """The words of each mark that these action patterns (``s3:Get*``) have, in the order of ``MARKS``.

    ``everything_but``: the patterns are those of ``NotAction``.
    """
    listed = tuple(patterns)
    has = _allows_outside if everything_but else _allows
    return tuple(mark.words for mark in MARKS if has(mark, listed))


def _allows(mark: Mark, patterns: tuple[str, ...]) -> bool:
    return any(_has(mark, *_split(pattern)) for pattern in patterns)


def _allows_outside(mark: Mark, patterns: tuple[str, ...]) -> bool:
    """Whether an action with the mark is not among the patterns."""
    listed = [f"{service}:{action}" for service, actions in mark.services.items() for action in actions]
    names = [*listed, *(f"*:{verb}" for verb in mark.verbs)]
    return not all(any(matches(pattern, name) for pattern in patterns) for name in names)


def _split(pattern: str) -> tuple[str, str]:
    service, colon, action = pattern.lower().partition(":")
    return (service, action) if colon else ("*", service)


@cache
def _has(mark: Mark, service: str, action: str) -> bool:
    if service in mark.services:
        return _meets(mark.services[service], action)
    if "*" in service or "?" in service:
        listed = (each for name, each in mark.services.items() if overlap(service, name))
        return _meets(mark.verbs, action) or any(_meets(each, action) for each in listed)
    return _meets(mark.verbs, action)


def _meets(wanted: tuple[str, ...], action: str) -> bool:
    if "*" in action or "?" in action:
        return any(overlap(action, each) for each in wanted)
    return _regex(wanted).fullmatch(action) is not None


@cache
def _regex(patterns: tuple[str, ...]) -> re.Pattern[str]:
    parts = (re.escape(each.lower()).replace(r"\*", ".*").replace(r"\?", ".") for each in patterns)
    return re.compile("|".join(parts) if patterns else r"(?!)")


def matches(pattern: str, text: str) -> bool:
    """Whether ``pattern`` matches every text that ``text``, read as a pattern, does. Actions know no case."""
    return glob(read_pattern(pattern.lower()).tokens or (), text.lower())


def overlap(one: str, other: str) -> bool:
    """Whether some text matches both patterns."""
    first, second = one.lower(), other.lower()
    reach = {0}
    reach = _skip(second, reach)
    for char in first:
        if char == "*":
            reach = set(range(min(reach), len(second) + 1)) if reach else reach
        else:
            reach = _skip(second, {here for at in reach for here in _step(second, at, char)})
    return len(second) in reach


def _step(pattern: str, at: int, char: str) -> Iterable[int]:
    """The places in ``pattern`` after one character that ``char`` (or ``?``) stands for."""
    if at < len(pattern) and pattern[at] == "*":
        yield at
    elif at < len(pattern) and ("?" in (pattern[at], char) or pattern[at] == char):
        yield at + 1


def _skip(pattern: str, places: set[int]) -> set[int]:
    """These places, and those behind a ``*`` that stands for nothing."""
    found = set(places)
    for at in sorted(places):
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            found.add(at)
    return found
