"""The grants of a policy document as a comparable set, and the difference of two such sets in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from gridbyoc.aws.policy import Policy, Statement
from gridbyoc.aws.policy.evaluate import external_ids_in
from gridbyoc.aws.policy.model import EXTERNAL_ID, Condition, Selection, glob, read_pattern
from gridbyoc.operations.review.words import GrantChange, GrantVerb, Name, RoleSentence, Sentence, names
from gridbyoc.stack.words import counted


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A warning for certain actions.

    ``verbs`` are patterns of action names in services that ``services`` does not list.
    """

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
"""Creates a user, a role, a key or an identity provider, changes permissions, or acts as another principal."""

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
"""Returns data that somebody has stored (objects, messages, logs, secrets), or lets others read it."""

MARKS = (PRINCIPALS, SPENDS, DELETES, READS)


def marks_of(patterns: Iterable[str], *, everything_but: bool = False) -> tuple[str, ...]:
    """The words of each mark that applies to these action patterns (``s3:Get*``), in the order of ``MARKS``.

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
    """Whether ``pattern`` matches every text that the pattern ``text`` matches. Action names are case-insensitive."""
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
    """The positions in ``pattern`` after consuming ``char`` (or ``?``)."""
    if at < len(pattern) and pattern[at] == "*":
        yield at
    elif at < len(pattern) and ("?" in (pattern[at], char) or pattern[at] == char):
        yield at + 1


def _skip(pattern: str, places: set[int]) -> set[int]:
    """These positions, and those after a ``*`` that matches nothing."""
    found = set(places)
    for at in sorted(places):
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            found.add(at)
    return found


EXTERNAL_ID_KEY = EXTERNAL_ID.lower()
ACCOUNT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")
MOST_NAMES = 6
"""The number of names in one sentence; the JSON of a plan has all of them."""


@dataclass(frozen=True, slots=True)
class GrantScope:
    """The resources and conditions that an action is granted for."""

    effect: str
    resources: frozenset[str]
    but: bool
    conditions: frozenset[Condition]


@dataclass(frozen=True, slots=True)
class GrantedAction:
    """One action pattern in one scope; ``but``: every action except these."""

    actions: frozenset[str]
    but: bool
    scope: GrantScope


def granted(policy: Policy | None) -> frozenset[GrantedAction]:
    """Everything that a policy grants, by action pattern, so that moving a pattern between statements is no change."""
    return frozenset(each for statement in (policy.statements if policy else ()) for each in _of(statement))


def _of(statement: Statement) -> Iterator[GrantedAction]:
    resources = statement.resources or Selection(("*",))
    patterns = frozenset({"*"}) if "*" in resources.patterns else frozenset(resources.patterns)
    scope = GrantScope(statement.effect, patterns, resources.negated, frozenset(statement.conditions))
    if statement.actions.negated:
        yield GrantedAction(frozenset(statement.actions.patterns), True, scope)
    else:
        for pattern in statement.actions.patterns:
            yield GrantedAction(frozenset({pattern}), False, scope)


def difference(
    subject: Sentence, before: frozenset[GrantedAction], after: frozenset[GrantedAction]
) -> Iterator[RoleSentence]:
    """A sentence for each service and scope with a gain or loss; gains come first.

    A grant that a wider one covers, which the role also has, is neither a gain nor a loss.
    """
    gained, lost = _widest(after - before, before & after), _widest(before - after, after)
    for found, more in ((gained, True), (lost, False)):
        changes = sorted(_by_service(found, more), key=_weight)
        yield from (_sentence(subject, change) for change in changes)


def _widest(found: frozenset[GrantedAction], kept: frozenset[GrantedAction]) -> frozenset[GrantedAction]:
    """The grants that neither ``kept`` nor a wider one of ``found`` covers; one of each equivalent pair."""
    among, cover = _Cover(found), _Cover(kept)
    left = set()
    for each in sorted(found, key=str):
        if not among.holds(each, strictly=True) and not cover.holds(each):
            left.add(each)
            cover.add(each)
    return frozenset(left)


class _Cover:
    """Finds grants that cover another: equal ones by their text, wider ones by their wildcards."""

    def __init__(self, found: Iterable[GrantedAction]) -> None:
        self._equal: dict[str, list[GrantedAction]] = {}
        self._wide: list[GrantedAction] = []
        for each in found:
            self.add(each)

    def add(self, each: GrantedAction) -> None:
        self._equal.setdefault(_key(each), []).append(each)
        if any("*" in action or "?" in action for action in each.actions) and not each.but:
            self._wide.append(each)

    def holds(self, narrow: GrantedAction, *, strictly: bool = False) -> bool:
        """Whether one of them allows (or denies) everything that ``narrow`` does; ``strictly``: and more."""
        near = [*self._equal.get(_key(narrow), ()), *self._wide]
        return any(_covers(each, narrow) and not (strictly and _covers(narrow, each)) for each in near)


def _key(each: GrantedAction) -> str:
    return f"{each.but} {sorted(action.lower() for action in each.actions)}"


def _covers(wide: GrantedAction, narrow: GrantedAction) -> bool:
    if wide.scope.effect != narrow.scope.effect or not wide.scope.conditions <= narrow.scope.conditions:
        return False
    if _key(wide) != _key(narrow):
        if wide.but or narrow.but:
            return wide.actions == {"*"} and not wide.but and _on_all_of(wide.scope, narrow.scope)
        if not all(any(matches(pattern, action) for pattern in wide.actions) for action in narrow.actions):
            return False
    return _on_all_of(wide.scope, narrow.scope)


def _on_all_of(wide: GrantScope, narrow: GrantScope) -> bool:
    if wide.but or narrow.but:
        return (wide.but, wide.resources) == (narrow.but, narrow.resources) or (not wide.but and "*" in wide.resources)
    return "*" in wide.resources or narrow.resources <= wide.resources


def _by_service(found: Iterable[GrantedAction], more: bool) -> Iterator[GrantChange]:
    groups: dict[tuple[str, GrantScope, frozenset[str]], set[str]] = {}
    for each in found:
        if each.but:
            groups[("*", each.scope, each.actions)] = set(each.actions)
        else:
            for action in each.actions:
                service = action.lower().partition(":")[0] if ":" in action else "*"
                groups.setdefault((service, each.scope, frozenset()), set()).add(action)
    verbs: dict[tuple[str, bool], GrantVerb] = {("Allow", True): "gains", ("Allow", False): "loses"}
    verbs |= {("Deny", True): "is now denied", ("Deny", False): "is no longer denied"}
    for (service, scope, but), actions in groups.items():
        yield GrantChange(
            verbs[scope.effect, more],
            service,
            tuple(sorted(actions, key=lambda action: (not marks_of((action,)), action))),
            tuple(sorted(scope.resources)),
            tuple(sorted({condition.key for condition in scope.conditions})),
            everything_but=bool(but),
            all_resources_but=scope.but,
            marks=marks_of(actions, everything_but=bool(but)),
        )


def _weight(change: GrantChange) -> tuple[object, ...]:
    """A sort key: grants that create principals first, those without a mark last."""
    marks = [place for place, mark in enumerate(MARKS) if mark.words in change.marks]
    return (not change.widens, not marks, marks, change.service, change.actions, change.resources, change.conditions)


def _sentence(subject: Sentence, change: GrantChange) -> RoleSentence:
    but: Sentence = ("everything but ",) if change.everything_but else ()
    where: Sentence = ("all resources",) if "*" in change.resources else _some(change.resources)
    where = ("all resources but ", *_some(change.resources)) if change.all_resources_but else where
    under: Sentence = (", under a condition on ", *names(change.conditions)) if change.conditions else ()
    marks: Sentence = (f" ({', '.join(change.marks)})",) if change.marks else ()
    says: Sentence = (f"{change.verb} ", *but, *_some(change.actions), " on ", *where, *under, *marks)
    return RoleSentence(subject, says, change, alarming=change.widens and bool(change.marks))


def _some(texts: Sequence[str]) -> Sentence:
    """The first few names in order, and the number of the rest."""
    shown: list[str | Name] = []
    for text in texts[:MOST_NAMES]:
        shown += [", ", Name(text)] if shown else [Name(text)]
    more = len(texts) - MOST_NAMES
    return (*shown, f" and {more} more") if more > 0 else tuple(shown)


def assumers(policy: Policy | None) -> frozenset[tuple[str, str, frozenset[str]]]:
    """The subjects of a trust policy.

    The effect, the principal (``everybody but …``), and the keys of the conditions.
    """
    found = set()
    for statement in policy.statements if policy else ():
        keys = frozenset(condition.key.lower() for condition in statement.conditions)
        principals = statement.principals
        listed = [str(entry) for entry in principals.entries] if principals else []
        negated = principals is not None and principals.negated
        who = [f"everybody but {', '.join(listed)}"] if negated else [meaning(each) for each in listed]
        found |= {(statement.effect, each, keys) for each in who}
    return frozenset(found)


def meaning(principal: str) -> str:
    """The meaning of an account's root ARN or number, in words; any other principal unchanged.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    match = ACCOUNT.fullmatch(principal)
    return f"any principal of account {match[1]}" if match else principal


