"""Evaluate whether policies allow an action on a resource.

Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

moto has its own evaluator (``moto.iam.access_control``), which is not used: it treats a wildcard as a regular
expression, denies if the condition of any other statement does not hold, and does not know the order of groups,
boundaries, NotResource, or reasons.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.sandbox.api.role import as_list, matches, statements_of

RequestContextKeys = Mapping[str, Sequence[str]]
"""The values of each condition key; keys in lower case."""

_TESTS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda wanted, value: wanted == value,
    "stringequalsignorecase": lambda wanted, value: wanted.lower() == value.lower(),
    "stringlike": matches,
    "arnequals": matches,  # as in AWS: the two ARN operators behave alike
    "arnlike": matches,
    "bool": lambda wanted, value: wanted.lower() == value.lower(),
}


@dataclass(frozen=True, slots=True)
class ConditionVerdict:
    """Whether all conditions hold, and the keys that they need and the request lacks."""

    holds: bool
    missing: tuple[str, ...]


def judge(condition: object, context: RequestContextKeys) -> ConditionVerdict:
    """Judge a statement's ``Condition`` element, or ``None``."""
    tests = [
        (operator, key, [_text(value) for value in as_list(wanted)])
        for operator, keys in (condition.items() if isinstance(condition, dict) else ())
        for key, wanted in (keys.items() if isinstance(keys, dict) else ())
    ]
    missing = tuple(
        dict.fromkeys(key for operator, key, _ in tests if key.lower() not in context and not _null(operator))
    )
    return ConditionVerdict(
        all(_holds(operator, wanted, context.get(key.lower())) for operator, key, wanted in tests), missing
    )


def with_variables(text: str, context: RequestContextKeys) -> str:
    """Replace ``${aws:username}`` and similar variables; an unknown one stays, and matches nothing that exists."""
    for key, values in context.items():
        start = text.lower().find("${" + key + "}")
        while start >= 0 and len(values) == 1:
            text = text[:start] + values[0] + text[start + len(key) + 3 :]
            start = text.lower().find("${" + key + "}", start + len(values[0]))
    return text.replace("${$}", "$")


def _holds(operator: str, wanted: list[str], values: Sequence[str] | None) -> bool:
    qualifier, _, name = operator.lower().rpartition(":")
    if name == "null":
        return any((value.lower() == "true") == (values is None) for value in wanted)
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = "not" in name
    test = _TESTS.get(name.replace("not", ""))
    if test is None:
        return False
    if values is None:
        return if_exists or negated or qualifier == "forallvalues"
    each = [any(test(pattern, value) for pattern in wanted) != negated for value in values]
    # Without a qualifier a key has one value; if there are several, AWS accepts any of them.
    return all(each) if qualifier == "forallvalues" or negated else any(each)


def _null(operator: str) -> bool:
    return operator.lower().rpartition(":")[2] == "null"


def _text(value: Any) -> str:  # noqa: ANN401 -- JSON
    return str(value).lower() if isinstance(value, bool) else str(value)


ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicitDeny", "implicitDeny"


@dataclass(frozen=True, slots=True)
class AttachedPolicy:
    """One policy; ``kind`` is where it comes from: user, group, role, aws-managed, user-managed, none."""

    name: str
    kind: str
    document: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A request. ``context`` holds the values of condition keys; the keys are in lower case."""

    action: str
    resource: str
    context: RequestContextKeys


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """The result. ``matched``: the policies whose statements decided. ``missing``: condition keys without a value."""

    decision: str
    matched: tuple[AttachedPolicy, ...]
    missing: tuple[str, ...]


def evaluate(policies: Iterable[AttachedPolicy], request: AccessRequest) -> PolicyOutcome:
    """Evaluate the policies: an explicit deny wins; without an allow it is an implicit deny."""
    found: dict[str, list[AttachedPolicy]] = {"Allow": [], "Deny": []}
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
    return PolicyOutcome(decision, tuple(found["Deny"] or found["Allow"]), tuple(missing))


def read_document(text: str) -> dict[str, Any]:
    """Parse a policy from JSON. Raises ``ValueError`` if it is none."""
    document = json.loads(text)
    if not isinstance(document, dict) or "Statement" not in document:
        raise ValueError("a policy is an object with a Statement")
    return document


def _speaks_of(statement: dict[str, Any], request: AccessRequest) -> bool:
    return _covers(statement, "Action", request, _action_matches) and (
        # A trust policy's statement has no resource: it applies to its own role.
        not {"Resource", "NotResource"} & set(statement) or _covers(statement, "Resource", request, _resource_matches)
    )


def _covers(statement: dict[str, Any], element: str, request: AccessRequest, matching: Any) -> bool:  # noqa: ANN401 -- two of them
    if f"Not{element}" in statement:
        return not matching(as_list(statement[f"Not{element}"]), request)
    return bool(matching(as_list(statement.get(element)), request))


def _action_matches(patterns: Sequence[Any], request: AccessRequest) -> bool:
    return any(matches(str(pattern).lower(), request.action.lower()) for pattern in patterns)


def _resource_matches(patterns: Sequence[Any], request: AccessRequest) -> bool:
    return any(matches(with_variables(str(pattern), request.context), request.resource) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Powers:
    """A principal's policies. ``boundary`` ``None``: it has none. ``administrator``: everything is allowed."""

    policies: tuple[AttachedPolicy, ...] = ()
    boundary: tuple[AttachedPolicy, ...] | None = None
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """The decision. ``by_boundary`` is ``None`` without a boundary, ``by_organization`` outside an organization."""

    decision: str
    identity: PolicyOutcome
    by_boundary: PolicyOutcome | None = None
    by_organization: bool | None = None


def decide(powers: Powers, request: AccessRequest, denied_by_scp: Sequence[str] = ()) -> AccessDecision:
    """Decide a request.

    ``denied_by_scp``: patterns of actions that the organization denies; any makes the account a member.
    """
    identity = PolicyOutcome(ALLOWED, (), ()) if powers.administrator else evaluate(powers.policies, request)
    boundary = None if powers.boundary is None else evaluate(powers.boundary, request)
    organization = not _denied(denied_by_scp, request.action) if denied_by_scp else None
    decisions = {identity.decision, boundary.decision if boundary else ALLOWED}
    if EXPLICIT in decisions or organization is False:
        return AccessDecision(EXPLICIT, identity, boundary, organization)
    return AccessDecision(IMPLICIT if IMPLICIT in decisions else ALLOWED, identity, boundary, organization)


def refusal(decision: AccessDecision, arn: str, action: str, resource: str = "") -> str:
    """AWS's message for a denial; ``resource`` as the service names it, or empty."""
    about = f"{action} on resource: {resource}" if resource else action
    return f"User: {arn} is not authorized to perform: {about} {_reason(decision, action)}"


def _reason(decision: AccessDecision, action: str) -> str:
    boundary = decision.by_boundary.decision if decision.by_boundary else ALLOWED
    if decision.by_organization is False:
        return "with an explicit deny in a service control policy"
    if decision.identity.decision == EXPLICIT:
        return "with an explicit deny in an identity-based policy"
    if boundary == EXPLICIT:
        return "with an explicit deny in a permissions boundary"
    if decision.identity.decision == IMPLICIT:
        return f"because no identity-based policy allows the {action} action"
    return f"because no permissions boundary allows the {action} action"


def _denied(patterns: Sequence[str], action: str) -> bool:
    return any(matches(pattern.lower(), action.lower()) for pattern in patterns)
