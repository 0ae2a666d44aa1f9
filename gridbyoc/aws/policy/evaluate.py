"""IAM's evaluation logic: an explicit Deny wins, then an Allow; without an Allow, the request is denied.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import zip_longest

from gridbyoc.aws.policy.conditions import NO, OPERATORS, YES, Match, conditions_hold, operator_form, some
from gridbyoc.aws.policy.model import (
    ANY,
    EXTERNAL_ID,
    ONE,
    Actor,
    Condition,
    Decision,
    Effect,
    Lookup,
    Pattern,
    Policy,
    PrincipalEntry,
    Principals,
    Request,
    Selection,
    Statement,
    ask,
    glob,
    is_external_id,
    read_pattern,
    split_arn,
    split_tokens,
    text_of,
)

ACCOUNT = re.compile(r"[0-9]{12}")
UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,}")
"""The id that IAM shows for a deleted user or role; it no longer matches anybody."""

PRINCIPAL_ARN = re.compile(
    r"arn:[a-z0-9-]+:(?:iam::[0-9]{12}:(?:root|user/.+|role/.+)"
    r"|sts::[0-9]{12}:(?:assumed-role/[^/]+/[^/]+|federated-user/.+))"
)
"""The forms of an AWS principal's ARN."""

KINDS = {"service": "Service", "federated": "Federated", "canonical": "CanonicalUser"}


def principals_match(principals: Principals, actor: Actor) -> Match:
    """Whether any entry of ``Principal`` covers the actor. The effect of ``NotPrincipal`` is unknown.

    AWS says that role trust policies do not support ``NotPrincipal``. In other policies, a Deny may also hit a listed
    principal: unless account, role and session are listed, or if the principal has a permissions boundary.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    if principals.negated:
        return Match(None, "it uses NotPrincipal, which AWS does not support in a trust policy")
    return some(entry_covers(entry, actor) for entry in principals.entries)


def entry_covers(entry: PrincipalEntry, actor: Actor) -> Match:
    """Whether one entry covers the actor. A root ARN or an account id covers every principal of the account."""
    if entry.kind == "Unknown":
        return Match(None, f"its kind of principal ({entry}) is not known here")
    if entry.kind == "AWS" and entry.value == "*":
        return YES
    named = split_arn(entry.value)
    mine = split_arn(actor.value) if actor.kind in ("account", "principal") else None
    if named and mine and ACCOUNT.fullmatch(named[4]) and named[4] != mine[4]:
        return NO
    if "*" in entry.value or "?" in entry.value:
        return Match(None, f"IAM does not accept a wildcard within a principal such as {entry}")
    if entry.kind != "AWS" or mine is None:
        return Match(KINDS.get(actor.kind) == entry.kind and entry.value == actor.value)
    if ACCOUNT.fullmatch(entry.value):
        return Match(mine[4] == entry.value)
    if UNIQUE_ID.fullmatch(entry.value):
        return NO
    if named is None or not PRINCIPAL_ARN.fullmatch(entry.value):
        return Match(None, "AWS does not document the form of one of its principals")
    return _same_account(entry, named, actor, mine)


def _same_account(entry: PrincipalEntry, named: tuple[str, ...], actor: Actor, mine: tuple[str, ...]) -> Match:
    if named[1] != mine[1]:  # another partition
        return NO
    if named[5] == "root" or entry.value == actor.value:
        return YES
    if actor.kind == "account":
        return Match(None, f"{entry.value} is one principal of the account, perhaps another than the caller")
    if _session_role(named) is not None and _session_role(named) == _role_of(mine):
        return Match(None, f"{entry.value} is one session of the role, perhaps another than the caller")
    return Match(_role_of(named) is not None and _role_of(named) == _session_role(mine))


def _role_of(parts: tuple[str, ...]) -> str | None:
    """The role name in a role's ARN; it is unique in its account, regardless of the path."""
    what, _, rest = parts[5].partition("/")
    return rest.rsplit("/", 1)[-1] if parts[2] == "iam" and what == "role" else None


