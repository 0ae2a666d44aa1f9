"""Parse JSON into a ``Policy``. Accepts all that IAM accepts (a single value for a list) and nothing else.

The grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from gridbyoc.aws.policy.model import (
    CURRENT,
    Condition,
    Policy,
    PrincipalEntry,
    PrincipalKind,
    Principals,
    Selection,
    Statement,
    StatementName,
)
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError

PolicyKind = Literal["trust", "identity"]
OLD = "2008-10-17"
"""The language's version if a document names none."""

TOP = ("Version", "Id", "Statement")
ELEMENTS = (
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"
)  # fmt: skip
KINDS: Mapping[str, PrincipalKind] = {
    "AWS": "AWS",
    "Service": "Service",
    "Federated": "Federated",
    "CanonicalUser": "CanonicalUser",
}


class PolicyDocumentError(AwsError):
    """The text is not an IAM policy document; the message says where, and never quotes the text."""

    code = "GBY-A020"
    remedy = "Correct the document; IAM refuses it too."


def parse_policy(document: object, *, name: str, kind: PolicyKind) -> Policy:
    """Parse a document: JSON text or parsed JSON. ``name`` is its name in messages.

    Every statement of a ``trust`` policy names principals; those of an ``identity`` policy or boundary name resources
    and no principals. Raises ``PolicyDocumentError`` for anything that IAM would refuse, without quoting it. If it is
    unknown whether IAM accepts an element (in another spelling), the statement is ``strange``.
    """
    top = _elements(_loaded(document, name), TOP, name)
    if top.unknown or top.get("Version", OLD) not in (OLD, CURRENT):
        trouble = f"has the unknown element {min(top.unknown)}" if top.unknown else "has an unknown Version"
        raise _bad(name, trouble)
    statements = _listed(top.get("Statement"))
    if not statements or not all(isinstance(statement, Mapping) for statement in statements):
        raise _bad(name, "has no Statement, or one that is not an object")
    parsed = tuple(_statement(each, name, number, kind) for number, each in enumerate(statements, 1))
    if top.misspelt:
        parsed = tuple(replace(each, strange=each.strange or _spelling(top.misspelt)) for each in parsed)
    return Policy(name, parsed, str(top.get("Version", OLD)))


def _loaded(document: object, name: str) -> Mapping[str, Any]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) < len(pairs):
            raise _bad(name, "has an element twice in one object")
        return dict(pairs)

    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document, object_pairs_hook=once)
        except (ValueError, RecursionError):
            raise _bad(name, "is not JSON") from None
    if not isinstance(document, Mapping):
        raise _bad(name, "is not a JSON object")
    return document


def _statement(raw: Mapping[str, Any], policy: str, number: int, kind: PolicyKind) -> Statement:
    place = f"statement {number} of {policy}"
    found = _elements(raw, ELEMENTS, place)
    sid = found.get("Sid") or None
    effect = found.get("Effect")
    if effect not in ("Allow", "Deny") or not (sid is None or isinstance(sid, str)):
        raise _bad(place, "must have the Effect Allow or Deny, and a text as its Sid if it has one")
    actions = _selection(found, "Action", place)
    if actions is None:
        raise _bad(place, "has neither Action nor NotAction")
    principals = _principals(found, place)
    resources = _selection(found, "Resource", place)
    if (kind == "trust") != (principals is not None):
        raise _bad(place, "has no Principal" if kind == "trust" else "has a Principal")
    if kind == "identity" and resources is None:
        raise _bad(place, "has neither Resource nor NotResource")
    conditions = _conditions(found.get("Condition"), place)
    strange = _spelling(found.misspelt) if found.misspelt else ""
    strange = f"its element {min(found.unknown)} is not known here" if found.unknown else strange
    if kind == "trust" and resources is not None:
        strange = "it names a resource, which a trust policy cannot"
    names = [(each.operator.lower(), each.key.lower()) for each in conditions]
    if len(set(names)) < len(names):
        strange = "its conditions hold a key twice, in two spellings"
    return Statement(StatementName(policy, number, sid), effect, actions, principals, resources, conditions, strange)


def _spelling(misspelt: frozenset[str]) -> str:
    return f"its element {min(misspelt)} is spelled differently in IAM's grammar"


@dataclass(frozen=True, slots=True)
class _Elements:
    """An object's elements by their proper name; the names written in another case, and unknown names."""

    known: Mapping[str, Any]
    misspelt: frozenset[str]
    unknown: frozenset[str]

    def get(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - whatever JSON may hold
        return self.known.get(name, default)


def _elements(raw: Mapping[str, Any], names: Iterable[str], place: str) -> _Elements:
    """Sort an object's elements; refuse an element that appears in two spellings."""
    proper = {name.lower(): name for name in names}
    found: dict[str, Any] = {}
    misspelt, unknown = set(), set()
    for key, value in raw.items():
        name = proper.get(str(key).lower())
        if name is None:
            unknown.add(str(key).lower())
            continue
        if name in found:
            raise _bad(place, f"has {name} twice")
        if name != key:
            misspelt.add(name)
        found[name] = value
    return _Elements(found, frozenset(misspelt), frozenset(unknown))


def _selection(found: _Elements, element: str, place: str) -> Selection | None:
    positive, negative = found.get(element), found.get(f"Not{element}")
    if positive is not None and negative is not None:
        raise _bad(place, f"has both {element} and Not{element}")
    if positive is None and negative is None:
        return None
    return Selection(_texts(positive if negative is None else negative, place), negated=negative is not None)


def _principals(found: _Elements, place: str) -> Principals | None:
    positive, negative = found.get("Principal"), found.get("NotPrincipal")
    if positive is not None and negative is not None:
        raise _bad(place, "has both Principal and NotPrincipal")
    raw = positive if negative is None else negative
    if raw is None:
        return None
    if raw == "*":
        return Principals((PrincipalEntry("AWS", "*"),), negated=negative is not None)
    if not isinstance(raw, Mapping):
        raise _bad(place, "has a Principal that is neither * nor an object")
    entries = tuple(_entry(str(kind), value) for kind, values in raw.items() for value in _texts(values, place))
    return Principals(entries, negated=negative is not None)


def _entry(kind: str, value: str) -> PrincipalEntry:
    return PrincipalEntry(KINDS[kind], value) if kind in KINDS else PrincipalEntry("Unknown", f"{kind} {value}")


def _conditions(raw: object, place: str) -> tuple[Condition, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping) or not all(isinstance(keys, Mapping) for keys in raw.values()):
        raise _bad(place, "has a Condition that is not an object of objects")
    return tuple(
        Condition(
            str(operator),
            str(key),
            tuple(_scalar(value, place) for value in _listed(values)),
            exact=not any(isinstance(value, float) for value in _listed(values)),
        )
        for operator, keys in raw.items()
        for key, values in keys.items()
    )


def _scalar(value: object, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{Decimal(repr(value)):f}"
    raise _bad(place, "has a condition value that is neither text, a number nor a boolean")


def _texts(value: object, place: str) -> tuple[str, ...]:
    texts = _listed(value)
    if not all(isinstance(text, str) for text in texts):
        raise _bad(place, "has a value that is not text where IAM expects text")
    return tuple(texts)


def _listed(value: object) -> list[Any]:
    """The value as a list: IAM accepts a single value in place of a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _bad(place: str, trouble: str) -> PolicyDocumentError:
    return PolicyDocumentError(
        f"{place[0].upper()}{place[1:]} {trouble}.",
        why="It is not a policy document as IAM writes them.",
        fix="Correct it in the IAM console.",
        rerun=SAFE_NOTHING_DONE,
    )
