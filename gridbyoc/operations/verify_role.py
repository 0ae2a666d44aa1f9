"""The proof of a role that another tool, a vendor or a person made, without a stack file.

The principals that it should trust are given, and optionally the external id. Any other principal that gets in is a
finding, and so is any way in without the external id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.aws import Caller, caller_identity
from gridbyoc.aws.live_role import LiveDocument, LiveRole, read_live_role
from gridbyoc.aws.policy import (
    Actor,
    Decision,
    Policy,
    PrincipalEntry,
    Statement,
    actor_of,
    assume_request,
    evaluate,
    principal,
)
from gridbyoc.aws.policy.conditions import operator_form
from gridbyoc.aws.policy.evaluate import (
    ACCOUNT,
    ASSUME,
    FEDERATED,
    PRINCIPAL_ARN,
    UNIQUE_ID,
    external_ids_named,
    id_conditions,
    may_assume,
    principals_match,
)
from gridbyoc.aws.policy.model import split_arn
from gridbyoc.aws.session import AwsSession
from gridbyoc.aws.trust import accepted_in, external_ids_written
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.operations.attestation import attested, write_document
from gridbyoc.operations.finding import Finding, Verdict, holds, worst
from gridbyoc.operations.verify import guard_role, without_ids
from gridbyoc.operations.verify_model import (
    ANOTHER_ACCOUNT,
    CONDITION,
    EMPTY_ID,
    EXTRA_PRINCIPALS,
    FURTHER_IDS,
    NO_ID,
    OTHER_ID,
    PRINCIPALS_ADMITTED,
    STRENGTH,
    UNGUARDED,
    policy_of,
)
from gridbyoc.operations.verify_trust import (
    ANOTHER_ID,
    LOOK,
    NEGATED,
    Remark,
    accounts_in_conditions,
    actions,
    all_denied,
    allowed_entries,
    allows,
    lists_ids,
    literal_ids,
    negated,
    negations,
    other_ids,
    people_of,
    plain_ids,
    statement_names,
    strength_of,
    trust_finding,
    unnamed_account,
    users,
    variable_ids,
    whoever,
    wildcards,
)
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.external_id import EXTERNAL_ID_FORM
from gridbyoc.stack.redaction import redacted
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import counted, enumerated

MEND = "Change the trust policy, or let whoever made the role change it."
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/(?:[\x21-\x7e]+/)?[A-Za-z0-9_+=,.@-]{1,64}")
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:root|(?:role|user)/[\x21-\x7e]+)")


def expected_principals(role_arn: str, names: Sequence[str]) -> tuple[str, ...]:
    """The principals that the role should trust, as ARNs, an account as its root.

    Raises ``UsageError`` for anything else.
    """
    if not _ROLE.fullmatch(role_arn):
        raise _usage(
            f"{role_arn} is not the ARN of an IAM role.",
            "Such as arn:aws:iam::123456789012:role/vendor; `aws iam get-role --role-name NAME` shows it.",
        )
    partition = role_arn.split(":")[1]
    found = [f"arn:{partition}:iam::{name}:root" if ACCOUNT.fullmatch(name) else name for name in names]
    for arn in found:
        if not _PRINCIPAL.fullmatch(arn) or "*" in arn or "?" in arn:
            raise _usage(
                f"{arn} is not an account, a role or a user.",
                "Give an account's 12 digits, or an ARN: arn:aws:iam::ACCOUNT:root, …:role/NAME or …:user/NAME. For a "
                "session, name its role.",
            )
        if arn.split(":")[1] != partition:
            raise _usage(
                f"{arn} is in another partition than the role ({partition}), and cannot assume it.",
                "Write both ARNs as IAM shows them.",
            )
    return tuple(dict.fromkeys(found))


def _usage(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)


@dataclass(frozen=True, slots=True)
class RoleTrust:
    """A role's trust policy, and the ARNs that it should trust. ``external_id`` is ``None`` if it is not known here.

    ``now`` has a time zone.
    """

    role: LiveRole
    policy: Policy
    principals: tuple[str, ...]
    external_id: Secret | None
    now: datetime

    @property
    def mend(self) -> str:
        """The fix for a wrong statement."""
        return MEND

    @property
    def actors(self) -> tuple[Actor, ...]:
        """The expected principals as actors; an account as some principal of it."""
        return tuple(map(actor_of, self.principals))

    @property
    def right_ids(self) -> frozenset[str]:
        """The given external id; without one, every id that the policy lists, since any may be the right one."""
        return literal_ids(self.policy) if self.external_id is None else frozenset({self.external_id.reveal()})

    def asked(
        self, actor: Actor, ids: Sequence[str], *, policy: Policy | None = None, action: str = ASSUME
    ) -> Decision:
        """The policy's decision on ``actor`` with these external ids."""
        return evaluate((policy or self.policy,), assume_request(self.role.arn, actor, ids, self.now, action=action))

    def named_ids(self, actor: Actor) -> tuple[str, ...]:
        """The external ids that the policy names and that a call can carry; ``actor`` fills in its variables."""
        found = external_ids_named(self.policy, assume_request(self.role.arn, actor, (), self.now))
        return tuple(filter(EXTERNAL_ID_FORM.fullmatch, found))

    def named(self, entry: PrincipalEntry) -> str:
        """An account id as its root ARN; any other name as it is."""
        return f"arn:{self.role.partition}:iam::{entry.value}:root" if ACCOUNT.fullmatch(entry.value) else entry.value

    def expects(self, entry: PrincipalEntry) -> bool:
        """Whether an entry admits only expected principals: the same one, a session of it, or one of its account."""
        name = self.named(entry)
        if entry.kind != "AWS" or not PRINCIPAL_ARN.fullmatch(name) or "*" in name or "?" in name:
            return False
        _, partition, service, _, account, what = name.split(":", 5)
        if name in self.principals or f"arn:{partition}:iam::{account}:root" in self.principals:
            return True
        roles = f"arn:{partition}:iam::{account}:role/"
        expected = {arn.rpartition("/")[2] for arn in self.principals if arn.startswith(roles)}
        return service == "sts" and what.startswith("assumed-role/") and what.split("/")[1] in expected


