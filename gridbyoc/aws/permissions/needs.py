"""The list of AWS actions that the tool and Terraform call for a stack."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.permissions.model import NOT_OF_A_STACK, PHASES, REQUESTED_REGION, Need, NeedPhase, literal
from gridbyoc.aws.state_bucket import FINGERPRINT_SUFFIX
from gridbyoc.stack.defaults import managed_policies_of, name_pattern_of, statements_of
from gridbyoc.stack.model import AssumeRole, Role, S3Backend, Stack

BOUNDARY = "iam:PermissionsBoundary"
POLICY_ARN = "iam:PolicyARN"
_BY_HAND = "only where the role has an inline policy, which nobody but another hand puts there; provider's role.go"
_PROFILE = "only where somebody put the role into an instance profile; provider's role.go"
_TAG_ON_CREATE = "IAM asks for it when something is made with tags; the call is the creation"
_STRAY = "only where the role has a policy that is not listed; provider's role_polic*_exclusive.go"
_CHANGED = "only when the trusted account in the description changes; provider's role.go"
_SESSION = "only when the session's length changes; provider's role.go"


@dataclass(frozen=True, slots=True)
class NeedRow:
    """A kind of change of a resource type. ``on`` names the ARN for the action; ``unseen`` as in ``Need``."""

    type: str
    change: str
    action: str
    phases: tuple[NeedPhase, ...]
    on: str = "role"
    feature: str = ""
    unseen: str = ""


PLAN: tuple[NeedPhase, ...] = ("plan",)
APPLY: tuple[NeedPhase, ...] = ("apply",)
DESTROY: tuple[NeedPhase, ...] = ("destroy",)
BOTH: tuple[NeedPhase, ...] = ("apply", "destroy")
ROWS = (
    NeedRow("aws_iam_role", "read", "iam:GetRole", PLAN),
    NeedRow("aws_iam_role", "read", "iam:ListRolePolicies", PLAN),
    NeedRow("aws_iam_role", "read", "iam:GetRolePolicy", PLAN, unseen=_BY_HAND),
    NeedRow("aws_iam_role", "read", "iam:ListAttachedRolePolicies", PLAN),
    NeedRow("aws_iam_role", "create", "iam:CreateRole", APPLY, feature="boundary?"),
    NeedRow("aws_iam_role", "create with tags", "iam:TagRole", APPLY, unseen=_TAG_ON_CREATE),
    NeedRow("aws_iam_role", "update of the tags", "iam:UntagRole", APPLY),
    NeedRow("aws_iam_role", "update of the trust policy", "iam:UpdateAssumeRolePolicy", APPLY),
    NeedRow("aws_iam_role", "update of the session's length", "iam:UpdateRole", APPLY, unseen=_SESSION),
    NeedRow("aws_iam_role", "update of the description", "iam:UpdateRoleDescription", APPLY, unseen=_CHANGED),
    NeedRow("aws_iam_role", "update of the boundary", "iam:PutRolePermissionsBoundary", APPLY, feature="boundary"),
    NeedRow("aws_iam_role", "delete, replace", "iam:ListInstanceProfilesForRole", DESTROY),
    NeedRow(
        "aws_iam_role", "delete, replace", "iam:RemoveRoleFromInstanceProfile", DESTROY, "profile", unseen=_PROFILE
    ),
    NeedRow("aws_iam_role", "delete, replace", "iam:DeleteRolePolicy", DESTROY, unseen=_BY_HAND),
    NeedRow("aws_iam_role", "delete, replace", "iam:DeleteRole", DESTROY),
    NeedRow("aws_iam_policy", "read", "iam:GetPolicy", PLAN, "policy", "statements"),
    NeedRow("aws_iam_policy", "read", "iam:GetPolicyVersion", PLAN, "policy", "statements"),
    NeedRow("aws_iam_policy", "create", "iam:CreatePolicy", APPLY, "policy", "statements"),
    NeedRow("aws_iam_policy", "create with tags", "iam:TagPolicy", APPLY, "policy", "statements", _TAG_ON_CREATE),
    NeedRow("aws_iam_policy", "update of the tags", "iam:UntagPolicy", APPLY, "policy", "statements"),
    NeedRow("aws_iam_policy", "update, delete", "iam:ListPolicyVersions", BOTH, "policy", "statements"),
    NeedRow("aws_iam_policy", "update", "iam:CreatePolicyVersion", APPLY, "policy", "statements"),
    NeedRow("aws_iam_policy", "update, delete", "iam:DeletePolicyVersion", BOTH, "policy", "statements"),
    NeedRow("aws_iam_policy", "delete, replace", "iam:DeletePolicy", DESTROY, "policy", "statements"),
    NeedRow("aws_iam_role_policy_attachment", "create", "iam:AttachRolePolicy", APPLY, feature="attached"),
    NeedRow("aws_iam_role_policy_attachment", "delete, replace", "iam:DetachRolePolicy", BOTH),
    NeedRow("aws_iam_role_policies_exclusive", "create, update", "iam:ListRolePolicies", APPLY, feature="exclusive"),
    NeedRow("aws_iam_role_policies_exclusive", "create, update", "iam:DeleteRolePolicy", APPLY, feature="exclusive",
        unseen=_STRAY),
    NeedRow("aws_iam_role_policy_attachments_exclusive", "create, update", "iam:ListAttachedRolePolicies", APPLY,
        feature="exclusive"),
    NeedRow("aws_iam_role_policy_attachments_exclusive", "create, update", "iam:DetachRolePolicy", APPLY,
        feature="exclusive", unseen=_STRAY),
)  # fmt: skip
"""``feature``: only if the stack uses it. ``aws_partition`` and ``terraform_data`` call nothing in AWS. The provider
calls ``sts:GetCallerIdentity``, which needs no permission:
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html

