"""YAML text → a tree that knows its lines. Nothing in the text can make it build anything but text, lists, mappings.

The tree is made from ruamel.yaml's events and not with its constructors, so that every scalar is read by YAML 1.2's
core schema (``no`` is text), tags are refused, and each fault of the text has a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gridbyoc.stack.words import show

DEEPEST = 40
MOST_VALUES = 10_000


class YamlFault(Exception):  # noqa: N818 - it becomes a problem, it is no error of ours
    """The text is not YAML that a stack file may hold; ``line`` counts from 1."""

    def __init__(self, message: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text; ``plain`` where it stands without quotes and may be a number, a boolean or null."""

    text: str
    plain: bool
    line: int


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping, in the order of the text; keys are not checked here."""

    line: int
    pairs: list[tuple[Node, Node]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


def parse(text: str) -> Node | None:
    """The one document in ``text``, ``None`` where there is nothing but comments. Raises ``YamlFault``."""
    try:
        return _Composer(YAML(typ="safe", pure=True).parse(text)).document()
    except YamlFault:
        raise
    except MarkedYAMLError as error:
        raise _in_words(error) from None
    except YAMLError:
        raise YamlFault("holds a character that YAML does not allow", hint="save it as plain UTF-8 text") from None
    except Exception as error:  # ruamel answers some malformed texts with bare Python errors
        raise YamlFault(f"cannot be read as YAML ({type(error).__name__})") from None


def _in_words(error: MarkedYAMLError) -> YamlFault:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    problem = str(error.problem or "malformed")
    if "\\t" in problem:
        return YamlFault("a tab is used for indentation", line, "YAML wants spaces")
    hint = "quote a value that holds `: `" if "mapping values are not allowed" in problem else ""
    return YamlFault(f"is not valid YAML: {problem}", line, hint)


class _Composer:
    """Events → nodes, with anchors."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YamlFault("holds more than one document", _line(event), "one stack, one file: remove `---`")
            elif isinstance(event, NodeEvent):
                root = self._node(event, 0)
        return root

    def _node(self, event: Event, depth: int) -> Node:
        self._count += 1
        if self._count > 2 * MOST_VALUES:  # keys count as well
            raise YamlFault(f"holds more than {MOST_VALUES} values", _line(event))
        if depth > DEEPEST:
            raise YamlFault(f"is nested more than {DEEPEST} levels deep", _line(event))
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise YamlFault(
                    f"uses the alias {show('*' + str(event.anchor))}, which has no anchor before it", _line(event)
                )
            return self._anchors[event.anchor]
        if getattr(event, "tag", None) is not None:
            raise YamlFault("uses a YAML tag (`!…`), which a stack file may not", _line(event), "remove the tag")
        node = self._start(event)
        if isinstance(event, NodeEvent) and event.anchor:
            self._anchors[event.anchor] = node
        if isinstance(node, Sequence):
            self._fill_sequence(node, depth)
        elif isinstance(node, Mapping):
            self._fill_mapping(node, depth)
        return node

    def _start(self, event: Event) -> Node:
        if isinstance(event, SequenceStartEvent):
            return Sequence(_line(event))
        if isinstance(event, MappingStartEvent):
            return Mapping(_line(event))
        if not isinstance(event, ScalarEvent):
            raise YamlFault("cannot be read as YAML", _line(event))
        return Scalar(event.value, not event.style, _line(event))

    def _fill_sequence(self, node: Sequence, depth: int) -> None:
        while not isinstance(event := next(self._events), SequenceEndEvent):
            node.items.append(self._node(event, depth + 1))

    def _fill_mapping(self, node: Mapping, depth: int) -> None:
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, depth + 1)
            node.pairs.append((key, self._node(next(self._events), depth + 1)))


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
