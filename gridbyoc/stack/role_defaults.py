"""What a role is where the stack file says nothing: the facts of its control plane, else the module's own defaults."""

from __future__ import annotations

from gridbyoc.stack.model import PolicyStatement, Role
from gridbyoc.vendors import facts_of

NAME_PREFIX = "grid-cloud-"
"""The default of the module's ``role_name_prefix`` (modules/gridbyoc/variables.tf)."""


def trusted_account_of(role: Role) -> str:
    """The AWS account that may assume it with the external id: the control plane's."""
    return role.trusted_account_id or facts_of(role.vendor).trusted_account.account_id


def managed_policies_of(role: Role) -> tuple[str, ...]:
    """The managed policies that are attached to it: names of AWS's, or ARNs."""
    if role.managed_policies is not None:
        return role.managed_policies
    return facts_of(role.vendor).permissions.managed_policies


def statements_of(role: Role) -> tuple[PolicyStatement, ...]:
    """The statements of its own policy; none: it has no such policy."""
    if role.statements is not None:
        return role.statements
    return tuple(PolicyStatement(actions) for actions in facts_of(role.vendor).permissions.statements)


def name_pattern_of(role: Role) -> str:
    """Its name, or the prefix of the name that is made for it, with a ``*``."""
    return role.name or f"{role.name_prefix or NAME_PREFIX}*"
