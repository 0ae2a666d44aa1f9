"""IAM's evaluation logic: an explicit Deny wins, then an Allow, and what nothing allows is denied.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gridbyoc.aws.policy.conditions import conditions_hold
from gridbyoc.aws.policy.match import NO, YES, Match, some
from gridbyoc.aws.policy.model import Decision, Effect, Policy, Selection, Statement
from gridbyoc.aws.policy.patterns import Lookup, glob, read_pattern
from gridbyoc.aws.policy.principals import principals_match
from gridbyoc.aws.policy.request import Request


@dataclass(frozen=True, slots=True)
class _Judged:
    """A statement and what came of it; ``stage`` is how far the request got in it, for the best explanation."""

    statement: Statement
    match: Match
    stage: int


def evaluate(policies: Sequence[Policy], request: Request) -> Decision:
    """Evaluate one set of policies: a trust policy, or all that is attached to a role (without its boundary).

    Principals count where a statement names them (in a trust policy); the request then needs an actor.
    """
    judged = [
        _judge(statement, request, variables=policy.has_variables)
        for policy in policies
        for statement in policy.statements
    ]
    denies, allows = _of(judged, "Deny"), _of(judged, "Allow")
    if denied := _first(denies, True):
        return Decision("denied", denied.statement.name, f"{denied.statement.name} denies it.")
    allowed, perhaps_allowed = _first(allows, True), _first(allows, None)
    perhaps_denied = _first(denies, None)
    if perhaps_denied and (allowed or perhaps_allowed):
        return _unknown(perhaps_denied, "may deny it")
    if allowed:
        return Decision("allowed", allowed.statement.name, f"{allowed.statement.name} allows it.")
    if perhaps_allowed:
        return _unknown(perhaps_allowed, "may allow it")
    return Decision("denied", None, _nothing_allows(allows))


def evaluate_identity(policies: Sequence[Policy], request: Request, boundary: Policy | None = None) -> Decision:
    """What a role may do: its policies, intersected with its permissions boundary where it has one.

    Allowed only where both allow; an explicit Deny in either wins. Service control policies are not seen from here.
    """
    own = evaluate(policies, request)
    if boundary is None:
        return own
    limit = evaluate((boundary,), request)
    for decision in sorted((own, limit), key=lambda decision: decision.statement is None):
        if decision.effect == "denied":
            outside = decision is limit and decision.statement is None
            return Decision(
                "denied", decision.statement, f"{boundary.name} does not allow it." if outside else decision.why
            )
    return own if own.effect == "unknown" else limit if limit.effect == "unknown" else own


def _of(judged: Iterable[_Judged], effect: Effect) -> list[_Judged]:
    return [each for each in judged if each.statement.effect == effect]


def _first(judged: Iterable[_Judged], holds: bool | None) -> _Judged | None:
    return next((each for each in judged if each.match.holds is holds), None)


def _unknown(judged: _Judged, does: str) -> Decision:
    return Decision("unknown", judged.statement.name, f"{judged.statement.name} {does}: {judged.match.why}.")


def _nothing_allows(allows: Sequence[_Judged]) -> str:
    nearest = max(allows, key=lambda each: each.stage, default=None)
    if nearest is None or nearest.stage == 0:
        return "No statement allows it."
    return f"No statement allows it; in {nearest.statement.name}, {nearest.match.why}."


def _judge(statement: Statement, request: Request, *, variables: bool) -> _Judged:
    """Action, principal, resource, conditions: the first that fails ends it, what cannot be told is kept."""
    lookup = request.values if variables else None
    unsure = Match(None, statement.strange) if statement.strange else YES
    parts: tuple[Callable[[], Match], ...] = (
        lambda: action_matches(statement.actions, request.action),
        lambda: _principal(statement, request),
        lambda: _resource(statement.resources, request.resource, lookup),
        lambda: conditions_hold(statement.conditions, request, variables=variables),
    )
    for stage, part in enumerate(parts):
        match = part()
        if match.holds is False:
            return _Judged(statement, match, stage)
        if match.holds is None and unsure.holds:
            unsure = match
    return _Judged(statement, unsure, len(parts))


def action_matches(selection: Selection, action: str) -> Match:
    """``Action`` or ``NotAction``: in any case of letters, with wildcards."""
    found = any(glob(read_pattern(text.lower()).tokens or (), action.lower()) for text in selection.patterns)
    return Match(found != selection.negated, "another action is meant")


def _principal(statement: Statement, request: Request) -> Match:
    if statement.principals is None:
        return YES
    if request.actor is None:
        return Match(None, "it names principals, and who asks is not known here")
    match = principals_match(statement.principals, request.actor)
    return match if match.holds is None else Match(match.holds, "another principal is meant")


def _resource(selection: Selection | None, resource: str | None, lookup: Lookup | None) -> Match:
    if selection is None or resource is None:
        return YES
    found = some(_one_resource(text, resource, lookup, selection.negated) for text in selection.patterns)
    match = found.negated() if selection.negated else found
    return match if match.holds is None else Match(match.holds, "another resource is meant")


def _one_resource(text: str, resource: str, lookup: Lookup | None, negated: bool) -> Match:
    """Wildcards may reach over colons where they end a part of the ARN, so the text is matched as a whole.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    pattern = read_pattern(text, lookup=lookup)
    if pattern.tokens is None:
        return Match(None, "a variable in its resource has no known value") if pattern.unknown or negated else NO
    return Match(glob(pattern.tokens, resource))
