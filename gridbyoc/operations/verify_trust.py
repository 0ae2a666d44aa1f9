"""The trust policy tested: who gets in, with which external id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gridbyoc.aws.policy import (
    ANONYMOUS,
    Actor,
    Decision,
    Policy,
    PrincipalEntry,
    Statement,
    actor_of,
    assume_request,
    evaluate,
    principal,
    some_principal_of,
)
from gridbyoc.aws.policy.conditions import Match, conditions_hold, operator_form
from gridbyoc.aws.policy.evaluate import (
    ACCOUNT,
    ASSUME,
    FEDERATED,
    UNIQUE_ID,
    external_ids_in,
    external_ids_named,
    id_conditions,
    id_patterns,
    may_assume,
)
from gridbyoc.aws.policy.model import ANY, ONE, ActorKind, Condition, Pattern, split_arn
from gridbyoc.aws.trust import listed_principals, principal_words
from gridbyoc.operations.finding import Finding, FindingKind, Verdict, worst
from gridbyoc.operations.verify_model import (
    ADMITTED,
    ANOTHER_ACCOUNT,
    CONDITION,
    EMPTY_ID,
    EXTRA_PRINCIPALS,
    FURTHER_IDS,
    NEGATIONS,
    NO_ID,
    OTHER_ID,
    STRENGTH,
    TRUSTED_ACTIONS,
    TRUSTED_USERS,
    UNGUARDED,
    WILDCARDS,
    RoleSubject,
    policy_of,
)
from gridbyoc.stack.defaults import proven_principals, trusted_account_of
from gridbyoc.stack.external_id import EXTERNAL_ID_FORM, can_be_guessed
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import counted, enumerated
from gridbyoc.vendors import shared_external_id

ANOTHER_ID = "gridbyoc-verify.an-id-that-nobody-gave"
APPLY = "`gridbyoc bootstrap` restores the trust policy to what the stack file says."
LOOK = "Look at that statement yourself."


class JudgedTrust(Protocol):
    """A trust policy to judge. ``mend`` is the fix, as a sentence."""

    @property
    def policy(self) -> Policy:
        """The trust policy."""

    @property
    def mend(self) -> str:
        """The fix for a wrong statement."""


@dataclass(frozen=True, slots=True)
class TrustCase:
    """The trust policy, and what the stack file declares.

    ``with_id`` and ``without_id`` hold ARNs, an account as its root.

    ``control_plane``: the root ARN of the control plane's account; ``None`` if only principals are trusted. ``proven``:
    the principals that must get in with the external id.
    """

    subject: RoleSubject
    policy: Policy
    control_plane: str | None
    proven: tuple[str, ...]
    with_id: frozenset[str]
    without_id: frozenset[str]

    @property
    def declared(self) -> frozenset[str]:
        """Every principal that the stack file names, including the control plane's account."""
        return self.with_id | self.without_id | ({self.control_plane} if self.control_plane else set())

    def named(self, entry: PrincipalEntry) -> str:
        """An account id as its root ARN; any other name as it is."""
        return self.root(entry.value) if ACCOUNT.fullmatch(entry.value) else entry.value

    def root(self, account_id: str) -> str:
        """An account's root ARN in the role's partition."""
        return f"arn:{self.subject.role.partition}:iam::{account_id}:root"

    @property
    def mend(self) -> str:
        """The fix for a wrong statement."""
        return APPLY

    @property
    def stranger(self) -> str:
        """An account id that the policy does not name."""
        return unnamed_account(self.policy, *self.declared, self.subject.role.arn)

    def exempt(self, statement: Statement) -> bool:
        """Whether it is an Allow only for principals that the stack file exempts from the external id."""
        named = statement.principals
        return (
            statement.effect == "Allow"
            and named is not None
            and not named.negated
            and all(e.kind == "AWS" and self.named(e) in self.without_id - {self.control_plane} for e in named.entries)
        )

    def asked(self, actor: Actor, ids: Sequence[str], *, exemptions: bool = False, action: str = ASSUME) -> Decision:
        """The policy's decision on ``actor`` with these external ids.

        Statements that the stack file exempts are left out unless ``exemptions`` is true.
        """
        kept = self.policy.statements if exemptions else [s for s in self.policy.statements if not self.exempt(s)]
        request = assume_request(self.subject.role.arn, actor, ids, self.subject.now, action=action)
        return evaluate((replace(self.policy, statements=tuple(kept)),), request)

    def named_ids(self, actor: Actor) -> tuple[str, ...]:
        """The external ids that the policy names; ``actor`` fills in its variables."""
        return external_ids_named(self.policy, assume_request(self.subject.role.arn, actor, (), self.subject.now))

    @property
    def literal_ids(self) -> frozenset[str]:
        """Every value of a condition on the external id that is literally an external id."""
        return literal_ids(self.policy)

    def further(self, external_id: str) -> Verdict:
        """The verdict on accepting this id besides the stack's own: a rotation under way may need it."""
        under_way = self.subject.rotation.under_way(Secret(external_id))
        return self.subject.undeclared if under_way is False else "unknown" if under_way is None else "warn"


