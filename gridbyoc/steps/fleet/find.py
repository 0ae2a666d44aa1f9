"""Paths → the stacks of a fleet."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.files import work_root_of
from gridbyoc.stack.model import no_values
from gridbyoc.stack.sources import Gallery, Glance
from gridbyoc.stack.words import escaped
from gridbyoc.steps.fleet.model import Member

SUFFIXES = (".yaml", ".yml")
NOTHING_SET: Mapping[str, str] = no_values()


def find_members(
    paths: Sequence[str], cwd: Path, *, environ: Mapping[str, str] = NOTHING_SET, may_be_none: bool = False
) -> tuple[Member, ...]:
    """The stacks that ``paths`` (files, directories, globs; relative to ``cwd``) lead to, by path, each once.

    Below a directory every ``*.yaml`` and ``*.yml`` that looks like a stack file counts, hidden directories (also
    ``.gridbyoc``) and links to directories aside. A file that others extend, and that is no stack by itself, is left
    out. ``environ`` says where work_dirs lie. Raises ``UsageError`` for a path that leads nowhere, for two that share a
    work_dir, and for no stack at all (unless there ``may_be_none``).
    """
    gallery = Gallery()
    glances = [gallery.glance(file) for file in _files(paths, cwd, gallery)]
    bases = {base for glance in glances for base in glance.sources[1:]}
    kept = [glance for glance in glances if glance.file not in bases or {"name", "clusters"} <= glance.keys]
    if not kept and not may_be_none:
        raise _usage(
            f"There is no stack file in {', '.join(paths)}.", "A stack file has `version`, `name`, `clusters`."
        )
    members = _members(kept, cwd, work_root_of(environ))
    _refuse_shared(members)
    return members


def _files(paths: Sequence[str], cwd: Path, gallery: Gallery) -> list[Path]:
    found: dict[tuple[str, str], Path] = {}
    real = _RealDirectories()
    for file in (file for path in paths for file in _expanded(path, cwd, gallery)):
        found.setdefault((real(file.parent), file.name), file)
    return sorted(found.values())


def _expanded(path: str, cwd: Path, gallery: Gallery) -> Iterator[Path]:
    place = Path(os.path.normpath(cwd / path))
    if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises for over-long names
        yield from _below(place, gallery)
    elif os.path.exists(place):  # noqa: PTH110 - as above
        yield place
    else:
        matches = sorted(glob.glob(path, root_dir=cwd, recursive=True)) if glob.has_magic(path) else []  # noqa: PTH207 - may be absolute
        if not matches:
            raise _usage(f"There is no file {path}.", "Name stack files, directories or globs that are there.")
        for match in matches:
            yield from _matched(Path(os.path.normpath(cwd / match)), gallery)


def _matched(place: Path, gallery: Gallery) -> Iterator[Path]:
    if place.is_dir():
        yield from _below(place, gallery)
    elif place.name.endswith(SUFFIXES) and ("version" in gallery.glance(place).keys or _is_stack(place, gallery)):
        yield place


def _below(directory: Path, gallery: Gallery) -> Iterator[Path]:
    for root, directories, names in os.walk(directory, onerror=refuse_unreadable):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in names:
            file = Path(root, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and _is_stack(file, gallery):
                yield file


def refuse_unreadable(error: OSError) -> None:
    """Raise ``UsageError`` for a directory that cannot be listed: the stacks in it would be passed over."""
    if isinstance(error, FileNotFoundError):  # removed a moment ago
        return
    what = f"The directory {error.filename} cannot be read: {error.strerror}."
    raise _usage(what, "Give yourself the rights, or name the stack files.") from None


def _is_stack(file: Path, gallery: Gallery) -> bool:
    """A base that gives the version may be missing: that is for the stack's own run to say."""
    if gallery.scan(file).is_stack:
        return True
    return bool(gallery.scan(file).extends) and bool(gallery.glance(file).keys & {"version", "name", "clusters"})


class _RealDirectories:
    """Directories with their links resolved, each once: a thousand files lie in few of them."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def __call__(self, directory: Path) -> str:
        if directory not in self._known:
            self._known[directory] = os.path.realpath(directory)
        return self._known[directory]


def _members(glances: Sequence[Glance], cwd: Path, work_root: Path | None) -> tuple[Member, ...]:
    names = Counter(glance.name for glance in glances)
    made = []
    for glance in glances:
        shown = shown_path(glance.file, cwd)
        label = glance.name if glance.name and names[glance.name] == 1 else shown
        made.append(Member(escaped(label), glance.file, shown, glance.name, glance.sources, glance.modules, work_root))
    return tuple(made)


def shown_path(file: Path, cwd: Path) -> str:
    """The path as a command run in ``cwd`` takes it: relative where it lies below, and never like an option."""
    text = str(file.relative_to(cwd)) if file.is_relative_to(cwd) else str(file)
    return f"./{text}" if text.startswith("-") else text


def _refuse_shared(members: Iterable[Member]) -> None:
    real, seen = _RealDirectories(), dict[tuple[str, str], Member]()
    for member in members:
        if member.name is None:
            continue
        other = seen.setdefault((real(member.file.parent), member.name), member)
        if other is not member:
            what = f"{other.shown} and {member.shown} are both named {member.name}."
            raise _usage(what, "Give each stack of a directory a name of its own: they would share a work_dir.")


def _usage(what: str, fix: str) -> UsageError:
    return UsageError(what, fix=fix, rerun=SAFE_NOTHING_DONE)