``iam:DeleteRolePermissionsBoundary`` is omitted on purpose: a boundary does not limit a caller who may remove it.
"""


@dataclass(frozen=True, slots=True)
class Names:
    """The ARNs of the resources that the module creates."""

    role: str
    policy: str
    profile: str


def names_of(role: Role, place: AccountRegion) -> Names:
    """The ARNs of the stack's role and of its own policy."""
    path, name = literal(role.path or "/"), name_pattern_of(role)
    own_path = path if role.policy.path is None else literal(role.policy.path)
    policy = f"policy{own_path}{role.policy.name or name}"
    return Names(place.iam(f"role{path}{name}"), place.iam(policy), place.iam("instance-profile/*"))


def attached_policies(role: Role, place: AccountRegion) -> tuple[str, ...]:
    """The ARN of every policy that the module attaches, including the role's own."""
    managed = managed_policies_of(role)
    arns = [named if named.startswith("arn:") else place.aws_policy(named) for named in managed]
    own = [names_of(role, place).policy] if has_statements(role) else []
    return tuple(dict.fromkeys((*own, *arns)))


def has_statements(role: Role) -> bool:
    """Return whether the module creates an own policy for the role."""
    return bool(statements_of(role))


def terraform_needs(role: Role, place: AccountRegion, *, narrow: bool = True) -> Iterator[Need]:
    """Permissions for the module's resources; if ``narrow`` is false, with any policy and any boundary."""
    names = names_of(role, place)
    arns = {"role": names.role, "policy": names.policy, "profile": names.profile}
    for row in ROWS:
        if row.feature == "statements" and not has_statements(role):
            continue
        if row.feature == "boundary" and narrow and role.permissions_boundary is None:
            continue
        if row.feature == "exclusive" and not role.exclusive:
            continue
        conditions = _conditions(row, role, place) if narrow else (None,)
        for phase, condition in itertools.product(row.phases, conditions):
            yield Need(row.action, arns[row.on], f"{row.type}: {row.change}", phase, condition, row.unseen)


