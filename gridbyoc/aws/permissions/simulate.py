"""Ask IAM's policy simulator about needs: allowed, denied, or unknown.

The simulator sees the caller's identity policies, its permissions boundary, and SCPs that have no conditions. It does
not see session policies, resource policies, VPC endpoint policies:
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from botocore.exceptions import ClientError

from gridbyoc.aws.live_role import DENIED_CODES, PASSING_CODES
from gridbyoc.aws.permissions.model import Need, example_of
from gridbyoc.aws.permissions.needs import BOUNDARY
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.stack.background import Readers

SimulatedEffect = Literal["allowed", "denied", "unknown"]
DeniedBy = Literal["", "identity", "explicit", "boundary", "scp", "no boundary", "other boundary"]

AT_ONCE = 6
"""Parallel calls: IAM throttles by the second, and every client retries."""
ACTIONS_A_CALL = 100
"""IAM documents no limit for the actions of a call, only 1,000 results per page."""
WITHOUT_BOUNDARY = (
    "a policy sets a condition on the permissions boundary of new roles (iam:PermissionsBoundary), and the stack's "
    "role has no boundary"
)
NOT_SIMULATED = frozenset({"InvalidInput", "NoSuchEntity", "PolicyEvaluation", "ValidationError"})
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html#API_SimulatePrincipalPolicy_Errors"""


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """The simulated effect of one action on one resource. ``why`` is for people.

    ``by`` is the kind of policy that denies. ``no boundary``: a policy requires a boundary on new roles, the stack's
    role has none; ``other boundary``: it has another boundary. ``boundaries`` are the ARNs that the condition accepts.
    ``policies`` contain the explicit deny. ``untold``: IAM did not answer.
    """

    need: Need
    effect: SimulatedEffect
    by: DeniedBy = ""
    why: str = ""
    policies: tuple[str, ...] = ()
    boundaries: tuple[str, ...] = ()
    untold: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """One call: the needs that share a resource and a context."""

    resource: str
    context: tuple[tuple[str, str], ...]
    needs: tuple[Need, ...]


def simulate(
    session: AwsSession,
    principal_arn: str,
    needs: Sequence[Need],
    context: Callable[[Need], Mapping[str, str]] = lambda _need: {},
) -> tuple[SimulationResult, ...]:
    """Ask ``iam:SimulatePrincipalPolicy`` about every need; return one result each, in their order.

    ``context``: the context keys of the need's request, besides its own condition. A need that IAM refuses to simulate
    or is too busy for is ``unknown``. Raises ``AwsError`` if IAM cannot be reached.
    """
    batches = _batches(needs, context)
    answers = Readers(AT_ONCE).map(lambda batch: _ask(session, principal_arn, batch), batches)
    found = {answer.need: answer for batch in answers for answer in batch}
    return tuple(found[need] for need in dict.fromkeys(needs))


def _batches(needs: Sequence[Need], context: Callable[[Need], Mapping[str, str]]) -> list[_Batch]:
    grouped: dict[tuple[str, tuple[tuple[str, str], ...]], list[Need]] = defaultdict(list)
    for need in dict.fromkeys(needs):
        keys = dict(context(need))
        if need.condition:
            keys[need.condition[0]] = example_of(need.condition[1])
        grouped[(need.example, tuple(sorted(keys.items())))].append(need)
    return [
        _Batch(resource, keys, tuple(some[start : start + ACTIONS_A_CALL]))
        for (resource, keys), some in grouped.items()
        for start in range(0, len(some), ACTIONS_A_CALL)
    ]


def _ask(session: AwsSession, principal_arn: str, batch: _Batch) -> list[SimulationResult]:
    with domain_errors("IAM did not simulate the caller's policies"):
        try:
            found = {str(one["EvalActionName"]).lower(): one for one in _results(session, principal_arn, batch)}
        except ClientError as error:
            if error_code(error) not in DENIED_CODES | PASSING_CODES | NOT_SIMULATED:
                raise
            return [_untold(need, error) for need in batch.needs]
    return [_judged(need, found.get(need.action.lower())) for need in batch.needs]


def _results(session: AwsSession, principal_arn: str, batch: _Batch) -> Iterator[Any]:
    actions = sorted({need.action for need in batch.needs})
    entries: list[Any] = [
        {
            "ContextKeyName": key,
            "ContextKeyValues": [value],
            "ContextKeyType": "boolean" if value in ("true", "false") else "string",
        }
        for key, value in batch.context
    ]
    pages = session.iam().get_paginator("simulate_principal_policy")
    for page in pages.paginate(
        PolicySourceArn=principal_arn, ActionNames=actions, ResourceArns=[batch.resource], ContextEntries=entries
    ):
        yield from page["EvaluationResults"]


