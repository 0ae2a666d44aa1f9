"""A plan's changes of IAM resources in words: what the role gains and loses, and who may assume it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from gridbyoc.aws.policy import Policy, PolicyDocumentError, parse_policy
from gridbyoc.aws.policy.parse import PolicyKind
from gridbyoc.steps.review.grants import assumers, difference, external_ids, granted, trust_difference
from gridbyoc.steps.review.words import (
    Change,
    Name,
    Sentence,
    actions_of,
    after_of,
    all_changes,
    before_of,
    resource_changes,
    unknown,
)

ROLE = "aws_iam_role"
ACCOUNT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")
POLICIES = ("aws_iam_policy", "aws_iam_role_policy")
ATTACHMENTS = ("aws_iam_role_policy_attachment", "aws_iam_policy_attachment")


def permission_changes(shown: Mapping[str, Any], trusted: Sequence[Trusted] = ()) -> tuple[Sentence, ...]:
    """A sentence for each change, from ``terraform show -json`` of a saved plan. No external id is in any of them.

    ``trusted`` is who the module lets in, for a new role whose trust policy is known after the apply only.
    """
    changes = resource_changes(shown)
    subjects = _Subjects(shown)
    tellers: tuple[tuple[tuple[str, ...], Callable[[Change, Sentence], Iterator[Sentence]]], ...] = (
        ((ROLE,), partial(_role, trusted=trusted)),
        (POLICIES, _policy),
        (ATTACHMENTS, _attachment),
    )
    found = (tell(c, subjects.of(c)) for kinds, tell in tellers for c in changes if c.get("type") in kinds)
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def trusted_ids(shown: Mapping[str, Any]) -> frozenset[str]:
    """Every external id that stands in a trust policy of the plan, before or after: to be kept out of any report."""
    roles = [each for each in all_changes(shown) if each.get("type") == ROLE]
    documents = [side(role).get("assume_role_policy") for role in roles for side in (before_of, after_of)]
    return frozenset(chain.from_iterable(external_ids(_read(text, "trust")[0]) for text in documents))


@dataclass(frozen=True, slots=True)
class Trusted:
    """Who may assume a role, and whether the external id is asked for."""

    principal: str
    external_id: bool

    def plain(self) -> Trusted:
        """An account's root ARN, and its bare number, as what they mean."""
        match = ACCOUNT.fullmatch(self.principal)
        return replace(self, principal=f"any principal of account {match[1]}") if match else self


class _Subjects:
    """Who a sentence is about: the role of the same module, as long as that has one only."""

    def __init__(self, shown: Mapping[str, Any]) -> None:
        self._roles: dict[str, list[Change]] = {}
        for change in all_changes(shown):
            if change.get("type") == ROLE:
                self._roles.setdefault(str(change.get("module_address") or ""), []).append(change)

    def of(self, change: Change) -> Sentence:
        roles = self._roles.get(str(change.get("module_address") or ""), [])
        role = change if change.get("type") == ROLE else roles[0] if len(roles) == 1 else None
        if role is not None:
            # A role that is not named yet is told from none, as long as it is the only one.
            alone = sum(map(len, self._roles.values())) == 1 and _called(role) == role.get("address")
            return ("The role",) if alone else ("The role ", Name(_called(role)))
        return ("The policy " if change.get("type") in POLICIES else "The role of ", Name(_called(change)))


def _called(change: Change) -> str:
    """Its name in IAM; its address as long as that is not known."""
    return str(after_of(change).get("name") or before_of(change).get("name") or change.get("address"))


