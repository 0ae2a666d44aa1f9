"""What our own calls need, beside Terraform's: the preflight, verify, resuming, and what clusters left behind."""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.aws.permissions.model import REQUESTED_REGION, Need, Place
from gridbyoc.aws.permissions.terraform import attached_policies, has_statements, names_of
from gridbyoc.stack.model import Role

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
    "iam:ListPolicies",
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
"""What a cluster's network, machines and messages are deleted with, all of it in the stack's region."""

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


def preflight_needs(role: Role, place: Place, principal: str | None) -> Iterator[Need]:
    """What the look before a run asks of IAM. ``principal``: the ARN of the user or role that runs the tool."""
    for arn in (principal,) if principal else (place.iam("role/*"), place.iam("user/*")):
        yield Need("iam:SimulatePrincipalPolicy", arn, "preflight: what the caller may do", "preflight")
        if ":role/" in arn:
            yield Need("iam:GetRole", arn, "preflight: the role behind the caller's session", "preflight")
    for arn in _managed(role, place):
        yield Need("iam:GetPolicy", arn, "preflight: a policy that will be attached", "preflight")
    if role.permissions_boundary:
        yield Need("iam:GetPolicy", role.permissions_boundary, "preflight: the boundary", "preflight")


def quota_needs() -> Iterator[Need]:
    """What the account's room is read with."""
    for action in QUOTAS:
        yield Need(action, "*", "doctor: quotas, what is used of them, and offerings", "quotas")


def increase_needs(place: Place) -> Iterator[Need]:
    """What asking AWS for more needs; the first request in an account makes the service's own role.

    https://docs.aws.amazon.com/servicequotas/latest/userguide/using-service-linked-roles.html
    """
    for action in ASKING:
        yield Need(action, "*", "quotas: asking for more", "increase")
    role = place.iam("role/aws-service-role/servicequotas.amazonaws.com/*")
    yield Need("iam:CreateServiceLinkedRole", role, "quotas: the first request of an account", "increase")


def verify_needs(role: Role, place: Place) -> Iterator[Need]:
    """What reading the live role and its documents needs."""
    names = names_of(role, place)
    for action in ("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"):
        yield Need(f"iam:{action}", names.role, "verify: the role", "verify")
    own = [names.policy] if has_statements(role) else []
    boundary = [role.permissions_boundary] if role.permissions_boundary else []
    for arn in dict.fromkeys((*own, *_managed(role, place), *boundary)):
        for action in ("GetPolicy", "GetPolicyVersion"):
            yield Need(f"iam:{action}", arn, "verify: a policy's document", "verify")


def resume_needs(role: Role, place: Place) -> Iterator[Need]:
    """What finding a role needs that a run made and could not write down."""
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


def leftover_needs(place: Place) -> Iterator[Need]:
    """What finding and deleting a gone cluster's resources needs. They have names of their own, so it reaches wide."""
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


def _managed(role: Role, place: Place) -> tuple[str, ...]:
    """AWS's own policies as one pattern, since their paths vary; the account's one by one."""
    attached = attached_policies(role, place)
    aws_owned = place.aws_policy("*")
    others = (arn for arn in attached if ":iam::aws:policy/" not in arn and arn != names_of(role, place).policy)
    return (aws_owned, *others)
