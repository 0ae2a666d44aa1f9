"""The stack file's JSON Schema (2020-12), as it is shipped and printed, and walks through it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridbyoc.stack.words import Place

Schema = dict[str, Any]


def schema_text() -> str:
    """The schema as shipped: JSON, ending in a line feed."""
    return Path(__file__).with_name("schema.json").read_text(encoding="utf-8")


@functools.cache
def schema() -> Schema:
    """The schema as data; not to be changed."""
    loaded: Schema = json.loads(schema_text())
    return loaded


def resolved(node: Schema) -> Schema:
    """A schema with its ``$ref`` followed; what stands beside the ``$ref`` wins."""
    while "$ref" in node:
        target = schema()["$defs"][node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def schemas_at(place: Place) -> list[Schema]:
    """Every schema that a value at ``place`` may meet; none where the file knows no such place."""
    found = [schema()]
    for part in place:
        found = [inner for node in found for inner in _step(node, part)]
    return found


def takes_text(place: Place) -> bool:
    """Whether the value at ``place`` is text and nothing else."""
    found = schemas_at(place)
    return bool(found) and all(node.get("type") == "string" for node in found)


def sections() -> Iterator[Place]:
    """The places, outermost first, that hold a mapping or a list and may be left empty (lists are not entered)."""
    yield from _sections(schema(), ())


def _sections(node: Schema, place: Place) -> Iterator[Place]:
    for key, inner in node.get("properties", {}).items():
        child = resolved(inner)
        if child.get("type") in {"object", "array"} and key not in node.get("required", ()):
            yield (*place, key)
            yield from _sections(child, (*place, key))


def _step(node: Schema, part: str | int) -> list[Schema]:
    if isinstance(part, int):
        inner = node.get("items")
    else:
        inner = node.get("properties", {}).get(part, node.get("additionalProperties"))
    if not isinstance(inner, dict):
        return []
    inner = resolved(inner)
    return [resolved(branch) for branch in inner["anyOf"]] if "anyOf" in inner else [inner]