def trust_of(subject: RoleSubject) -> TrustCase:
    """The role's trust policy with the stack file's declarations."""
    role = subject.declared
    account = trusted_account_of(role)
    return TrustCase(
        subject,
        policy_of(subject.role.trust),
        f"arn:{subject.role.partition}:iam::{account}:root" if account else None,
        proven_principals(role, subject.role.partition),
        frozenset(role.trusted_principals),
        frozenset(role.trusted_principals_without_external_id),
    )


def literal_ids(policy: Policy) -> frozenset[str]:
    """Every value of a condition on the external id that is literally an external id."""
    return frozenset(filter(EXTERNAL_ID_FORM.fullmatch, external_ids_in(*policy.statements)))


def unnamed_account(policy: Policy, *known: str) -> str:
    """An account id that neither the policy nor ``known`` names."""
    conditions = [each.values for statement in policy.statements for each in statement.conditions]
    named = f"{policy.statements} {known} {conditions}"
    return next(str(number) for number in range(999999999999, 0, -1) if str(number) not in named)


def admission(trust: TrustCase) -> Finding:
    """Every principal that must get in does, with the external id; the worst decision counts."""
    kind, ids = ADMITTED, (trust.subject.external_id.reveal(),)
    asked = [(principal_words(arn), trust.asked(actor_of(arn), ids)) for arn in trust.proven]
    verdicts: tuple[tuple[str, Verdict], ...] = (("denied", "fail"), ("unknown", "unknown"))
    for effect, verdict in verdicts:
        found = [(who, decision) for who, decision in asked if decision.effect == effect]
        if found:
            detail = "; ".join(f"{who} with the external id: {decision.why.rstrip('.')}" for who, decision in found)
            return Finding(
                kind, verdict, detail, fix=APPLY, statements=statement_names(decision for _, decision in found)
            )
    whys = "; ".join(dict.fromkeys(decision.why.rstrip(".") for _, decision in asked))
    detail = f"{listed_principals(trust.proven)} may assume the role with the external id: {whys}"
    return Finding(kind, "pass", detail, statements=statement_names(decision for _, decision in asked))


def without_id(trust: TrustCase) -> Finding:
    """No principal that needs the external id gets in without one."""
    return _refused(trust, NO_ID, "without an external id", lambda _: [()])


def another_id(trust: TrustCase) -> Finding:
    """No principal gets in with another id: unrelated, named by the policy, longer, shorter, in other case, a wildcard.

    GBY-V011 reports further ids that a rotation keeps or may keep.
    """
    own = trust.subject.external_id.reveal()
    others = other_ids(own)
    apart = {each for each in trust.literal_ids - {own} if trust.further(each) != "fail"}

    def guesses(actor: Actor) -> list[tuple[str, ...]]:
        tried = dict.fromkeys([*others, *trust.named_ids(actor)])
        return [(other,) for other in tried if other not in {"", own, *apart}]

    found = _refused(trust, OTHER_ID, "with another external id", guesses)
    return (
        replace(found, detail=f"{found.detail}, those of GBY-V011 apart")
        if apart and found.verdict == "pass"
        else found
    )


