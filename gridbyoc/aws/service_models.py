"""Load botocore's data files lazily to save memory: EC2's whole model takes 20 MB, a run uses 20 of 800 operations."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader, create_loader

_SECTION = re.compile(rb'  "(operations|shapes)": ?\{\n')
_DOCUMENTATION = b'"documentation":'
_QUOTES = 4
"""The number of quotes in a documentation on a line of its own: around its name and its text."""


class LazyMembers(dict[str, Any]):
    """Members of a JSON object, each parsed at its first access by name."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        value = super().__getitem__(name)
        if isinstance(value, bytes):
            value = self[name] = json.loads(value)
        return value


class SmallModels(JSONFileLoader):
    """Reads botocore's own files as plain dicts, and parses operations and shapes only when they are needed."""

    def load_file(self, file_path: str) -> Any:  # noqa: ANN401 - JSON
        """The content of ``file_path``, given without its extension; ``None`` if there is no such file."""
        if Path(file_path).is_relative_to(Loader.BUILTIN_DATA_PATH):
            with suppress(OSError, ValueError), gzip.open(f"{file_path}.json.gz") as file:
                return read_model(io.BufferedReader(file))
            with suppress(OSError, ValueError), Path(f"{file_path}.json").open("rb") as plain:
                return json.load(plain)
        return super().load_file(file_path)


@cache
def models_of(data_path: str | None) -> Loader:
    """One loader for all sessions of this process, because each botocore session would read every file again.

    ``data_path`` is botocore's setting of that name.
    """
    loader = create_loader(data_path)
    loader.file_loader = SmallModels()
    return loader


def read_model(lines: Iterable[bytes]) -> dict[str, Any]:
    """A model with lazy operations and shapes, without documentation. Raises ``ValueError`` for another layout.

    In botocore's own files, each operation or shape starts a line with four spaces and its name, and no other line
    does, because a JSON string contains no line feed.
    """
    rows, rest = iter(lines), []
    lazy: dict[str, LazyMembers] = {}
    for line in rows:
        rest.append(line)
        if section := _SECTION.fullmatch(line):
            lazy[section[1].decode()] = LazyMembers(_members(rows, rest))
    whole: dict[str, Any] = json.loads(b"".join(rest))
    return whole | lazy


def _members(rows: Iterator[bytes], rest: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield each member up to the end of the object; the object's last line goes to ``rest``."""
    name, parts = "", [b"{}"]
    for line in rows:
        if not line.startswith((b'    "', b"  }")):
            row = line.strip()
            parts.append(_emptied(row) if row.startswith(_DOCUMENTATION) else row)
            continue
        text = b"".join(parts).removesuffix(b",")
        if not text.startswith(b"{") or not text.endswith(b"}"):
            raise ValueError("another layout")
        if name:
            yield name, text
        if line.startswith(b"  }"):
            rest.append(line)
            return
        key, _, value = line.strip().partition(b'":')
        name, parts = key[1:].decode(), [value.strip()]


def _emptied(row: bytes) -> bytes:
    alone = row.count(b'"') - row.count(b'\\"') == _QUOTES
    return b'%s""%s' % (_DOCUMENTATION, b"," if row.endswith(b",") else b"") if alone else row
