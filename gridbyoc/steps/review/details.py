"""A saved plan's resources, attribute by attribute, without anything secret.

The document's format: https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.steps.review.words import Change, actions_of, after_of, before_of, resource_changes
from gridbyoc.terraform.redaction import Redactor

SENSITIVE = "(sensitive)"
UNKNOWN = "(known after apply)"
_MISSING = object()


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
    unknowns = body.get("after_unknown")
    names = {*before, *after, *(unknowns if isinstance(unknowns, dict) else ())}
    for name in sorted(names):
        old = _shown(before.get(name), _mark(marks[0], name))
        new = UNKNOWN if _marked(_mark(unknowns, name)) else _shown(after.get(name), _mark(marks[1], name))
        if SENSITIVE in (old, new):
            if before.get(name, _MISSING) != after.get(name, _MISSING) or new == UNKNOWN:
                yield name, old and SENSITIVE, new and SENSITIVE
        elif old != new:
            yield name, old, new


def _mark(marks: object, name: str) -> object:
    """The mark of one attribute: the whole may be marked at once."""
    return marks.get(name) if isinstance(marks, dict) else marks


def _marked(mark: object) -> bool:
    """Whether anything in it is marked: then all of it is kept back."""
    if isinstance(mark, dict):
        return any(map(_marked, mark.values()))
    return any(map(_marked, mark)) if isinstance(mark, list) else bool(mark)


def _shown(value: object, mark: object) -> str | None:
    if value is None or value in ("", [], {}):
        return None
    if _marked(mark):
        return SENSITIVE
    return _document(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _document(text: str) -> str:
    """A policy document over several lines, so that a difference in it can be seen; any other text as it is."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text