def other_ids(own: str) -> list[str]:
    """Ids that a policy which requires ``own`` must refuse: unrelated, longer, shorter, in other case, patterns."""
    return [ANOTHER_ID, f"{own}x", f"x{own}", own[:-1], own[1:], own.swapcase(), "*", "?" * len(own)]


def empty_id(trust: TrustCase) -> Finding:
    """No principal gets in with an empty external id."""
    return _refused(trust, EMPTY_ID, "with an empty external id", lambda _: [("",)])


def strangers(trust: TrustCase) -> Finding:
    """No other account gets in: not with the right external id, nor with any that the policy names.

    Tries an account that the policy does not name, and accounts that only its conditions name.
    """
    role, own = trust.subject.role, trust.subject.external_id.reveal()
    accounts = (trust.stranger, *accounts_in_conditions(trust.policy, role.account_id, *trust.declared))
    answers = [
        trust.asked(actor, each)
        for actor in people_of(accounts, role.partition)
        for each in ((own,), (), *((i,) for i in trust.named_ids(actor)))
    ]
    found = all_denied(trust, ANOTHER_ACCOUNT, "a stranger", answers)
    tried = ": without an external id, with the stack's, and with each that the policy names"
    return replace(found, detail=found.detail + tried) if found.verdict == "pass" else found


def _refused(
    trust: TrustCase, kind: FindingKind, said: str, ids: Callable[[Actor], Iterable[tuple[str, ...]]]
) -> Finding:
    arns = dict.fromkeys((*trust.proven, *sorted(trust.with_id - trust.without_id)))
    wanted = [actor_of(arn) for arn in arns]
    answers = [trust.asked(actor, each) for actor in wanted for each in ids(actor)]
    return all_denied(trust, kind, f"a caller {said}", answers)


def people_of(accounts: Iterable[str], partition: str) -> list[Actor]:
    """Principals that may come from these accounts, and an anonymous caller."""
    people = [ANONYMOUS]
    for account in accounts:
        somebody = (principal(f"arn:{partition}:iam::{account}:{what}") for what in ("role/a", "user/a", "root"))
        people += [*somebody, some_principal_of(account, partition)]
    return people


def all_denied(trust: JudgedTrust, kind: FindingKind, who: str, answers: Sequence[Decision]) -> Finding:
    """The finding on requests that must all be denied."""
    allowed = [answer for answer in answers if answer.effect == "allowed"]
    unsure = [answer for answer in answers if answer.effect == "unknown"]
    if allowed:
        return Finding(
            kind, "fail", f"{who} is admitted: {allowed[0].why}", fix=trust.mend, statements=statement_names(allowed)
        )
    if unsure:
        detail = f"whether {who} is refused is unknown: {unsure[0].why}"
        return Finding(kind, "unknown", detail, fix=LOOK, statements=statement_names(unsure))
    return Finding(kind, "pass", f"{who} is refused")


def statement_names(decisions: Iterable[Decision]) -> tuple[str, ...]:
    """The names of the statements that decided, without duplicates."""
    return tuple(dict.fromkeys(str(decision.statement) for decision in decisions if decision.statement))


def accounts_in_conditions(policy: Policy, *expected: str) -> list[str]:
    """Accounts that only a condition names: they are strangers, too. GBY-V006 reports those in a Principal."""
    statements = policy.statements
    entries = [entry.value for each in statements if each.principals for entry in each.principals.entries]
    known = {*re.findall(r"[0-9]{12}", f"{entries} {expected}")}
    conditions = [
        each for statement in statements for each in statement.conditions if each not in id_conditions(statement)
    ]
    found = [account for each in conditions for value in each.values for account in re.findall(r"\b[0-9]{12}\b", value)]
    return [account for account in dict.fromkeys(found) if account not in known]


