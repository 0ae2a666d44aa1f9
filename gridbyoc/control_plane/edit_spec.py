"""A cluster's spec as a text to edit, and the edited text over the spec as it was read.

The text shows the fields that are known here, and what it does not show stays as it is: the spec that is sent back
carries every other field, however deep, untouched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gridbyoc.control_plane.changes import set_field
from gridbyoc.control_plane.edit import (
    SECRET_FIELDS,
    Edited,
    check_plain,
    differences,
    fields_of,
    opened,
    parsed,
    refused,
    type_names,
)
from gridbyoc.control_plane.model import FieldChange
from gridbyoc.control_plane.parse import PROFILES, aws_place, children, member, snake, text, texts
from gridbyoc.control_plane.rules import check_types, check_unique
from gridbyoc.control_plane.shapes import SHAPES, Fields, Kind, Many, dialect_of
from gridbyoc.control_plane.words import REDACTED
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.words import printable

_ROLE = (
    "They belong to the stack: role and control plane must change together.",
    "Change the stack file and run `gridbyoc bootstrap`, or give it a new external id with `gridbyoc rotate`.",
)
_PLACE = (
    "A cluster keeps its region and its bucket for as long as it exists.",
    "Leave it as it was, or delete the cluster and create it anew.",
)
_SERVER = (
    "The control plane sets it.",
    "Leave it as it was; to delete a cluster, take it out of the stack file and run `gridbyoc bootstrap`.",
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
    """``spec`` as JSON to edit: every field that is known here, ``null`` where unset, secrets masked."""
    return json.dumps(opened(spec, _shape(spec)), indent=2, ensure_ascii=False) + "\n"


def hidden_fields(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The places of what ``spec_text`` does not show, in the spelling of the control plane."""
    return tuple(dict.fromkeys(printable(place) for place in _hidden(spec, _shape(spec), "")))


def _hidden(value: object, kind: Kind, path: str) -> Iterator[str]:
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
    """The text ``edited`` over ``spec``, which it was made from: the whole spec to send, and what was changed.

    Raises ``UsageError`` for what is no JSON, an unknown or doubled key, a value of another type, a profile that is
    none, and a change of role, external id, region, bucket or what the control plane sets itself;
    ``UnsupportedByDialectError`` for a new instance type that clusters cannot run.
    """
    whole: dict[str, Any] = _over(parsed(edited), spec, _shape(spec), "")
    changes = differences(spec, whole)
    _refuse_fixed(changes, spec)
    _check_new(changes, whole, spec)
    return Edited(whole, changes)


def _shape(spec: Mapping[str, Any]) -> Kind:
    return SHAPES[dialect_of({"spec": spec})].of["spec"]


def _over(value: object, before: object, kind: Kind, path: str, name: str = "") -> Any:  # noqa: ANN401 - JSON
    """``value`` over what it was made from; whatever was not touched stays as it is, of the expected type or not."""
    if before is not None and _as_json(value) == _as_json(opened(before, kind, name)):
        return before
    if isinstance(kind, Fields):
        return _fields_over(value, before if isinstance(before, Mapping) else {}, kind, path)
    if isinstance(kind, Many):
        return _items_over(value, before if isinstance(before, list) else [], kind.of, path)
    if name in SECRET_FIELDS and value == REDACTED:
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


def _items_over(value: object, before: list[Any], kind: Kind, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise refused(f"{path} must be a list.")
    pairs = zip(value, _counterparts(value, before), strict=True)
    return [_over(item, old, kind, f"{path}[{index}]") for index, (item, old) in enumerate(pairs)]


def _counterparts(items: list[Any], before: list[Any]) -> list[Any]:
    """For each item what it was: the one of its name and place, else the next one of its name, else ``None``."""
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
    """What was there before is the control plane's affair; what is new keeps the rules of a create."""
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