def _untold(need: Need, error: ClientError) -> SimulationResult:
    code = error_code(error)
    denied = "the caller may not call iam:SimulatePrincipalPolicy"
    why = denied if code in DENIED_CODES else f"iam:SimulatePrincipalPolicy answered {code}"
    return SimulationResult(need, "unknown", why=why, untold=True)


def _judged(need: Need, result: Mapping[str, Any] | None) -> SimulationResult:
    """Judge IAM's result. A denial because of a missing context key is unknown: a real request may have the key."""
    if result is None:
        return SimulationResult(
            need, "unknown", why="iam:SimulatePrincipalPolicy left it out of its answer", untold=True
        )
    decision = str(result["EvalDecision"])
    if decision == "allowed":
        return SimulationResult(need, "allowed")
    if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        why = "IAM's simulator says that a service control policy of the organization denies it"
        return SimulationResult(need, "denied", "scp", why)
    missing = _missing(result)
    if makes_role_without_boundary(need) and BOUNDARY.lower() in map(str.lower, missing):
        missing = tuple(key for key in missing if key.lower() != BOUNDARY.lower())
        if not missing:
            # The real request will not have the key either, so the denial counts.
            return SimulationResult(need, "denied", "no boundary", WITHOUT_BOUNDARY)
    if missing:
        why = f"it is denied unless the request has the right {', '.join(missing)}, which is not known before"
        return SimulationResult(need, "unknown", why=why)
    if result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        return SimulationResult(need, "denied", "boundary", "the caller's permissions boundary does not allow it")
    if decision == "explicitDeny":
        names = _denying(result)
        named = f": {', '.join(names)}" if names else ""
        return SimulationResult(
            need, "denied", "explicit", f"a policy of the caller denies it explicitly{named}", names
        )
    return SimulationResult(need, "denied", "identity", "no policy of the caller allows it")


def makes_role_without_boundary(need: Need) -> bool:
    """Whether the request creates a role without ``iam:PermissionsBoundary``, which a policy may require."""
    return need.action == "iam:CreateRole" and need.condition is None


def _missing(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The missing context keys. If the call names a resource, they are in the resource's own result."""
    parts = (result, *result.get("ResourceSpecificResults", ()))
    return tuple(sorted({str(key) for part in parts for key in part.get("MissingContextValues", ())}))


def _denying(result: Mapping[str, Any]) -> tuple[str, ...]:
    found = (one for one in result.get("MatchedStatements", ()))
    return tuple(dict.fromkeys(str(one.get("SourcePolicyId", "")) for one in found if one.get("SourcePolicyId")))


_OWN_POLICY = {
    "dynamodb": "the table's own policy may allow it, which the simulator does not see",
    "kms": "the key's own policy may allow it, which the simulator does not see",
}


def doubted(session: AwsSession, answers: tuple[SimulationResult, ...], region: str) -> tuple[SimulationResult, ...]:
    """The answers with every denial that a resource's own policy may override changed to ``unknown``.

    Reads buckets' policies (``s3:GetBucketPolicy``); without a policy, the denial stays. Raises ``AwsError`` if S3
    cannot be reached.
    """
    implicit = [answer for answer in answers if answer.effect == "denied" and answer.by == "identity"]
    buckets = {_bucket(answer) for answer in implicit if answer.need.action.startswith("s3:")} - {"", "*"}
    reasons = {bucket: _of_bucket(session, bucket, region) for bucket in sorted(buckets)}
    return tuple(_doubt(answer, reasons) if answer in implicit else answer for answer in answers)


def _doubt(answer: SimulationResult, reasons: dict[str, str]) -> SimulationResult:
    service = answer.need.action.split(":", 1)[0]
    reason = reasons.get(_bucket(answer), "") if service == "s3" else _OWN_POLICY.get(service, "")
    return replace(answer, effect="unknown", why=f"{answer.why}; {reason}") if reason else answer


def _bucket(answer: SimulationResult) -> str:
    return answer.need.resource.split(":", 5)[-1].split("/", 1)[0]


def _of_bucket(session: AwsSession, bucket: str, region: str) -> str:
    with domain_errors(f"The policy of the bucket {bucket} could not be read"):
        try:
            session.client("s3", region).get_bucket_policy(Bucket=bucket)
        except ClientError as error:
            none = error_code(error) in {"NoSuchBucketPolicy", "NoSuchBucket"}
            return "" if none else f"the bucket's policy, which may allow it, could not be read ({error_code(error)})"
    return "the bucket's own policy may allow it, which the simulator does not see"