def _session_role(parts: tuple[str, ...]) -> str | None:
    """The name of the role that a session belongs to."""
    what, _, rest = parts[5].partition("/")
    return rest.split("/", 1)[0] if parts[2] == "sts" and what == "assumed-role" else None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A statement and its result; ``stage`` is how far the request matched, to choose the best explanation."""

    statement: Statement
    match: Match
    stage: int


def evaluate(policies: Sequence[Policy], request: Request) -> Decision:
    """Evaluate one set of policies: a trust policy, or all policies of a role (without its boundary).

    If a statement names principals (in a trust policy), the request needs an actor.
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
    """Evaluate a role's policies together with its permissions boundary, if it has one.

    A request is allowed only if both allow it; an explicit Deny in either wins. Service control policies are not
    considered.
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
    """Judge action, principal, resource and conditions: the first failure decides; unknown results are kept."""
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
    """Whether ``Action`` or ``NotAction`` matches: case-insensitive, with wildcards in the action's name."""
    found = some(_one_action(text, action) for text in selection.patterns)
    match = found.negated() if selection.negated else found
    return match if match.holds is None else Match(match.holds, "another action is meant")


def _one_action(text: str, action: str) -> Match:
    """Whether one pattern matches. Documented wildcards follow the service's prefix; a lone ``*`` matches everything.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    if not glob(_action_tokens(text), action.lower()):
        return NO
    prefix, colon, _ = text.partition(":")
    documented = text == "*" or (colon and text.isascii() and not {"*", "?"} & {*prefix})
    return YES if documented else Match(None, "AWS does not document a wildcard in an action's service")


@lru_cache(maxsize=1024)
def _action_tokens(text: str) -> tuple[str, ...]:
    """Cached, because each action is compared with every pattern of every policy."""
    return read_pattern(text.lower()).tokens or ()


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
    """Match part by part. A ``*`` at the end of a part may match colons; for other positions AWS documents nothing.

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


ASSUME = "sts:AssumeRole"
FEDERATED = ("sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")
"""The actions with which an identity provider's users assume a role; they have no external id."""


def assume_request(
    role_arn: str,
    actor: Actor,
    external_ids: Sequence[str] = (),
    now: datetime | None = None,
    *,
    action: str = ASSUME,
) -> Request:
    """A request in which ``actor`` assumes the role with an external id (none if ``external_ids`` is empty).

    The request uses TLS, and its time is known if ``now`` is given. All other context keys (addresses, organizations,
    tags) are unknown.
    """
    context: dict[str, str | Sequence[str]] = {EXTERNAL_ID: external_ids, "aws:SecureTransport": "true"}
    if now is not None:
        context |= {"aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "aws:EpochTime": str(int(now.timestamp()))}
    return ask(action, actor=actor, resource=role_arn, context=context, others_unknown=True)


def may_assume(statement: Statement) -> bool:
    """Whether the statement may match assuming the role (and not only, for example, tagging a session)."""
    return action_matches(statement.actions, ASSUME).holds is not False


def id_conditions(statement: Statement) -> tuple[Condition, ...]:
    """The statement's conditions on the external id."""
    return tuple(each for each in statement.conditions if is_external_id(each.key))


def external_ids_in(*statements: Statement) -> frozenset[str]:
    """Every text in the statements' conditions on the external id, accepted or not, to count or hide them."""
    return frozenset(text for statement in statements for each in id_conditions(statement) for text in each.values)


def id_patterns(condition: Condition, lookup: Lookup | None) -> tuple[Pattern, ...]:
    """A condition's texts as its operator reads them; ``lookup`` resolves variables (``None``: there are none)."""
    form = operator_form(condition.operator)
    known = OPERATORS.get(form.base) if form else None
    wildcards, variables = known is not None and known.wildcards, known is not None and known.variables
    texts = condition.values
    return tuple(read_pattern(each, wildcards=wildcards, lookup=lookup if variables else None) for each in texts)


def external_ids_named(policy: Policy, request: Request) -> tuple[str, ...]:
    """Example external ids that the policy accepts, each once: its texts, with variables resolved by ``request``.

    A wildcard is replaced with a letter; ``*`` also with nothing.
    """
    return tuple(dict.fromkeys(_named(policy, request.values if policy.has_variables else None)))


def _named(policy: Policy, lookup: Lookup | None) -> Iterator[str]:
    for condition in (each for statement in policy.statements for each in id_conditions(statement)):
        for pattern in id_patterns(condition, lookup):
            tokens = pattern.tokens or ()
            yield from (text_of([{ANY: fill, ONE: "x"}.get(each, each) for each in tokens]) for fill in ("x", ""))
