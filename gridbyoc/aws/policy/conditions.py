"""Evaluate conditions, with absent keys, several values and set operators.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from gridbyoc.aws.policy.model import (
    Condition,
    Lookup,
    Pattern,
    Request,
    glob,
    read_pattern,
    split_arn,
    split_tokens,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Match:
    """``holds`` is ``None`` if the result is unknown; ``why`` is the reason and never contains a policy's values."""

    holds: bool | None
    why: str = ""

    def negated(self) -> Match:
        """The opposite; unknown stays unknown."""
        return Match(None if self.holds is None else not self.holds, self.why)


YES = Match(True)
NO = Match(False)


def every(matches: Iterable[Match]) -> Match:
    """Whether all hold: the first that fails decides, then the first unknown one. True for none."""
    result = YES
    for match in matches:
        if match.holds is False:
            return match
        if match.holds is None and result.holds:
            result = match
    return result


def some(matches: Iterable[Match]) -> Match:
    """Whether any holds: the first that holds decides, then the first unknown one. False for none."""
    result = NO
    for match in matches:
        if match.holds:
            return match
        if match.holds is None and result.holds is False:
            result = match
    return result


Tokens = Sequence[str]
Test = Callable[[Tokens, str], "bool | None"]
"""Compares pattern and value; ``None`` if one has the wrong type, or AWS does not document the comparison."""

NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
CIDR = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
DAY = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})")
MOMENT = re.compile(
    DAY.pattern
    + r"T(?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    + r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})"
)
"""The W3C's forms of a date and time (https://www.w3.org/TR/NOTE-datetime); no other form is documented."""


@dataclass(frozen=True, slots=True)
class Operator:
    """``wildcards``, ``variables``: whether the policy's text may contain them. ``negated``: no text may match."""

    test: Test
    negated: bool = False
    wildcards: bool = False
    variables: bool = False


def _string_equals(wanted: Tokens, value: str) -> bool:
    return text_of(wanted) == value


def _string_equals_ignore_case(wanted: Tokens, value: str) -> bool | None:
    """AWS does not document case folding outside ASCII, so the result is unknown there."""
    text = text_of(wanted)
    if text == value:
        return True
    return text.lower() == value.lower() if text.isascii() and value.isascii() else None


def _arn_like(wanted: Tokens, value: str) -> bool | None:
    """Compare each of the six parts separately: a wildcard does not match across a colon, except in the last part."""
    patterns, parts = split_tokens(wanted), split_arn(value)
    if len(patterns) != 6 or parts is None:
        return None
    return all(map(glob, patterns, parts))


def _boolean(wanted: Tokens, value: str) -> bool | None:
    texts = text_of(wanted), value
    return texts[0] == texts[1] if {*texts} <= {"true", "false"} else None


def _binary(wanted: Tokens, value: str) -> bool | None:
    """Unknown if only the bytes match: AWS's text compares bytes, but its example has base64 on both sides."""
    text = text_of(wanted)
    data = _decoded(text)
    if data is None:
        return None
    return True if text == value else None if data in (value.encode(errors="surrogatepass"), _decoded(value)) else False


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ip(wanted: Tokens, value: str) -> bool | None:
    """CIDR, or an IPv4 address alone: AWS documents /32 as its default, but none for IPv6."""
    text = text_of(wanted)
    try:
        network, address = ip_network(text), ip_address(value)
    except ValueError:
        return None
    if not CIDR.fullmatch(text) or (network.version == 6 and "/" not in text):
        return None
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return None
    return network.version == address.version and address in network


Range = tuple[Any, Any]
"""The least and the greatest value that a text may mean."""


def _number(text: str) -> Range | None:
    return (Decimal(text), Decimal(text)) if NUMBER.fullmatch(text) else None


def _date(text: str) -> Range | None:
    """A W3C date-time, or seconds since 1970. A date alone means any moment of that day in any time zone.

    Four digits (a year or seconds) and a month alone are ambiguous and not parsed.
    """
    try:
        if text.isascii() and text.isdigit() and len(text) != 4:
            moment = _EPOCH + timedelta(seconds=int(text))
            return moment, moment
        if DAY.fullmatch(text):
            day = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
            return day - timedelta(hours=14), day + timedelta(hours=36)
        found = MOMENT.fullmatch(text)
        if found is None:
            return None
        second, fraction = found["second"] or "00", (found["fraction"] or "0").ljust(9, "0")[:6]
        plain = datetime.fromisoformat(f"{found['day']}T{found['minute']}:{second}.{fraction}")
        moment = plain.replace(tzinfo=_zone(found["zone"]))
        return moment, moment
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _zone(text: str) -> timezone:
    if text == "Z":
        return timezone.utc
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _sign(actual: Range, limit: Range) -> int | None:
    """Whether the request's value is less than (-1), equal to (0) or greater than (1) the policy's, or ``None``."""
    if actual[1] < limit[0]:
        return -1
    if actual[0] > limit[1]:
        return 1
    return 0 if actual == limit and actual[0] == actual[1] else None


def _compared(read: Callable[[str], Range | None], holds: Callable[[int], bool]) -> Test:
    def test(wanted: Tokens, value: str) -> bool | None:
        limit, actual = read(text_of(wanted)), read(value)
        sign = None if limit is None or actual is None else _sign(actual, limit)
        return None if sign is None else holds(sign)

    return test


