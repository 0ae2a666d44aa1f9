"""A role's policies, compared with the stack file, as JSON."""

from __future__ import annotations

from typing import TypedDict

from gridbyoc.operations.role_policies import RolePolicies


class PolicyNames(TypedDict):
    """ARNs of attached policies, names of inline ones."""

    attached: list[str]
    inline: list[str]


class PoliciesBody(TypedDict):
    """A role's policies, compared with the stack file.

    ``undeclared``: on the role, but not in the stack file. ``known``: accepted by the stack file. ``own_policy`` and
    ``permissions_boundary``: how the live ones differ. ``unknown``: what could not be read.
    """

    role_arn: str
    as_declared: bool
    undeclared: PolicyNames
    missing: list[str]
    known: PolicyNames
    own_policy: list[str]
    permissions_boundary: str
    unknown: list[str]


def policies_json(found: RolePolicies | None) -> PoliciesBody | None:
    """The comparison's document; ``None`` without one. Call ``hiding`` first, so that it contains no external id."""
    if found is None:
        return None
    return {
        "role_arn": found.role_arn,
        "as_declared": found.as_declared,
        "undeclared": {"attached": list(found.attached), "inline": list(found.inline)},
        "missing": list(found.missing),
        "known": {"attached": list(found.known), "inline": list(found.known_inline)},
        "own_policy": list(found.content),
        "permissions_boundary": found.boundary,
        "unknown": list(found.unknown),
    }