def admission(trust: RoleTrust) -> Finding:
    """Every expected principal gets in: with the given external id, or with one that the policy names."""
    kind = PRINCIPALS_ADMITTED
    answers = [(arn, _best(trust, actor_of(arn))) for arn in trust.principals]
    for effect, verdict, said in (("denied", "fail", "does not get in"), ("unknown", "unknown", "may not get in")):
        found = [(arn, answer) for arn, answer in answers if answer.effect == effect]
        if found:
            detail = f"{enumerated(arn for arn, _ in found)} {said}: {found[0][1].why}"
            account = effect == "unknown" and found[0][0].endswith(":root")
            fix = "Give the role or user itself as --principal." if account else LOOK if effect == "unknown" else MEND
            names = statement_names(answer for _, answer in found)
            return Finding(kind, "fail" if verdict == "fail" else "unknown", detail, fix=fix, statements=names)
    how = "an external id" if trust.external_id is None else "the external id"
    detail = f"{enumerated(trust.principals)} may assume the role with {how}: {answers[0][1].why}"
    return Finding(kind, "pass", detail, statements=statement_names(answer for _, answer in answers))


def _best(trust: RoleTrust, actor: Actor) -> Decision:
    """The best decision for an expected principal.

    Without a given id, a call without any id counts as well; GBY-V002 reports it.
    """
    tried: list[tuple[str, ...]]
    if trust.external_id is not None:
        tried = [(trust.external_id.reveal(),)]
    else:
        tried = [*((each,) for each in (*trust.named_ids(actor), ANOTHER_ID)), ()]
    answers = [trust.asked(actor, each) for each in tried]
    return min(answers, key=lambda answer: ("allowed", "unknown", "denied").index(answer.effect))


def without_id(trust: RoleTrust) -> Finding:
    """No expected principal gets in without an external id."""
    answers = [trust.asked(actor, ()) for actor in trust.actors]
    return all_denied(trust, NO_ID, "a caller without an external id", answers)


def another_id(trust: RoleTrust) -> Finding:
    """No expected principal gets in with an external id other than the given one or those that the policy lists."""
    right = trust.right_ids
    tried = {ANOTHER_ID, *(other for each in right for other in other_ids(each))}
    answers = [
        trust.asked(actor, (other,))
        for actor in trust.actors
        for other in sorted({*tried, *trust.named_ids(actor)} - right)
    ]
    return all_denied(trust, OTHER_ID, "a caller with another external id", answers)


def empty_id(trust: RoleTrust) -> Finding:
    """No expected principal gets in with an empty external id, and none is listed: STS requires two characters."""
    kind = EMPTY_ID
    listing = [
        statement
        for statement in allows(trust.policy)
        for condition in id_conditions(statement)
        if lists_ids(condition) and "" in condition.values
    ]
    if listing:
        names = tuple(dict.fromkeys(str(each.name) for each in listing))
        return Finding(kind, "fail", f"{enumerated(names)} lists an empty external id", fix=MEND, statements=names)
    answers = [trust.asked(actor, ("",)) for actor in trust.actors]
    return all_denied(trust, kind, "a caller with an empty external id", answers)


