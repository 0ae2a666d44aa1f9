"""A stack file as plain data, with the file and line of each value."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, Event, StreamEndEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack.files import read_regular
from gridbyoc.stack.words import Place, place_text, show

DEEPEST = 40
MOST_VALUES = 10_000


class YamlFault(Exception):  # noqa: N818 - becomes a Problem; never shown as an error of its own
    """The text is not YAML, or uses YAML that a stack file may not use; ``line`` counts from 1."""

    def __init__(self, message: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


def compose(text: str) -> Node | None:
    """The document in ``text`` as nodes, with marks, styles and aliases; ``None`` if it is empty.

    Raises ``YamlFault``, also for too many values or levels and for YAML features that a stack file may not use.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        node: Node | None = yaml.compose(text)
        return node
    except YamlFault:
        raise
    except MarkedYAMLError as error:
        raise _yaml_fault(error) from None
    except YAMLError:
        raise YamlFault("holds a character that YAML does not allow", hint="save it as plain UTF-8 text") from None
    except Exception as error:  # ruamel answers some malformed texts with bare Python errors
        raise YamlFault(f"cannot be read as YAML ({type(error).__name__})") from None


def _yaml_fault(error: MarkedYAMLError) -> YamlFault:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    problem = str(error.problem or "malformed")
    if "\\t" in problem:
        return YamlFault("a tab is used for indentation", line, "YAML allows only spaces")
    hint = "quote a value that holds `: `" if "mapping values are not allowed" in problem else ""
    return YamlFault(f"is not valid YAML: {problem}", line, hint)


class _Composer(Composer):
    """ruamel's composer, with the limits of a stack file."""

    def __init__(self, loader: Any = None) -> None:  # noqa: ANN401 - ruamel's own signature
        super().__init__(loader)
        self.warn_double_anchors = False
        self._count = self._level = 0

    @property
    def parser(self) -> Any:  # noqa: ANN401 - ruamel's own signature
        """The parser, without the checks that ruamel's own property repeats at every event."""
        return self.loader._parser

    def get_single_node(self) -> Any:  # noqa: ANN401 - ruamel's own signature
        """The document's node. Raises ``YamlFault`` if there is a second document."""
        self.parser.get_event()
        node = None if self.parser.check_event(StreamEndEvent) else self.compose_document()
        if not self.parser.check_event(StreamEndEvent):
            line = _line(self.parser.peek_event())
            raise YamlFault("holds more than one document", line, "one stack, one file: remove `---`")
        return node

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - ruamel's own signature
        """The next node. Raises ``YamlFault`` if there are too many, it is too deep or its kind is not allowed."""
        event = self.parser.peek_event()
        self._count += 1
        if self._count > 2 * MOST_VALUES:  # keys count as well
            raise YamlFault(f"holds more than {MOST_VALUES} values", _line(event))
        if self._level > DEEPEST:
            raise YamlFault(f"is nested more than {DEEPEST} levels deep", _line(event))
        if isinstance(event, AliasEvent):
            if event.anchor not in self.anchors:
                alias = show("*" + str(event.anchor))
                raise YamlFault(f"uses the alias {alias}, which has no anchor before it", _line(event))
        elif getattr(event, "tag", None) is not None:
            raise YamlFault("uses a YAML tag (`!…`), which a stack file may not", _line(event), "remove the tag")
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def compose_scalar_node(self, anchor: Any) -> Any:  # noqa: ANN401 - ruamel's own signature
        """A scalar without a tag; ``scalar`` decides its type."""
        event = self.parser.get_event()
        node = ScalarNode(None, event.value, event.start_mark, event.end_mark, style=event.style, anchor=anchor)
        if anchor is not None:
            self.anchors[anchor] = node
        return node


def _line(place: Event | Node) -> int:
    return int(place.start_mark.line) + 1


OVERRIDE = "--set"
Origin = Callable[[Place], tuple[str, int | None]]
"""Returns the file and the line of the value at a place."""
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value, and how to correct it. With the value's file and line it becomes a ``Problem``."""

    message: str
    hint: str = ""


