"""What a policy document grants, as a set that can be compared; and the difference of two, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gridbyoc.aws.policy import Policy, Statement
from gridbyoc.aws.policy.model import Condition, Selection
from gridbyoc.stack.words import counted
from gridbyoc.steps.review.marks import MARKS, marks_of, matches
from gridbyoc.steps.review.words import GrantChange, Name, RoleSentence, Sentence, Verb, names

EXTERNAL_ID = "sts:externalid"
ACCOUNT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")
MOST_NAMES = 6
"""Names in one sentence; the JSON of a plan has all of them."""


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


def difference(subject: Sentence, before: frozenset[Granted], after: frozenset[Granted]) -> Iterator[RoleSentence]:
    """A sentence for each service and scope in which something was gained or lost; what is gained comes first.

    What is covered by something wider that the role has as well is neither a gain nor a loss.
    """
    gained, lost = _widest(after - before, before & after), _widest(before - after, after)
    for found, more in ((gained, True), (lost, False)):
        changes = sorted(_by_service(found, more), key=_weight)
        yield from (_sentence(subject, change) for change in changes)


def _widest(found: frozenset[Granted], kept: frozenset[Granted]) -> frozenset[Granted]:
    """Those that neither what is kept nor a wider one of them covers; of two that mean the same, one."""
    among, cover = _Cover(found), _Cover(kept)
    left = set()
    for each in sorted(found, key=str):
        if not among.holds(each, strictly=True) and not cover.holds(each):
            left.add(each)
            cover.add(each)
    return frozenset(left)


class _Cover:
    """What covers a grant: equal ones by their text, wider ones by their wildcards."""

    def __init__(self, found: Iterable[Granted]) -> None:
        self._equal: dict[str, list[Granted]] = {}
        self._wide: list[Granted] = []
        for each in found:
            self.add(each)

    def add(self, each: Granted) -> None:
        self._equal.setdefault(_key(each), []).append(each)
        if any("*" in action or "?" in action for action in each.actions) and not each.but:
            self._wide.append(each)

    def holds(self, narrow: Granted, *, strictly: bool = False) -> bool:
        """Whether one of them allows (or denies) all that ``narrow`` does; ``strictly``: and more."""
        near = [*self._equal.get(_key(narrow), ()), *self._wide]
        return any(_covers(each, narrow) and not (strictly and _covers(narrow, each)) for each in near)


def _key(each: Granted) -> str:
    return f"{each.but} {sorted(action.lower() for action in each.actions)}"


def _covers(wide: Granted, narrow: Granted) -> bool:
    if wide.scope.effect != narrow.scope.effect or not wide.scope.conditions <= narrow.scope.conditions:
        return False
    if _key(wide) != _key(narrow):
        if wide.but or narrow.but:
            return wide.actions == {"*"} and not wide.but and _on_all_of(wide.scope, narrow.scope)
        if not all(any(matches(pattern, action) for pattern in wide.actions) for action in narrow.actions):
            return False
    return _on_all_of(wide.scope, narrow.scope)


def _on_all_of(wide: Scope, narrow: Scope) -> bool:
    if wide.but or narrow.but:
        return (wide.but, wide.resources) == (narrow.but, narrow.resources) or (not wide.but and "*" in wide.resources)
    return "*" in wide.resources or narrow.resources <= wide.resources


def _by_service(found: Iterable[Granted], more: bool) -> Iterator[GrantChange]:
    groups: dict[tuple[str, Scope, frozenset[str]], set[str]] = {}
    for each in found:
        if each.but:
            groups[("*", each.scope, each.actions)] = set(each.actions)
        else:
            for action in each.actions:
                service = action.lower().partition(":")[0] if ":" in action else "*"
                groups.setdefault((service, each.scope, frozenset()), set()).add(action)
    verbs: dict[tuple[str, bool], Verb] = {("Allow", True): "gains", ("Allow", False): "loses"}
    verbs |= {("Deny", True): "is now denied", ("Deny", False): "is no longer denied"}
    for (service, scope, but), actions in groups.items():
        yield GrantChange(
            verbs[scope.effect, more],
            service,
            tuple(sorted(actions, key=lambda action: (not marks_of((action,)), action))),
            tuple(sorted(scope.resources)),
            tuple(sorted({condition.key for condition in scope.conditions})),
            everything_but=bool(but),
            all_resources_but=scope.but,
            marks=marks_of(actions, everything_but=bool(but)),
        )


def _weight(change: GrantChange) -> tuple[object, ...]:
    """What creates principals first, what has no mark last."""
    marks = [place for place, mark in enumerate(MARKS) if mark.words in change.marks]
    return (not change.widens, not marks, marks, change.service, change.actions, change.resources, change.conditions)


def _sentence(subject: Sentence, change: GrantChange) -> RoleSentence:
    but: Sentence = ("everything but ",) if change.everything_but else ()
    where: Sentence = ("all resources",) if "*" in change.resources else _some(change.resources)
    where = ("all resources but ", *_some(change.resources)) if change.all_resources_but else where
    under: Sentence = (", under a condition on ", *names(change.conditions)) if change.conditions else ()
    marks: Sentence = (f" ({', '.join(change.marks)})",) if change.marks else ()
    says: Sentence = (f"{change.verb} ", *but, *_some(change.actions), " on ", *where, *under, *marks)
    return RoleSentence(subject, says, change, alarming=change.widens and bool(change.marks))


def _some(texts: Sequence[str]) -> Sentence:
    """The first few in their order, and how many more there are."""
    shown: list[str | Name] = []
    for text in texts[:MOST_NAMES]:
        shown += [", ", Name(text)] if shown else [Name(text)]
    more = len(texts) - MOST_NAMES
    return (*shown, f" and {more} more") if more > 0 else tuple(shown)


def assumers(policy: Policy | None) -> frozenset[tuple[str, str, frozenset[str]]]:
    """Who a trust policy speaks of: the effect, the principal (``everybody but …``), and the keys of the conditions."""
    found = set()
    for statement in policy.statements if policy else ():
        keys = frozenset(condition.key.lower() for condition in statement.conditions)
        principals = statement.principals
        listed = [str(entry) for entry in principals.entries] if principals else []
        negated = principals is not None and principals.negated
        who = [f"everybody but {', '.join(listed)}"] if negated else [meaning(each) for each in listed]
        found |= {(statement.effect, each, keys) for each in who}
    return frozenset(found)


def meaning(principal: str) -> str:
    """An account's root ARN, and its bare number, as what they mean; any other principal as it is.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    match = ACCOUNT.fullmatch(principal)
    return f"any principal of account {match[1]}" if match else principal


