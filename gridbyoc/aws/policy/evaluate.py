"""IAM's evaluation logic: an explicit Deny wins, then an Allow, and what nothing allows is denied.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from gridbyoc.aws.policy.conditions import conditions_hold
from gridbyoc.aws.policy.match import NO, YES, Match, some
from gridbyoc.aws.policy.model import Decision, Effect, Policy, Selection, Statement
from gridbyoc.aws.policy.patterns import ANY, ONE, Lookup, Pattern, glob, read_pattern, split_arn, split_tokens
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
    """``Action`` or ``NotAction``: in any case of letters, with wildcards in the action's name."""
    found = some(_one_action(text, action) for text in selection.patterns)
    match = found.negated() if selection.negated else found
    return match if match.holds is None else Match(match.holds, "another action is meant")


def _one_action(text: str, action: str) -> Match:
    """Wildcards are documented after the service's prefix, and for everything there is ``*`` alone.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    if not glob(read_pattern(text.lower()).tokens or (), action.lower()):
        return NO
    prefix, colon, _ = text.partition(":")
    documented = text == "*" or (colon and text.isascii() and not {"*", "?"} & {*prefix})
    return YES if documented else Match(None, "it has a wildcard in an action's service, of which AWS does not speak")


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
    patterns = [read_pattern(text, lookup=lookup) for text in selection.patterns]
    found = some(_one_resource(pattern, resource, selection.negated) for pattern in patterns)
    if found.holds and any(pattern.tokens is None for pattern in patterns):
        found = Match(None, "a variable in its resources has no known value, which may make it void")
    match = found.negated() if selection.negated else found
    return match if match.holds is None else Match(match.holds, "another resource is meant")


def _one_resource(pattern: Pattern, resource: str, negated: bool) -> Match:
    """Part by part; a ``*`` that ends a part may reach over colons. Of others that would AWS does not speak.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    tokens = pattern.tokens
    if tokens is None:
        return Match(None, "a variable in its resource has no known value") if pattern.unknown or negated else NO
    patterns, parts = split_tokens(tokens), split_arn(resource)
    if not glob(tokens, resource):
        whole = glob((*tokens, *(":", ANY) * (6 - len(patterns))), resource)
        return Match(None, "its resource is not a whole ARN") if whole and len(patterns) < 6 else NO
    if pattern.early_variable or any(each in (ANY, ONE) for part in patterns[2:3] for each in part):
        return Match(None, "its resource has a wildcard for a service, or a variable before an ARN's last part")
    if parts is not None and len(patterns) == 6 and all(map(glob, patterns, parts)):
        return YES
    ends = all(after in (":", None) for token, after in zip_longest(tokens, tokens[1:]) if token == ANY)
    return YES if ends and ONE not in tokens else Match(None, "a wildcard in its resource reaches over a colon")
