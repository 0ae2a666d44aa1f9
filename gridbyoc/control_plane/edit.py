"""Convert a create request to text for an editor and back: snake_case, nulls for unset fields, masked secrets."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.control_plane.changes import ABSENT, set_field
from gridbyoc.control_plane.model import FieldChange
from gridbyoc.control_plane.parse import (
    PROFILES,
    SHAPES,
    FieldKind,
    Fields,
    Many,
    PlainKind,
    aws_place,
    children,
    dialect_of,
    member,
    snake,
    text,
    texts,
)
from gridbyoc.control_plane.settings import check_name, check_types, check_unique
from gridbyoc.control_plane.wire import wanted_of
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.secret import MASK, Secret
from gridbyoc.stack.words import printable

SECRET_FIELDS = frozenset({"externalId", "kubeconfig"})
"""Names of text fields with secrets; an object may have the same name as a text field in it."""
_TYPES: Mapping[str, tuple[type, str]] = {"text": (str, "a text"), "whole": (int, "a whole number"),
                                          "yesno": (bool, "true or false")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edited:
    """The edited request and its changes. ``body`` contains secrets."""

    body: Mapping[str, Any] = field(repr=False)
    changes: tuple[FieldChange, ...]


def to_text(body: Mapping[str, Any]) -> str:
    """``body`` as JSON to edit: every field that the API knows; unset fields are ``null``."""
    return json.dumps(opened(body, SHAPES[dialect_of(body)]), indent=2, ensure_ascii=False) + "\n"


def opened(value: object, kind: FieldKind, name: str = "") -> object:
    """``value`` for the editor: only the fields of its kind, with secret texts masked."""
    if kind == "text" and name in SECRET_FIELDS and value is not None:
        return MASK
    if isinstance(kind, Fields) and isinstance(value, Mapping):
        return {snake(key): opened(member(value, key), kind.of[key], key) for key in sorted(kind.of)}
    if isinstance(kind, Many) and isinstance(value, list):
        return [opened(item, kind.of) for item in value]
    return value


def from_text(text: str, body: Mapping[str, Any]) -> Edited:
    """Parse the edited ``text`` into a request; ``body``, the original request, supplies the masked external id.

    Raises ``UsageError`` for invalid JSON, a duplicate key, an unknown key (with the nearest known one), a value of
    another type, or a missing name or role; ``UnsupportedByDialectError`` for a name or type that the service refuses.
    """
    edited = _close(parsed(text), SHAPES[dialect_of(body)], "", body)
    wanted = wanted_of(edited)
    check_name(wanted.name, dialect_of(body))
    check_types(type_names(edited))
    return Edited(edited, differences(body, edited))


def parsed(text: str) -> dict[str, Any]:
    """The text's JSON object. The library's error contains the whole text, so it is not raised."""
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        if isinstance(value, dict):
            return value
        problem = "It is not a JSON object."
    except json.JSONDecodeError as error:
        problem = f"It is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
    except RecursionError:
        problem = "It is nested too deeply."
    except ValueError as error:
        problem = "It contains a number that is too long." if type(error) is ValueError else str(error)
    raise refused(problem)


class _RefusedError(ValueError):
    """A JSON value that the reader's hooks refuse."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"The key {twice} appears twice.")
    return found


def _no_constant(text: str) -> object:
    raise _RefusedError(f"{text} is not a JSON value.")


def _close(value: object, kind: FieldKind, path: str, before: object) -> Any:  # noqa: ANN401 - any JSON value
    """Check ``value`` and convert it to the wire's spelling, without unset fields."""
    if isinstance(kind, Fields):
        return _close_fields(value, kind, path, before if isinstance(before, Mapping) else {})
    if isinstance(kind, Many):
        if not isinstance(value, list):
            raise refused(f"{path} must be a list.")
        return [_close(item, kind.of, f"{path}[{index}]", None) for index, item in enumerate(value)]
    check_plain(value, kind, path)
    return value


def check_plain(value: object, kind: PlainKind, path: str) -> None:
    """Refuse a value of another type, and negative whole numbers: in this API all are counts or sizes."""
    if kind == "any":
        return
    wanted, words = _TYPES[kind]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is int):
        raise refused(f"{path} must be {words}.")
    if kind == "whole" and isinstance(value, int) and value < 0:
        raise refused(f"{path} must be 0 or more.")


def _close_fields(value: object, kind: Fields, path: str, before: Mapping[str, Any]) -> dict[str, Any]:
    closed: dict[str, Any] = {}
    for key, (where, item) in fields_of(value, kind, path).items():
        masked = key in SECRET_FIELDS and item == MASK
        closed[key] = member(before, key) if masked else _close(item, kind.of[key], where, member(before, key))
    return {key: item for key, item in sorted(closed.items()) if item is not None}


