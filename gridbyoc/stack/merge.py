"""One document under another: what the nearer one says wins, and each value keeps its file and line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gridbyoc.stack.document import Document
from gridbyoc.stack.rules.terraform import is_path
from gridbyoc.stack.schema import schemas_at
from gridbyoc.stack.words import Place

_MODULE_SOURCE: Place = ("terraform", "module", "source")
PATHS: tuple[Place, ...] = (
    ("control_plane", "ca_bundle"),
    ("role", "external_id_from", "file"),
    ("terraform", "provider_mirror"),
    _MODULE_SOURCE,
)
"""The values of a stack file that are paths, relative to the file that they stand in."""


def merge_under(near: Document, base: Document) -> None:
    """Give ``near`` what ``base`` says and it does not.

    Mappings are merged, lists and single values are not. A mapping of which one key is to be chosen (a backend) is
    taken from one side. An empty section counts as absent, as it does without a base; an empty single value takes
    the base's away.
    """
    _Merge(near, base).mappings((), near.data, base.data)


class _Merge:
    def __init__(self, near: Document, base: Document) -> None:
        self._near = near
        self._base = base

    def mappings(self, place: Place, near: dict[str, Any], base: dict[str, Any]) -> None:
        for key, below in base.items():
            here = (*place, key)
            if key not in near:
                self._take(here, near, key, below)
            elif near[key] is None:
                if isinstance(below, (dict, list)):
                    self._take(here, near, key, below)
                else:
                    del near[key]
            elif isinstance(near[key], dict) and isinstance(below, dict) and not _chosen(here, near[key], below):
                self.mappings(here, near[key], below)

    def _take(self, place: Place, near: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - any YAML value
        near[key] = value
        self._origins(place, value)

    def _origins(self, place: Place, value: Any) -> None:  # noqa: ANN401 - any YAML value
        self._near.written.pop(place, None)
        if place in self._base.lines:
            self._near.lines[place] = self._base.lines[place]
            self._near.files[place] = self._base.files.get(place, self._base.file)
        if place in self._base.written:
            self._near.written[place] = self._base.written[place]
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for part, each in inner:
            self._origins((*place, part), each)


def _chosen(place: Place, near: dict[str, Any], base: dict[str, Any]) -> bool:
    """Whether the two made different choices where the schema allows one."""
    one_of = any(node.get("maxProperties") == 1 for node in schemas_at(place))
    return one_of and bool(near) and set(near) != set(base)


def with_anchored_paths(base: Document, directory: Path, stack_directory: Path) -> None:
    """Make the relative paths of a base in another ``directory`` absolute: they are relative to where they stand."""
    if directory == stack_directory:
        return
    for *outer, key in PATHS:
        holder = base.at(*outer)
        text = holder.get(str(key)) if isinstance(holder, dict) else None
        if isinstance(text, str) and _relative(text, module=(*outer, key) == _MODULE_SOURCE):
            top, slashes, inner = text.partition("//")
            holder[key] = os.path.normpath(directory / top) + slashes + inner


def _relative(text: str, *, module: bool) -> bool:
    if not text.strip() or "\0" in text or text.startswith(("/", "~/")):
        return False
    return is_path(text) if module else True
