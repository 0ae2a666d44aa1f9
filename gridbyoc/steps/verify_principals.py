"""The trust policy read line by line: who is named, how the external id is asked for, what is too wide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gridbyoc.aws.policy import Decision, PrincipalEntry, Statement
from gridbyoc.aws.policy.conditions import operator_form
from gridbyoc.aws.policy.model import Condition
from gridbyoc.aws.policy.principals import UNIQUE_ID
from gridbyoc.aws.policy.trust import may_assume
from gridbyoc.stack.words import enumerated
from gridbyoc.steps.verdict import Verdict, worst
from gridbyoc.steps.verify_model import VerifyFinding
from gridbyoc.steps.verify_trust import APPLY, TrustCase, actor_of

PLAIN_ACTIONS = frozenset({"sts:assumerole", "sts:tagsession", "sts:setsourceidentity"})
NOT_READ = "the trust policy could not be read"


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
    remarks = [
        remark
        for statement, entry in _entries(trust)
        if entry.value != "*" and (remark := _other(trust, statement, entry))
    ]
    good = "nobody is named but the control plane's account and the principals of the stack file"
    return _finding(trust, "GBY-V006", "extra principals", remarks, good, f"Take them out, or declare them. {APPLY}")


def _other(trust: TrustCase, statement: Statement, entry: PrincipalEntry) -> Remark | None:
    name = trust.named(entry)
    if entry.kind == "AWS" and name in trust.declared:
        return None
    if UNIQUE_ID.fullmatch(entry.value):
        return Remark("warn", statement, f"trusts {entry}, a principal that has been deleted")
    if entry.kind == "AWS" and name.startswith(trust.control_plane.removesuffix("root")):
        return Remark("warn", statement, f"trusts {entry}, one principal of the control plane's account")
    return Remark(trust.subject.undeclared, statement, f"trusts {entry}, which the stack file does not declare")


def unguarded(trust: TrustCase) -> VerifyFinding:
    """Principals that get in without an external id: those of the stack file are worth a word, others fail."""
    remarks = [
        _without_id(trust, statement, entry, trust.asked(actor_of(trust.named(entry)), (), exemptions=True))
        for statement, entry in _entries(trust)
        if entry.kind == "AWS" and trust.named(entry).startswith("arn:") and trust.named(entry) != trust.control_plane
    ]
    found = [remark for remark in remarks if remark]
    good = "no principal besides the control plane's account gets in without an external id"
    return _finding(trust, "GBY-V007", "principals without external id", found, good, APPLY)


def _without_id(trust: TrustCase, statement: Statement, entry: PrincipalEntry, answer: Decision) -> Remark | None:
    if answer.effect == "denied" or (answer.effect == "allowed" and answer.statement != statement.name):
        return None
    if answer.effect == "unknown":
        return Remark("unknown", statement, f"may admit {entry} without an external id")
    if trust.named(entry) in trust.without_id:
        return Remark("warn", statement, f"admits {entry} without an external id, as the stack file declares")
    return Remark("fail", statement, f"admits {entry} without an external id")


def wildcards(trust: TrustCase) -> VerifyFinding:
    """``*`` where a name belongs: among the principals, or in the external id that is asked for."""
    remarks = [
        Remark("fail", statement, f"trusts {entry}: " + ("everybody" if entry.value == "*" else "a pattern"))
        for statement, entry in _entries(trust)
        if "*" in entry.value
    ]
    remarks += [
        Remark("fail", statement, f"takes any external id that looks like a pattern ({condition.operator})")
        for statement in _allows(trust)
        for condition in _id_conditions(statement)
        if "like" in condition.operator.lower() and any("*" in value or "?" in value for value in condition.values)
    ]
    good = "neither a principal nor an external id is a pattern"
    return _finding(trust, "GBY-V008", "wildcards", remarks, good, f"Name whom you trust. {APPLY}")


def conditions(trust: TrustCase) -> VerifyFinding:
    """Every statement that admits somebody asks for the external id, and by StringEquals."""
    asking = [statement for statement in _allows(trust) if may_assume(statement) and not trust.exempt(statement)]
    remarks = [remark for statement in asking if (remark := _condition(statement))]
    good = "every statement asks for the external id with StringEquals"
    return _finding(trust, "GBY-V009", "external id condition", remarks, good, APPLY)


def _condition(statement: Statement) -> Remark | None:
    found = _id_conditions(statement)
    forms = [(condition.operator, operator_form(condition.operator)) for condition in found]
    if any(form and form.base == "StringEquals" and not (form.quantifier or form.if_exists) for _, form in forms):
        return None
    if not found:
        return Remark("fail", statement, "has no condition on sts:ExternalId")
    operator, form = next(((name, form) for name, form in forms if form and form.base != "Null"), forms[0])
    if form and form.base in {"StringLike", "StringEqualsIgnoreCase"} and not (form.quantifier or form.if_exists):
        return Remark("warn", statement, f"asks for the external id with {operator}; StringEquals is exact")
    return Remark("fail", statement, f"asks for the external id with {operator}, which an absent or other id can meet")


def negations(trust: TrustCase) -> VerifyFinding:
    """``NotPrincipal`` and ``NotAction``: they mean all the rest."""
    remarks = [
        Remark("fail" if statement.effect == "Allow" else "warn", statement, f"uses {element}: all the rest is meant")
        for statement in trust.policy.statements
        for element, used in (
            ("NotPrincipal", statement.principals is not None and statement.principals.negated),
            ("NotAction", statement.actions.negated),
        )
        if used
    ]
    good = "no statement uses NotPrincipal or NotAction"
    return _finding(trust, "GBY-V010", "negations", remarks, good, f"Name whom and what you mean. {APPLY}")


def further_ids(trust: TrustCase) -> VerifyFinding:
    """External ids that are accepted besides the stack's, as during a rotation."""
    own = trust.subject.external_id.reveal()
    remarks = []
    for statement in _allows(trust):
        ids = {value for condition in _id_conditions(statement) if _positive(condition) for value in condition.values}
        if more := len(ids - {own}):
            remarks.append(
                Remark("warn", statement, f"accepts {more} external id{'s' * (more > 1)} besides the stack's")
            )
    good = "the stack's external id is the only one"
    fix = "After a rotation the old one is dropped: finish it, or take the old one out."
    return _finding(trust, "GBY-V011", "further external ids", remarks, good, fix)


