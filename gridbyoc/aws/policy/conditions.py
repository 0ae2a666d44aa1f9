"""Conditions: what a key being absent, several values, and the set operators mean.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gridbyoc.aws.policy.match import YES, Match, every, some
from gridbyoc.aws.policy.model import Condition
from gridbyoc.aws.policy.operators import OPERATORS, Operator
from gridbyoc.aws.policy.patterns import Lookup, Pattern, read_pattern
from gridbyoc.aws.policy.request import Request

FORM = re.compile(r"(?:(?P<set>ForAllValues|ForAnyValue):)?(?P<base>[A-Za-z]+?)(?P<exists>IfExists)?")
NULL = "Null"


@dataclass(frozen=True, slots=True)
class OperatorForm:
    """An operator's name taken apart: ``ForAllValues:StringLikeIfExists``."""

    base: str
    quantifier: str = ""
    if_exists: bool = False

    @property
    def plain(self) -> bool:
        """Without a set operator and without ``IfExists``."""
        return not (self.quantifier or self.if_exists)


def operator_form(name: str) -> OperatorForm | None:
    """Take an operator's name apart; ``None`` where it is none that AWS documents, or not spelled as there."""
    found = FORM.fullmatch(name)
    if found is None or (found["base"] != NULL and found["base"] not in OPERATORS):
        return None
    return OperatorForm(found["base"], found["set"] or "", bool(found["exists"]))


def conditions_hold(conditions: tuple[Condition, ...], request: Request, *, variables: bool) -> Match:
    """All of them."""
    return every(condition_holds(condition, request, variables=variables) for condition in conditions)


def condition_holds(condition: Condition, request: Request, *, variables: bool) -> Match:
    """One operator on one key. What is not known here (an operator, a key's value) makes the answer unknown."""
    form = operator_form(condition.operator)
    said = f"{condition.operator} on {condition.key}"
    if form is None:
        return Match(None, f"its condition operator {condition.operator} is not known here")
    values = request.values(condition.key)
    if form.base == NULL:
        return _null(condition, form, values, said)
    if values is None:
        return Match(None, f"it depends on {condition.key}, which is not known here")
    known = OPERATORS[form.base]
    if not values:
        return _absent(form, known, said)
    if not condition.exact and not form.base.startswith("Numeric"):
        return Match(None, f"its condition {said} holds a number, and how IAM writes that as a text is not documented")
    lookup = request.values if variables and known.variables else None
    if "" in values:
        return _with_empty(condition, form, lookup, values, said)
    return _present(condition, form, lookup, values, said)


def _present(
    condition: Condition, form: OperatorForm, lookup: Lookup | None, values: tuple[str, ...], said: str
) -> Match:
    each = (_one_value(condition, OPERATORS[form.base], lookup, value) for value in values)
    if form.quantifier:
        result = every(each) if form.quantifier == "ForAllValues" else some(each)
    elif len(values) > 1:
        return Match(None, f"its {said} has no set operator, and the key has several values")
    else:
        result = next(each)
    return _worded(result, said)


def _with_empty(
    condition: Condition, form: OperatorForm, lookup: Lookup | None, values: tuple[str, ...], said: str
) -> Match:
    """An empty text is no value to the set operators; whether it is one to the others AWS does not say."""
    absent = _absent(form, OPERATORS[form.base], said)
    if form.quantifier and len(values) == 1:
        return absent
    present = _present(condition, form, lookup, values, said)
    return present if present.holds is absent.holds else Match(None, f"its condition {said} is asked of an empty value")


def _one_value(condition: Condition, known: Operator, lookup: Lookup | None, value: str) -> Match:
    """One value of the request: a text of the policy matches it, or (negated) none does."""
    patterns = [read_pattern(text, wildcards=known.wildcards, lookup=lookup) for text in condition.values]
    result = some(_one_text(pattern, known, value) for pattern in patterns)
    if result.holds and any(pattern.tokens is None for pattern in patterns):
        # "If AWS cannot resolve a variable, this might cause the entire statement to be invalid."
        result = Match(None)
    return result.negated() if known.negated else result


def _one_text(pattern: Pattern, known: Operator, value: str) -> Match:
    if pattern.tokens is None:
        # Without a value a variable matches nothing; of "no text matches" AWS's pages say two things.
        return Match(None if pattern.unknown or known.negated else False)
    return Match(known.test(pattern.tokens, value))


def _absent(form: OperatorForm, known: Operator, said: str) -> Match:
    """The request has no such key."""
    lacks = f"its condition {said} needs a key that the request lacks"
    if form.quantifier == "ForAnyValue":
        # AWS documents IfExists as true then; measured, ForAnyValue wins over it.
        return Match(None if form.if_exists else False, lacks)
    if form.quantifier and known.negated and not form.if_exists:
        # ForAllValues "returns true if there are no context keys"; AWS's table for StringNotLike says "No match".
        return Match(None, f"of {said} without the key AWS's pages say two things")
    if form.if_exists or known.negated or form.quantifier:
        return YES
    return Match(False, lacks)


def _null(condition: Condition, form: OperatorForm, values: tuple[str, ...] | None, said: str) -> Match:
    wanted = {*condition.values}
    if not form.plain or not wanted <= {"true", "false"}:
        return Match(None, f"its condition {condition.operator} is of a form that IAM does not document")
    if values is None:
        return Match(None, f"it depends on {condition.key}, which is not known here")
    if "" in values:
        return Match(None, f"whether an empty {condition.key} is one AWS does not say")
    return _worded(Match(("false" if values else "true") in wanted), said)


def _worded(result: Match, said: str) -> Match:
    if result.holds is None:
        return Match(None, f"its condition {said} cannot be judged here")
    return Match(result.holds, "" if result.holds else f"its condition {said} is not met")