def _comparisons(family: str, read: Callable[[str], Range | None]) -> dict[str, Operator]:
    return {
        f"{family}Equals": Operator(_compared(read, lambda sign: sign == 0)),
        f"{family}NotEquals": Operator(_compared(read, lambda sign: sign == 0), negated=True),
        f"{family}LessThan": Operator(_compared(read, lambda sign: sign < 0)),
        f"{family}LessThanEquals": Operator(_compared(read, lambda sign: sign <= 0)),
        f"{family}GreaterThan": Operator(_compared(read, lambda sign: sign > 0)),
        f"{family}GreaterThanEquals": Operator(_compared(read, lambda sign: sign >= 0)),
    }


def _pair(
    name: str, opposite: str, test: Test, *, wildcards: bool = False, variables: bool = True
) -> dict[str, Operator]:
    return {
        name: Operator(test, wildcards=wildcards, variables=variables),
        opposite: Operator(test, negated=True, wildcards=wildcards, variables=variables),
    }


OPERATORS: Mapping[str, Operator] = {
    **_pair("StringEquals", "StringNotEquals", _string_equals),
    **_pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", _string_equals_ignore_case),
    **_pair("StringLike", "StringNotLike", glob, wildcards=True),
    **_pair("ArnEquals", "ArnNotEquals", _arn_like, wildcards=True),
    **_pair("ArnLike", "ArnNotLike", _arn_like, wildcards=True),
    **_pair("IpAddress", "NotIpAddress", _ip, variables=False),
    **_comparisons("Numeric", _number),
    **_comparisons("Date", _date),
    "Bool": Operator(_boolean),
    "BinaryEquals": Operator(_binary),
}
"""Operators by name, in AWS's spelling: no source says that IAM accepts another case. ``condition_holds`` handles
``Null``, ``IfExists`` and the set operators, which are about the key."""


FORM = re.compile(r"(?:(?P<set>ForAllValues|ForAnyValue):)?(?P<base>[A-Za-z]+?)(?P<exists>IfExists)?")
NULL = "Null"


@dataclass(frozen=True, slots=True)
class OperatorForm:
    """The parts of an operator's name such as ``ForAllValues:StringLikeIfExists``."""

    base: str
    quantifier: str = ""
    if_exists: bool = False

    @property
    def plain(self) -> bool:
        """Whether it has neither a set operator nor ``IfExists``."""
        return not (self.quantifier or self.if_exists)


def operator_form(name: str) -> OperatorForm | None:
    """Split an operator's name; ``None`` if AWS does not document it in this spelling."""
    found = FORM.fullmatch(name)
    if found is None or (found["base"] != NULL and found["base"] not in OPERATORS):
        return None
    return OperatorForm(found["base"], found["set"] or "", bool(found["exists"]))


def conditions_hold(conditions: tuple[Condition, ...], request: Request, *, variables: bool) -> Match:
    """Whether all conditions hold."""
    return every(condition_holds(condition, request, variables=variables) for condition in conditions)


def condition_holds(condition: Condition, request: Request, *, variables: bool) -> Match:
    """Whether one condition holds; unknown if the operator or the key's value is unknown."""
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
        return Match(
            None, f"its condition {said} contains a number, and AWS does not document how IAM converts it to text"
        )
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
    """An empty text is not a value for set operators; for the others, AWS does not document it."""
    absent = _absent(form, OPERATORS[form.base], said)
    if form.quantifier and len(values) == 1:
        return absent
    present = _present(condition, form, lookup, values, said)
    return present if present.holds is absent.holds else Match(None, f"its condition {said} is asked of an empty value")


def _one_value(condition: Condition, known: Operator, lookup: Lookup | None, value: str) -> Match:
    """Whether a text of the policy matches one value of the request, or (negated) none does."""
    patterns = [read_pattern(text, wildcards=known.wildcards, lookup=lookup) for text in condition.values]
    result = some(_one_text(pattern, known, value) for pattern in patterns)
    if result.holds and any(pattern.tokens is None for pattern in patterns):
        # "If AWS cannot resolve a variable, this might cause the entire statement to be invalid."
        result = Match(None)
    return result.negated() if known.negated else result


def _one_text(pattern: Pattern, known: Operator, value: str) -> Match:
    if pattern.tokens is None:
        # A variable without a value matches nothing; for negated operators, AWS's pages contradict each other.
        return Match(None if pattern.unknown or known.negated else False)
    return Match(known.test(pattern.tokens, value))


def _absent(form: OperatorForm, known: Operator, said: str) -> Match:
    """The result if the request does not have the key."""
    lacks = f"its condition {said} needs a key that the request lacks"
    if form.quantifier == "ForAnyValue":
        # AWS documents IfExists as true here; in tests, ForAnyValue wins over it.
        return Match(None if form.if_exists else False, lacks)
    if form.quantifier and known.negated and not form.if_exists:
        # ForAllValues "returns true if there are no context keys"; AWS's table for StringNotLike says "No match".
        return Match(None, f"AWS's pages contradict each other on {said} without the key")
    if form.if_exists or known.negated or form.quantifier:
        return YES
    return Match(False, lacks)


def _null(condition: Condition, form: OperatorForm, values: tuple[str, ...] | None, said: str) -> Match:
    wanted = {*condition.values}
    if not form.plain or not wanted <= {"true", "false"}:
        return Match(None, f"AWS does not document an operator like {condition.operator}")
    if values is None:
        return Match(None, f"it depends on {condition.key}, which is not known here")
    if "" in values:
        return Match(None, f"AWS does not document whether an empty {condition.key} counts as present")
    return _worded(Match(("false" if values else "true") in wanted), said)


def _worded(result: Match, said: str) -> Match:
    if result.holds is None:
        return Match(None, f"its condition {said} cannot be judged here")
    return Match(result.holds, "" if result.holds else f"its condition {said} is not met")