def _conditions(row: NeedRow, role: Role, place: AccountRegion) -> tuple[tuple[str, str] | None, ...]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html"""
    if row.feature in ("boundary", "boundary?") and role.permissions_boundary:
        return ((BOUNDARY, role.permissions_boundary),)
    if row.feature == "attached":
        return tuple((POLICY_ARN, arn) for arn in attached_policies(role, place))
    return (None,)


QUOTAS = (
    "autoscaling:DescribeAccountLimits",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeNatGateways",
    "ec2:DescribeRegions",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "eks:ListClusters",
    "iam:GetAccountSummary",
    "s3:ListAllMyBuckets",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "servicequotas:ListRequestedServiceQuotaChangeHistoryByQuota",
)

ASKING = (
    "servicequotas:GetRequestedServiceQuotaChange",
    "servicequotas:ListRequestedServiceQuotaChangeHistory",
    "servicequotas:RequestServiceQuotaIncrease",
)

FINDING = (
    "autoscaling:DescribeAutoScalingGroups",
    "ec2:DescribeAddresses",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:ListTagsForResource",
    "eks:DescribeCluster",
    "eks:DescribeNodegroup",
    "eks:ListClusters",
    "eks:ListNodegroups",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroups",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetInstanceProfile",
    "iam:GetOpenIDConnectProvider",
    "iam:GetPolicy",
    "iam:GetRole",
    "iam:ListInstanceProfiles",
    "iam:ListOpenIDConnectProviders",
    "logs:DescribeLogGroups",
    "logs:ListTagsForResource",
    "s3:GetBucketTagging",
    "s3:ListAllMyBuckets",
    "s3:ListBucketVersions",
    "sns:ListTagsForResource",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ListQueueTags",
    "tag:GetResources",
)

CLEANING = {
    "autoscaling": ("DeleteAutoScalingGroup",),
    "ec2": (
        "DeleteInternetGateway", "DeleteLaunchTemplate", "DeleteNatGateway", "DeleteNetworkAcl",
        "DeleteNetworkInterface", "DeleteRouteTable", "DeleteSecurityGroup", "DeleteSnapshot", "DeleteSubnet",
        "DeleteVolume", "DeleteVpc", "DeleteVpcEndpoints", "DetachInternetGateway", "DisassociateRouteTable",
        "ReleaseAddress", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress", "TerminateInstances",
    ),
    "ecr": ("DeleteRepository",),
    "eks": ("DeleteCluster", "DeleteNodegroup"),
    "elasticloadbalancing": ("DeleteLoadBalancer", "DeleteTargetGroup"),
    "logs": ("DeleteLogGroup",),
    "sns": ("DeleteTopic",),
    "sqs": ("DeleteQueue",),
}  # fmt: skip
"""Actions that delete a cluster's network, machines and messages; all act in the stack's region."""

CLEANING_IAM = {
    "instance-profile/*": ("DeleteInstanceProfile", "RemoveRoleFromInstanceProfile"),
    "oidc-provider/*": ("DeleteOpenIDConnectProvider",),
    "policy/*": ("DeletePolicy", "DeletePolicyVersion", "ListEntitiesForPolicy", "ListPolicyVersions"),
    "role/*": (
        "DeleteRole", "DeleteRolePolicy", "DetachRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies",
    ),
}  # fmt: skip

CLEANING_S3 = (
    "AbortMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjectVersion",
    "ListBucketMultipartUploads",
    "ListBucketVersions",
)


def preflight_needs(role: Role, place: AccountRegion, principal: str | None) -> Iterator[Need]:
    """IAM permissions of the preflight. ``principal`` is the ARN of the user or role that runs the tool."""
    for arn in (principal,) if principal else (place.iam("role/*"), place.iam("user/*")):
        yield Need("iam:SimulatePrincipalPolicy", arn, "preflight: what the caller may do", "preflight")
        if ":role/" in arn:
            yield Need("iam:GetRole", arn, "preflight: the role behind the caller's session", "preflight")
    for arn in _managed(role, place):
        yield Need("iam:GetPolicy", arn, "preflight: a policy that will be attached", "preflight")
    if role.permissions_boundary:
        yield Need("iam:GetPolicy", role.permissions_boundary, "preflight: the boundary", "preflight")
    yield Need("iam:ListPolicies", "*", "preflight: a boundary that the caller's permissions demand", "preflight")


def quota_needs() -> Iterator[Need]:
    """Permissions to read quotas, usage and offerings."""
    for action in QUOTAS:
        yield Need(action, "*", "doctor: quotas, what is used of them, and offerings", "quotas")


def increase_needs(place: AccountRegion) -> Iterator[Need]:
    """Permissions to request higher quotas; the first request in an account creates a service-linked role.

    https://docs.aws.amazon.com/servicequotas/latest/userguide/using-service-linked-roles.html
    """
    for action in ASKING:
        yield Need(action, "*", "quotas: asking for more", "increase")
    role = place.iam("role/aws-service-role/servicequotas.amazonaws.com/*")
    yield Need("iam:CreateServiceLinkedRole", role, "quotas: the first request of an account", "increase")


def verify_needs(role: Role, place: AccountRegion) -> Iterator[Need]:
    """Permissions to read the live role and its documents."""
    names = names_of(role, place)
    for action in ("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"):
        yield Need(f"iam:{action}", names.role, "verify: the role", "verify")
    own = [names.policy] if has_statements(role) else []
    boundary = [role.permissions_boundary] if role.permissions_boundary else []
    for arn in dict.fromkeys((*own, *_managed(role, place), *boundary)):
        for action in ("GetPolicy", "GetPolicyVersion"):
            yield Need(f"iam:{action}", arn, "verify: a policy's document", "verify")


def verify_role_needs(place: AccountRegion) -> Iterator[Need]:
    """Permissions to read any role and its documents, because the role is not known in advance."""
    for action in ("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"):
        yield Need(f"iam:{action}", place.iam("role/*"), "verify --role: the role", "verify-role")
    for arn in (place.iam("policy/*"), place.aws_policy("*")):
        for action in ("GetPolicy", "GetPolicyVersion"):
            yield Need(f"iam:{action}", arn, "verify --role: a policy's document", "verify-role")


def handoff_needs(role: Role, place: AccountRegion) -> Iterator[Need]:
    """Permissions to prove the trust of the live role."""
    yield Need("iam:GetRole", names_of(role, place).role, "handoff: the role's trust policy", "handoff")


def resume_needs(role: Role, place: AccountRegion) -> Iterator[Need]:
    """Permissions to find a role that a run created but could not record."""
    names = names_of(role, place)
    yield Need("iam:ListRoles", "*", _RESUME, "resume")
    yield Need("iam:ListRoleTags", names.role, _RESUME, "resume")
    yield Need("iam:GetPolicy", names.policy, _RESUME, "resume")
    aws_owned, *others = _managed(role, place)
    yield Need("iam:GetPolicyVersion", aws_owned, "plan, bootstrap: what a policy allows", "resume")
    for arn in others:
        for action in ("GetPolicy", "GetPolicyVersion"):
            yield Need(f"iam:{action}", arn, "bootstrap: whether a policy has changed since the last run", "resume")


_RESUME = "bootstrap: a role that no state knows"


def leftover_needs(place: AccountRegion) -> Iterator[Need]:
    """Permissions to find and delete a deleted cluster's resources, on any resource: their names are unknown."""
    for action in FINDING:
        yield Need(action, "*", "leftovers: finding them", "leftovers")
    here = None if place.region == "*" else (REQUESTED_REGION, place.region)
    for service, names in CLEANING.items():
        yield from _cleaning(service, names, "*", here)
    for kind, names in CLEANING_IAM.items():
        yield from _cleaning("iam", names, place.iam(kind))
    yield from _cleaning("s3", CLEANING_S3, place.s3("*"))