ADMISSIONS: tuple[Callable[[TrustCase], Finding], ...] = (admission, without_id, another_id, empty_id, strangers)
"""The checks, in the order of their codes."""


FURTHER_ACTIONS = {
    "sts:tagsession": "may pass session tags, which override the role's own tags of the same key",
    "sts:setsourceidentity": "may set a source identity, which stays for the session and the roles assumed from it",
}
"""What each further action permits whoever assumes the role. Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
"""

IAM_USER = re.compile(r"arn:[^:]+:(?:iam::[0-9]{12}:user/|sts::[0-9]{12}:federated-user/).+")
"""A user, or a federated session opened with a user's keys."""

ACTORS: Mapping[str, ActorKind] = {"Service": "service", "Federated": "federated", "CanonicalUser": "canonical"}
"""The kind of actor of each kind of principal."""

NEGATED = "everybody except the principals in its NotPrincipal"


@dataclass(frozen=True, slots=True)
class Remark:
    """A fault or doubt about one statement."""

    verdict: Verdict
    statement: Statement
    text: str

    def __str__(self) -> str:
        return f"{self.statement.name} {self.text}"


def others(trust: TrustCase) -> Finding:
    """Principals that the stack file does not name."""
    remarks = [
        remark for statement, entry in allowed_entries(trust.policy) if (remark := _other(trust, statement, entry))
    ]
    remarks += [
        Remark("fail", statement, f"trusts {NEGATED}") for statement in allows(trust.policy) if negated(statement)
    ]
    good = "only the control plane's account and the principals of the stack file are named"
    return trust_finding(trust, EXTRA_PRINCIPALS, remarks, good, f"Remove them, or declare them. {APPLY}")


def _other(trust: TrustCase, statement: Statement, entry: PrincipalEntry) -> Remark | None:
    name = trust.named(entry)
    if entry.kind == "AWS" and name in trust.declared:
        return None
    if entry.value == "*":
        return Remark("fail", statement, f"trusts {entry}: everybody, whom the stack file does not declare")
    if entry.kind == "AWS" and UNIQUE_ID.fullmatch(entry.value):
        return Remark("warn", statement, f"trusts {entry}, a principal that has been deleted")
    parts = split_arn(name)
    account = trusted_account_of(trust.subject.declared)
    theirs = account is not None and parts and (parts[1], parts[4]) == (trust.subject.role.partition, account)
    if entry.kind == "AWS" and theirs:
        return Remark("warn", statement, f"trusts {entry}, one principal of the control plane's account")
    return Remark(trust.subject.untrusted, statement, f"trusts {entry}, which the stack file does not declare")


def unguarded(trust: TrustCase) -> Finding:
    """Principals that get in without an external id: a warning if the stack file declares them, else a failure."""
    remarks = [
        remark
        for statement in allows(trust.policy)
        for who, actor in _who(trust, statement)
        if (remark := _without_id(trust, statement, who, actor))
    ]
    good = "no principal besides the control plane's account gets in without an external id"
    return trust_finding(trust, UNGUARDED, remarks, good, APPLY)


def _who(trust: TrustCase, statement: Statement) -> Iterator[tuple[str, Actor | None]]:
    """The principals of an Allow besides the control plane's account, in words and as actors.

    ``None`` if that is unknown.
    """
    if negated(statement):
        yield NEGATED, None
        return
    for entry in statement.principals.entries if statement.principals else ():
        name = trust.named(entry)
        if entry.kind == "AWS" and (name == trust.control_plane or UNIQUE_ID.fullmatch(name)):
            continue
        yield whoever(entry, name, trust.stranger, trust.subject.role.partition)


def whoever(entry: PrincipalEntry, name: str, stranger: str, partition: str) -> tuple[str, Actor | None]:
    """The principal of an entry, in words and as an actor; ``None`` if that is unknown."""
    if entry.kind == "AWS" and name == "*":
        return "everybody", some_principal_of(stranger, partition)
    if entry.kind == "AWS":
        return str(entry), actor_of(name) if split_arn(name) else None
    if entry.kind in ACTORS and entry.value != "*":
        return str(entry), Actor(ACTORS[entry.kind], entry.value)
    return str(entry), None