def external_ids(policy: Policy | None) -> frozenset[str]:
    """The external ids that a trust policy accepts. For counting and for hiding, never for showing."""
    return frozenset(
        value
        for statement in (policy.statements if policy else ())
        for condition in statement.conditions
        if condition.key.lower() == EXTERNAL_ID
        for value in condition.values
    )


def trust_difference(subject: Sentence, before: Policy | None, after: Policy | None) -> Iterator[RoleSentence]:
    """Who may assume the role from now on, and who may not any more."""
    was, now = assumers(before), assumers(after)
    for found, allow, deny, more in (
        (now - was, "may now be assumed by ", "now denies being assumed to ", True),
        (was - now, "may no longer be assumed by ", "no longer denies being assumed to ", False),
    ):
        for effect, who, keys in _ordered(found):
            widens = (effect == "Allow") is more
            says: Sentence = (allow if effect == "Allow" else deny, Name(who), *_with(keys))
            yield RoleSentence(subject, says, alarming=widens and _is_open(who, keys))
    if before is not None and after is not None:
        new, fewer = external_ids(after) - external_ids(before), external_ids(before) - external_ids(after)
        if new:
            says = (f"accepts {counted(len(new), 'external id')} that it did not accept before",)
            yield RoleSentence(subject, says)
        if fewer:
            yield RoleSentence(subject, (f"no longer accepts {counted(len(fewer), 'external id')}",))


def kept_assumers(subject: Sentence, kept: Iterable[tuple[str, str, frozenset[str]]]) -> Iterator[RoleSentence]:
    """Who may assume the role, before and after."""
    for effect, who, keys in _ordered(kept):
        if effect == "Allow":
            says = ("may be assumed by ", Name(who), *_with(keys), ", as before")
            yield RoleSentence(subject, says, alarming=_is_open(who, keys))


def _ordered(found: Iterable[tuple[str, str, frozenset[str]]]) -> list[tuple[str, str, frozenset[str]]]:
    return sorted(found, key=lambda each: (each[0], each[1], sorted(each[2])))


def _is_open(who: str, keys: frozenset[str]) -> bool:
    """Without a condition anybody who is named gets in, or simply anybody."""
    return not keys or "*" in who or who.startswith("everybody but")


def _with(keys: frozenset[str]) -> Sentence:
    others = keys - {EXTERNAL_ID}
    external = "with the external id" if EXTERNAL_ID in keys else "without the external id"
    return (f" ({external}", *((", under a condition on ", *names(others)) if others else ()), ")")
