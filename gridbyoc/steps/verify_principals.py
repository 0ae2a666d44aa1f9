"""The trust policy read line by line: who is named, how the external id is asked for, what is too wide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gridbyoc.aws.policy import Actor, PrincipalEntry, Statement, some_principal_of
from gridbyoc.aws.policy.conditions import conditions_hold, operator_form
from gridbyoc.aws.policy.match import Match
from gridbyoc.aws.policy.model import Condition
from gridbyoc.aws.policy.patterns import ANY, ONE, Pattern, split_arn
from gridbyoc.aws.policy.principals import UNIQUE_ID
from gridbyoc.aws.policy.request import ActorKind
from gridbyoc.aws.policy.trust import ASSUME, FEDERATED, assume_request, id_conditions, id_patterns, may_assume
from gridbyoc.stack.external_id import can_be_guessed
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import counted, enumerated
from gridbyoc.steps.verdict import Verdict, worst
from gridbyoc.steps.verify_model import VerifyFinding
from gridbyoc.steps.verify_trust import ANOTHER_ID, APPLY, TrustCase, actor_of

FURTHER_ACTIONS = {
    "sts:tagsession": "may pass session tags, which override the role's own tags of the same key",
    "sts:setsourceidentity": "may set a source identity, which stays for the session and the roles assumed from it",
}
"""What else whoever assumes the role may do then, as AWS's documentation says:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html"""

IAM_USER = re.compile(r"arn:[^:]+:(?:iam::[0-9]{12}:user/|sts::[0-9]{12}:federated-user/).+")
"""A user, or the session that one has opened with its own keys."""

ACTORS: Mapping[str, ActorKind] = {"Service": "service", "Federated": "federated", "CanonicalUser": "canonical"}
"""Who comes as a principal of that kind."""

NEGATED = "everybody but those whom its NotPrincipal lists"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about one statement."""

    verdict: Verdict
    statement: Statement
    text: str

    def __str__(self) -> str:
        return f"{self.statement.name} {self.text}"


def others(trust: TrustCase) -> VerifyFinding:
    """Principals beside those that the stack file names."""
    remarks = [remark for statement, entry in _entries(trust) if (remark := _other(trust, statement, entry))]
    remarks += [Remark("fail", statement, f"trusts {NEGATED}") for statement in _allows(trust) if _negated(statement)]
    good = "nobody is named but the control plane's account and the principals of the stack file"
    return _finding(trust, "GBY-V006", "extra principals", remarks, good, f"Take them out, or declare them. {APPLY}")


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
    if entry.kind == "AWS" and parts and (parts[1], parts[4]) == (trust.subject.role.partition, account):
        return Remark("warn", statement, f"trusts {entry}, one principal of the control plane's account")
    return Remark(trust.subject.undeclared, statement, f"trusts {entry}, which the stack file does not declare")


def unguarded(trust: TrustCase) -> VerifyFinding:
    """Principals that get in without an external id: those of the stack file are worth a word, others fail."""
    remarks = [
        remark
        for statement in _allows(trust)
        for who, actor in _who(trust, statement)
        if (remark := _without_id(trust, statement, who, actor))
    ]
    good = "no principal besides the control plane's account gets in without an external id"
    return _finding(trust, "GBY-V007", "principals without external id", remarks, good, APPLY)


def _who(trust: TrustCase, statement: Statement) -> Iterator[tuple[str, Actor | None]]:
    """Whom an Allow means besides the control plane's account; ``None`` where it cannot be told who that is."""
    if _negated(statement):
        yield NEGATED, None
        return
    for entry in statement.principals.entries if statement.principals else ():
        name = trust.named(entry)
        if entry.kind == "AWS" and (name == trust.control_plane or UNIQUE_ID.fullmatch(name)):
            continue
        if entry.kind == "AWS" and name == "*":
            yield "everybody", some_principal_of(trust.stranger, trust.subject.role.partition)
        elif entry.kind == "AWS":
            yield str(entry), actor_of(name) if name.startswith("arn:") else None
        elif entry.kind in ACTORS and entry.value != "*":
            yield str(entry), Actor(ACTORS[entry.kind], entry.value)
        else:
            yield str(entry), None