def _without_id(trust: TrustCase, statement: Statement, who: str, actor: Actor | None) -> Remark | None:
    if actor is None:
        return Remark("unknown", statement, f"may admit {who} without an external id")
    actions = FEDERATED if actor.kind == "federated" else (ASSUME,)
    answers = [trust.asked(actor, (), exemptions=True, action=action) for action in actions]
    if any(answer.effect == "allowed" and answer.statement == statement.name for answer in answers):
        said = f"admits {who} without an external id"
        if trust.named(PrincipalEntry("AWS", who)) in trust.without_id:
            return Remark("warn", statement, f"{said}, as the stack file declares")
        # Users of an identity provider never send one; whether they may come at all is up to the stack file.
        return Remark(trust.subject.undeclared if actor.kind == "federated" else "fail", statement, said)
    if any(answer.effect == "unknown" for answer in answers):
        return Remark("unknown", statement, f"may admit {who} without an external id")
    return None


def wildcards(trust: JudgedTrust) -> Finding:
    """``*`` or ``?`` among the principals or in the required external id."""
    remarks = [
        Remark("fail", statement, f"trusts {entry}: " + ("everybody" if entry.value == "*" else "a pattern"))
        for statement, entry in allowed_entries(trust.policy)
        if "*" in entry.value or "?" in entry.value
    ]
    remarks += [
        Remark("fail", statement, f"accepts any external id that matches a pattern ({condition.operator})")
        for statement in allows(trust.policy)
        for condition in id_conditions(statement)
        if any(is_pattern(each) for each in id_texts(trust.policy, condition))
    ]
    good = "neither a principal nor an external id is a pattern"
    return trust_finding(trust, WILDCARDS, remarks, good, f"Name whom you trust. {trust.mend}")


def conditions(trust: TrustCase) -> Finding:
    """Every statement that admits somebody requires the external id, with StringEquals."""
    asking = [statement for statement in allows(trust.policy) if may_assume(statement) and not trust.exempt(statement)]
    remarks = [remark for statement in asking if (remark := id_remark(trust, statement))]
    good = "every statement asks for the external id with StringEquals"
    return trust_finding(trust, CONDITION, remarks, good, APPLY)


def id_remark(trust: TrustCase, statement: Statement) -> Remark | None:
    """How a statement requires the external id; ``None`` if it does so as the module writes it."""
    found = id_conditions(statement)
    if any((form := operator_form(each.operator)) and form.base == "StringEquals" and form.plain for each in found):
        return None
    if not found:
        return Remark("fail", statement, "has no condition on sts:ExternalId")
    said = f"asks for the external id with {enumerated(each.operator for each in found)}"
    met = [_met(trust, found, ids) for ids in ((), (ANOTHER_ID,))]
    if any(each.holds for each in met):
        return Remark("fail", statement, f"{said}, which an absent or another id meets")
    unsure = [each.why for each in met if each.holds is None]
    if unsure:
        return Remark("unknown", statement, f"{said}, and it is unknown whether an absent or another id meets that")
    return Remark("warn", statement, f"{said}; StringEquals is exact")


def _met(trust: TrustCase, found: Sequence[Condition], ids: Sequence[str]) -> Match:
    request = assume_request(trust.subject.role.arn, actor_of(trust.proven[0]), ids, trust.subject.now)
    return conditions_hold(tuple(found), request, variables=trust.policy.has_variables)


def negations(trust: JudgedTrust) -> Finding:
    """``NotPrincipal`` and ``NotAction``, which match everything else."""
    remarks = [
        Remark(
            "fail" if statement.effect == "Allow" else "warn",
            statement,
            f"uses {element}, which matches everything else",
        )
        for statement in trust.policy.statements
        for element, used in (("NotPrincipal", negated(statement)), ("NotAction", statement.actions.negated))
        if used
    ]
    good = "no statement uses NotPrincipal or NotAction"
    return trust_finding(trust, NEGATIONS, remarks, good, f"Name the principals and actions. {trust.mend}")


