"""``--set PATH=VALUE``: change values of a stack file for one run without editing it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gridbyoc.errors import Problem
from gridbyoc.stack.document import OVERRIDE, Document, read_document
from gridbyoc.stack.schema import secret_advice, takes_text
from gridbyoc.stack.words import Place, place_text, show

_PART = re.compile(r'(?P<key>[^.\[\]="\s]+)|\[(?P<index>[0-9]{1,4})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]')
_FORM = 'written PATH=VALUE, such as `clusters[0].name=ml-prod` or `role.tags["cost center"]=42`'


@dataclass(frozen=True, slots=True)
class Override:
    """One ``--set``. ``text`` is not parsed yet: its type depends on the place."""

    place: Place
    text: str


class OverrideError(ValueError):
    """An override that cannot be parsed or applied; its message contains no part of the value."""

    def __init__(self, path: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(OVERRIDE, None, path, message, hint)


def parse_override(text: str) -> Override:
    """``clusters[0].name=x`` → place and value. Raises ``OverrideError``."""
    place: list[str | int] = []
    position = 0
    while position < len(text) and text[position] != "=":
        separator = text[position] == "."
        match = _PART.match(text, position + separator)
        bracket = match is not None and match["key"] is None
        if match is None or not (separator != bracket if place else not separator and not bracket):
            raise OverrideError("", f"cannot read the path {show(text.partition('=')[0])}", _FORM)
        place.append(_part(match))
        position = match.end()
    if position == len(text) or not place or not isinstance(place[0], str):
        raise OverrideError("", f"{show(text.partition('=')[0])} is not an override", _FORM)
    return Override(tuple(place), text[position + 1 :])


def apply_overrides(document: Document, overrides: Sequence[str]) -> list[Problem]:
    """Apply each override to the document, in order; return the problems of those that could not be applied."""
    problems: list[Problem] = []
    for text in overrides:
        try:
            _apply(document, parse_override(text))
        except OverrideError as fault:
            problems.append(fault.problem)
    return problems


def _part(match: re.Match[str]) -> str | int:
    if match["index"] is not None:
        return int(match["index"])
    if match["key"] is not None:
        return match["key"]
    try:
        return str(json.loads(match["quoted"]))
    except ValueError:
        raise OverrideError("", f"cannot read the path at {show(match['quoted'])}", _FORM) from None


def _apply(document: Document, override: Override) -> None:
    *outer, key = override.place
    _refuse_place(override.place)
    value = _value(override)
    holder: Any = document.data
    for depth, part in enumerate(outer):
        holder = _enter(holder, override.place, depth, part)
    _put(holder, key, value, override.place)
    document.override(override.place)


def _refuse_place(place: Place) -> None:
    if place[0] == "extends":
        raise OverrideError("extends", "only the stack file can name its bases", "set the values themselves")
    if place[0] == "protect":
        raise OverrideError("protect", "only the stack file can turn protection on or off", "change it there")
    if place[:2] == ("role", "tags"):
        return
    for part in place:
        advice = secret_advice(part) if isinstance(part, str) else None
        if advice:
            message = "a secret cannot be given with --set: other processes see command lines"
            raise OverrideError(place_text(place), message, advice)


def _value(override: Override) -> Any:  # noqa: ANN401 - any YAML value
    """The text parsed as YAML. If the stack file expects text here, an unquoted value stays text."""
    if not override.text.strip():
        return override.text
    parsed = read_document(override.text, OVERRIDE)
    quoted = isinstance(parsed.data, str) and () not in parsed.written
    if takes_text(override.place) and not quoted:
        return None if override.text == "null" else override.text
    if parsed.faults:
        fault = parsed.faults[0]
        raise OverrideError(place_text(override.place), f"the value {fault.message}", fault.hint)
    return parsed.data


def _enter(holder: Any, place: Place, depth: int, part: str | int) -> Any:  # noqa: ANN401 - any YAML value
    """The value of ``part`` in ``holder``; a missing mapping or list is created."""
    if isinstance(holder, dict) and isinstance(part, str):
        if holder.get(part) is None:
            holder[part] = _container(place[depth + 1])
        return holder[part]
    _check_index(holder, part, place[: depth + 1])
    if part == len(holder):
        holder.append(_container(place[depth + 1]))
    return holder[part]


def _container(part: str | int) -> dict[str, Any] | list[Any]:
    return {} if isinstance(part, str) else []


def _put(holder: Any, key: str | int, value: Any, place: Place) -> None:  # noqa: ANN401 - any YAML value
    """Set the value; ``null`` removes the key."""
    if isinstance(holder, dict) and isinstance(key, str):
        if value is None:
            holder.pop(key, None)
        else:
            holder[key] = value
        return
    _check_index(holder, key, place)
    if value is None:
        raise OverrideError(place_text(place), "`null` removes a key, not an item of a list", "set the whole list")
    holder[key : int(key) + 1] = [value]


def _check_index(holder: Any, part: str | int, place: Place) -> None:  # noqa: ANN401 - any YAML value
    if isinstance(holder, list) and isinstance(part, int):
        if part > len(holder):
            message = f"the list has {len(holder)} items: [{len(holder)}] would add one, [{part}] is out of range"
            raise OverrideError(place_text(place), message)
        return
    around = place_text(place[:-1]) or "the stack file"
    kind = "a list" if isinstance(holder, list) else "a mapping" if isinstance(holder, dict) else "a single value"
    raise OverrideError(place_text(place), f"there is no such place: {show(around)} is {kind} here")
