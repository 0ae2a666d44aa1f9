"""The conditions of a policy statement, for the keys that a request brings along.

Shape: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
String, ARN, Bool and Null operators, with IfExists, ForAnyValue and ForAllValues. A statement with any other operator
(numbers, dates, addresses) does not match here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridbyoc.sandbox.api.trust import as_list, matches

Context = Mapping[str, Sequence[str]]
"""The values of each condition key; keys in lower case."""

_TESTS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda wanted, value: wanted == value,
    "stringequalsignorecase": lambda wanted, value: wanted.lower() == value.lower(),
    "stringlike": matches,
    "arnequals": matches,  # as AWS has it: the two ARN operators behave alike
    "arnlike": matches,
    "bool": lambda wanted, value: wanted.lower() == value.lower(),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all conditions hold, and the keys that they ask for and the request did not bring."""

    holds: bool
    missing: tuple[str, ...]


def judge(condition: object, context: Context) -> Verdict:
    """A statement's ``Condition`` element, or ``None``."""
    tests = [
        (operator, key, [_text(value) for value in as_list(wanted)])
        for operator, keys in (condition.items() if isinstance(condition, dict) else ())
        for key, wanted in (keys.items() if isinstance(keys, dict) else ())
    ]
    missing = tuple(dict.fromkeys(key for operator, key, _ in tests if not _has(context, key) and not _null(operator)))
    return Verdict(all(_holds(operator, wanted, context.get(key.lower())) for operator, key, wanted in tests), missing)


def with_variables(text: str, context: Context) -> str:
    """``${aws:username}`` and its like replaced; one whose value is unknown stays, and matches nothing that exists."""
    for key, values in context.items():
        start = text.lower().find("${" + key + "}")
        while start >= 0 and len(values) == 1:
            text = text[:start] + values[0] + text[start + len(key) + 3 :]
            start = text.lower().find("${" + key + "}", start + len(values[0]))
    return text.replace("${$}", "$")


def _holds(operator: str, wanted: list[str], values: Sequence[str] | None) -> bool:
    qualifier, _, name = operator.lower().rpartition(":")
    if name == "null":
        return any((value.lower() == "true") == (values is None) for value in wanted)
    if_exists = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    negated = "not" in name
    test = _TESTS.get(name.replace("not", ""))
    if test is None:
        return False
    if values is None:
        return if_exists or negated or qualifier == "forallvalues"
    each = [any(test(pattern, value) for pattern in wanted) != negated for value in values]
    # Without a qualifier a key has one value; AWS refuses nothing and takes any of several.
    return all(each) if qualifier == "forallvalues" or negated else any(each)


def _has(context: Context, key: str) -> bool:
    return key.lower() in context


def _null(operator: str) -> bool:
    return operator.lower().rpartition(":")[2] == "null"


def _text(value: Any) -> str:  # noqa: ANN401 -- JSON
    return str(value).lower() if isinstance(value, bool) else str(value)
