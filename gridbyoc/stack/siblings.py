"""Two stack files of one directory with one name would share a work_dir, and each run would undo the other's."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from gridbyoc.stack.findings import Findings
from gridbyoc.stack.sources import Gallery
from gridbyoc.stack.words import show

_MOST_ENTRIES, _MOST_FILES, _MOST_BYTES = 1000, 100, 64 * 1024
_NAME = re.compile(rb"""^name:[ \t]*["']?([a-z0-9._-]+)["']?[ \t]*(?:#.*)?\r?$""", re.MULTILINE)
_EXTENDS = re.compile(rb"^extends:", re.MULTILINE)
_VERSION = re.compile(rb"^version:[ \t]*1[ \t]*(?:#.*)?\r?$", re.MULTILINE)


def check_siblings(findings: Findings, file: Path | None) -> None:
    """Warn where another stack file beside ``file`` has the same name."""
    name = findings.document.text("name")
    if file is None or name is None:
        return
    gallery = Gallery()
    for other in _yaml_files(file.parent):
        if _stack_name(other, file, gallery) == name and not _is_mere_base(other, file, gallery):
            message = f"{show(other.name)} has the same stack name: both would work in `.gridbyoc/{name}`"
            findings.warning(("name",), message, "give each stack a name of its own")


def _yaml_files(directory: Path) -> list[Path]:
    try:
        entries = itertools.islice(os.scandir(directory), _MOST_ENTRIES)
        found = [Path(entry.path) for entry in entries if entry.name.endswith((".yaml", ".yml")) and entry.is_file()]
    except OSError:
        return []
    return sorted(found)[:_MOST_FILES]


def _stack_name(other: Path, file: Path, gallery: Gallery) -> str | None:
    """The name that ``other`` gives its stack, hardly parsed; ``None`` where it is no other stack file."""
    try:
        if other.samefile(file):
            return None
        with other.open("rb") as stream:
            head = stream.read(_MOST_BYTES)
    except OSError:
        return None
    match, extends = _NAME.search(head), _EXTENDS.search(head)
    if match is None:
        return gallery.glance(other).name if extends else None
    return match[1].decode() if extends or _VERSION.search(head) else None


def _is_mere_base(other: Path, file: Path, gallery: Gallery) -> bool:
    """Whether ``other`` only serves ``file`` as a base: its name is the one that ``file`` has from it."""
    return other in gallery.glance(file).sources and not gallery.scan(other).whole
