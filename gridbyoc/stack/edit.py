"""Edit the text of a stack file. Comments, order and untouched values stay."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.util import load_yaml_guess_indent

from gridbyoc.stack.document import compose, read_document
from gridbyoc.stack.files import file_error, write_atomic
from gridbyoc.stack.model import ClusterSpec, InstanceType

STEP = "  "


@dataclass(frozen=True, slots=True)
class Cut:
    """Replace the characters from ``start`` to ``end`` with ``text``."""

    start: int
    end: int
    text: str


def entry_text(text: str, index: int, spec: ClusterSpec) -> str:
    """``text`` with the performance profile and instance types of ``clusters[index]`` set to those of ``spec``.

    ``text`` is a valid stack file. If the entry is shared (an alias) or its layout cannot be edited, the result may be
    wrong or not YAML: load it again to check. Raises ``ValueError`` if there is no such entry.
    """
    entry = _at(_at(compose(text), "clusters"), index)
    if not isinstance(entry, MappingNode):
        raise ValueError(f"clusters[{index}] is not a mapping")
    page = _Page(text)
    page.set(entry, "performance_profile", spec.performance_profile, behind="name")
    types = _find(entry, "instance_types")
    if spec.instance_types and isinstance(types, SequenceNode) and types.value:
        page.set_types(types, spec.instance_types)
    else:
        page.set(entry, "instance_types", type_data(spec.instance_types) or None)
    return page.changed()


def type_data(types: Iterable[InstanceType]) -> list[Any]:
    """Instance types as a stack file writes them: just the name if the type has no other settings."""
    return [_settings(item) if len(_settings(item)) > 1 else item.name for item in types]


def _settings(item: InstanceType) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": item.name}
    if item.overprovisioned_ondemand_count:
        settings["overprovisioned_ondemand_count"] = item.overprovisioned_ondemand_count
    if item.root_volume_size is not None:
        settings["root_volume_size"] = item.root_volume_size
    return settings


class _Page:
    """A text and the cuts to make in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._cuts: list[Cut] = []

    def changed(self) -> str:
        """The text after all cuts, applied from its end; insertions at one position keep their order."""
        text = self._text
        numbered = sorted(enumerate(self._cuts), key=lambda each: (each[1].start, each[1].end, each[0]), reverse=True)
        for _, cut in numbered:
            text = text[: cut.start] + cut.text + text[cut.end :]
        return text

    def set(self, entry: MappingNode, key: str, value: object, *, behind: str = "") -> None:
        """Replace the value of ``key``, add it (after the key ``behind``, else at the end), or remove it (``None``)."""
        names = [name.value for name, _ in entry.value]
        node = _find(entry, key)
        if node is None:
            if value is not None:
                self._add(entry, key, value, names.index(behind) if behind in names else -1)
        elif value is None:
            self._drop(entry, [(name.start_mark.index, _end(item)) for name, item in entry.value], names.index(key))
        elif _data(node) != value:
            self._replace(node, value)

    def set_types(self, types: SequenceNode, wanted: tuple[InstanceType, ...]) -> None:
        """Match the types by name: change them in place, remove them, or add them at the end."""
        left = {item.name: item for item in wanted}
        kept = [item for item in types.value if _name(item) in left]
        if not kept:
            self._replace(types, type_data(wanted))
            return
        spans = [(item.start_mark.index, _end(item)) for item in types.value]
        for index, item in enumerate(types.value):
            if item in kept:
                self._set_type(item, left.pop(_name(item)))
            else:
                self._drop(types, spans, index, first=item.start_mark.index < kept[0].start_mark.index)
        after = kept[-1] if types.flow_style else types.value[-1]
        for data in type_data(left.values()):
            self._append(types, after, data)

    def _set_type(self, node: Node, wanted: InstanceType) -> None:
        settings = _settings(wanted)
        if _instance_type(node) == wanted:
            return
        if isinstance(node, MappingNode) and not node.flow_style and len(settings) > 1:
            for key in ("overprovisioned_ondemand_count", "root_volume_size"):
                self.set(node, key, settings.get(key))
        else:
            self._replace(node, *type_data([wanted]))

    def _replace(self, node: Node, value: object) -> None:
        self._cuts.append(Cut(node.start_mark.index, _end(node), flow(value)))

    def _add(self, entry: MappingNode, key: str, value: object, behind: int) -> None:
        name, node = entry.value[behind]
        if entry.flow_style:
            self._cuts.append(Cut(_end(node), _end(node), f", {key}: {flow(value)}"))
            return
        indent = " " * name.start_mark.column
        if isinstance(value, list):
            self._new_lines(node, [f"{indent}{key}:", *(f"{indent}{STEP}- {flow(item)}" for item in value)])
        else:
            self._new_lines(node, [f"{indent}{key}: {flow(value)}"])

    def _append(self, types: SequenceNode, after: Node, data: object) -> None:
        if types.flow_style:
            self._cuts.append(Cut(_end(after), _end(after), f", {flow(data)}"))
        else:
            self._new_lines(after, [" " * types.start_mark.column + f"- {flow(data)}"])

    def _new_lines(self, after: Node, lines: list[str]) -> None:
        end = self._line_end(_end(after))
        whole = self._newline.join(lines)
        ended = self._text.endswith("\n", 0, end)
        self._cuts.append(Cut(end, end, whole + self._newline if ended else self._newline + whole))

    def _drop(
        self, holder: MappingNode | SequenceNode, spans: list[tuple[int, int]], index: int, *, first: bool = False
    ) -> None:
        """Remove an item: its lines in block style; in flow style also the comma before it (after it if ``first``)."""
        start, end = spans[index]
        if not holder.flow_style:
            start, end = self._text.rfind("\n", 0, start) + 1, self._line_end(end)
        elif index and not first:
            start = spans[index - 1][1]
        elif index + 1 < len(spans):
            end = spans[index + 1][0]
        self._cuts.append(Cut(start, end, ""))

    def _line_end(self, position: int) -> int:
        """The position after the end of the line."""
        found = self._text.find("\n", position)
        return len(self._text) if found < 0 else found + 1