def strangers(trust: RoleTrust) -> Finding:
    """No other account gets in: not with the right external id, nor with any that the policy names."""
    role = trust.role
    accounts = (
        unnamed_account(trust.policy, *trust.principals, role.arn),
        *accounts_in_conditions(trust.policy, role.account_id, *trust.principals),
    )
    answers = [
        trust.asked(actor, each)
        for actor in people_of(accounts, role.partition)
        for each in ((), *((i,) for i in sorted({ANOTHER_ID, *trust.right_ids, *trust.named_ids(actor)})))
    ]
    found = all_denied(trust, ANOTHER_ACCOUNT, "a stranger", answers)
    tried = ": without an external id, with the right one, and with each that the policy names"
    return replace(found, detail=found.detail + tried) if found.verdict == "pass" else found


def others(trust: RoleTrust) -> Finding:
    """Principals that are not expected."""
    remarks = [
        remark for statement, entry in allowed_entries(trust.policy) if (remark := _other(trust, statement, entry))
    ]
    remarks += [Remark("fail", each, f"trusts {NEGATED}") for each in allows(trust.policy) if negated(each)]
    nameable = any(entry.value != "*" and not trust.expects(entry) for _, entry in allowed_entries(trust.policy))
    fix = f"{MEND} Name each principal that should be trusted with --principal." if nameable else MEND
    return trust_finding(trust, EXTRA_PRINCIPALS, remarks, "only the expected principals are trusted", fix)


def _other(trust: RoleTrust, statement: Statement, entry: PrincipalEntry) -> Remark | None:
    if trust.expects(entry):
        return None
    if entry.value == "*":
        return Remark("fail", statement, f"trusts {entry}: everybody")
    if entry.kind == "AWS" and UNIQUE_ID.fullmatch(entry.value):
        return Remark("warn", statement, f"trusts {entry}, a principal that has been deleted")
    name = trust.named(entry)
    parts = split_arn(name)
    expected = [arn for arn in trust.principals if parts and arn.split(":")[4] == parts[4]]
    if entry.kind == "AWS" and name.endswith(":root") and expected:
        if _only(trust, statement, name):
            said = f"trusts the whole account {name}, and it is unknown whether its conditions admit only "
            return Remark("unknown", statement, f"{said}{enumerated(expected)}")
        return Remark(
            "fail", statement, f"trusts the whole account {name}, of which {enumerated(expected)} is expected"
        )
    return Remark("fail", statement, f"trusts {entry}, which no --principal names")


def _only(trust: RoleTrust, statement: Statement, root: str) -> bool:
    """Whether a statement that trusts a whole account keeps out some other role and user of it by its conditions."""
    alone = replace(trust.policy, statements=(statement,))
    ids = [(), *((each,) for each in sorted({ANOTHER_ID, *trust.right_ids}))]
    people = [principal(root.removesuffix("root") + f"{kind}/gridbyoc-nobody") for kind in ("role", "user")]
    return all(trust.asked(who, each, policy=alone).effect != "allowed" for who in people for each in ids)


def unguarded(trust: RoleTrust) -> Finding:
    """No other principal gets in without an external id; GBY-V002 is about the expected ones."""
    remarks = [
        remark
        for statement in allows(trust.policy)
        for who, actor in _others_of(trust, statement)
        if (remark := _without_id(trust, statement, who, actor))
    ]
    good = "no other principal gets in without an external id"
    return trust_finding(trust, UNGUARDED, remarks, good, MEND)


def _others_of(trust: RoleTrust, statement: Statement) -> Iterator[tuple[str, Actor | None]]:
    if negated(statement):
        yield NEGATED, None
        return
    stranger = unnamed_account(trust.policy, *trust.principals, trust.role.arn)
    for entry in statement.principals.entries if statement.principals else ():
        if not trust.expects(entry) and not UNIQUE_ID.fullmatch(entry.value):
            yield whoever(entry, trust.named(entry), stranger, trust.role.partition)