@dataclass(slots=True)
class Document:
    """The data of one stack file; ``broken`` if the text is not YAML, in which case there is no data.

    ``written`` holds unquoted values as they were written (``0123``, ``1.10``), ``faults`` the problems of the YAML
    text, and ``files`` the file of each value that comes from a base (``extends``).
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
        """File and line of the value at ``place``; if there is none, those of the nearest enclosing value."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.overridden:
                return OVERRIDE, None
            if place[:length] in self.lines:
                return self.files.get(place[:length], self.file), self.lines[place[:length]]
        return self.file, None

    def problem(self, place: Place, fault: Fault) -> Problem:
        """``fault`` as a problem with the file and line of the value at ``place``."""
        file, line = self.origin(place)
        return Problem(file, line, place_text(place), fault.message, fault.hint)

    def override(self, place: Place) -> None:
        """Record that the value at ``place`` comes from ``--set``, not from the file."""
        size = len(place)
        self.lines = {known: line for known, line in self.lines.items() if known[:size] != place}
        self.written = {known: text for known, text in self.written.items() if known[:size] != place}
        self.overridden.add(place)

    def at(self, *place: str | int) -> Any:  # noqa: ANN401 - any YAML value
        """The value at a place, ``None`` if there is none."""
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
        """The value at a place if it is text, else ``None`` (a wrong type is reported elsewhere)."""
        value = self.at(*place)
        return value if isinstance(value, str) else None

    def mapping(self, *place: str | int) -> dict[str, Any]:
        """The mapping at a place, empty if there is none."""
        value = self.at(*place)
        return value if isinstance(value, dict) else {}

    def texts(self, *place: str | int) -> Iterator[tuple[Place, str]]:
        """The text items of the list at a place, each with its own place."""
        value = self.at(*place)
        for index, item in enumerate(value if isinstance(value, list) else []):
            if isinstance(item, str):
                yield (*place, index), item


def read_document(text: str, file: str) -> Document:
    """Parse ``text``. Never raises: YAML errors go to ``faults``."""
    document = Document(file)
    try:
        node = compose(text)
        if node is not None:
            document.data = _Reader(document).value(node, ())
    except YamlFault as fault:
        document.faults.append(Problem(file, fault.line, "", fault.message, fault.hint))
        document.broken = True
    return document


def scalar(text: str) -> Any:  # noqa: ANN401 - text, number, boolean or null
    """The value of an unquoted scalar, by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema).

    Numbers are decimal only.
    """
    if len(text) > 100:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _FLOAT.fullmatch(text) else None
    return text if number is None or math.isinf(number) else number


class _Reader:
    """Converts nodes to data. It counts values, because aliases of aliases can expand a small text enormously."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0
        self._open: list[Node] = []

    def value(self, node: Node, place: Place) -> Any:  # noqa: ANN401 - any YAML value
        self._count += 1
        if self._count > MOST_VALUES:
            raise YamlFault(f"holds more than {MOST_VALUES} values (aliases included)", _line(node))
        if any(node is other for other in self._open):
            raise YamlFault("an alias refers to a value that contains the alias itself", _line(node))
        self._document.lines.setdefault(place, _line(node))
        if isinstance(node, ScalarNode):
            _check_text(node)
            if not node.style:
                self._document.written[place] = node.value
            return node.value if node.style else scalar(node.value)
        self._open.append(node)
        inner = self._pairs(node, place) if isinstance(node, MappingNode) else self._items(node, place)
        self._open.pop()
        return inner

    def _items(self, node: Node, place: Place) -> list[Any]:
        return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]

    def _pairs(self, node: MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise YamlFault("a key must be text", _line(key))
            _check_text(key)
            if not key.style and key.value == "<<":
                merged += value.value if isinstance(value, SequenceNode) else [value]
                continue
            if key.value in found:
                self._duplicate(key, (*place, key.value))
                continue
            self._document.lines[(*place, key.value)] = _line(key)
            found[key.value] = self.value(value, (*place, key.value))
        for other in merged:
            self._merge(other, place, found)
        return found

    def _merge(self, other: Node, place: Place, found: dict[str, Any]) -> None:
        """``<<: *other``: the mapping's own keys win."""
        if not isinstance(other, MappingNode):
            raise YamlFault("`<<` takes a mapping or a list of mappings", _line(other))
        for key, value in other.value:
            if isinstance(key, ScalarNode) and key.value != "<<" and key.value not in found:
                found[key.value] = self.value(value, (*place, key.value))

    def _duplicate(self, key: ScalarNode, place: Place) -> None:
        first = self._document.lines[place]
        message = f"the key {show(key.value)} appears twice, first in line {first}"
        problem = Problem(self._document.file, _line(key), place_text(place), message, "keep one of them")
        self._document.faults.append(problem)


