"""The whole answer for one request: the principal's policies, its permissions boundary, the organization's policies.

Shape: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html; the words of a denial:
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridbyoc.sandbox.api.trust import matches
from gridbyoc.sandbox.aws_extra.policy import ALLOWED, EXPLICIT, IMPLICIT, Outcome, Policy, Request, evaluate


@dataclass(frozen=True, slots=True)
class Powers:
    """What is attached to a principal. ``boundary`` ``None``: it has none. ``administrator``: everything is allowed."""

    policies: tuple[Policy, ...] = ()
    boundary: tuple[Policy, ...] | None = None
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """``by_boundary`` is ``None`` without a boundary, ``by_organization`` outside an organization."""

    decision: str
    identity: Outcome
    by_boundary: Outcome | None = None
    by_organization: bool | None = None


def decide(powers: Powers, request: Request, denied_by_scp: Sequence[str] = ()) -> Decision:
    """``denied_by_scp`` are patterns of actions that the organization denies; any makes the account a member of one."""
    identity = Outcome(ALLOWED, (), ()) if powers.administrator else evaluate(powers.policies, request)
    boundary = None if powers.boundary is None else evaluate(powers.boundary, request)
    organization = not _denied(denied_by_scp, request.action) if denied_by_scp else None
    decisions = {identity.decision, boundary.decision if boundary else ALLOWED}
    if EXPLICIT in decisions or organization is False:
        return Decision(EXPLICIT, identity, boundary, organization)
    return Decision(IMPLICIT if IMPLICIT in decisions else ALLOWED, identity, boundary, organization)


def refusal(decision: Decision, arn: str, action: str, resource: str = "") -> str:
    """AWS's sentence about a denial; ``resource`` as the service names it, empty where it names none."""
    about = f"{action} on resource: {resource}" if resource else action
    return f"User: {arn} is not authorized to perform: {about} {_reason(decision, action)}"


def _reason(decision: Decision, action: str) -> str:
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
