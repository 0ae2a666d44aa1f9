"""An existing role keeps its principals and permissions until the stack file changes them.

Values that the file omits come from the facts of its control plane. If these facts change, a plan would change the
trust policy or permissions of every such role although nobody edited a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gridbyoc.aws.policy import PolicyDocumentError, Statement, parse_policy
from gridbyoc.aws.policy.parse import PolicyKind
from gridbyoc.errors import SAFE_NOTHING_DONE, DefaultChangedError
from gridbyoc.stack.defaults import managed_policies_of, statements_of, trusted_account_of
from gridbyoc.stack.model import Role, Stack
from gridbyoc.terraform import ModuleInState
from gridbyoc.vendors import DEFAULT_VENDOR, facts_of

EARLIER = Role(vendor=DEFAULT_VENDOR)
"""The module's original defaults, which are Grid's.

They applied to all control planes before each had its own facts.
"""


def keep_standing_role(stack: Stack, standing: ModuleInState) -> None:
    """Raise ``DefaultChangedError`` if a default would give the role in the state other principals or permissions.

    Nothing is applied then. Values that the stack file sets itself are never refused here.
    """
    if stack.role.vendor is None or stack.terraform.module is not None or standing.role_arn is None:
        return  # a vendor without an API has no defaults
    kept = dict(_differing(stack.role, standing))
    if not kept:
        return
    facts = facts_of(stack.role.vendor)
    default = _values(stack.role)
    raise DefaultChangedError(
        f"The role {standing.role_arn} has another grant than {facts.title}'s default.",
        why=(
            f"The stack file does not say {' nor '.join(f'role.{key}' for key in kept)}, and the default is not what "
            f"the role has (source of the default: {facts.trusted_account.source})."
        ),
        fix=(
            f"Write one of these under `role` in the stack file. To keep the role as it is: {_lines(kept)}. "
            f"{facts.title}'s default: {_lines({key: default[key] for key in kept})}."
        ),
        rerun=SAFE_NOTHING_DONE,
    )


def _differing(role: Role, standing: ModuleInState) -> Iterator[tuple[str, Any]]:
    """Each key that the file omits and whose default differs from the state, with the state's value."""
    accounts = _trusted_accounts(standing)
    if role.trusted_account_id is None and accounts and trusted_account_of(role) not in accounts:
        yield "trusted_account_id", accounts[0]
    default, earlier = _values(role), _values(EARLIER)
    names = {arn.rsplit("/", 1)[-1] for arn in standing.attached if ":iam::aws:policy/" in arn}
    if role.managed_policies is None and default["managed_policies"] != earlier["managed_policies"] == sorted(names):
        yield "managed_policies", earlier["managed_policies"]
    actions = [
        sorted({action for statement in _statements(document, "identity") for action in statement.actions.patterns})
        for document in standing.policies
    ]
    of_earlier = sorted(action for statement in statements_of(EARLIER) for action in statement.actions)
    if role.statements is None and default["statements"] != earlier["statements"] and of_earlier in actions:
        yield "statements", earlier["statements"]


def _trusted_accounts(standing: ModuleInState) -> list[str]:
    """The accounts that an Allow of the trust policy names as a whole."""
    found = set()
    for statement in _statements(standing.trust, "trust"):
        entries = statement.principals.entries if statement.principals and statement.effect == "Allow" else ()
        for entry in entries:
            if entry.kind == "AWS" and (entry.value.isdigit() or entry.value.endswith(":root")):
                found.add(entry.value if entry.value.isdigit() else entry.value.split(":")[4])
    return sorted(found)


def _statements(document: Mapping[str, Any], kind: PolicyKind) -> tuple[Statement, ...]:
    try:
        return parse_policy(document, name="a policy in the state", kind=kind).statements
    except PolicyDocumentError:
        return ()


def _values(role: Role) -> dict[str, Any]:
    return {
        "trusted_account_id": trusted_account_of(role),
        "managed_policies": sorted(managed_policies_of(role)),
        "statements": [{"actions": list(statement.actions)} for statement in statements_of(role)],
    }


def _lines(values: Mapping[str, Any]) -> str:
    """Keys of ``role`` in flow YAML, ready to be typed."""
    return ", ".join(f"`{key}: {json.dumps(value)}`" for key, value in values.items())
