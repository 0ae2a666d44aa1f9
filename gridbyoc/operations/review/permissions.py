"""Describe a plan's changes of IAM resources: what the role gains and loses, and who may assume it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import Any

from gridbyoc.aws.policy import Policy, PolicyDocumentError, parse_policy
from gridbyoc.aws.policy.parse import PolicyKind
from gridbyoc.operations.review.grants import (
    EXTERNAL_ID_KEY,
    GrantedAction,
    assumers,
    difference,
    granted,
    kept_assumers,
    meaning,
    trust_difference,
)
from gridbyoc.operations.review.words import (
    Change,
    Name,
    RoleSentence,
    Sentence,
    actions_of,
    after_of,
    all_changes,
    before_of,
    names,
    resource_changes,
    unknown,
)

Documents = Mapping[str, Policy | str]
"""Managed policies by ARN: the policy, or why it could not be read."""
NO_DOCUMENTS: Documents = MappingProxyType({})
ROLE = "aws_iam_role"
POLICIES = ("aws_iam_policy", "aws_iam_role_policy")
ATTACHMENTS = ("aws_iam_role_policy_attachment", "aws_iam_policy_attachment")


def permission_changes(
    shown: Mapping[str, Any], trusted: Sequence[Trusted] = (), documents: Documents = NO_DOCUMENTS
) -> tuple[RoleSentence, ...]:
    """A sentence for each change, from ``terraform show -json`` of a saved plan. None contains an external id.

    ``trusted``: the principals that the module lets in, for a new role whose trust policy is only known after the
    apply. ``documents``: the managed policies of ``attached_arns``.
    """
    holders = _Holders(shown)
    found: list[RoleSentence] = []
    for change in resource_changes(shown):
        if change.get("type") == ROLE:
            found += _role(change, holders.subject(change), trusted=trusted)
    for subject, changes in holders.policies():
        found += _policies(subject, changes, documents, holders.own)
    return tuple(dict.fromkeys(found))


def standing_trust(shown: Mapping[str, Any], trusted: Sequence[Trusted] = ()) -> tuple[RoleSentence, ...]:
    """Sentences on who may assume each role of the plan both before and after it."""
    holders = _Holders(shown)
    found: list[RoleSentence] = []
    for change in all_changes(shown):
        if change.get("type") != ROLE or not after_of(change) or not before_of(change):
            continue
        subject, (was, bad) = holders.subject(change), _read(before_of(change).get("assume_role_policy"), "trust")
        if bad:
            found += _unreadable(subject, bad, "trust policy")
        elif unknown(change, "assume_role_policy"):
            now = {each.plain() for each in trusted}
            kept = [each for each in assumers(was) if Trusted(each[1], EXTERNAL_ID_KEY in each[2]) in now]
            found += kept_assumers(subject, kept)
        else:
            now_policy, _ = _read(after_of(change).get("assume_role_policy"), "trust")
            found += kept_assumers(subject, assumers(was) & assumers(now_policy))
    return tuple(dict.fromkeys(found))


def attached_arns(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """The managed policies whose documents show what a role gains or loses; empty if its policies do not change.

    Policies that the plan itself creates are not included.
    """
    if not any(map(_regrants, resource_changes(shown))):
        return ()
    before, after = _Holders(shown).own
    attachments = [change for change in all_changes(shown) if change.get("type") in ATTACHMENTS]
    found = (side(change).get("policy_arn") for change in attachments for side in (before_of, after_of))
    return tuple(arn for arn in dict.fromkeys(str(each) for each in found if each) if arn not in {*before, *after})


@dataclass(frozen=True, slots=True)
class Trusted:
    """A principal that may assume a role, and whether the external id is required."""

    principal: str
    external_id: bool

    def plain(self) -> Trusted:
        """The entry with an account's root ARN or number in words."""
        return replace(self, principal=meaning(self.principal))


