"""What a policy document grants, as a set that can be compared; and the difference of two, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gridbyoc.aws.policy import Policy, Statement
from gridbyoc.aws.policy.model import Condition, Selection
from gridbyoc.stack.words import counted
from gridbyoc.steps.review.words import Name, Sentence, names


@dataclass(frozen=True, slots=True)
class Scope:
    """On what, and under which conditions."""

    effect: str
    resources: frozenset[str]
    but: bool
    conditions: frozenset[Condition]


@dataclass(frozen=True, slots=True)
class Granted:
    """One pattern of actions in one scope; ``but``: every action except these."""

    actions: frozenset[str]
    but: bool
    scope: Scope


def granted(policy: Policy | None) -> frozenset[Granted]:
    """Everything that a policy says, an action pattern each, so that moving one between statements is no change."""
    return frozenset(each for statement in (policy.statements if policy else ()) for each in _of(statement))


def _of(statement: Statement) -> Iterator[Granted]:
    resources = statement.resources or Selection(("*",))
    patterns = frozenset({"*"}) if "*" in resources.patterns else frozenset(resources.patterns)
    scope = Scope(statement.effect, patterns, resources.negated, frozenset(statement.conditions))
    if statement.actions.negated:
        yield Granted(frozenset(statement.actions.patterns), True, scope)
    else:
        for pattern in statement.actions.patterns:
            yield Granted(frozenset({pattern}), False, scope)


def difference(subject: Sentence, before: frozenset[Granted], after: frozenset[Granted]) -> Iterator[Sentence]:
    """A sentence for each scope in which something was gained or lost; what is gained comes first."""
    verbs = {("Allow", True): "gains", ("Allow", False): "loses"}
    verbs |= {("Deny", True): "is now denied", ("Deny", False): "is no longer denied"}
    for found, more in ((after - before, True), (before - after, False)):
        for scope, actions in _by_scope(found):
            yield (*subject, f" {verbs[scope.effect, more]} ", *actions, " on ", *_resources(scope), *_under(scope))


def _by_scope(found: Iterable[Granted]) -> Iterator[tuple[Scope, Sentence]]:
    scopes: dict[Scope, list[Granted]] = {}
    for each in found:
        scopes.setdefault(each.scope, []).append(each)
    for scope in sorted(scopes, key=lambda each: (each.effect, sorted(each.resources), str(each.conditions))):
        plain = {pattern for each in scopes[scope] if not each.but for pattern in each.actions}
        if plain:
            yield scope, names(plain)
        for each in scopes[scope]:
            if each.but:
                yield scope, ("everything but ", *names(each.actions))


def _resources(scope: Scope) -> Sentence:
    if scope.but:
        return ("all resources but ", *names(scope.resources))
    return ("all resources",) if "*" in scope.resources else names(scope.resources)


def _under(scope: Scope) -> Sentence:
    """The keys of the conditions alone: a value may be an external id."""
    keys = {condition.key for condition in scope.conditions}
    return (", under a condition on ", *names(keys)) if keys else ()


def assumers(policy: Policy | None) -> frozenset[tuple[str, str, frozenset[str]]]:
    """Who a trust policy speaks of: the effect, the principal (``everybody but …``), and the keys of the conditions."""
    found = set()
    for statement in policy.statements if policy else ():
        keys = frozenset(condition.key.lower() for condition in statement.conditions)
        principals = statement.principals
        listed = [str(entry) for entry in principals.entries] if principals else []
        who = [f"everybody but {', '.join(listed)}"] if principals and principals.negated else listed
        found |= {(statement.effect, each, keys) for each in who}
    return frozenset(found)


def external_ids(policy: Policy | None) -> frozenset[str]:
    """The external ids that a trust policy accepts. For counting and for hiding, never for showing."""
    return frozenset(
        value
        for statement in (policy.statements if policy else ())
        for condition in statement.conditions
        if condition.key.lower() == "sts:externalid"
        for value in condition.values
    )


def trust_difference(subject: Sentence, before: Policy | None, after: Policy | None) -> Iterator[Sentence]:
    """Who may assume the role from now on, and who may not any more."""
    was, now = assumers(before), assumers(after)
    for found, allow, deny in (
        (now - was, " may now be assumed by ", " now denies being assumed to "),
        (was - now, " may no longer be assumed by ", " no longer denies being assumed to "),
    ):
        for effect, who, keys in sorted(found, key=lambda each: (each[0], each[1], sorted(each[2]))):
            yield (*subject, allow if effect == "Allow" else deny, Name(who), *_with(keys))
    if before is not None and after is not None:
        more, fewer = external_ids(after) - external_ids(before), external_ids(before) - external_ids(after)
        if more:
            yield (*subject, f" accepts {counted(len(more), 'external id')} that it did not accept before")
        if fewer:
            yield (*subject, f" no longer accepts {counted(len(fewer), 'external id')}")


def _with(keys: frozenset[str]) -> Sentence:
    others = keys - {"sts:externalid"}
    external = "with the external id" if "sts:externalid" in keys else "without the external id"
    return (f" ({external}", *((", under a condition on ", *names(others)) if others else ()), ")")