def _without_id(trust: TrustCase, statement: Statement, who: str, actor: Actor | None) -> Remark | None:
    if actor is None:
        return Remark("unknown", statement, f"may admit {who} without an external id")
    actions = FEDERATED if actor.kind == "federated" else (ASSUME,)
    answers = [trust.asked(actor, (), exemptions=True, action=action) for action in actions]
    if any(answer.effect == "allowed" and answer.statement == statement.name for answer in answers):
        said = f"admits {who} without an external id"
        if trust.named(PrincipalEntry("AWS", who)) in trust.without_id:
            return Remark("warn", statement, f"{said}, as the stack file declares")
        # A provider's users never bring one: whether they may come at all is the stack file's question.
        return Remark(trust.subject.undeclared if actor.kind == "federated" else "fail", statement, said)
    if any(answer.effect == "unknown" for answer in answers):
        return Remark("unknown", statement, f"may admit {who} without an external id")
    return None


def wildcards(trust: TrustCase) -> VerifyFinding:
    """``*`` where a name belongs: among the principals, or in the external id that is asked for."""
    remarks = [
        Remark("fail", statement, f"trusts {entry}: " + ("everybody" if entry.value == "*" else "a pattern"))
        for statement, entry in _entries(trust)
        if "*" in entry.value or "?" in entry.value
    ]
    remarks += [
        Remark("fail", statement, f"takes any external id that looks like a pattern ({condition.operator})")
        for statement in _allows(trust)
        for condition in id_conditions(statement)
        if any(_is_pattern(each) for each in _id_texts(trust, condition))
    ]
    good = "neither a principal nor an external id is a pattern"
    return _finding(trust, "GBY-V008", "wildcards", remarks, good, f"Name whom you trust. {APPLY}")


def conditions(trust: TrustCase) -> VerifyFinding:
    """Every statement that admits somebody asks for the external id, and by StringEquals."""
    asking = [statement for statement in _allows(trust) if may_assume(statement) and not trust.exempt(statement)]
    remarks = [remark for statement in asking if (remark := id_remark(trust, statement))]
    good = "every statement asks for the external id with StringEquals"
    return _finding(trust, "GBY-V009", "external id condition", remarks, good, APPLY)


def id_remark(trust: TrustCase, statement: Statement) -> Remark | None:
    """How a statement asks for the external id, where that is not the way the module writes it."""
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
        return Remark("unknown", statement, f"{said}, and whether an absent or another id meets that cannot be told")
    return Remark("warn", statement, f"{said}; StringEquals is exact")


def _met(trust: TrustCase, found: Sequence[Condition], ids: Sequence[str]) -> Match:
    request = assume_request(trust.subject.role.arn, actor_of(trust.control_plane), ids, trust.subject.now)
    return conditions_hold(tuple(found), request, variables=trust.policy.has_variables)


def negations(trust: TrustCase) -> VerifyFinding:
    """``NotPrincipal`` and ``NotAction``: they mean all the rest."""
    remarks = [
        Remark("fail" if statement.effect == "Allow" else "warn", statement, f"uses {element}: all the rest is meant")
        for statement in trust.policy.statements
        for element, used in (("NotPrincipal", _negated(statement)), ("NotAction", statement.actions.negated))
        if used
    ]
    good = "no statement uses NotPrincipal or NotAction"
    return _finding(trust, "GBY-V010", "negations", remarks, good, f"Name whom and what you mean. {APPLY}")


def further_ids(trust: TrustCase) -> VerifyFinding:
    """External ids that are accepted besides the stack's: they fail unless a rotation that is under way keeps them."""
    remarks = [
        remark
        for statement in _allows(trust)
        for remark in _further(trust, statement, [each for each in id_conditions(statement) if _positive(each)])
    ]
    good = "the stack's external id is the only one"
    fix = "`gridbyoc bootstrap` finishes a rotation, and takes out what no cluster holds."
    return _finding(trust, "GBY-V011", "further external ids", remarks, good, fix)


def _further(trust: TrustCase, statement: Statement, positive: Sequence[Condition]) -> Iterator[Remark]:
    texts = [
        (text, pattern)
        for condition in positive
        for text, pattern in zip(condition.values, _id_texts(trust, condition), strict=True)
        if not _is_pattern(pattern)
    ]
    variables = {text: pattern for text, pattern in texts if trust.policy.has_variables and "${" in text}
    if any(pattern.tokens is None for pattern in variables.values()):
        yield Remark("unknown", statement, "asks for an external id in a form that AWS does not document")
    elif variables:
        yield Remark("fail", statement, "takes what a policy variable stands for as the external id")
    plain = {text for text, _ in texts} - {*variables, trust.subject.external_id.reveal()}
    for verdict in ("fail", "unknown", "warn"):
        ids = [Secret(text) for text in sorted(plain) if trust.further(text) == verdict]
        if ids:
            text = f"accepts {counted(len(ids), 'external id')} besides the stack's{_cause(trust, ids[0])}"
            yield Remark(trust.further(ids[0].reveal()), statement, text)