def _cleaning(
    service: str, names: tuple[str, ...], resource: str, condition: tuple[str, str] | None = None
) -> Iterator[Need]:
    for name in names:
        yield Need(f"{service}:{name}", resource, "leftovers: deleting them", "cleanup", condition)


def _managed(role: Role, place: AccountRegion) -> tuple[str, ...]:
    """AWS managed policies as one pattern, because their paths vary; the account's own policies one by one."""
    attached = attached_policies(role, place)
    aws_owned = place.aws_policy("*")
    others = (arn for arn in attached if ":iam::aws:policy/" not in arn and arn != names_of(role, place).policy)
    return (aws_owned, *others)


_KMS = "S3 asks KMS for it on the caller's behalf; nobody calls it"


def state_needs(backend: S3Backend, place: AccountRegion, *, native_lock: bool = True) -> Iterator[Need]:
    """Permissions to read, write and lock the state. ``native_lock``: an object beside it (Terraform 1.10 and up)."""
    bucket, key = place.s3(backend.bucket), place.s3(f"{backend.bucket}/{literal(backend.key)}")
    # Terraform goes on where it may not list; but S3 says 403 then, and not 404, if the state does not exist yet:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    yield Need("s3:ListBucket", bucket, "the state: looking for it", "state")
    yield Need("s3:GetObject", key, "the state: reading it", "state")
    yield Need("s3:PutObject", key, "the state: writing it", "apply")
    yield Need("s3:PutObject", key, "the state: writing it", "destroy")
    yield Need(
        "s3:GetBucketPolicy", bucket, "preflight: whether the bucket's policy allows what is missing", "preflight"
    )
    if native_lock:
        for action, what in (("Get", "reading who holds it"), ("Put", "taking it"), ("Delete", "giving it back")):
            yield Need(f"s3:{action}Object", f"{key}.tflock", f"the state's lock: {what}", "state")
    if backend.dynamodb_table:
        yield from _table_needs(backend, backend.dynamodb_table, place)
    if backend.kms_key_id:
        arn = _key_arn(backend, backend.kms_key_id, place)
        # Terraform's page names kms:Encrypt, too; S3 does not ask for it:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            yield Need(action, arn, "the state: its encryption", "state", unseen=_KMS)


