"""The condition operators: one text of the policy against one value of the request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from gridbyoc.aws.policy.patterns import glob, split_arn, split_tokens, text_of

Tokens = Sequence[str]
Test = Callable[[Tokens, str], "bool | None"]
"""``None``: one of the two cannot be read as what the operator compares, or AWS does not say how they compare."""

NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
CIDR = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
DAY = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})")
MOMENT = re.compile(
    DAY.pattern
    + r"T(?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    + r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})"
)
"""The W3C's forms of a date and time (https://www.w3.org/TR/NOTE-datetime): no other one is documented."""


@dataclass(frozen=True, slots=True)
class Operator:
    """``wildcards`` and ``variables``: whether the policy's text may hold them. ``negated``: no text may match."""

    test: Test
    negated: bool = False
    wildcards: bool = False
    variables: bool = False


def _string_equals(wanted: Tokens, value: str) -> bool:
    return text_of(wanted) == value


def _string_equals_ignore_case(wanted: Tokens, value: str) -> bool | None:
    """AWS does not say which letters besides ASCII's have two cases."""
    text = text_of(wanted)
    if text == value:
        return True
    return text.lower() == value.lower() if text.isascii() and value.isascii() else None


def _arn_like(wanted: Tokens, value: str) -> bool | None:
    """Each of the six parts by itself, so that a wildcard does not reach over a colon; the last may hold colons."""
    patterns, parts = split_tokens(wanted), split_arn(value)
    if len(patterns) != 6 or parts is None:
        return None
    return all(map(glob, patterns, parts))


def _boolean(wanted: Tokens, value: str) -> bool | None:
    texts = text_of(wanted), value
    return texts[0] == texts[1] if {*texts} <= {"true", "false"} else None


def _binary(wanted: Tokens, value: str) -> bool | None:
    """AWS's text speaks of the value's bytes, its example of the same base64 on both sides."""
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
    """CIDR, or an IPv4 address alone: that AWS takes /32 by default says little of an IPv6 one."""
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
"""The least and the greatest that a text may stand for."""


def _number(text: str) -> Range | None:
    return (Decimal(text), Decimal(text)) if NUMBER.fullmatch(text) else None


def _date(text: str) -> Range | None:
    """A W3C date-time, or seconds since 1970. A date alone is some moment of that day in some zone of the world.

    Four digits may be a year or seconds, and a month may be any of its moments: those are not read.
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
    """Whether the request's value is less than (-1), equal to (0) or greater than the policy's, where it is sure."""
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
"""By name, spelled as AWS spells it: nothing says that IAM takes another case. ``Null``, ``IfExists`` and the set
operators are about the key; see ``conditions``."""