def _cause(trust: TrustCase, external_id: Secret) -> str:
    rotation = trust.subject.rotation
    under_way = rotation.under_way(external_id)
    if under_way:
        return ": a rotation is under way"
    if not trust.subject.own_module:
        return ", which the stack file does not declare"
    if under_way is None:
        return f"; whether for a rotation cannot be told: {rotation.doubt(external_id)}"
    return f", for no rotation that is under way: {rotation.doubt(external_id)}"


def _positive(condition: Condition) -> bool:
    """Whether its texts are ids that are accepted."""
    form = operator_form(condition.operator)
    return form is not None and form.base in {"StringEquals", "StringLike", "StringEqualsIgnoreCase"}


def _id_texts(trust: TrustCase, condition: Condition) -> tuple[Pattern, ...]:
    """The texts of a condition on the external id, with some letter for each variable."""
    return id_patterns(condition, (lambda _: ("x",)) if trust.policy.has_variables else None)


def _is_pattern(text: Pattern) -> bool:
    return not {ANY, ONE}.isdisjoint(text.tokens or ())


def actions(trust: TrustCase) -> VerifyFinding:
    """Actions besides ``sts:AssumeRole``, and what they let somebody do who assumes the role."""
    remarks = [
        Remark("warn", statement, f"allows {text}" + (f": whoever assumes the role {then}" if then else ""))
        for statement in _allows(trust)
        if not statement.actions.negated
        for text in statement.actions.patterns
        if text.lower() != ASSUME.lower()
        for then in (FURTHER_ACTIONS.get(text.lower(), ""),)
    ]
    good = "nothing but sts:AssumeRole is allowed"
    fix = f"sts:AssumeRole is enough, unless the control plane passes session tags or a source identity. {APPLY}"
    return _finding(trust, "GBY-V012", "trusted actions", remarks, good, fix)


def users(trust: TrustCase) -> VerifyFinding:
    """Trusted IAM users: their access keys do not expire, a role's credentials do."""
    remarks = [
        Remark("warn", statement, f"trusts {entry}, an IAM user: its access keys may be long-lived")
        for statement, entry in _entries(trust)
        if entry.kind == "AWS" and IAM_USER.fullmatch(entry.value)
    ]
    good = "no IAM user is trusted by name"
    return _finding(trust, "GBY-V013", "trusted users", remarks, good, "Trust a role in the user's place.")


def guessable(trust: TrustCase) -> VerifyFinding:
    """Whether the stack's own external id can be guessed. Which sign of it there is would be half of the answer."""
    code, check, subject = "GBY-V014", "strength of the external id", trust.subject
    role = subject.role
    names = (*subject.names, role.name, role.account_id, trusted_account_of(subject.declared))
    if not can_be_guessed(subject.external_id, names):
        return VerifyFinding(code, check, "pass", "nothing says that it can be guessed")
    detail = "it can be guessed or is shared: it is short, or made of names, words or a pattern"
    fix = "Take `role.external_id_from` out, or give it a random value of 32 characters; then run `gridbyoc bootstrap`."
    return VerifyFinding(code, check, "warn", detail, fix)


def _allows(trust: TrustCase) -> list[Statement]:
    return [statement for statement in trust.policy.statements if statement.effect == "Allow"]


def _negated(statement: Statement) -> bool:
    return statement.principals is not None and statement.principals.negated


def _entries(trust: TrustCase) -> list[tuple[Statement, PrincipalEntry]]:
    """Every principal that an Allow names."""
    return [
        (statement, entry)
        for statement in _allows(trust)
        if statement.principals is not None and not statement.principals.negated
        for entry in statement.principals.entries
    ]


def _finding(trust: TrustCase, code: str, check: str, remarks: Iterable[Remark], good: str, fix: str) -> VerifyFinding:
    unread = [statement for statement in trust.policy.statements if statement.name.number == 0]
    if unread:
        fix = "Run it as somebody who may read the role, or put its trust policy right."
        return VerifyFinding(code, check, "unknown", f"{trust.policy.name}: {unread[0].strange}", fix)
    found: Sequence[Remark] = list(remarks)
    if not found:
        return VerifyFinding(code, check, "pass", good)
    names = tuple(dict.fromkeys(str(remark.statement.name) for remark in found))
    verdict = worst(remark.verdict for remark in found)
    return VerifyFinding(code, check, verdict, "; ".join(dict.fromkeys(map(str, found))), fix, names)


READINGS: tuple[Callable[[TrustCase], VerifyFinding], ...] = (
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