def fingerprint_needs(backend: S3Backend, place: AccountRegion) -> Iterator[Need]:
    """Permissions for the converged fingerprint beside the state; those on its KMS key are ``state_needs``.

    Without them, a run from a fresh checkout starts Terraform.
    """
    key = place.s3(f"{backend.bucket}/{literal(backend.key)}{FINGERPRINT_SUFFIX}")
    yield Need("s3:GetObject", key, "the fingerprint: whether anything has changed", "fingerprint-read")
    yield Need("s3:GetObject", key, "the fingerprint: what it replaces", "fingerprint-write")
    yield Need("s3:PutObject", key, "the fingerprint: keeping it beside the state", "fingerprint-write")
    yield Need("s3:DeleteObject", key, "the fingerprint: removing it", "fingerprint-write")


def state_removal_needs(backend: S3Backend, place: AccountRegion) -> Iterator[Need]:
    """Permissions for ``destroy --with-state`` beyond ``state_needs``, which includes the table with the digest."""
    bucket, key = place.s3(backend.bucket), place.s3(f"{backend.bucket}/{literal(backend.key)}")
    yield Need("s3:ListBucketVersions", bucket, "the state's removal: its versions", "state-removal")
    for each in (key, f"{key}.tflock", f"{key}{FINGERPRINT_SUFFIX}"):
        yield Need("s3:DeleteObjectVersion", each, "the state's removal", "state-removal")
    yield Need(
        "s3:GetObjectVersion", key, "the state's removal: whether it is empty", "state-removal", unseen=_DELETED_STATE
    )


_DELETED_STATE = "only where somebody has deleted the state's object before"


def bucket_needs(bucket: str, place: AccountRegion) -> Iterator[Need]:
    """Permissions for ``state init`` to read and write a bucket's properties (``*``: any name)."""
    arn = place.s3(bucket)
    reads = ("s3:ListBucket", *(f"s3:Get{name}" for name in _PROPERTIES))
    for action in (*reads, "s3:CreateBucket", *(f"s3:Put{name}" for name in _PROPERTIES)):
        yield Need(action, arn, "the state's bucket: making it, and putting it right", "bucket")


_PROPERTIES = (
    "BucketOwnershipControls",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "BucketTagging",
    "BucketVersioning",
    "EncryptionConfiguration",
)
"""IAM's action names, which differ from the API's: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"""


def _table_needs(backend: S3Backend, table: str, place: AccountRegion) -> Iterator[Need]:
    arn = table if table.startswith("arn:") else place.regional("dynamodb", f"table/{table}", backend.region)
    # Terraform's page names DescribeTable, too; its client never calls it (internal/backend/remote-state/s3/client.go).
    for action in ("GetItem", "PutItem", "DeleteItem"):
        yield Need(f"dynamodb:{action}", arn, "the state's lock in DynamoDB", "state")


def _key_arn(backend: S3Backend, key: str, place: AccountRegion) -> str:
    """A key's ARN; for an alias, any key of its account and region, because a policy cannot name aliases.

    https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
    """
    if key.startswith("arn:"):
        owner, _, alias = key.partition(":alias/")
        return f"{owner}:key/*" if alias else key
    name = "*" if key.startswith("alias/") else key
    return place.regional("kms", f"key/{name}", backend.region)


USES: dict[str, tuple[NeedPhase, ...]] = {
    "plan": ("state", "plan", "preflight", "quotas", "resume", "fingerprint-read"),
    "bootstrap": (
        *("state", "plan", "apply", "destroy", "preflight", "quotas", "resume"),
        *("fingerprint-read", "fingerprint-write"),
    ),
    "destroy": ("state", "plan", "destroy", "fingerprint-write", "leftovers", "cleanup"),
    "destroy-with-state": (
        *("state", "plan", "destroy", "fingerprint-write", "leftovers", "cleanup"),
        "state-removal",
    ),
    "doctor": ("preflight", "quotas"),
    "quotas": ("quotas", "increase"),
    "verify": ("verify",),
    "verify-role": ("verify-role",),
    "handoff": ("state", "handoff"),
    "leftovers": ("leftovers", "cleanup"),
    "state-init": ("bucket",),
}
"""The phases of each command. A bootstrap also deletes: replaced resources and, in a rollback, those it created."""