def _without_id(trust: RoleTrust, statement: Statement, who: str, actor: Actor | None) -> Remark | None:
    wanted = FEDERATED if actor is not None and actor.kind == "federated" else (ASSUME,)
    answers = [trust.asked(actor, (), action=action) for action in wanted] if actor else []
    if any(answer.effect == "allowed" and answer.statement == statement.name for answer in answers):
        return Remark("fail", statement, f"admits {who} without an external id")
    if actor is None or any(answer.effect == "unknown" for answer in answers):
        return Remark("unknown", statement, f"may admit {who} without an external id")
    return None


def conditions(trust: RoleTrust) -> Finding:
    """Every statement that admits an expected principal requires the external id itself, with StringEquals."""
    remarks = [remark for each in allows(trust.policy) if may_assume(each) and (remark := _id_remark(trust, each))]
    good = "every statement for them asks for the external id with StringEquals"
    return trust_finding(trust, CONDITION, remarks, good, MEND)


def _id_remark(trust: RoleTrust, statement: Statement) -> Remark | None:
    """How one statement requires the external id.

    It is judged alone with the Denies, because another statement may hide a hole.
    """
    who = [
        actor
        for actor in trust.actors
        if statement.principals is None or principals_match(statement.principals, actor).holds is not False
    ]
    denies = tuple(each for each in trust.policy.statements if each.effect == "Deny")
    alone = replace(trust.policy, statements=(statement, *denies))
    effects = {trust.asked(actor, ids, policy=alone).effect for actor in who for ids in ((), (ANOTHER_ID,))}
    found = id_conditions(statement)
    said = f"asks for the external id with {enumerated(each.operator for each in found)}"
    if "allowed" in effects:
        hole = f"{said}, which an absent or another id meets" if found else "has no condition on sts:ExternalId"
        return Remark("fail", statement, hole)
    if any((form := operator_form(each.operator)) and form.base == "StringEquals" and form.plain for each in found):
        return None
    if "unknown" in effects:
        unsure = f"{said}, and it is unknown whether an absent or another id meets that"
        unsure = unsure if found else "has no condition on sts:ExternalId, and it is unknown whether it admits anybody"
        return Remark("unknown", statement, unsure)
    if not who:
        return None
    narrow = (
        f"{said}; StringEquals is exact" if found else "has no condition on sts:ExternalId: only a Deny asks for it"
    )
    return Remark("warn", statement, narrow)


def further_ids(trust: RoleTrust) -> Finding:
    """Accepted external ids besides the given one; if none is given, more than one."""
    remarks: list[Remark] = []
    given = trust.external_id
    for statement in allows(trust.policy):
        listing = [each for each in id_conditions(statement) if lists_ids(each)]
        remarks += variable_ids(trust.policy, statement, listing)
        plain = plain_ids(trust.policy, listing)
        further = plain - {given.reveal()} if given else set()
        if further:
            remarks.append(
                Remark("fail", statement, f"accepts {counted(len(further), 'external id')} besides the one given")
            )
    count = len(_accepted(trust))
    if given is None and count > 1:
        remarks += [
            Remark(
                "warn", each, f"is one of the statements that list {count} external ids, each of which opens the role"
            )
            for each in allows(trust.policy)
            if id_conditions(each)
        ]
    good = "no more than one external id is listed" if given is None else "the external id is the only one"
    return trust_finding(trust, FURTHER_IDS, remarks, good, f"Remove the ids that nobody needs. {MEND}")


def _accepted(trust: RoleTrust) -> list[str]:
    listing = [each for statement in allows(trust.policy) for each in id_conditions(statement) if lists_ids(each)]
    return sorted(filter(EXTERNAL_ID_FORM.fullmatch, plain_ids(trust.policy, listing)))


def guessable(trust: RoleTrust) -> Finding:
    """Whether the external id, or any that the policy lists, is shared by a vendor's customers or can be guessed."""
    parts = [split_arn(arn) for arn in trust.principals]
    known = [text for each in parts if each for text in (each[4], each[5].rpartition("/")[2])]
    ids = [trust.external_id] if trust.external_id else [Secret(each) for each in _accepted(trust)]
    fix = "Agree with the vendor on an id of your own, 32 random characters, and put it into the trust policy."
    if not ids:
        detail = "the trust policy lists no external id that could be judged"
        return Finding(STRENGTH, "unknown", detail, fix=fix)
    return strength_of(ids, (trust.role.name, trust.role.account_id, *known), fix)


QUESTIONS_ASKED: tuple[Callable[[RoleTrust], Finding], ...] = (
    admission,
    without_id,
    another_id,
    empty_id,
    strangers,
    others,
    unguarded,
    wildcards,
    conditions,
    negations,
    further_ids,
    actions,
    users,
    guessable,
)
"""In the order of their codes."""


