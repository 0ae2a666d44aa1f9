"""Needs as an IAM policy that allows them and nothing else."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from gridbyoc.aws.permissions.model import REQUESTED_REGION, Need
from gridbyoc.aws.policy.patterns import glob, read_pattern

MANAGED_POLICY_LIMIT = 6144
"""Characters of a managed policy, white space not counted:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length"""

_Group = tuple[str, str]
"""A resource and the context key of a condition (or nothing)."""


def policy_document(needs: Iterable[Need]) -> dict[str, Any]:
    """A least-privilege policy: statements by resource, sorted, each with a ``Sid``.

    An action that a wider statement allows already is not repeated.
    """
    grouped = _grouped(_without_covered(tuple(dict.fromkeys(needs))))
    by_actions: dict[tuple[tuple[str, ...], str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (resource, key), (actions, values) in grouped.items():
        by_actions[(tuple(sorted(actions)), key, tuple(sorted(values)))].append(resource)
    statements = [_statement(*which, sorted(resources)) for which, resources in by_actions.items()]
    statements.sort(key=lambda each: (each["Resource"] == ["*"], each["Resource"], each["Action"]))
    return {"Version": "2012-10-17", "Statement": _with_sids(statements)}


def policy_size(document: Mapping[str, Any]) -> int:
    """Its characters as IAM counts them: without white space between its parts."""
    return len(json.dumps(document, separators=(",", ":")))


def split_document(document: Mapping[str, Any], limit: int = MANAGED_POLICY_LIMIT) -> tuple[dict[str, Any], ...]:
    """The document in as few parts as its statements fit into, in their order; ``limit`` in characters.

    A single statement that is larger stays whole.
    """
    parts: list[list[Any]] = [[]]
    for statement in document["Statement"]:
        if parts[-1] and policy_size({**document, "Statement": [*parts[-1], statement]}) > limit:
            parts.append([])
        parts[-1].append(statement)
    return tuple({**document, "Statement": part} for part in parts)


def _without_covered(needs: tuple[Need, ...]) -> list[Need]:
    wide: dict[str, list[Need]] = defaultdict(list)
    for need in needs:
        if "*" in need.resource and need.condition is None:
            wide[need.action].append(need)
    return [need for need in needs if not any(_covers(other, need) for other in wide[need.action])]


def _covers(wide: Need, need: Need) -> bool:
    if (wide.resource, wide.condition) == (need.resource, need.condition):
        return False
    tokens = read_pattern(wide.resource).tokens
    return tokens is not None and glob(tokens, need.resource)


def _grouped(needs: Iterable[Need]) -> dict[_Group, tuple[frozenset[str], frozenset[str]]]:
    """Actions by resource and condition; needs that differ in the condition's value only stand in one statement."""
    values: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for need in needs:
        key, value = need.condition or ("", "")
        values[(need.resource, key, need.action)] |= {value} if key else set()
    found: dict[_Group, tuple[frozenset[str], frozenset[str]]] = {}
    for (resource, key, action), allowed in values.items():
        actions, before = found.get((resource, key), (frozenset(), frozenset()))
        found[(resource, key)] = (actions | {action}, before | allowed)
    return found


def _statement(actions: tuple[str, ...], key: str, values: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": "", "Effect": "Allow", "Action": list(actions), "Resource": resources}
    if key:
        # ArnLike: the name of the role's own policy may be a generated one.
        operator = "StringEquals" if key == REQUESTED_REGION else "ArnLike"
        statement["Condition"] = {operator: {key: list(values)}}
    return statement


def _with_sids(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A ``Sid`` says what the statement is about: letters and digits, each once."""
    taken: set[str] = set()
    for statement in statements:
        name = _about(statement)
        sid = next(s for s in (name, *(f"{name}{number}" for number in range(2, 1000))) if s not in taken)
        taken.add(sid)
        statement["Sid"] = sid
    return statements


def _about(statement: Mapping[str, Any]) -> str:
    resource = str(statement["Resource"][0])
    if resource == "*":
        return "Anywhere"
    service, rest = resource.split(":", 5)[2], resource.split(":", 5)[-1]
    if service == "s3":
        kind = "Object" if "/" in rest else "Bucket"
    else:
        kind = rest.split("/")[0].split(":")[0].replace("-", " ").title().replace(" ", "")
    keys = "".join(key.split(":")[-1] for condition in statement.get("Condition", {}).values() for key in condition)
    words = f"{service.title()}{kind}{'With' + keys if keys else ''}"
    return "".join(character for character in words if character.isalnum())