class _Holders:
    """Finds the subject of a sentence: the only role of the same module."""

    def __init__(self, shown: Mapping[str, Any]) -> None:
        self._changes = all_changes(shown)
        self._roles: dict[str, list[Change]] = {}
        self.own: tuple[dict[str, Policy | None], dict[str, Policy | None]] = ({}, {})
        """The policies in the plan itself, by their current ARN; before and after."""
        for change in self._changes:
            for found, side in zip(self.own, (before_of(change), after_of(change)), strict=True):
                if change.get("type") == "aws_iam_policy" and side.get("arn"):
                    found[str(side["arn"])] = _read(side.get("policy"), "identity")[0]
            if change.get("type") == ROLE:
                self._roles.setdefault(str(change.get("module_address") or ""), []).append(change)

    def subject(self, change: Change) -> Sentence:
        roles = self._roles.get(str(change.get("module_address") or ""), [])
        role = change if change.get("type") == ROLE else roles[0] if len(roles) == 1 else None
        if role is not None:
            # A role without a name yet is just "the role", if it is the only one.
            alone = sum(map(len, self._roles.values())) == 1 and _called(role) == role.get("address")
            return ("The role",) if alone else ("The role ", Name(_called(role)))
        return ("The policy " if change.get("type") in POLICIES else "The role of ", Name(_called(change)))

    def policies(self) -> Iterator[tuple[Sentence, list[Change]]]:
        """For each subject the roles, policies and attachments that grant something to it, without deleted roles."""
        found: dict[Sentence, list[Change]] = {}
        gone = {self.subject(c) for roles in self._roles.values() for c in roles if not after_of(c)}
        for change in self._changes:
            if change.get("type") in (ROLE, *POLICIES, *ATTACHMENTS):
                found.setdefault(self.subject(change), []).append(change)
        yield from ((subject, changes) for subject, changes in found.items() if subject not in gone)


def _regrants(change: Change) -> bool:
    inline = (side(change).get("inline_policy") for side in (before_of, after_of))
    return change.get("type") in (*POLICIES, *ATTACHMENTS) or (change.get("type") == ROLE and any(inline))


def _called(change: Change) -> str:
    """The name in IAM; the address until the name is known."""
    return str(after_of(change).get("name") or before_of(change).get("name") or change.get("address"))


def _role(change: Change, subject: Sentence, *, trusted: Sequence[Trusted]) -> Iterator[RoleSentence]:
    before, after = before_of(change), after_of(change)
    if actions_of(change) == ("create",):
        yield RoleSentence(subject, ("is new",))
    if not after:
        stays = actions_of(change) == ("forget",)
        end = "stays in AWS, but is no longer managed" if stays else "is destroyed: nobody can assume it any more"
        yield RoleSentence(subject, (end,), alarming=True)
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
        yield RoleSentence(subject, (f"allows sessions of up to {session[1]} seconds; before, {session[0]}",))


def _to_be_trusted(subject: Sentence, before: Policy | None, trusted: Sequence[Trusted]) -> Iterator[RoleSentence]:
    """Compare the principals that the module will let in with the current ones, if the new trust policy is unknown."""
    if not trusted:
        later = "can be assumed by the principals in its trust policy, which is known only after the apply"
        yield RoleSentence(subject, (later,), alarming=True)
        return
    allowed = (each for each in assumers(before) if each[0] == "Allow")
    was = {Trusted(who, EXTERNAL_ID_KEY in keys) for _, who, keys in allowed}
    now = {each.plain() for each in trusted}
    for found, verb in ((now - was, "may now"), (was - now, "may no longer")):
        for each in sorted(found, key=lambda one: (not one.external_id, one.principal)):
            external = "with" if each.external_id else "without"
            says = (f"{verb} be assumed by ", Name(each.principal), f" ({external} the external id)")
            yield RoleSentence(subject, says, alarming=verb == "may now" and not each.external_id)
    if before is not None:
        yield RoleSentence(subject, ("accepts external ids that are known only after the apply",))


def _boundary(subject: Sentence, before: object, after: object) -> Iterator[RoleSentence]:
    if before == after or not (before or after):
        return
    if after:
        was = (", no longer by ", Name(str(before))) if before else ()
        yield RoleSentence(subject, ("is bounded by ", Name(str(after)), *was), alarming=bool(before))
    else:
        says = ("is no longer bounded by ", Name(str(before)), ": nothing limits its policies any more")
        yield RoleSentence(subject, says, alarming=True)


@dataclass(slots=True)
class _Sides:
    """A role's grants before and after, and its managed policies before and after."""

    before: set[GrantedAction] = field(default_factory=set)
    after: set[GrantedAction] = field(default_factory=set)
    arns: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))

    @property
    def unchanged(self) -> bool:
        return self.before == self.after and self.arns[0] == self.arns[1]


