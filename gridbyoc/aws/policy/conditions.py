"""Conditions: what a key being absent, several values, and the set operators mean.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gridbyoc.aws.policy.match import YES, Match, every, some
from gridbyoc.aws.policy.model import Condition
from gridbyoc.aws.policy.operators import OPERATORS, Operator
from gridbyoc.aws.policy.patterns import Lookup, read_pattern
from gridbyoc.aws.policy.request import Request

FORM = re.compile(r"(?:(?P<set>forallvalues|foranyvalue):)?(?P<base>[a-z]+?)(?P<exists>ifexists)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OperatorForm:
    """An operator's name taken apart, all in lower case: ``ForAllValues:StringLikeIfExists``."""

    base: str
    quantifier: str = ""
    if_exists: bool = False


def operator_form(name: str) -> OperatorForm | None:
    """Take an operator's name apart; ``None`` where it has not the form of one."""
    found = FORM.fullmatch(name)
    if found is None:
        return None
    return OperatorForm(found["base"].lower(), (found["set"] or "").lower(), bool(found["exists"]))


def conditions_hold(conditions: tuple[Condition, ...], request: Request, *, variables: bool) -> Match:
    """All of them."""
    return every(condition_holds(condition, request, variables=variables) for condition in conditions)


def condition_holds(condition: Condition, request: Request, *, variables: bool) -> Match:
    """One operator on one key. What is not known here (an operator, a key's value) makes the answer unknown."""
    form = operator_form(condition.operator)
    said = f"{condition.operator} on {condition.key}"
    values = request.values(condition.key)
    if form is not None and form.base == "null":
        return _null(condition, form, values, said)
    known = OPERATORS.get(form.base) if form else None
    if form is None or known is None:
        return Match(None, f"its condition operator {condition.operator} is not known here")
    if values is None:
        return Match(None, f"it depends on {condition.key}, which is not known here")
    if not values:
        return _absent(form, known, said)
    lookup = request.values if variables and known.variables else None
    each = (_one_value(condition, known, lookup, value) for value in values)
    if form.quantifier:
        result = every(each) if form.quantifier == "forallvalues" else some(each)
    elif len(values) > 1:
        return Match(None, f"its {said} has no set operator, and the key has several values")
    else:
        result = next(each)
    return _worded(result, said)


def _one_value(condition: Condition, known: Operator, lookup: Lookup | None, value: str) -> Match:
    """One value of the request: a text of the policy matches it, or (negated) none does."""
    result = some(_one_text(text, known, lookup, value) for text in condition.values)
    return result.negated() if known.negated else result


def _one_text(text: str, known: Operator, lookup: Lookup | None, value: str) -> Match:
    pattern = read_pattern(text, wildcards=known.wildcards, lookup=lookup)
    if pattern.tokens is None:
        # Without a value a variable matches nothing; what "no text matches" is then, AWS does not say.
        return Match(None if pattern.unknown or known.negated else False)
    return Match(known.test(pattern.tokens, value))


def _absent(form: OperatorForm, known: Operator, said: str) -> Match:
    """The request has no such key."""
    if form.quantifier == "foranyvalue":
        # AWS documents IfExists as true then; measured, ForAnyValue wins over it.
        return Match(None if form.if_exists else False, f"its condition {said} needs a key that the request lacks")
    if form.if_exists or known.negated or form.quantifier == "forallvalues":
        return YES
    return Match(False, f"its condition {said} needs a key that the request lacks")


def _null(condition: Condition, form: OperatorForm, values: tuple[str, ...] | None, said: str) -> Match:
    wanted = {value.lower() for value in condition.values}
    if form.quantifier or form.if_exists or not wanted <= {"true", "false"}:
        return Match(None, f"its condition {condition.operator} is of a form that IAM does not document")
    if values is None:
        return Match(None, f"it depends on {condition.key}, which is not known here")
    return _worded(Match(("false" if values else "true") in wanted), said)


def _worded(result: Match, said: str) -> Match:
    if result.holds is None:
        return Match(None, f"its condition {said} cannot be judged here")
    return Match(result.holds, "" if result.holds else f"its condition {said} is not met")