def further_ids(trust: TrustCase) -> Finding:
    """Accepted external ids besides the stack's own; they fail unless a rotation under way keeps them."""
    remarks = [
        remark
        for statement in allows(trust.policy)
        for remark in _further(trust, statement, [each for each in id_conditions(statement) if lists_ids(each)])
    ]
    good = "the stack's external id is the only one"
    fix = "`gridbyoc bootstrap` finishes a rotation, and removes the ids that no cluster uses."
    if trust.subject.declared.vendor is None:
        fix = (
            "Once the vendor has the new id, `gridbyoc rotate --no-control-plane --drop-old` ends a rotation. "
            "`gridbyoc bootstrap` removes ids that the stack never accepted."
        )
    return trust_finding(trust, FURTHER_IDS, remarks, good, fix)


def _further(trust: TrustCase, statement: Statement, positive: Sequence[Condition]) -> Iterator[Remark]:
    yield from variable_ids(trust.policy, statement, positive)
    plain = plain_ids(trust.policy, positive) - {trust.subject.external_id.reveal()}
    for verdict in ("fail", "unknown", "warn"):
        ids = [Secret(text) for text in sorted(plain) if trust.further(text) == verdict]
        if ids:
            text = f"accepts {counted(len(ids), 'external id')} besides the stack's{_cause(trust, ids[0])}"
            yield Remark(trust.further(ids[0].reveal()), statement, text)


def _split_ids(policy: Policy, positive: Sequence[Condition]) -> tuple[set[str], list[Pattern]]:
    """The texts that are literal ids, and the patterns of those that contain a variable."""
    texts = [
        (text, pattern)
        for condition in positive
        for text, pattern in zip(condition.values, id_texts(policy, condition), strict=True)
        if not is_pattern(pattern)
    ]
    variables = {text: pattern for text, pattern in texts if policy.has_variables and "${" in text}
    return {text for text, _ in texts} - {*variables}, list(variables.values())


def plain_ids(policy: Policy, positive: Sequence[Condition]) -> set[str]:
    """The literal external ids of these conditions."""
    return _split_ids(policy, positive)[0]


def variable_ids(policy: Policy, statement: Statement, positive: Sequence[Condition]) -> Iterator[Remark]:
    """Policy variables in place of an external id: the caller determines their value."""
    variables = _split_ids(policy, positive)[1]
    if any(pattern.tokens is None for pattern in variables):
        yield Remark("unknown", statement, "asks for an external id in a form that AWS does not document")
    elif variables:
        yield Remark("fail", statement, "accepts the value of a policy variable as the external id")


def _cause(trust: TrustCase, external_id: Secret) -> str:
    rotation = trust.subject.rotation
    under_way = rotation.under_way(external_id)
    if under_way:
        return ": a rotation is under way"
    if not trust.subject.own_module:
        return ", which the stack file does not declare"
    if under_way is None:
        return f"; whether for a rotation is unknown: {rotation.doubt(external_id)}"
    return f", not for a rotation under way: {rotation.doubt(external_id)}"


def lists_ids(condition: Condition) -> bool:
    """Whether its values are accepted ids."""
    form = operator_form(condition.operator)
    return form is not None and form.base in {"StringEquals", "StringLike", "StringEqualsIgnoreCase"}


def id_texts(policy: Policy, condition: Condition) -> tuple[Pattern, ...]:
    """The values of a condition on the external id, with a letter in place of each variable."""
    return id_patterns(condition, (lambda _: ("x",)) if policy.has_variables else None)


def is_pattern(text: Pattern) -> bool:
    """Whether it contains a wildcard."""
    return not {ANY, ONE}.isdisjoint(text.tokens or ())