def trust_difference(subject: Sentence, before: Policy | None, after: Policy | None) -> Iterator[RoleSentence]:
    """Sentences on who may now assume the role, and who no longer may."""
    was, now = assumers(before), assumers(after)
    for found, allow, deny, more in (
        (now - was, "may now be assumed by ", "now denies being assumed to ", True),
        (was - now, "may no longer be assumed by ", "no longer denies being assumed to ", False),
    ):
        for effect, who, keys in _ordered(found):
            widens = (effect == "Allow") is more
            says: Sentence = (allow if effect == "Allow" else deny, Name(who), *_with(keys))
            yield RoleSentence(subject, says, alarming=widens and _is_open(who, keys))
    if before is not None and after is not None:
        had, has = external_ids_in(*before.statements), external_ids_in(*after.statements)
        new, fewer = has - had, had - has
        if new:
            says = (f"accepts {counted(len(new), 'external id')} that it did not accept before",)
            yield RoleSentence(subject, says)
        if fewer:
            yield RoleSentence(subject, (f"no longer accepts {counted(len(fewer), 'external id')}",))


def kept_assumers(subject: Sentence, kept: Iterable[tuple[str, str, frozenset[str]]]) -> Iterator[RoleSentence]:
    """Sentences on who may assume the role both before and after."""
    for effect, who, keys in _ordered(kept):
        if effect == "Allow":
            says = ("may be assumed by ", Name(who), *_with(keys), ", as before")
            yield RoleSentence(subject, says, alarming=_is_open(who, keys))


def _ordered(found: Iterable[tuple[str, str, frozenset[str]]]) -> list[tuple[str, str, frozenset[str]]]:
    return sorted(found, key=lambda each: (each[0], each[1], sorted(each[2])))


def _is_open(who: str, keys: frozenset[str]) -> bool:
    """Whether anybody can assume the role: there is no condition, or the principal is a wildcard."""
    return not keys or "*" in who or who.startswith("everybody but")


def _with(keys: frozenset[str]) -> Sentence:
    others = keys - {EXTERNAL_ID_KEY}
    external = "with the external id" if EXTERNAL_ID_KEY in keys else "without the external id"
    return (f" ({external}", *((", under a condition on ", *names(others)) if others else ()), ")")
