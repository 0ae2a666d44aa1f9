"""One cluster's entry in a stack file's text, changed in place: every comment and every other line stays as it is.

The text is not written anew from its data but cut at the places of YAML's nodes, so that only what is changed changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from gridbyoc.stack.model import ClusterSpec, InstanceType

STEP = "  "


@dataclass(frozen=True, slots=True)
class Cut:
    """``text`` takes the place of what stands from ``start`` to ``end``."""

    start: int
    end: int
    text: str


def entry_text(text: str, index: int, spec: ClusterSpec) -> str:
    """``text`` with ``clusters[index]`` saying what ``spec`` says: performance profile and instance types.

    ``text`` is a valid stack file. Where it shares the entry (an alias), or is written in a way that cannot be cut,
    the result may say something else or be no YAML: load it again. Raises ``ValueError`` where no entry is found.
    """
    entry = _at(_at(YAML(typ="safe", pure=True).compose(text), "clusters"), index)
    if not isinstance(entry, MappingNode):
        raise ValueError(f"clusters[{index}] is no mapping")
    page = _Page(text)
    page.set(entry, "performance_profile", spec.performance_profile)
    types = _find(entry, "instance_types")
    if spec.instance_types and isinstance(types, SequenceNode) and types.value:
        page.set_types(types, spec.instance_types)
    else:
        page.set(entry, "instance_types", type_data(spec.instance_types) or None)
    return page.changed()


def type_data(types: Iterable[InstanceType]) -> list[Any]:
    """Instance types as a stack file writes them: a bare name where there is nothing else to say."""
    return [_settings(item) if len(_settings(item)) > 1 else item.name for item in types]


def _settings(item: InstanceType) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": item.name}
    if item.overprovisioned_ondemand_count:
        settings["overprovisioned_ondemand_count"] = item.overprovisioned_ondemand_count
    if item.root_volume_size is not None:
        settings["root_volume_size"] = item.root_volume_size
    return settings


class _Page:
    """A text and the cuts to be made in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._cuts: list[Cut] = []

    def changed(self) -> str:
        """The text after all cuts; those at one place keep their order."""
        text = self._text
        for cut in sorted(reversed(self._cuts), key=lambda cut: -cut.start):
            text = text[: cut.start] + cut.text + text[cut.end :]
        return text

    def set(self, entry: MappingNode, key: str, value: object) -> None:
        """Give ``key`` a value: replaced, added at the end, or (``None``) taken out with its lines."""
        names = [name.value for name, _ in entry.value]
        if key not in names:
            if value is not None:
                self._add(entry, key, value)
            return
        name, node = entry.value[names.index(key)]
        if value is None:
            self._drop(entry, [pair[0] for pair in entry.value], names.index(key), node)
        elif _data(node) != value:
            self._cuts.append(Cut(node.start_mark.index, _end(node), flow(value)))

    def set_types(self, types: SequenceNode, wanted: tuple[InstanceType, ...]) -> None:
        """Each type by its name: changed where it stands, taken out, or added at the end."""
        left = {item.name: item for item in wanted}
        last = types.value[-1]
        kept = [item for item in types.value if _name(item) in left]
        if not kept:
            self._cuts.append(Cut(types.start_mark.index, _end(types), flow(type_data(wanted))))
            return
        for index, item in enumerate(types.value):
            if item in kept:
                self._set_type(item, left.pop(_name(item)))
            else:
                self._drop(types, types.value, index, item)
        for data in type_data(left.values()):
            self._append(types, last if types.flow_style is not True else kept[-1], data)

    def _set_type(self, node: Node, wanted: InstanceType) -> None:
        settings = _settings(wanted)
        if len(settings) == 1 or not isinstance(node, MappingNode):
            if _data(node) not in (wanted.name, settings):
                value = settings if len(settings) > 1 else wanted.name
                self._cuts.append(Cut(node.start_mark.index, _end(node), flow(value)))
            return
        for key in ("overprovisioned_ondemand_count", "root_volume_size"):
            self.set(node, key, settings.get(key))

    def _add(self, entry: MappingNode, key: str, value: object) -> None:
        name, node = entry.value[-1]
        if entry.flow_style:
            self._cuts.append(Cut(_end(node), _end(node), f", {key}: {flow(value)}"))
            return
        indent = " " * name.start_mark.column
        if isinstance(value, list):
            lines = [f"{indent}{key}:", *(f"{indent}{STEP}- {flow(item)}" for item in value)]
        else:
            lines = [f"{indent}{key}: {flow(value)}"]
        self._new_lines(_end(node), lines)

    def _append(self, types: SequenceNode, after: Node, data: object) -> None:
        if types.flow_style:
            self._cuts.append(Cut(_end(after), _end(after), f", {flow(data)}"))
        else:
            self._new_lines(_end(after), [" " * types.start_mark.column + f"- {flow(data)}"])

    def _new_lines(self, after: int, lines: list[str]) -> None:
        end = self._line_end(after)
        opening = "" if end and self._text[end - 1] == "\n" else self._newline
        self._cuts.append(Cut(end, end, opening + self._newline.join(lines) + (self._newline if not opening else "")))

    def _drop(self, holder: MappingNode | SequenceNode, heads: list[Node], index: int, node: Node) -> None:
        """In a block the lines that it stands on; in a row also the comma before it, or after it if it is the first."""
        start = heads[index].start_mark.index
        if not holder.flow_style:
            self._cuts.append(Cut(self._text.rfind("\n", 0, start) + 1, self._line_end(_end(node)), ""))
        elif index + 1 < len(heads):
            self._cuts.append(Cut(start, heads[index + 1].start_mark.index, ""))
        else:
            comma = re.compile(r",\s*$").search(self._text, 0, start)
            self._cuts.append(Cut(comma.start() if comma else start, _end(node), ""))

    def _line_end(self, position: int) -> int:
        """Behind the line's end."""
        found = self._text.find("\n", position)
        return len(self._text) if found < 0 else found + 1


def flow(value: object) -> str:
    """Names, numbers, and lists and mappings of them, on one line; none of them needs quotes."""
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


def _data(node: Node) -> object:
    """What a scalar or a mapping of scalars says, its whole numbers as such."""
    if isinstance(node, MappingNode):
        return {name.value: _data(value) for name, value in node.value}
    value = node.value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _end(node: Node) -> int:
    """Where the node's own text ends; a block's mark lies behind the comments that follow it."""
    if isinstance(node, (MappingNode, SequenceNode)) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, MappingNode) else last)
    end: int = node.end_mark.index
    return end
