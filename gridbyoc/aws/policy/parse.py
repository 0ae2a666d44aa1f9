"""JSON → ``Policy``: tolerant of what IAM takes (single values, spellings of names), strict about all else.

The grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
"""The language's version where a document names none."""

TOP = frozenset({"version", "id", "statement"})
ELEMENTS = frozenset(
    {"sid", "effect", "principal", "notprincipal", "action", "notaction", "resource", "notresource", "condition"}
)
KINDS: Mapping[str, PrincipalKind] = {
    "aws": "AWS",
    "service": "Service",
    "federated": "Federated",
    "canonicaluser": "CanonicalUser",
}


class PolicyDocumentError(AwsError):
    """A text that is not an IAM policy document; says where, and never quotes what stands there."""

    code = "GBY-A020"


def parse_policy(document: object, *, name: str, kind: PolicyKind) -> Policy:
    """Read a document: JSON text, or what came of parsing it. ``name`` is what messages call it.

    A ``trust`` policy names principals in every statement; an ``identity`` one (a boundary, too) names none and names
    resources. Raises ``PolicyDocumentError`` for anything that IAM would not take, without quoting it.
    """
    top = _elements(_loaded(document, name), name)
    strange = sorted(set(top) - TOP)
    version = top.get("version", OLD)
    if strange or version not in (OLD, CURRENT):
        raise _bad(name, f"has the unknown element {strange[0]}" if strange else "has an unknown Version")
    statements = _listed(top.get("statement"))
    if not statements or not all(isinstance(statement, Mapping) for statement in statements):
        raise _bad(name, "has no Statement, or one that is not an object")
    parsed = tuple(_statement(each, name, number, kind) for number, each in enumerate(statements, 1))
    return Policy(name, parsed, str(version))


def _loaded(document: object, name: str) -> Mapping[str, Any]:
    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            raise _bad(name, "is not JSON") from None
    if not isinstance(document, Mapping):
        raise _bad(name, "is not a JSON object")
    return document


def _statement(raw: Mapping[str, Any], policy: str, number: int, kind: PolicyKind) -> Statement:
    place = f"statement {number} of {policy}"
    found = _elements(raw, place)
    sid = found.get("sid") or None
    if found.get("effect") not in ("Allow", "Deny") or not (sid is None or isinstance(sid, str)):
        raise _bad(place, "must have the Effect Allow or Deny, and a text as its Sid if it has one")
    actions = _selection(found, "action", place)
    if actions is None:
        raise _bad(place, "has neither Action nor NotAction")
    principals = _principals(found, place)
    resources = _selection(found, "resource", place)
    if (kind == "trust") != (principals is not None):
        raise _bad(place, "has no Principal" if kind == "trust" else "has a Principal")
    if kind == "identity" and resources is None:
        raise _bad(place, "has neither Resource nor NotResource")
    return Statement(
        StatementName(policy, number, sid),
        found["effect"],
        actions,
        principals,
        resources,
        _conditions(found.get("condition"), place),
        _strange(set(found) - ELEMENTS),
    )


def _strange(names: set[str]) -> str:
    return f"its element {min(names)} is not known here" if names else ""


def _elements(raw: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The object's elements by lower-case name; the same one in two spellings is refused."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        low = str(key).lower()
        if low in found:
            raise _bad(place, f"has {low} twice")
        found[low] = value
    return found


def _selection(found: Mapping[str, Any], element: str, place: str) -> Selection | None:
    positive, negative = found.get(element), found.get(f"not{element}")
    if positive is not None and negative is not None:
        raise _bad(place, f"has both {element} and not{element}")
    if positive is None and negative is None:
        return None
    return Selection(_texts(positive if negative is None else negative, place), negated=negative is not None)


def _principals(found: Mapping[str, Any], place: str) -> Principals | None:
    positive, negative = found.get("principal"), found.get("notprincipal")
    if positive is not None and negative is not None:
        raise _bad(place, "has both Principal and NotPrincipal")
    raw = positive if negative is None else negative
    if raw is None:
        return None
    if raw == "*":
        return Principals((PrincipalEntry("AWS", "*"),), negated=negative is not None)
    if not isinstance(raw, Mapping):
        raise _bad(place, "has a Principal that is neither * nor an object")
    kinds = _elements(raw, place)
    entries = tuple(_entry(kind, value) for kind, values in kinds.items() for value in _texts(values, place))
    return Principals(entries, negated=negative is not None)


def _entry(kind: str, value: str) -> PrincipalEntry:
    return PrincipalEntry(KINDS[kind], value) if kind in KINDS else PrincipalEntry("Unknown", f"{kind} {value}")


def _conditions(raw: object, place: str) -> tuple[Condition, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping) or not all(isinstance(keys, Mapping) for keys in raw.values()):
        raise _bad(place, "has a Condition that is not an object of objects")
    return tuple(
        Condition(str(operator), str(key), tuple(_scalar(value, place) for value in _listed(values)))
        for operator, keys in raw.items()
        for key, values in keys.items()
    )


def _scalar(value: object, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise _bad(place, "has a condition value that is neither text, number nor truth value")


def _texts(value: object, place: str) -> tuple[str, ...]:
    texts = _listed(value)
    if not all(isinstance(text, str) for text in texts):
        raise _bad(place, "has something else than text where text belongs")
    return tuple(texts)


def _listed(value: object) -> list[Any]:
    """IAM lets a single value stand where a list may."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _bad(place: str, trouble: str) -> PolicyDocumentError:
    return PolicyDocumentError(
        f"{place[0].upper()}{place[1:]} {trouble}.",
        why="It is not a policy document as IAM writes them.",
        fix="Look at it in the IAM console, and put it right.",
        rerun=SAFE_NOTHING_DONE,
    )
