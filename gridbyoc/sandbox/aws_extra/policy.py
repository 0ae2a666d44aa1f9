"""Whether policies allow an action on a resource.

Shape: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
moto has an evaluator of its own (``moto.iam.access_control``). It is not used: it takes a wildcard for a regular
expression, denies where the condition of any other statement does not hold, and knows no groups' order, boundaries,
NotResource, or reasons.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.sandbox.api.trust import as_list, matches, statements_of
from gridbyoc.sandbox.aws_extra.conditions import Context, judge, with_variables

ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicitDeny", "implicitDeny"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; ``kind`` is where it stands: user, group, role, aws-managed, user-managed, none."""

    name: str
    kind: str
    document: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """``context`` holds the values of condition keys; the keys are in lower case."""

    action: str
    resource: str
    context: Context


@dataclass(frozen=True, slots=True)
class Outcome:
    """``matched`` are the policies whose statements decided, ``missing`` the condition keys that had no value."""

    decision: str
    matched: tuple[Policy, ...]
    missing: tuple[str, ...]


def evaluate(policies: Iterable[Policy], request: Request) -> Outcome:
    """An explicit denial wins; without anything that allows it is denied implicitly."""
    found: dict[str, list[Policy]] = {"Allow": [], "Deny": []}
    missing: dict[str, None] = {}
    for policy in policies:
        for statement in statements_of(policy.document):
            if not _speaks_of(statement, request):
                continue
            verdict = judge(statement.get("Condition"), request.context)
            missing.update(dict.fromkeys(verdict.missing))
            if verdict.holds:
                found.setdefault(str(statement.get("Effect")), []).append(policy)
    decision = EXPLICIT if found["Deny"] else ALLOWED if found["Allow"] else IMPLICIT
    return Outcome(decision, tuple(found["Deny"] or found["Allow"]), tuple(missing))


def read_document(text: str) -> dict[str, Any]:
    """A policy from its JSON. Raises ``ValueError`` for what is none."""
    document = json.loads(text)
    if not isinstance(document, dict) or "Statement" not in document:
        raise ValueError("a policy is an object with a Statement")
    return document


def _speaks_of(statement: dict[str, Any], request: Request) -> bool:
    return _covers(statement, "Action", request, _action_matches) and (
        # A trust policy's statement has no resource: it is about its own role.
        not {"Resource", "NotResource"} & set(statement) or _covers(statement, "Resource", request, _resource_matches)
    )


def _covers(statement: dict[str, Any], element: str, request: Request, matching: Any) -> bool:  # noqa: ANN401 -- two of them
    if f"Not{element}" in statement:
        return not matching(as_list(statement[f"Not{element}"]), request)
    return bool(matching(as_list(statement.get(element)), request))


def _action_matches(patterns: Sequence[Any], request: Request) -> bool:
    return any(matches(str(pattern).lower(), request.action.lower()) for pattern in patterns)


def _resource_matches(patterns: Sequence[Any], request: Request) -> bool:
    return any(matches(with_variables(str(pattern), request.context), request.resource) for pattern in patterns)