def fields_of(value: object, kind: Fields, path: str) -> dict[str, tuple[str, Any]]:
    """The set fields by their name on the wire: for each, its place in the text and its value."""
    if not isinstance(value, dict):
        raise refused(f"{path} must be an object.")
    names = {spelling: key for key in kind.of for spelling in (key, snake(key))}
    found: dict[str, tuple[str, Any]] = {}
    for spelling, item in value.items():
        where = f"{path}.{spelling}" if path else spelling
        key = names.get(spelling)
        if key is None:
            raise _unknown(where, spelling, kind)
        if key in found:
            raise refused(f"{where} appears twice, in two spellings.")
        if item is not None:
            found[key] = where, item
    return found


def _unknown(where: str, spelling: str, kind: Fields) -> UsageError:
    near = difflib.get_close_matches(snake(spelling), [snake(key) for key in kind.of], n=1)
    return refused(f"{where} is not a field of the request.", f" Did you mean {near[0]}?" if near else "")


def refused(problem: str, hint: str = "") -> UsageError:
    """The error for a text that cannot be sent; ``hint`` begins with a space."""
    return UsageError(
        f"The edited request cannot be sent. {problem}",
        fix=f"Edit it again.{hint}",
        rerun=SAFE_NOTHING_DONE,
    )


def type_names(body: Mapping[str, Any]) -> Iterator[str]:
    """Every instance type that the request names."""
    for path, value in _flat(body):
        if path.endswith((".instance_type", "].name")) or ".available_accelerators[" in path:
            yield str(value)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The differences between two requests, by field in snake_case; list items are matched by name."""
    old, new = dict(_flat(before)), dict(_flat(after))
    paths = [path for path in dict.fromkeys([*old, *new]) if _differ(old.get(path), new.get(path))]
    return tuple(FieldChange(printable(path), _words(old.get(path)), _words(new.get(path))) for path in paths)


def _differ(old: object, new: object) -> bool:
    """Whether two JSON values differ. In JSON, unlike Python, ``true`` is not equal to ``1``."""
    return old != new or isinstance(old, bool) is not isinstance(new, bool)


def _flat(value: object, path: str = "", name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{snake(key)}" if path else snake(key), key)
    elif isinstance(value, list):
        for label, item in _labelled(value):
            yield from _flat(item, f"{path}[{label}]")
    else:
        yield path, Secret(str(value)) if name in SECRET_FIELDS else value


def _labelled(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """The items with a label: their name, or ``name #2`` for the second item with that name."""
    seen: Counter[str] = Counter()
    for item in items:
        label = str(item.get("name") or item.get("instanceType") if isinstance(item, Mapping) else item)
        seen[label] += 1
        yield label if seen[label] == 1 else f"{label} #{seen[label]}", item


def _words(value: object) -> str:
    return ABSENT if value is None else printable(str(value))


_ROLE = (
    "The stack manages it: role and control plane must change together.",
    "Change the stack file and run `gridbyoc bootstrap`, or give it a new external id with `gridbyoc rotate`.",
)
_PLACE = (
    "A cluster's region and bucket cannot change.",
    "Leave it unchanged, or delete the cluster and create it again.",
)
_SERVER = (
    "The control plane sets it.",
    "Leave it unchanged; to delete a cluster, remove it from the stack file and run `gridbyoc bootstrap`.",
)
_FIXED: Mapping[str, tuple[str, str]] = {
    "role_arn": _ROLE,
    "external_id": _ROLE,
    "region": _PLACE,
    "primary_region": _PLACE,
    "bucket_name": _PLACE,
    "cluster_type": _SERVER,
    "desired_state": _SERVER,
    "user_id": _SERVER,
    "driver": _SERVER,
}
_PLACES = ("", "driver.kubernetes.aws.", "aws_v1.")


def spec_text(spec: Mapping[str, Any]) -> str:
    """``spec`` as JSON to edit: every known field, ``null`` for unset fields, secrets masked."""
    return json.dumps(opened(spec, _shape(spec)), indent=2, ensure_ascii=False) + "\n"