def actions(trust: JudgedTrust) -> Finding:
    """Actions besides ``sts:AssumeRole``, and what they permit whoever assumes the role."""
    remarks = [
        Remark("warn", statement, f"allows {text}" + (f": whoever assumes the role {then}" if then else ""))
        for statement in allows(trust.policy)
        if not statement.actions.negated
        for text in statement.actions.patterns
        if text.lower() != ASSUME.lower()
        for then in (FURTHER_ACTIONS.get(text.lower(), ""),)
    ]
    good = "nothing but sts:AssumeRole is allowed"
    fix = f"sts:AssumeRole is enough, unless the control plane passes session tags or a source identity. {trust.mend}"
    return trust_finding(trust, TRUSTED_ACTIONS, remarks, good, fix)


def users(trust: JudgedTrust) -> Finding:
    """Trusted IAM users: their access keys do not expire, unlike a role's credentials."""
    remarks = [
        Remark("warn", statement, f"trusts {entry}, an IAM user: its access keys may be long-lived")
        for statement, entry in allowed_entries(trust.policy)
        if entry.kind == "AWS" and IAM_USER.fullmatch(entry.value)
    ]
    good = "no IAM user is trusted by name"
    return trust_finding(trust, TRUSTED_USERS, remarks, good, "Trust a role instead of the user.")


def guessable(trust: TrustCase) -> Finding:
    """Whether the stack's own external id can be guessed or is shared with others."""
    subject = trust.subject
    role = subject.role
    account = trusted_account_of(subject.declared)
    names = (*subject.names, role.name, role.account_id, *((account,) if account else ()))
    fix = "Remove `role.external_id_from`, or give it a random value of 32 characters; then run `gridbyoc bootstrap`."
    return strength_of([subject.external_id], names, fix)


def strength_of(external_ids: Iterable[Secret], names: Sequence[str], fix: str) -> Finding:
    """Whether one of them is shared by a vendor's customers, or can be guessed.

    The finding does not say why it can be guessed, because that would reveal part of the id. What a vendor's public
    guide contains is no secret.
    """
    kind = STRENGTH
    for external_id in external_ids:
        known = shared_external_id(external_id.reveal())
        if known is not None:
            fix = fix if known.own else f"{fix} The vendor's guide offers no other id: ask the vendor."
            return Finding(kind, "warn", f"it is not a secret: {known.why} ({known.source})", fix=fix)
        if can_be_guessed(external_id, names):
            detail = "it can be guessed or is shared: it is short, or made of names, words or a pattern"
            return Finding(kind, "warn", detail, fix=fix)
    return Finding(kind, "pass", "there is no sign that it can be guessed")


def allows(policy: Policy) -> list[Statement]:
    """The Allow statements."""
    return [statement for statement in policy.statements if statement.effect == "Allow"]


def negated(statement: Statement) -> bool:
    """Whether it uses NotPrincipal."""
    return statement.principals is not None and statement.principals.negated


def allowed_entries(policy: Policy) -> list[tuple[Statement, PrincipalEntry]]:
    """Every principal that an Allow names."""
    return [
        (statement, entry)
        for statement in allows(policy)
        if statement.principals is not None and not statement.principals.negated
        for entry in statement.principals.entries
    ]


def trust_finding(trust: JudgedTrust, kind: FindingKind, remarks: Iterable[Remark], good: str, fix: str) -> Finding:
    """The finding on the remarks: the worst verdict, or a pass with ``good`` if there are none."""
    unread = [statement for statement in trust.policy.statements if statement.name.number == 0]
    if unread:
        fix = "Run it with permission to read the role, or correct its trust policy."
        return Finding(kind, "unknown", f"{trust.policy.name}: {unread[0].strange}", fix=fix)
    found: Sequence[Remark] = list(remarks)
    if not found:
        return Finding(kind, "pass", good)
    names = tuple(dict.fromkeys(str(remark.statement.name) for remark in found))
    verdict = worst(remark.verdict for remark in found)
    return Finding(kind, verdict, "; ".join(dict.fromkeys(map(str, found))), fix=fix, statements=names)


READINGS: tuple[Callable[[TrustCase], Finding], ...] = (
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
