"""Stack → the values of the root module's variables, as ``terraform.tfvars.json`` carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridbyoc.stack.model import PolicyStatement, Role, Stack
from gridbyoc.stack.role_defaults import managed_policies_of, statements_of, trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of

TAGS_PER_ROLE = 50
"""How many tags IAM takes on a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""


@dataclass(frozen=True, slots=True)
class KnownPolicies:
    """The known policies (``role.known_policies``, ``known_inline_policies``) that are on the live role.

    An exclusive role keeps these. Terraform would attach a known one that is not on it: so only these are rendered.
    """

    attached: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()


NONE_KNOWN = KnownPolicies()


def root_values(
    stack: Stack,
    previous: Sequence[Secret] = (),
    account_id: str | None = None,
    known: KnownPolicies = NONE_KNOWN,
) -> dict[str, Any]:
    """Every variable that the stack sets, by name. A variable that is left out keeps its default.

    ``previous``: external ids that the role goes on to accept. Another module takes none. ``account_id``: the only
    account that the provider may work in, where the stack file names none. ``known``: for an exclusive role, the known
    policies that are on it.
    """
    foreign = stack.terraform.module
    values: dict[str, Any] = {
        "region": stack.aws.region,
        "profile": stack.aws.profile,
        "account_id": stack.aws.account_id or account_id,
        "default_tags": _default_tags(stack),
    }
    values |= {"module_inputs": _plain(foreign.inputs)} if foreign else _role_values(stack.role, previous)
    if stack.role.exclusive:
        values |= {"known_policies": list(known.attached), "known_inline_policies": list(known.inline)}
    return {name: value for name, value in values.items() if value not in (None, {})}


def _default_tags(stack: Stack) -> dict[str, str]:
    """Who made a resource. A tag of the user's with the same key wins (IAM's keys know no case), and needs its room."""
    ours = {"gridbyoc:stack": stack.name, "managed-by": "gridbyoc"}
    theirs = {key.lower() for key in stack.role.tags}
    tags = {key: value for key, value in ours.items() if key not in theirs}
    if len(tags) + len(theirs) > TAGS_PER_ROLE:
        tags = {}
    return {**tags, **stack.role.tags} if stack.terraform.module else tags


def _role_values(role: Role, previous: Sequence[Secret]) -> dict[str, Any]:
    # The module's own defaults are Grid's: they stay unset, so that the root of an earlier version is the same.
    module_default = facts_of(role.vendor).permissions == facts_of("grid").permissions
    unset_policies = role.managed_policies is None and module_default
    unset_statements = role.statements is None and module_default
    return {
        "role_name": role.name,
        "role_name_prefix": role.name_prefix,
        "path": role.path,
        "permissions_boundary": role.permissions_boundary,
        "max_session_duration": None if role.max_session_hours is None else role.max_session_hours * 3600,
        "trusted_account_id": trusted_account_of(role),
        "external_id": role.external_id.reveal() if role.external_id else None,
        "previous_external_ids": [each.reveal() for each in previous] or None,
        "external_id_rotation": role.rotation,
        "trusted_principals": list(role.trusted_principals) or None,
        "trusted_principals_without_external_id": list(role.trusted_principals_without_external_id) or None,
        "managed_policies": None if unset_policies else list(managed_policies_of(role)),
        "policy_statements": None if unset_statements else [_statement(each) for each in statements_of(role)],
        "tags": dict(role.tags) or None,
    }


def _statement(statement: PolicyStatement) -> dict[str, Any]:
    return {
        "sid": statement.sid,
        "effect": statement.effect,
        "actions": list(statement.actions),
        "resources": list(statement.resources),
    }


def _plain(value: object) -> object:
    """What JSON can hold: mappings and sequences of any kind as dicts and lists, what is neither (a date) as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
