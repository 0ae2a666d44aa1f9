"""What a bundle's header and payload must look like, as JSON Schema: it is read before anything in it is believed."""

from __future__ import annotations

from typing import Any

KIND = "gridbyoc-bundle"
FORMAT = 1
"""Counts up when an older reader would misread a newer bundle."""

_Schema = dict[str, Any]
TEXT: _Schema = {"type": "string"}
COUNT: _Schema = {"type": "integer", "minimum": 0}
DIGEST: _Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(_optional: _Schema | None = None, **properties: _Schema) -> _Schema:
    """An object that has all of these, and may have more."""
    return {"type": "object", "properties": {**properties, **(_optional or {})}, "required": list(properties)}


def _list(items: _Schema) -> _Schema:
    return {"type": "array", "items": items, "maxItems": 100_000}


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_COUNTS = _object(add=COUNT, change=COUNT, destroy=COUNT)
HEADER = _object(
    stack=TEXT,
    created=TEXT,
    tool=TEXT,
    terraform=_object(flavour=TEXT, version=TEXT),
    digests=_object(stack_files={"type": "object", "additionalProperties": DIGEST}, module=DIGEST, lock_file=TEXT),
    summary=_object(
        has_changes={"type": "boolean"},
        terraform=_COUNTS,
        clusters=_object(create=COUNT, update=COUNT, delete=COUNT),
        destroys=_list(TEXT),
    ),
    encryption=_or_null({"type": "object"}),
)
_RESOURCE = _object(address=TEXT, action=TEXT, reason=TEXT)
_FIELD = _object(field=TEXT, before=TEXT, after=TEXT)
PAYLOAD = _object(
    _optional={"detaches": _list(TEXT)},  # not in a bundle of an earlier version
    plan=TEXT,
    lock_file=_or_null(TEXT),
    overrides=_list(TEXT),
    root=DIGEST,
    environment=DIGEST,
    run=TEXT,
    against=_object(
        account_id=TEXT,
        region=TEXT,
        control_plane=TEXT,
        state=_object(place=TEXT, lineage=TEXT, serial=COUNT),
        clusters=_list(_object(id=TEXT, name=TEXT, spec=DIGEST)),
    ),
    terraform=_object(
        **_COUNTS["properties"],
        has_changes={"type": "boolean"},
        changes=_list(_RESOURCE),
        outputs=_list(TEXT),
    ),
    changes=_list(
        _object(
            action={"enum": ["create", "update", "delete", "none"]},
            name=TEXT,
            cluster=_or_null(TEXT),
            fields=_list(_FIELD),
        )
    ),
)