Part = Literal["all", "role", "caller"]
"""``role``: the needs of the role of ``aws.assume_role``; ``caller``: those of the caller who assumes it."""


def needs_of(
    stack: Stack | None,
    partition: str = "aws",
    account_id: str | None = None,
    *,
    phases: Iterable[NeedPhase] | None = None,
    principal: str | None = None,
    native_lock: bool = True,
    part: Part = "all",
) -> tuple[Need, ...]:
    """Every need of ``stack`` (``None``: of any stack that leaves the role's name to the module), in a stable order.

    ``account_id`` ``None``: the stack's guard, else any account. ``phases``: only these (default: all of the stack's).
    ``principal``: the ARN of the user or role that will run the tool, where it is known. ``native_lock``: the state
    is locked by an object in S3 (Terraform 1.10 and later). For another module than ours its resources' needs are not
    known and left out. ``part``: of a stack with ``aws.assume_role``.
    """
    guard = account_of(stack)
    region = stack.aws.region if stack else "*"
    place = AccountRegion(partition, account_id or guard or "*", region)
    wanted = frozenset(phases) if phases is not None else frozenset(PHASES) - NOT_OF_A_STACK
    if stack is not None and stack.control_plane.type == "manual":
        wanted -= OF_CLUSTERS
    if part == "caller":
        wanted |= {"assume-role"}
    every = _every(stack, place, principal, native_lock=native_lock, part=part)
    return tuple(dict.fromkeys(need for need in every if need.phase in wanted))


def account_of(stack: Stack | None) -> str | None:
    """The account that the stack file names, by its guard or by the role to assume; ``None`` if it names none."""
    role = stack.aws.assume_role if stack else None
    return (stack.aws.account_id if stack else None) or (role.account_id if role else None)


def _state_is_apart(stack: Stack | None) -> bool:
    """Whether the caller, or a role of the backend, reads the state instead of the role of ``aws.assume_role``."""
    if stack is None or stack.aws.assume_role is None:
        return False
    state_role = _state_role(stack)
    return state_role is None or state_role.role_arn != stack.aws.role_arn


def _state_role(stack: Stack) -> AssumeRole | None:
    backend = stack.terraform.backend
    return backend.assume_role if isinstance(backend, S3Backend) else None


OF_CLUSTERS: frozenset[NeedPhase] = frozenset({"leftovers", "cleanup"})
"""gridbyoc neither searches for nor deletes resources that a vendor without an API leaves behind."""


def phases_of(uses: Iterable[str]) -> frozenset[NeedPhase]:
    """The phases of commands (keys of ``USES``); ``all``: of every command about a stack."""
    named = set(uses)
    found = {phase for use in named - {"all"} for phase in USES[use]}
    if "all" in named:
        found |= {phase for phases in USES.values() for phase in phases} - NOT_OF_A_STACK
    return frozenset(found)


def _every(
    stack: Stack | None, place: AccountRegion, principal: str | None, *, native_lock: bool, part: Part
) -> Iterator[Need]:
    role = stack.role if stack else Role()
    if part != "caller" and (stack is None or stack.terraform.module is None):
        yield from terraform_needs(role, place, narrow=stack is not None)
        yield from verify_needs(role, place)
        yield from handoff_needs(role, place)
        yield from resume_needs(role, place)
    backend = stack.terraform.backend if stack else None
    state_role = _state_role(stack) if stack else None
    apart = _state_is_apart(stack)
    reads_state = {"all": True, "role": not apart, "caller": apart and state_role is None}[part]
    state_place = replace(place, account_id="*") if apart else place  # the account of the state is not known
    if isinstance(backend, S3Backend) and reads_state:
        yield from state_needs(backend, state_place, native_lock=native_lock)
        yield from fingerprint_needs(backend, state_place)
        yield from state_removal_needs(backend, state_place)
    if part != "caller":
        yield from preflight_needs(role, place, principal)
        yield from quota_needs()
        yield from increase_needs(place)
        yield from leftover_needs(place)
        yield from verify_role_needs(place)
    default = f"gridbyoc-state-{state_place.account_id}-{place.region}"
    if reads_state:
        yield from bucket_needs(backend.bucket if isinstance(backend, S3Backend) else default, place)
    if part == "caller" and stack is not None:
        for to_assume in filter(None, (stack.aws.assume_role, state_role)):
            yield Need("sts:AssumeRole", to_assume.role_arn, "assuming the role of the stack file", "assume-role")