def _policies(
    subject: Sentence,
    changes: Sequence[Change],
    documents: Documents,
    own: tuple[Mapping[str, Policy | None], Mapping[str, Policy | None]],
) -> Iterator[RoleSentence]:
    sides = _Sides()
    for change in changes:
        yield from _collect(change, subject, sides)
    for side, arns, ours in zip((sides.before, sides.after), sides.arns, own, strict=True):
        for arn in arns:
            found = documents.get(arn, ours.get(arn))
            if isinstance(found, Policy):
                side |= granted(found)
    if not sides.unchanged:
        yield from _attachments(subject, sides, documents)
        yield from difference(subject, frozenset(sides.before), frozenset(sides.after))


def _collect(change: Change, subject: Sentence, sides: _Sides) -> Iterator[RoleSentence]:
    """Add a resource's grants to both sides; yields a sentence for each unknown resource."""
    stays = actions_of(change) == ("forget",)
    before, after = before_of(change), before_of(change) if stays else after_of(change)
    address = Name(str(change.get("address")))
    if change.get("type") in ATTACHMENTS:
        for arns, side in zip(sides.arns, (before, after), strict=True):
            arns |= {str(arn) for arn in (side.get("policy_arn"),) if arn}
        if unknown(change, "policy_arn"):
            yield RoleSentence(subject, ("gets a policy attached that the same apply creates: ", address))
        return
    if change.get("type") == ROLE:
        texts = [_inline(side.get("inline_policy")) for side in (before, after)]
        texts = [texts[0], texts[0]] if unknown(change, "inline_policy") else texts
        what = "inline policy"
    else:
        if unknown(change, "policy"):
            yield RoleSentence(subject, ("gets a policy that is known only after the apply: ", address), alarming=True)
            return
        texts = [[side.get("policy")] for side in (before, after)]
        what = "policy"
    read = [[_read(text, "identity") for text in side] for side in texts]
    if any(bad for side in read for _, bad in side):
        if texts[0] != texts[1]:
            yield from _unreadable(subject, True, what)
        return
    for granted_so_far, found in zip((sides.before, sides.after), read, strict=True):
        granted_so_far.update(chain.from_iterable(granted(policy) for policy, _ in found))


def _inline(blocks: object) -> list[Any]:
    return [each.get("policy") for each in blocks if isinstance(each, dict)] if isinstance(blocks, list) else []


def _attachments(subject: Sentence, sides: _Sides, documents: Documents) -> Iterator[RoleSentence]:
    before, after = sides.arns
    for found, verb, attached in ((after - before, "gets", " attached"), (before - after, "loses", "")):
        of_aws = sorted(arn for arn in found if ":iam::aws:policy/" in arn)
        if of_aws:
            short = (arn.partition(":policy/")[2] for arn in of_aws)
            count = f"{len(of_aws)} {'policy' if len(of_aws) == 1 else 'policies'}"
            yield RoleSentence(subject, (f"{verb} {count} of AWS{attached}: ", *names(short)))
        for arn in sorted(found - {*of_aws}):
            yield RoleSentence(subject, (f"{verb} the policy ", Name(arn), attached))
    unread = {arn: why for arn, why in documents.items() if isinstance(why, str)}
    for arn in sorted((after - before) & unread.keys()):
        says: Sentence = ("gains what ", Name(arn), f" allows, which could not be read: {unread[arn]}")
        yield RoleSentence(subject, says, alarming=True)
    for arn in sorted(before & after & unread.keys()):
        says = ("keeps what ", Name(arn), f" allows, which could not be read: {unread[arn]}")
        yield RoleSentence(subject, says)


def _read(document: object, kind: PolicyKind) -> tuple[Policy | None, bool]:
    """The policy, ``None`` if there is none; and whether there is one that cannot be read."""
    if not document:
        return None, False
    try:
        return parse_policy(document, name="the policy", kind=kind), False
    except PolicyDocumentError:
        return None, True


def _unreadable(subject: Sentence, bad: bool, what: str) -> Iterator[RoleSentence]:
    if bad:
        yield RoleSentence(subject, (f"has a {what} that cannot be described: check it yourself",), alarming=True)