@dataclass(frozen=True, slots=True)
class PolicyInShort:
    """A policy of the role in one line: the services that its statements allow and deny, ignoring conditions.

    ``unread`` says why its document is not known.
    """

    name: str
    kind: str
    allows: tuple[str, ...]
    denies: tuple[str, ...]
    unread: str


def in_short(document: LiveDocument) -> PolicyInShort:
    """``*`` for everything, ``s3:*`` for a whole service, else the service with the number of its actions."""
    policy = policy_of(document)
    if any(each.name.number == 0 for each in policy.statements):
        return PolicyInShort(document.name, document.kind, (), (), document.unread or policy.statements[0].strange)
    return PolicyInShort(
        document.name, document.kind, _services(policy, "Allow"), _services(policy, "Deny"), document.unread
    )


def _services(policy: Policy, effect: str) -> tuple[str, ...]:
    chosen = [each.actions for each in policy.statements if each.effect == effect]
    listed = {text.lower() for each in chosen if not each.negated for text in each.patterns}
    all_but = [f"everything but {enumerated(each.patterns)}" for each in chosen if each.negated]
    if "*" in listed or "*:*" in listed:
        return ("*", *all_but)
    services: dict[str, list[str]] = {}
    for text in sorted(listed):
        services.setdefault(text.partition(":")[0], []).append(text)
    short = [
        f"{service}:*" if f"{service}:*" in found else f"{service} ({counted(len(found), 'action')})"
        for service, found in services.items()
    ]
    return (*short, *all_but)


@dataclass(frozen=True, slots=True)
class RoleProof:
    """The findings on a role, the principals it should trust, and what it may do.

    ``external_id`` is for redaction only.

    ``boundary``: the ARN of its permissions boundary.
    """

    role: LiveRole = field(repr=False)
    caller: Caller
    principals: tuple[str, ...]
    external_id: Secret | None
    findings: tuple[Finding, ...]
    may_do: tuple[PolicyInShort, ...]
    boundary: str | None
    time: datetime

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the findings."""
        return worst(finding.verdict for finding in self.findings)

    def holds(self, *, strict: bool) -> bool:
        """``holds`` of its findings."""
        return holds(self.findings, strict=strict)


def prove_role(
    session: AwsSession,
    role_arn: str,
    principals: Iterable[str],
    external_id: Secret | None,
    *,
    now: Callable[[], datetime] = utc_now,
) -> RoleProof:
    """Read the role from AWS and judge it. Changes nothing. ``principals`` come from ``expected_principals``.

    Raises ``AccountMismatchError`` for credentials of another account or partition, ``TrustError`` if there is no such
    role, ``AwsError`` if AWS cannot be reached.
    """
    caller = caller_identity(session)
    guard_role(caller, role_arn)
    return judged_role(read_live_role(session, role_arn), caller, tuple(principals), external_id, now())


def judged_role(
    role: LiveRole, caller: Caller, principals: tuple[str, ...], external_id: Secret | None, now: datetime
) -> RoleProof:
    """Judge a live role. Pure: everything was read before."""
    trust = RoleTrust(role, policy_of(role.trust), principals, external_id, now)
    secrets = (*((external_id,) if external_id else ()), *external_ids_written(role.trust.document))
    findings = tuple(without_ids(question(trust), secrets) for question in QUESTIONS_ASKED)
    shorts = (in_short(each) for each in role.policies)
    may_do = tuple(replace(each, name=redacted(each.name, secrets)) for each in shorts)
    boundary = redacted(role.boundary.name, secrets) if role.boundary else None
    return RoleProof(role, caller, principals, external_id, findings, may_do, boundary, now)


def role_attestation(proof: RoleProof) -> dict[str, Any]:
    """The attestation, as for a stack, but ``stack`` and ``trusted_account_id`` are ``null``.

    ``principals`` are the expected ones.
    """
    secrets = (*((proof.external_id,) if proof.external_id else ()), *accepted_in(proof.role.trust.document))
    admitted = next(each.verdict for each in proof.findings if each.code == "GBY-V001")
    return attested(
        proof,
        secrets,
        about={"stack": None},
        expected={
            "trusted_account_id": None,
            "principals": list(proof.principals),
            "external_id_checked": proof.external_id is not None and admitted in ("pass", "fail"),
        },
    )


def write_role_attestation(path: Path, proof: RoleProof) -> None:
    """Write it atomically, readable by its owner only. Raises ``FileError``."""
    write_document(path, role_attestation(proof))
