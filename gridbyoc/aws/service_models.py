"""botocore's data files in little memory: a run calls twenty of EC2's 800 operations; the whole model takes 20 MB."""

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
"""Of a documentation that has its line for itself: around its name and its text."""


class LazyMembers(dict[str, Any]):
    """Members of a JSON object, each parsed when it is first asked for by its name."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - JSON
        value = super().__getitem__(name)
        if isinstance(value, bytes):
            value = self[name] = json.loads(value)
        return value


class SmallModels(JSONFileLoader):
    """Reads botocore's own files as plain dicts, and their operations and shapes one by one as they are needed."""

    def load_file(self, file_path: str) -> Any:  # noqa: ANN401 - JSON
        """The content of ``file_path``, which is without its extension; ``None`` where there is no such file."""
        if Path(file_path).is_relative_to(Loader.BUILTIN_DATA_PATH):
            with suppress(OSError, ValueError), gzip.open(f"{file_path}.json.gz") as file:
                return read_model(io.BufferedReader(file))
            with suppress(OSError, ValueError), Path(f"{file_path}.json").open("rb") as plain:
                return json.load(plain)
        return super().load_file(file_path)


@cache
def models_of(data_path: str | None) -> Loader:
    """The loader for all sessions of this process; botocore's sessions would each read every file anew.

    ``data_path`` is botocore's setting of that name.
    """
    loader = create_loader(data_path)
    loader.file_loader = SmallModels()
    return loader


def read_model(lines: Iterable[bytes]) -> dict[str, Any]:
    """A model whose operations and shapes are lazy and have no documentation; ``ValueError`` in another layout.

    In botocore's own files a member of either begins a line with four spaces and its name, and nothing else does: a
    JSON string holds no line feed.
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
    """Each member up to the end of their object, whose line goes to ``rest``."""
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
