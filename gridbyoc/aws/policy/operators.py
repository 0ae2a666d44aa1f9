"""The condition operators: one text of the policy against one value of the request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from typing import Any

from gridbyoc.aws.policy.patterns import ANY, glob, split_arn, text_of

Tokens = Sequence[str]
Test = Callable[[Tokens, str], "bool | None"]
"""``None``: one of the two cannot be read as what the operator compares."""

DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Operator:
    """``wildcards`` and ``variables``: whether the policy's text may hold them. ``negated``: no text may match."""

    test: Test
    negated: bool = False
    wildcards: bool = False
    variables: bool = False


def _string_equals(wanted: Tokens, value: str) -> bool:
    return text_of(wanted) == value


def _string_equals_ignore_case(wanted: Tokens, value: str) -> bool:
    return text_of(wanted).lower() == value.lower()


def _arn_like(wanted: Tokens, value: str) -> bool | None:
    """Part by part, so that a wildcard does not reach over a colon; only the last part may hold colons."""
    if list(wanted) == [ANY]:
        return True
    patterns, parts = _split_tokens(wanted), split_arn(value)
    if len(patterns) != 6:
        return None
    return parts is not None and all(map(glob, patterns, parts))


def _split_tokens(tokens: Tokens) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for each in tokens:
        if each == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(each)
    return parts


def _boolean(wanted: Tokens, value: str) -> bool | None:
    texts = text_of(wanted).lower(), value.lower()
    return texts[0] == texts[1] if {*texts} <= {"true", "false"} else None


def _binary(wanted: Tokens, value: str) -> bool | None:
    try:
        return base64.b64decode(text_of(wanted), validate=True) == base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ip(wanted: Tokens, value: str) -> bool | None:
    try:
        network, address = ip_network(text_of(wanted), strict=False), ip_address(value)
    except ValueError:
        return None
    return network.version == address.version and address in network


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _date(text: str) -> datetime | None:
    """A W3C date-time (UTC where it names no zone), or seconds since 1970."""
    found = DATE.fullmatch(text)
    try:
        if found is None:
            seconds = _number(text)
            return None if seconds is None else _EPOCH + timedelta(seconds=float(seconds))
        whole = [int(part or 0) for part in found.groups()[:6]]
        fraction = int((found[7] or "0").ljust(9, "0")) // 1000
        return datetime(*whole[:6], fraction, tzinfo=_zone(found[8]))  # type: ignore[misc,arg-type]  # six ints, as matched
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return timezone.utc
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _compared(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Test:
    def test(wanted: Tokens, value: str) -> bool | None:
        limit, actual = read(text_of(wanted)), read(value)
        return None if limit is None or actual is None else compare(actual, limit)

    return test


def _comparisons(family: str, read: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        f"{family}equals": Operator(_compared(read, operator.eq)),
        f"{family}notequals": Operator(_compared(read, operator.eq), negated=True),
        f"{family}lessthan": Operator(_compared(read, operator.lt)),
        f"{family}lessthanequals": Operator(_compared(read, operator.le)),
        f"{family}greaterthan": Operator(_compared(read, operator.gt)),
        f"{family}greaterthanequals": Operator(_compared(read, operator.ge)),
    }


def _pair(
    name: str, opposite: str, test: Test, *, wildcards: bool = False, variables: bool = True
) -> dict[str, Operator]:
    return {
        name: Operator(test, wildcards=wildcards, variables=variables),
        opposite: Operator(test, negated=True, wildcards=wildcards, variables=variables),
    }


OPERATORS: Mapping[str, Operator] = {
    **_pair("stringequals", "stringnotequals", _string_equals),
    **_pair("stringequalsignorecase", "stringnotequalsignorecase", _string_equals_ignore_case),
    **_pair("stringlike", "stringnotlike", glob, wildcards=True),
    **_pair("arnequals", "arnnotequals", _arn_like, wildcards=True),
    **_pair("arnlike", "arnnotlike", _arn_like, wildcards=True),
    **_pair("ipaddress", "notipaddress", _ip, variables=False),
    **_comparisons("numeric", _number),
    **_comparisons("date", _date),
    "bool": Operator(_boolean),
    "binaryequals": Operator(_binary),
}
"""By lower-case name. ``Null``, ``IfExists`` and the set operators are about the key; see ``conditions``."""
