"""What a stack file means where it says nothing. They come from the guide of the service.

What belongs to the control plane (instance types, performance profile) or to the Terraform module (role name, policies,
session) is decided there: the stack then carries ``None`` or nothing.
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
"""What a starter offers: one small type and one with a GPU."""


def drop_empty_sections(document: Document) -> None:
    """Remove optional sections that stand in the file with nothing in them, as when all of one is commented out."""
    for *outer, key in sections():
        holder = document.at(*outer)
        if isinstance(holder, dict) and key in holder and holder[key] is None:
            if key == "local":
                holder[key] = {}
            else:
                del holder[key]


def complete_manual(document: Document) -> None:
    """A vendor without an API has no clusters, so that its stack file need not say so."""
    if document.text("control_plane", "type") == "manual" and isinstance(document.data, dict):
        document.data.setdefault("clusters", [])


def with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a valid file with what it leaves out: the region, and the state bucket's region."""
    aws = {"region": REGION, **data.get("aws", {})}
    terraform = dict(data.get("terraform", {}))
    s3 = terraform.get("backend", {}).get("s3")
    if s3:
        terraform["backend"] = {"s3": {"region": aws["region"], **s3}}
    return {**data, "aws": aws, "terraform": terraform}


NAME_PREFIX = "grid-cloud-"
"""The default of the module's ``role_name_prefix`` (modules/gridbyoc/variables.tf)."""


MANUAL_NAME_PREFIX = "byoc-"
"""The same for the role of a vendor without an API."""
MANUAL_DESCRIPTION = "Lets the principals of its trust policy, a vendor's, work in this account."


def trusted_account_of(role: Role) -> str | None:
    """The AWS account that may assume it with the external id: the control plane's.

    ``None``: only ``role.trusted_principals`` may, which a stack of a vendor without an API can say.
    """
    if role.trusted_account_id is not None or role.vendor is None:
        return role.trusted_account_id
    return facts_of(role.vendor).trusted_account.account_id


def proven_principals(role: Role, partition: str) -> tuple[str, ...]:
    """The ARNs that must get in with the external id for the role to be of use: the control plane's account.

    For a vendor without an API, every principal that the stack file trusts with the id.
    """
    account = trusted_account_of(role)
    roots = (f"arn:{partition}:iam::{account}:root",) if account else ()
    return roots if role.vendor is not None else tuple(dict.fromkeys((*roots, *role.trusted_principals)))


def managed_policies_of(role: Role) -> tuple[str, ...]:
    """The managed policies that are attached to it: names of AWS's, or ARNs."""
    if role.managed_policies is not None:
        return role.managed_policies
    return () if role.vendor is None else facts_of(role.vendor).permissions.managed_policies


def statements_of(role: Role) -> tuple[PolicyStatement, ...]:
    """The statements of its own policy; none: it has no such policy."""
    if role.statements is not None:
        return role.statements
    if role.vendor is None:
        return ()
    return tuple(PolicyStatement(actions) for actions in facts_of(role.vendor).permissions.statements)


STACK_TAG = "gridbyoc:stack"
"""The tag on what Terraform makes for a stack; its value is the stack's name."""


def own_tags(stack_name: str) -> dict[str, str]:
    """The tool's own tags, on what Terraform makes for a stack."""
    return {STACK_TAG: stack_name, "managed-by": "gridbyoc"}


MANUAL_SESSION_HOURS = 12
"""The module's default: no source says how long a session of a vendor without an API has to last."""


def session_seconds_of(role: Role) -> int:
    """How long a session of it may last, in seconds."""
    default = MANUAL_SESSION_HOURS if role.vendor is None else facts_of(role.vendor).session_hours
    return role.max_session_seconds or (role.max_session_hours or default) * 3600


def own_policy_arn(role_arn: str, role: Role) -> str:
    """The ARN of its own policy: the role's path and name, where the stack file gives no others."""
    head, _, path_and_name = role_arn.partition(":role/")
    path, _, name = path_and_name.rpartition("/")
    own_path = role.policy.path if role.policy.path is not None else f"/{path}/" if path else "/"
    return f"{head}:policy{own_path}{role.policy.name or name}"


def own_policy_description(role_name: str) -> str:
    """How the module describes the role's own policy (modules/gridbyoc/main.tf)."""
    return f"What the role {role_name} may do besides its managed policies."


def name_pattern_of(role: Role) -> str:
    """Its name, or the prefix of the name that is made for it, with a ``*``."""
    prefix = NAME_PREFIX if role.vendor is not None else MANUAL_NAME_PREFIX
    return role.name or f"{role.name_prefix or prefix}*"
