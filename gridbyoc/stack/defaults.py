"""Defaults of the stack file. They come from the guide of the service.

The control plane (instance types, performance profile) and the Terraform module (role name, policies, session) have
their own defaults: for these the stack holds ``None`` or an empty value.
"""

from __future__ import annotations

from typing import Any

from gridbyoc.stack.document import Document
from gridbyoc.stack.model import PolicyStatement, Role
from gridbyoc.stack.schema import sections
from gridbyoc.vendors import facts_of

REGION = "us-east-1"
STACK_NAME = "my-stack"
INSTANCE_TYPES = ("t2.medium", "g4dn.xlarge")
"""The instance types of a starter file: a small one and one with a GPU."""


def drop_empty_sections(document: Document) -> None:
    """Remove optional sections that are empty, for example because all their keys are commented out."""
    for *outer, key in sections():
        holder = document.at(*outer)
        if isinstance(holder, dict) and key in holder and holder[key] is None:
            if key == "local":
                holder[key] = {}
            else:
                del holder[key]


def complete_manual(document: Document) -> None:
    """Set ``clusters: []`` for a vendor without an API, so that its stack file may omit the key."""
    if document.text("control_plane", "type") == "manual" and isinstance(document.data, dict):
        document.data.setdefault("clusters", [])


def with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a valid file, completed with the default region and the state bucket's region."""
    aws = {"region": REGION, **data.get("aws", {})}
    terraform = dict(data.get("terraform", {}))
    s3 = terraform.get("backend", {}).get("s3")
    if s3:
        terraform["backend"] = {"s3": {"region": aws["region"], **s3}}
    return {**data, "aws": aws, "terraform": terraform}


NAME_PREFIX = "grid-cloud-"
"""The default of the module's ``role_name_prefix`` (modules/gridbyoc/variables.tf)."""


MANUAL_NAME_PREFIX = "byoc-"
"""The default name prefix of the role of a vendor without an API."""
MANUAL_DESCRIPTION = "Lets the principals of its trust policy, a vendor's, work in this account."


def trusted_account_of(role: Role) -> str | None:
    """The AWS account of the control plane, which may assume the role with the external id.

    ``None``: only ``role.trusted_principals`` may assume it; possible only for a vendor without an API.
    """
    if role.trusted_account_id is not None or role.vendor is None:
        return role.trusted_account_id
    return facts_of(role.vendor).trusted_account.account_id


def proven_principals(role: Role, partition: str) -> tuple[str, ...]:
    """The ARNs that must be able to assume the role with the external id: the control plane's account.

    For a vendor without an API: every principal that the stack file trusts with the external id.
    """
    account = trusted_account_of(role)
    roots = (f"arn:{partition}:iam::{account}:root",) if account else ()
    return roots if role.vendor is not None else tuple(dict.fromkeys((*roots, *role.trusted_principals)))


def managed_policies_of(role: Role) -> tuple[str, ...]:
    """The managed policies to attach to the role: names of AWS managed policies, or ARNs."""
    if role.managed_policies is not None:
        return role.managed_policies
    return () if role.vendor is None else facts_of(role.vendor).permissions.managed_policies


def statements_of(role: Role) -> tuple[PolicyStatement, ...]:
    """The statements of the role's own policy; empty if the role has no own policy."""
    if role.statements is not None:
        return role.statements
    if role.vendor is None:
        return ()
    return tuple(PolicyStatement(actions) for actions in facts_of(role.vendor).permissions.statements)


STACK_TAG = "gridbyoc:stack"
"""The key of the tag on every resource that Terraform creates for a stack; its value is the stack's name."""


def own_tags(stack_name: str) -> dict[str, str]:
    """The tool's own tags, set on every resource that Terraform creates for a stack."""
    return {STACK_TAG: stack_name, "managed-by": "gridbyoc"}


MANUAL_SESSION_HOURS = 12
"""The module's default. No source says how long the session of a vendor without an API must last."""


def session_seconds_of(role: Role) -> int:
    """The role's maximum session duration, in seconds."""
    default = MANUAL_SESSION_HOURS if role.vendor is None else facts_of(role.vendor).session_hours
    return role.max_session_seconds or (role.max_session_hours or default) * 3600


def own_policy_arn(role_arn: str, role: Role) -> str:
    """The ARN of the role's own policy. It has the role's path and name unless the stack file sets others."""
    head, _, path_and_name = role_arn.partition(":role/")
    path, _, name = path_and_name.rpartition("/")
    own_path = role.policy.path if role.policy.path is not None else f"/{path}/" if path else "/"
    return f"{head}:policy{own_path}{role.policy.name or name}"


def own_policy_description(role_name: str) -> str:
    """The module's default description of the role's own policy (modules/gridbyoc/main.tf)."""
    return f"What the role {role_name} may do besides its managed policies."


def name_pattern_of(role: Role) -> str:
    """The role's name, or the prefix of its generated name followed by ``*``."""
    prefix = NAME_PREFIX if role.vendor is not None else MANUAL_NAME_PREFIX
    return role.name or f"{role.name_prefix or prefix}*"
