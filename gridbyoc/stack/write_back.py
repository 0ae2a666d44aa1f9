"""Changes written back into a stack file, with its comments and its order kept."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.util import load_yaml_guess_indent

from gridbyoc.stack.files import file_error, write_atomic

KeyPath = Sequence[str | int]


def write_back(file: Path, changes: Mapping[tuple[str | int, ...], Any]) -> str:
    """Set each key path of the YAML ``file`` to its value (``None``: take it out); return the new text.

    Mappings on the way are made where they are missing. Written atomically, with the file's own mode. Raises
    ``FileError``.
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
    """``text`` with each key path set to its value. The text is valid YAML: it has been loaded before."""
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