def hidden_fields(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The places of the fields that ``spec_text`` does not show, in the control plane's spelling."""
    return tuple(dict.fromkeys(printable(place) for place in _hidden(spec, _shape(spec), "")))


def _hidden(value: object, kind: FieldKind, path: str) -> Iterator[str]:
    if isinstance(kind, Fields) and isinstance(value, Mapping):
        known = {spelling: key for key in kind.of for spelling in (key, snake(key))}
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            if key in known:
                yield from _hidden(item, kind.of[known[key]], where)
            else:
                yield where
    elif isinstance(kind, Many) and isinstance(value, list):
        for item in value:
            yield from _hidden(item, kind.of, f"{path}[]")


def edited_spec(edited: str, spec: Mapping[str, Any]) -> Edited:
    """Apply the text ``edited`` to ``spec``, from which it was made; return the whole spec to send, and the changes.

    Raises ``UsageError`` for invalid JSON, an unknown or duplicate key, a value of another type, an unknown profile,
    and a change of role, external id, region, bucket or a field that the control plane sets itself;
    ``UnsupportedByDialectError`` for a new instance type that clusters cannot run.
    """
    whole: dict[str, Any] = _over(parsed(edited), spec, _shape(spec), "")
    changes = differences(spec, whole)
    _refuse_fixed(changes, spec)
    _check_new(changes, whole, spec)
    return Edited(whole, changes)


def _shape(spec: Mapping[str, Any]) -> FieldKind:
    return SHAPES[dialect_of({"spec": spec})].of["spec"]


def _over(value: object, before: object, kind: FieldKind, path: str, name: str = "") -> Any:  # noqa: ANN401 - JSON
    """Apply ``value`` to ``before``, from which it was made. Untouched values stay, even of an unexpected type."""
    if before is not None and _as_json(value) == _as_json(opened(before, kind, name)):
        return before
    if isinstance(kind, Fields):
        return _fields_over(value, before if isinstance(before, Mapping) else {}, kind, path)
    if isinstance(kind, Many):
        return _items_over(value, before if isinstance(before, list) else [], kind.of, path)
    if name in SECRET_FIELDS and value == MASK:
        return before
    check_plain(value, kind, path)
    return value


def _fields_over(value: object, before: Mapping[str, Any], kind: Fields, path: str) -> dict[str, Any]:
    set_now = fields_of(value, kind, path)
    whole = dict(before)
    for key, inner in kind.of.items():
        if key in set_now:
            where, item = set_now[key]
            set_field(whole, key, _over(item, member(before, key), inner, where, key))
        elif member(before, key) is not None:
            set_field(whole, key, None)
    return whole


def _items_over(value: object, before: list[Any], kind: FieldKind, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise refused(f"{path} must be a list.")
    pairs = zip(value, _counterparts(value, before), strict=True)
    return [_over(item, old, kind, f"{path}[{index}]") for index, (item, old) in enumerate(pairs)]


def _counterparts(items: list[Any], before: list[Any]) -> list[Any]:
    """The former item for each item: the one with its name and place, else the next with its name, else ``None``."""
    found: list[Any] = [None] * len(items)
    left = list(before)
    for identity in (_exactly, _by_name):
        for index, item in enumerate(items):
            match = next((old for old in left if identity(old) == identity(item)), None)
            if found[index] is None and match is not None:
                found[index] = match
                left.remove(match)
    return found


def _exactly(item: object) -> str:
    place = (member(item, "region"), bool(member(item, "isSpot"))) if isinstance(item, Mapping) else ()
    return _as_json([_by_name(item), *place])


def _by_name(item: object) -> str:
    names = [member(item, key) for key in ("name", "instanceType", "key")] if isinstance(item, Mapping) else item
    return _as_json(names)


def _as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _refuse_fixed(changes: Iterable[FieldChange], spec: Mapping[str, Any]) -> None:
    fixed = {place + name: reason for place in _PLACES for name, reason in _FIXED.items()}
    fixed[f"aws_v1.regions[{member(aws_place(spec), 'primaryRegion')}]"] = _PLACE
    for change in changes:
        if change.field in fixed:
            why, fix = fixed[change.field]
            raise UsageError(f"{change.field} cannot be changed by an edit.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)


def _check_new(changes: Iterable[FieldChange], whole: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Check new values by the rules of a create; values that were already there are not checked."""
    check_types(sorted(_types(whole) - _types(spec)))
    named = [text(item, "name") or "" for item in children(aws_place(whole), "instanceTypes")]
    listed = (*named, *texts(whole, "availableAccelerators"))
    if "" in listed:
        raise refused("An instance type has no name.")
    check_unique(listed)
    for change in changes:
        if change.field == "performance_profile" and member(whole, "performanceProfile") not in {None, *PROFILES}:
            raise refused(f"performance_profile must be {' or '.join(PROFILES)}.")


def _types(spec: Mapping[str, Any]) -> set[str]:
    return set(type_names({"spec": spec}))