def _role(change: Change, subject: Sentence, *, trusted: Sequence[Trusted]) -> Iterator[Sentence]:
    before, after = before_of(change), after_of(change)
    if actions_of(change) == ("create",):
        yield (*subject, " is new")
    if not after:
        yield (*subject, " is destroyed: nobody can assume it any more")
        return
    if unknown(change, "assume_role_policy"):
        yield from _to_be_trusted(subject, _read(before.get("assume_role_policy"), "trust")[0], trusted)
    else:
        was, now = _read(before.get("assume_role_policy"), "trust"), _read(after.get("assume_role_policy"), "trust")
        yield from _unreadable(subject, was[1] or now[1], "trust policy")
        if not (was[1] or now[1]):
            yield from trust_difference(subject, was[0], now[0])
    yield from _boundary(subject, before.get("permissions_boundary"), after.get("permissions_boundary"))
    session = before.get("max_session_duration"), after.get("max_session_duration")
    if before and session[0] != session[1]:
        yield (*subject, f" lends sessions of up to {session[1]} seconds; it was {session[0]}")
    yield from _inline(subject, before.get("inline_policy"), after.get("inline_policy"))


def _to_be_trusted(subject: Sentence, before: Policy | None, trusted: Sequence[Trusted]) -> Iterator[Sentence]:
    """A trust policy with an external id that is not made yet: whom the module will let in, against whom it lets in."""
    if not trusted:
        yield (*subject, " is assumed by whom its trust policy names, which is known after the apply only")
        return
    allowed = (each for each in assumers(before) if each[0] == "Allow")
    was = {Trusted(who, "sts:externalid" in keys).plain() for _, who, keys in allowed}
    now = {each.plain() for each in trusted}
    for found, verb in ((now - was, "may now"), (was - now, "may no longer")):
        for each in sorted(found, key=lambda one: (not one.external_id, one.principal)):
            external = "with" if each.external_id else "without"
            yield (*subject, f" {verb} be assumed by ", Name(each.principal), f" ({external} the external id)")
    if before is not None:
        yield (*subject, " accepts external ids that are known after the apply only")


def _boundary(subject: Sentence, before: object, after: object) -> Iterator[Sentence]:
    if before == after or not (before or after):
        return
    if after:
        was = (", no longer by ", Name(str(before))) if before else ()
        yield (*subject, " is bounded by ", Name(str(after)), *was)
    else:
        yield (*subject, " is no longer bounded by ", Name(str(before)), ": nothing limits its policies any more")


def _inline(subject: Sentence, before: object, after: object) -> Iterator[Sentence]:
    sides = []
    for blocks in (before, after):
        listed = [each for each in blocks if isinstance(each, dict)] if isinstance(blocks, list) else []
        sides.append([_read(each.get("policy"), "identity") for each in listed])
    yield from _unreadable(subject, any(bad for side in sides for _, bad in side), "inline policy")
    was, now = (frozenset(chain.from_iterable(granted(policy) for policy, _ in side)) for side in sides)
    yield from difference(subject, was, now)


def _policy(change: Change, subject: Sentence) -> Iterator[Sentence]:
    if unknown(change, "policy"):
        yield (*subject, " gets a policy that is known after the apply only: ", Name(str(change.get("address"))))
        return
    was, now = (_read(side(change).get("policy"), "identity") for side in (before_of, after_of))
    yield from _unreadable(subject, was[1] or now[1], "policy")
    if not (was[1] or now[1]):
        yield from difference(subject, granted(was[0]), granted(now[0]))


def _attachment(change: Change, subject: Sentence) -> Iterator[Sentence]:
    before, after = before_of(change).get("policy_arn"), after_of(change).get("policy_arn")
    arn_unknown = unknown(change, "policy_arn")
    if before and (before != after or arn_unknown):
        yield (*subject, " loses the policy ", Name(str(before)))
    if after and before != after:
        yield (*subject, " gets the policy ", Name(str(after)), " attached")
    elif arn_unknown and not before:
        yield (*subject, " gets a policy attached that is made in the same apply: ", Name(str(change.get("address"))))


def _read(document: object, kind: PolicyKind) -> tuple[Policy | None, bool]:
    """The policy, ``None`` where there is none; and whether there is one that cannot be read."""
    if not document:
        return None, False
    try:
        return parse_policy(document, name="the policy", kind=kind), False
    except PolicyDocumentError:
        return None, True


def _unreadable(subject: Sentence, bad: bool, what: str) -> Iterator[Sentence]:
    if bad:
        yield (*subject, f" has a {what} that cannot be put into words: look at it")
