"""IAM's policy simulator: SimulatePrincipalPolicy and SimulateCustomPolicy.

Shape: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html (botocore ``iam``).
The organization's policies are those of the sandbox's settings. A resource's own policy (``ResourcePolicy``) plays
no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbyoc.sandbox.aws_extra.answer import AwsError
from gridbyoc.sandbox.aws_extra.caller import Caller, Handler
from gridbyoc.sandbox.aws_extra.decision import Decision, Powers, decide
from gridbyoc.sandbox.aws_extra.paging import position
from gridbyoc.sandbox.aws_extra.policy import ALLOWED, Policy, Request, read_document
from gridbyoc.sandbox.aws_extra.principals import principal_of_arn


class Simulator:
    """``denied_by_scp`` are patterns of actions that the organization denies."""

    def __init__(self, denied_by_scp: Sequence[str]) -> None:
        self._denied_by_scp = tuple(denied_by_scp)

    def operations(self) -> Mapping[str, Handler]:
        """By botocore's name."""
        return {"SimulatePrincipalPolicy": self.principal, "SimulateCustomPolicy": self.custom}

    def principal(self, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a user, group or role may do, with policies added to its own."""
        source = principal_of_arn(given["PolicySourceArn"], caller.region)
        boundary = _given(given, "PermissionsBoundaryPolicyInputList")
        powers = Powers(
            source.powers.policies + _given(given, "PolicyInputList"), boundary or source.powers.boundary,
            source.powers.administrator,
        )  # fmt: skip
        return self._results(powers, given, source.context)

    def custom(self, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the given policies allow."""
        boundary = _given(given, "PermissionsBoundaryPolicyInputList")
        return self._results(Powers(_given(given, "PolicyInputList"), boundary or None), given, {})

    def _results(self, powers: Powers, given: Mapping[str, Any], context: Mapping[str, list[str]]) -> dict[str, Any]:
        context = {**context, **_entries(given)}
        requests = [
            Request(action, resource, context)
            for action in given["ActionNames"]
            for resource in given.get("ResourceArns") or ["*"]
        ]
        size = int(given.get("MaxItems") or 100)
        start = position(given.get("Marker"), "InvalidInput", "Invalid Marker.")
        page = [_result(decide(powers, each, self._denied_by_scp), each) for each in requests[start : start + size]]
        more = start + size < len(requests)
        return {"EvaluationResults": page, "IsTruncated": more} | ({"Marker": str(start + size)} if more else {})


def _result(decision: Decision, request: Request) -> dict[str, Any]:
    matched = [{"SourcePolicyId": policy.name, "SourcePolicyType": policy.kind} for policy in decision.identity.matched]
    missing = [*decision.identity.missing, *(decision.by_boundary.missing if decision.by_boundary else ())]
    details: dict[str, Any] = {"MatchedStatements": matched, "MissingContextValues": list(dict.fromkeys(missing))}
    if decision.by_boundary:
        allowed = decision.by_boundary.decision == ALLOWED
        details["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    specific = {"EvalResourceName": request.resource, "EvalResourceDecision": decision.decision, **details}
    if decision.by_organization is not None:
        details["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": decision.by_organization}
    names = {"EvalActionName": request.action, "EvalResourceName": request.resource, "EvalDecision": decision.decision}
    return names | details | {"ResourceSpecificResults": [specific]}


def _entries(given: Mapping[str, Any]) -> dict[str, list[str]]:
    return {
        str(entry["ContextKeyName"]).lower(): [str(value) for value in entry.get("ContextKeyValues", [])]
        for entry in given.get("ContextEntries") or []
        if entry.get("ContextKeyName")
    }


def _given(given: Mapping[str, Any], name: str) -> tuple[Policy, ...]:
    policies = []
    for number, text in enumerate(given.get(name) or [], 1):
        try:
            policies.append(Policy(f"{name}.{number}", "none", read_document(text)))
        except ValueError:
            raise AwsError("InvalidInput", f"The policy {name}.{number} is not in the valid JSON format.") from None
    return tuple(policies)
