"""A rule that demands a permissions boundary on new roles: whether one denies this stack's role, and which it accepts.

A policy of the caller or of the organization (SCP) denies ``iam:CreateRole`` unless ``iam:PermissionsBoundary`` is an
ARN that it names. Nobody but the organization's administrator can read an SCP, so the simulator is asked again, with
each boundary that the account has to offer.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gridbyoc.aws import Caller
from gridbyoc.aws.permissions import WITHOUT_BOUNDARY, Answer, Need
from gridbyoc.aws.readers import Readers

MAKES_ROLE = "iam:CreateRole"
SIDE_BY_SIDE = 4
NOT_LISTED = (
    "; whether it demands a certain permissions boundary on new roles cannot be told: the caller may not call "
    "iam:ListPolicies"
)

Ask = Callable[[Need, str], Answer]
"""The simulator's answer to a need whose request carries this ``iam:PermissionsBoundary``."""


def unnamed_boundary(caller: Caller) -> str:
    """A boundary that a rule accepts only if it accepts any."""
    return f"arn:{caller.partition}:iam::{caller.account_id}:policy/boundary-that-no-rule-names"


def with_boundary_rules(
    answers: Sequence[Answer], ask: Ask, unnamed: str, own: Callable[[], tuple[str, ...] | None]
) -> tuple[Answer, ...]:
    """The answers; a denial of a new role that a boundary would lift says so, and names the boundaries that do.

    ``unnamed``: a boundary that no rule names. ``own``: ARNs of the account's policies, the likely ones first;
    ``None`` where IAM does not list them.
    """
    changed = {answer.need: _with_rule(answer, ask, unnamed, own) for answer in answers if _may_be_a_rule(answer)}
    return tuple(changed.get(answer.need, answer) for answer in answers)


def _may_be_a_rule(answer: Answer) -> bool:
    """Of the caller's own policies the simulator says whether they ask for a boundary that the request lacks."""
    new_role = answer.effect == "denied" and answer.need.action == MAKES_ROLE
    return new_role and (answer.need.condition is not None or answer.by in ("scp", "no boundary"))


def _with_rule(answer: Answer, ask: Ask, unnamed: str, own: Callable[[], tuple[str, ...] | None]) -> Answer:
    given = answer.need.condition[1] if answer.need.condition else ""
    new_role = replace(answer.need, condition=None)

    def lifts(boundary: str) -> bool:
        return ask(new_role, boundary).effect == "allowed"

    if not given and lifts(unnamed):
        return replace(answer, by="no boundary", why=WITHOUT_BOUNDARY)
    listed = own()
    tried = [arn for arn in listed or () if arn != given]
    lifting = Readers(SIDE_BY_SIDE).map(lifts, tried)
    accepted = tuple(arn for arn, lifted in zip(tried, lifting, strict=True) if lifted)
    if accepted and given:
        why = f"a policy demands another permissions boundary on new roles than the stack's, {given}"
        return replace(answer, by="other boundary", why=why, boundaries=accepted)
    if accepted:
        return replace(answer, by="no boundary", why=WITHOUT_BOUNDARY, boundaries=accepted)
    if answer.by == "scp" and listed is None:
        return replace(answer, effect="unknown", why=answer.why + NOT_LISTED)
    return answer