def flow(value: object) -> str:
    """Names, numbers, and lists and mappings of these, in YAML flow style on one line; none of them needs quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value)


def _at(node: Node | None, step: str | int) -> Node | None:
    if isinstance(step, str):
        return _find(node, step)
    inside = isinstance(node, SequenceNode) and step < len(node.value)
    return node.value[step] if inside and node is not None else None


def _find(node: Node | None, key: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _name(node: Node) -> str:
    named = _find(node, "name") if isinstance(node, MappingNode) else node
    return str(named.value) if named is not None else ""


def _instance_type(node: Node) -> InstanceType:
    """The instance type of an item; a number not written in plain digits counts as absent."""
    said = {name.value: _data(value) for name, value in node.value} if isinstance(node, MappingNode) else {}
    count, size = (said.get(key) for key in ("overprovisioned_ondemand_count", "root_volume_size"))
    return InstanceType(_name(node), count if isinstance(count, int) else 0, size if isinstance(size, int) else None)


def _data(node: Node) -> object:
    """A scalar's value; digits become an ``int``."""
    value = node.value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _end(node: Node) -> int:
    """The end of the node's own text. A block node's end mark lies after the comments that follow it."""
    if isinstance(node, (MappingNode, SequenceNode)) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, MappingNode) else last)
    end: int = node.end_mark.index
    return end


KeyPath = Sequence[str | int]


def write_back(file: Path, changes: Mapping[tuple[str | int, ...], Any]) -> str:
    """Set each key path of the YAML ``file`` to its value (``None`` removes it); return the new text.

    Missing mappings on the path are created. The file is written atomically and keeps its mode. Raises ``FileError``.
    """
    file = file.resolve()  # a link to the stack file stays a link
    try:
        text, mode = file.read_bytes().decode(), file.stat().st_mode & 0o777
    except OSError as error:
        raise file_error("Cannot read", file, error) from None
    changed = changed_text(text, changes)
    if "\r\n" in text:
        changed = changed.replace("\r\n", "\n").replace("\n", "\r\n")
    write_atomic(file, changed, mode=mode)
    return changed


def changed_text(text: str, changes: Mapping[tuple[str | int, ...], Any]) -> str:
    """``text`` with each key path set to its value. The caller has already loaded the text, so it is valid YAML."""
    _, indent, offset = load_yaml_guess_indent(text)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    data = yaml.load(text)
    for path, value in changes.items():
        _set(data, path, value)
    yaml.indent(mapping=2, sequence=indent or 4, offset=2 if offset is None else offset)
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _set(data: Any, path: KeyPath, value: Any) -> None:  # noqa: ANN401 - ruamel's containers have no common type
    for key in path[:-1]:
        if isinstance(data, dict) and (key not in data or data[key] is None):
            data[key] = {}
        data = data[key]
    if value is None:
        data.pop(path[-1], None)
    else:
        data[path[-1]] = value


_BLANK_LINES = re.compile(r"\n{3,}")
_AT_LINE_END = re.compile(r"[ \t]+(?=\n)")
_ROUNDS = 3


def laid_out(text: str) -> str | None:
    """``text`` indented by two spaces a level, lists by four, without trailing spaces, with one line feed at the end.

    ``None`` if that would change its values: it is not a YAML mapping, or has parts that a new layout does not keep
    (several documents, multi-line texts with trailing spaces).
    """
    found = text.replace("\r\n", "\n")
    before = _values(found)
    if not isinstance(before, dict):
        return None
    for _ in range(_ROUNDS):
        found, last = _once(found), found
        if _values(found) != before:
            return None
        if found == last:
            return found
    return None


def _once(text: str) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(yaml.load(text), stream)
    plain = _AT_LINE_END.sub("", stream.getvalue())
    return _BLANK_LINES.sub("\n\n", plain).strip("\n") + "\n"


def _values(text: str) -> Any:  # noqa: ANN401 - whatever YAML holds
    """The data of a text; ``None`` if it is not YAML or has a duplicate key."""
    document = read_document(text, "")
    return None if document.faults else document.data
