"""A saved plan's resources, attribute by attribute, without anything secret.

The document's format: https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.steps.review.secrets import SENSITIVE, document_in, masked, names_external_id
from gridbyoc.steps.review.words import Change, actions_of, after_of, before_of, resource_changes
from gridbyoc.terraform.redaction import Redactor

UNKNOWN = "(known after apply)"
TRUST = "assume_role_policy"
"""Where an external id stands; what cannot be read of it is not shown."""


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """One attribute; ``None`` is one that is not there. Texts may have several lines (a policy document)."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ResourceDetail:
    """What would happen to one resource: ``action`` is create, update, delete, replace, or forget."""

    address: str
    action: str
    reason: str = ""
    attributes: tuple[AttributeChange, ...] = ()


def resource_details(shown: Mapping[str, Any], redactor: Redactor) -> tuple[ResourceDetail, ...]:
    """Every resource that would change. ``redactor`` takes out secrets that stand where nobody marked them."""
    return tuple(_detail(change, redactor) for change in resource_changes(shown))


def output_details(shown: Mapping[str, Any], redactor: Redactor) -> dict[str, tuple[AttributeChange, ...]]:
    """The root module's outputs that would change, by name; each has one attribute, its ``value``."""
    found = shown.get("output_changes")
    changes = {name: each for name, each in found.items() if isinstance(each, dict)} if isinstance(found, dict) else {}
    return {name: tuple(_output(name, body, redactor)) for name, body in changes.items()}


def _output(name: str, body: Mapping[str, Any], redactor: Redactor) -> Iterator[AttributeChange]:
    before, after = body.get("before"), body.get("after")
    secret = names_external_id(name) or bool(body.get("before_sensitive")) or bool(body.get("after_sensitive"))
    old, new = (_shown("value", value, secret) for value in (before, after))
    new = UNKNOWN if body.get("after_unknown") and not secret else new
    if _plain(before) != _plain(after) or body.get("after_unknown"):
        yield AttributeChange("value", _clean(old, redactor), _clean(new, redactor))


def _detail(change: Change, redactor: Redactor) -> ResourceDetail:
    attributes = tuple(
        AttributeChange(redactor.clean(name), _clean(before, redactor), _clean(after, redactor))
        for name, before, after in _attributes(change)
    )
    address, reason = redactor.clean(str(change.get("address"))), str(change.get("action_reason") or "")
    return ResourceDetail(address, action_word(actions_of(change)), reason, attributes)


def action_word(actions: tuple[str, ...]) -> str:
    """``replace`` for a deletion and a creation, in either order."""
    return "replace" if set(actions) == {"delete", "create"} else actions[0]


def _clean(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else redactor.clean(text)


def _attributes(change: Change) -> Iterator[tuple[str, str | None, str | None]]:
    body: Mapping[str, Any] = change["change"]
    before, after = before_of(change), after_of(change)
    marks = (body.get("before_sensitive"), body.get("after_sensitive"))
    later = body.get("after_unknown")
    names = {*before, *after, *(later if isinstance(later, dict) else ())}
    for name in sorted(names):
        old = _shown(name, before.get(name), _mark(marks[0], name))
        new = UNKNOWN if _marked(_mark(later, name)) else _shown(name, after.get(name), _mark(marks[1], name))
        if SENSITIVE in (old, new):
            old, new = old and SENSITIVE, new and SENSITIVE
        elif old == new:
            # Alike once their external ids are masked.
            old = new = old and SENSITIVE
        if _plain(before.get(name)) != _plain(after.get(name)) or _marked(_mark(later, name)):
            yield name, old, new


def _plain(value: object) -> object:
    """What is empty is not there; the layout of a document does not count."""
    if value in ("", [], {}):
        return None
    found = document_in(value)
    return value if found is None else json.dumps(found)


def _mark(marks: object, name: str) -> object:
    """The mark of one attribute: the whole may be marked at once."""
    return marks.get(name) if isinstance(marks, dict) else marks


def _marked(mark: object) -> bool:
    """Whether anything in it is marked: then all of it is kept back."""
    if isinstance(mark, dict):
        return any(map(_marked, mark.values()))
    return any(map(_marked, mark)) if isinstance(mark, list) else bool(mark)


def _shown(name: str, value: object, mark: object) -> str | None:
    """A value as text; a document over several lines, so that a difference in it can be seen."""
    if _plain(value) is None:
        return None
    trust = name == TRUST and document_in(value) is None
    if _marked(mark) or names_external_id(name) or trust:
        return SENSITIVE
    if isinstance(value, str):
        found = document_in(value)
        return value if found is None else json.dumps(masked(found), ensure_ascii=False, indent=2)
    return json.dumps(masked(value), ensure_ascii=False, sort_keys=True)
