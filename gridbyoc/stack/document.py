"""A stack file as plain data that knows where each value came from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.errors import Problem
from gridbyoc.stack.words import Place, place_text, show
from gridbyoc.stack.yaml_nodes import MOST_VALUES, Mapping, Node, Scalar, Sequence, YamlFault, parse

OVERRIDE = "--set"
Origin = Callable[[Place], tuple[str, int | None]]
"""The file and the line that the value at a place comes from."""
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?")


@dataclass(slots=True)
class Document:
    """The data of one stack file; ``broken`` where the text is no YAML, so that there is none.

    ``written`` holds unquoted values as they were written (``0123``, ``1.10``); ``faults`` what the text itself has;
    ``files`` the file of each value that stands in a base (``extends``).
    """

    file: str
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)
    files: dict[Place, str] = field(default_factory=dict)
    overridden: set[Place] = field(default_factory=set)
    faults: list[Problem] = field(default_factory=list)
    broken: bool = False

    def origin(self, place: Place) -> tuple[str, int | None]:
        """File and line of the value at ``place``, or of the nearest thing around it that is there."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.overridden:
                return OVERRIDE, None
            if place[:length] in self.lines:
                return self.files.get(place[:length], self.file), self.lines[place[:length]]
        return self.file, None

    def override(self, place: Place) -> None:
        """Note that the value at ``place`` is no longer the file's."""
        size = len(place)
        self.lines = {known: line for known, line in self.lines.items() if known[:size] != place}
        self.written = {known: text for known, text in self.written.items() if known[:size] != place}
        self.overridden.add(place)

    def at(self, *place: str | int) -> Any:  # noqa: ANN401 - any YAML value
        """The value at a place, ``None`` where there is none."""
        value = self.data
        for part in place:
            if isinstance(part, str) and isinstance(value, dict):
                value = value.get(part)
            elif isinstance(part, int) and isinstance(value, list) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def text(self, *place: str | int) -> str | None:
        """The value at a place where it is text, else ``None`` (its type is reported elsewhere)."""
        value = self.at(*place)
        return value if isinstance(value, str) else None

    def mapping(self, *place: str | int) -> dict[str, Any]:
        """The mapping at a place, empty where there is none."""
        value = self.at(*place)
        return value if isinstance(value, dict) else {}

    def texts(self, *place: str | int) -> Iterator[tuple[Place, str]]:
        """The items of the list at a place that are text, each with its own place."""
        value = self.at(*place)
        for index, item in enumerate(value if isinstance(value, list) else []):
            if isinstance(item, str):
                yield (*place, index), item


def read_document(text: str, file: str) -> Document:
    """Parse ``text``; raises nothing: what is wrong with it as YAML stands in ``faults``."""
    document = Document(file)
    try:
        node = parse(text)
        if node is not None:
            document.data = _Reader(document).value(node, ())
    except YamlFault as fault:
        document.faults.append(Problem(file, fault.line, "", fault.message, fault.hint))
        document.broken = True
    return document


def scalar(node: Scalar) -> Any:  # noqa: ANN401 - text, number, boolean or null
    """A scalar's value by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), decimal only."""
    if not node.plain or len(node.text) > 100:
        return node.text
    if _NULL.fullmatch(node.text):
        return None
    if _TRUE.fullmatch(node.text) or _FALSE.fullmatch(node.text):
        return node.text.lower() == "true"
    if _INTEGER.fullmatch(node.text):
        return int(node.text)
    number = float(node.text) if _FLOAT.fullmatch(node.text) else None
    return node.text if number is None or math.isinf(number) else number


class _Reader:
    """Nodes → data; counts, so that aliases of aliases stay small."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0
        self._open: list[Node] = []

    def value(self, node: Node, place: Place) -> Any:  # noqa: ANN401 - any YAML value
        self._count += 1
        if self._count > MOST_VALUES:
            raise YamlFault(f"holds more than {MOST_VALUES} values (aliases included)", node.line)
        if any(node is other for other in self._open):
            raise YamlFault("an alias stands for something that holds the alias itself", node.line)
        self._document.lines.setdefault(place, node.line)
        if isinstance(node, Scalar):
            _check_text(node)
            if node.plain:
                self._document.written[place] = node.text
            return scalar(node)
        self._open.append(node)
        inner = self._items(node, place) if isinstance(node, Sequence) else self._pairs(node, place)
        self._open.pop()
        return inner

    def _items(self, node: Sequence, place: Place) -> list[Any]:
        return [self.value(item, (*place, index)) for index, item in enumerate(node.items)]

    def _pairs(self, node: Mapping, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[Node] = []
        for key, value in node.pairs:
            if not isinstance(key, Scalar):
                raise YamlFault("a key must be text", key.line)
            _check_text(key)
            if key.plain and key.text == "<<":
                merged += value.items if isinstance(value, Sequence) else [value]
                continue
            if key.text in found:
                self._duplicate(key, (*place, key.text))
                continue
            self._document.lines[(*place, key.text)] = key.line
            found[key.text] = self.value(value, (*place, key.text))
        for other in merged:
            self._merge(other, place, found)
        return found

    def _merge(self, other: Node, place: Place, found: dict[str, Any]) -> None:
        """``<<: *other``: what the mapping itself says wins."""
        if not isinstance(other, Mapping):
            raise YamlFault("`<<` takes a mapping or a list of mappings", other.line)
        for key, value in other.pairs:
            if isinstance(key, Scalar) and key.text != "<<" and key.text not in found:
                found[key.text] = self.value(value, (*place, key.text))

    def _duplicate(self, key: Scalar, place: Place) -> None:
        first = self._document.lines[place]
        message = f"the key {show(key.text)} stands here twice, first in line {first}"
        problem = Problem(self._document.file, key.line, place_text(place), message, "keep one of them")
        self._document.faults.append(problem)


def _check_text(node: Scalar) -> None:
    """An escape such as ``"\\ud800"`` makes half a character, which no file and no request can carry."""
    if any("\ud800" <= char <= "\udfff" for char in node.text):
        raise YamlFault("holds half a character (a lone surrogate)", node.line)
