"""What the AWS provider calls for the module's resources: a row for each type of resource and kind of change.

Read in the provider (https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service/iam: role.go,
policy.go, role_policy_attachment.go), and compared with the calls of real runs by the tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from gridbyoc.aws.permissions.model import Need, Phase, Place, literal
from gridbyoc.stack.model import Role
from gridbyoc.stack.role_defaults import managed_policies_of, name_pattern_of, statements_of

BOUNDARY = "iam:PermissionsBoundary"
POLICY_ARN = "iam:PolicyARN"
_BY_HAND = "only where the role has an inline policy, which nobody but another hand puts there; provider's role.go"
_PROFILE = "only where somebody put the role into an instance profile; provider's role.go"
_TAG_ON_CREATE = "IAM asks for it when something is made with tags; the call is the creation"
_STRAY = "only where the role has a policy that is not listed; provider's role_polic*_exclusive.go"
_CHANGED = "only when the trusted account in the description changes; provider's role.go"
_SESSION = "only when the session's length changes; provider's role.go"


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of change of a type of resource. ``on`` is whose ARN the action is asked on; ``unseen`` as in ``Need``."""

    type: str
    change: str
    action: str
    phases: tuple[Phase, ...]
    on: str = "role"
    feature: str = ""
    unseen: str = ""


PLAN: tuple[Phase, ...] = ("plan",)
APPLY: tuple[Phase, ...] = ("apply",)
DESTROY: tuple[Phase, ...] = ("destroy",)
BOTH: tuple[Phase, ...] = ("apply", "destroy")
ROWS = (
    Row("aws_iam_role", "read", "iam:GetRole", PLAN),
    Row("aws_iam_role", "read", "iam:ListRolePolicies", PLAN),
    Row("aws_iam_role", "read", "iam:GetRolePolicy", PLAN, unseen=_BY_HAND),
    Row("aws_iam_role", "read", "iam:ListAttachedRolePolicies", PLAN),
    Row("aws_iam_role", "create", "iam:CreateRole", APPLY, feature="boundary?"),
    Row("aws_iam_role", "create with tags", "iam:TagRole", APPLY, unseen=_TAG_ON_CREATE),
    Row("aws_iam_role", "update of the tags", "iam:UntagRole", APPLY),
    Row("aws_iam_role", "update of the trust policy", "iam:UpdateAssumeRolePolicy", APPLY),
    Row("aws_iam_role", "update of the session's length", "iam:UpdateRole", APPLY, unseen=_SESSION),
    Row("aws_iam_role", "update of the description", "iam:UpdateRoleDescription", APPLY, unseen=_CHANGED),
    Row("aws_iam_role", "update of the boundary", "iam:PutRolePermissionsBoundary", APPLY, feature="boundary"),
    Row("aws_iam_role", "delete, replace", "iam:ListInstanceProfilesForRole", DESTROY),
    Row("aws_iam_role", "delete, replace", "iam:RemoveRoleFromInstanceProfile", DESTROY, "profile", unseen=_PROFILE),
    Row("aws_iam_role", "delete, replace", "iam:DeleteRolePolicy", DESTROY, unseen=_BY_HAND),
    Row("aws_iam_role", "delete, replace", "iam:DeleteRole", DESTROY),
    Row("aws_iam_policy", "read", "iam:GetPolicy", PLAN, "policy", "statements"),
    Row("aws_iam_policy", "read", "iam:GetPolicyVersion", PLAN, "policy", "statements"),
    Row("aws_iam_policy", "create", "iam:CreatePolicy", APPLY, "policy", "statements"),
    Row("aws_iam_policy", "create with tags", "iam:TagPolicy", APPLY, "policy", "statements", _TAG_ON_CREATE),
    Row("aws_iam_policy", "update of the tags", "iam:UntagPolicy", APPLY, "policy", "statements"),
    Row("aws_iam_policy", "update, delete", "iam:ListPolicyVersions", BOTH, "policy", "statements"),
    Row("aws_iam_policy", "update", "iam:CreatePolicyVersion", APPLY, "policy", "statements"),
    Row("aws_iam_policy", "update, delete", "iam:DeletePolicyVersion", BOTH, "policy", "statements"),
    Row("aws_iam_policy", "delete, replace", "iam:DeletePolicy", DESTROY, "policy", "statements"),
    Row("aws_iam_role_policy_attachment", "create", "iam:AttachRolePolicy", APPLY, feature="attached"),
    Row("aws_iam_role_policy_attachment", "delete, replace", "iam:DetachRolePolicy", BOTH),
    Row("aws_iam_role_policies_exclusive", "create, update", "iam:ListRolePolicies", APPLY, feature="exclusive"),
    Row("aws_iam_role_policies_exclusive", "create, update", "iam:DeleteRolePolicy", APPLY, feature="exclusive",
        unseen=_STRAY),
    Row("aws_iam_role_policy_attachments_exclusive", "create, update", "iam:ListAttachedRolePolicies", APPLY,
        feature="exclusive"),
    Row("aws_iam_role_policy_attachments_exclusive", "create, update", "iam:DetachRolePolicy", APPLY,
        feature="exclusive", unseen=_STRAY),
)  # fmt: skip
"""``feature``: only where the stack has it. ``aws_partition`` and ``terraform_data`` ask AWS nothing; the provider asks
``sts:GetCallerIdentity``, which needs no permission:
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html

``iam:DeleteRolePermissionsBoundary`` is left out on purpose: who may take a boundary away is not bounded by it.
"""


@dataclass(frozen=True, slots=True)
class Names:
    """The ARNs of what the module makes."""

    role: str
    policy: str
    profile: str


def names_of(role: Role, place: Place) -> Names:
    """The ARNs of the stack's role and of its own policy, which has the same name and path."""
    path = literal(role.path or "/")
    name = name_pattern_of(role)
    return Names(place.iam(f"role{path}{name}"), place.iam(f"policy{path}{name}"), place.iam("instance-profile/*"))


def attached_policies(role: Role, place: Place) -> tuple[str, ...]:
    """The ARN of every policy that the module attaches, its own among them."""
    managed = managed_policies_of(role)
    arns = [named if named.startswith("arn:") else place.aws_policy(named) for named in managed]
    own = [names_of(role, place).policy] if has_statements(role) else []
    return tuple(dict.fromkeys((*own, *arns)))


def has_statements(role: Role) -> bool:
    """Whether the module makes a policy of the role's own."""
    return bool(statements_of(role))


def terraform_needs(role: Role, place: Place, *, narrow: bool = True) -> Iterator[Need]:
    """What the module's resources need. ``narrow`` ``False``: any policy may be attached, any boundary set."""
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


def _conditions(row: Row, role: Role, place: Place) -> tuple[tuple[str, str] | None, ...]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html"""
    if row.feature in ("boundary", "boundary?") and role.permissions_boundary:
        return ((BOUNDARY, role.permissions_boundary),)
    if row.feature == "attached":
        return tuple((POLICY_ARN, arn) for arn in attached_policies(role, place))
    return (None,)