def _check_text(node: ScalarNode) -> None:
    """Refuse half a character: an escape such as ``"\\ud800"`` cannot be encoded in a file or a request."""
    if any("\ud800" <= char <= "\udfff" for char in node.value):
        raise YamlFault("holds half a character (a lone surrogate)", _line(node))


LARGEST = 1024 * 1024
_OPENED = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
STDIN = "<stdin>"


class _Reading(Protocol):
    def read(self, size: int, /) -> bytes | str: ...


def read_source(path: Path, shown: str) -> bytes:
    """Up to ``LARGEST`` + 1 bytes of a file; ``StackError`` if it is missing, a directory or unreadable.

    A pipe or a device could block the run. It is read only if the caller opened it and passed its descriptor number,
    as a shell's ``<(…)`` does.
    """
    try:
        if str(path).startswith(_OPENED):
            with path.open("rb") as stream:
                return stream.read(LARGEST + 1)
        if stat.S_ISFIFO(path.stat().st_mode) or stat.S_ISCHR(path.stat().st_mode):
            raise broken(shown, "is not a regular file", f"`- < {shown}` reads a pipe")
        return read_regular(path, LARGEST + 1)
    except FileNotFoundError:
        command = "gridbyoc new" if shown == "gridbyoc.yaml" else f"gridbyoc new {shown}"
        raise broken(shown, "there is no such file", f"{show(command)} writes a starter") from None
    except IsADirectoryError:
        raise broken(shown, "is a directory", "give the path of the stack file in it") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "not a path"
        raise broken(shown, f"cannot be read: {reason}", "check the path and its permissions") from None


def read_stdin(stdin: TextIO | str | bytes | None) -> bytes:
    """The bytes of standard input; for a text stream, those of its underlying buffer."""
    if isinstance(stdin, bytes):
        return stdin
    if isinstance(stdin, str):
        return stdin.encode("utf-8", "surrogatepass")
    if stdin is None:
        return b""
    stream: _Reading = getattr(stdin, "buffer", stdin)
    try:
        data = stream.read(LARGEST + 1)
    except (OSError, ValueError):
        raise broken(STDIN, "cannot be read", "pipe the stack file to standard input, or give its path") from None
    return data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")


def decode(data: bytes, file: str) -> str:
    """Decode UTF-8 and drop a byte order mark; ``StackError`` if the bytes are too many or not UTF-8 text."""
    if len(data) > LARGEST:
        raise broken(file, "is larger than 1 MB", "a stack file is small: is it the right file?")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise broken(file, "is UTF-16", "save it as UTF-8")
    if b"\0" in data:
        raise broken(file, "is a binary file", "a stack file is text: is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise broken(file, "is not valid UTF-8", "save it as UTF-8", line) from None


def broken(file: str, message: str, hint: str = "", line: int | None = None) -> StackError:
    """The error for a stack file that cannot be read at all; it holds one problem."""
    problem = Problem(file, line, "", message, hint)
    return StackError(f"The stack file {show(file)} cannot be used.", problems=(problem,))