def _positive(condition: Condition) -> bool:
    form = operator_form(condition.operator)
    return form is not None and form.base in {"StringEquals", "StringLike", "StringEqualsIgnoreCase"}


def actions(trust: TrustCase) -> VerifyFinding:
    """Actions besides ``sts:AssumeRole`` and what belongs to it."""
    remarks = [
        Remark("warn", statement, f"allows {enumerated(wide)}")
        for statement in _allows(trust)
        if not statement.actions.negated
        and (wide := [text for text in statement.actions.patterns if text.lower() not in PLAIN_ACTIONS])
    ]
    good = "nothing but sts:AssumeRole is allowed"
    return _finding(trust, "GBY-V012", "trusted actions", remarks, good, f"sts:AssumeRole is enough. {APPLY}")


def _allows(trust: TrustCase) -> list[Statement]:
    return [statement for statement in trust.policy.statements if statement.effect == "Allow"]


def _entries(trust: TrustCase) -> list[tuple[Statement, PrincipalEntry]]:
    """Every principal that an Allow names."""
    return [
        (statement, entry)
        for statement in _allows(trust)
        if statement.principals is not None and not statement.principals.negated
        for entry in statement.principals.entries
    ]


def _id_conditions(statement: Statement) -> list[Condition]:
    return [condition for condition in statement.conditions if condition.key.lower() == "sts:externalid"]


def _finding(trust: TrustCase, code: str, check: str, remarks: Iterable[Remark], good: str, fix: str) -> VerifyFinding:
    if any(statement.name.number == 0 for statement in trust.policy.statements):
        return VerifyFinding(code, check, "unknown", f"{NOT_READ}: {trust.policy.statements[0].strange}")
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
)
"""In the order of their codes."""
