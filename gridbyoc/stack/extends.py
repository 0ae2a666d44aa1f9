"""``extends``: what a stack file takes from base files, merged so that every value still knows where it stands."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack.document import Document, read_document
from gridbyoc.stack.files import directory_in
from gridbyoc.stack.merge import merge_under, with_anchored_paths
from gridbyoc.stack.scan import KEYS, guessed, is_part
from gridbyoc.stack.source import STDIN, decode, read_source
from gridbyoc.stack.words import Place, escaped, listed, place_text, show

EXTENDS = "extends"
EXTENDS_ROOT = "GRIDBYOC_EXTENDS_ROOT"
"""A directory that bases may lie in as well, an absolute path."""
MOST_FILES = 50
"""How many base files a stack may be made of, each counted as often as it is named."""

_FORM = "a path relative to this file, such as `../base.yaml`, or a list of such paths"


@dataclass(frozen=True, slots=True)
class Named:
    """One base, as ``place`` of a document names it: where it lies, and how it is called in problems."""

    place: Place
    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The directories that a stack's bases may lie in, links resolved; the first is its repository's own."""

    roots: tuple[Path, ...]

    @staticmethod
    def of(directory: Path, environ: Mapping[str, str]) -> Bounds:
        """Those of the stack files in ``directory``: the Git repository that holds it, without one its parent; and
        ``GRIDBYOC_EXTENDS_ROOT``. Raises ``UsageError`` where that is not absolute.
        """
        here = Path(os.path.realpath(directory))
        top = next((each for each in (here, *here.parents) if os.path.lexists(each / ".git")), here.parent)
        wider = directory_in(environ, EXTENDS_ROOT)
        return Bounds((top, Path(os.path.realpath(wider))) if wider else (top,))

    def hold(self, path: Path) -> bool:
        """Whether the file that ``path`` leads to, links followed, lies in them."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self.roots)


def take_bases(document: Document, file: Path | None, directory: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Put what the bases say under what ``document`` says; the base files, each once.

    Mappings are merged, lists replaced; of several bases the later wins, and the document wins over all of them. What
    is wrong with a base (missing, outside of the bounds, a cycle, no YAML) is a fault of the document, with the file
    and line of the value. Nothing is shown of a file that is no part of a stack file.
    """
    gatherer = _Gatherer(document.faults, directory, Bounds.of(directory, environ))
    broken = gatherer.gather(document, file or directory / STDIN, (os.path.realpath(file),) if file else ())
    document.broken = document.broken or broken
    return tuple(dict.fromkeys(gatherer.found))


def named_bases(document: Document, file: Path, faults: list[Problem]) -> Iterator[Named]:
    """The bases that ``document`` (of ``file``) names itself, in its own order; what is no path goes to ``faults``."""
    value = document.data.get(EXTENDS) if isinstance(document.data, dict) else None
    if value is None:
        return
    items = [((EXTENDS,), value)] if not isinstance(value, list) else [((EXTENDS, i), v) for i, v in enumerate(value)]
    if not items:
        faults.append(_problem(document, (EXTENDS,), "is empty", "name a file, or remove the key"))
    for place, item in items:
        fault = path_fault(item)
        if fault or not isinstance(item, str):
            faults.append(_problem(document, place, *(fault or ("must be text", _FORM))))
            continue
        shown = os.path.normpath(Path(document.file).parent / item) if document.file != STDIN else item
        yield Named(place, Path(os.path.normpath(file.parent / item)), str(shown))


def path_fault(item: object) -> tuple[str, str] | None:
    """Message and hint where ``item`` is no path that may be followed: only relative ones are, as they are written.

    A stack file means the same on every machine, and what it is made of is seen in the repository.
    """
    if not isinstance(item, str):
        return "must be the path of a file", _FORM
    if not item.strip() or "\0" in item or not item.isprintable():
        return "is not a path", _FORM
    if item.startswith(("/", "~")):
        return f"{show(item)} is not relative to this file", _FORM
    return None


class _Gatherer:
    """Reads bases below bases, and keeps what is wrong with them."""

    def __init__(self, faults: list[Problem], directory: Path, bounds: Bounds) -> None:
        self._faults = faults
        self._directory = directory
        self._bounds = bounds
        self._count = 0
        self.found: list[Path] = []

    def gather(self, document: Document, file: Path, chain: tuple[str, ...]) -> bool:
        """Merge the bases of ``document`` into it; whether any of them cannot be read at all."""
        broken, below = False, None
        for named in named_bases(document, file, self._faults):
            base = self._read(document, named, chain)
            if base is None:
                broken = True
            elif below is not None:
                merge_under(base, below)
                below = base
            else:
                below = base
        if isinstance(document.data, dict):
            document.data.pop(EXTENDS, None)
            if below is not None:
                merge_under(document, below)
        return broken

    def _read(self, document: Document, named: Named, chain: tuple[str, ...]) -> Document | None:
        self._count += 1
        self.found.append(named.path)
        fault = self._fault(named, chain)
        if fault:
            self._faults.append(_problem(document, named.place, *fault))
            return None
        base = self._parsed(document, named)
        if base is None:
            return None
        broken = self.gather(base, named.path, (*chain, os.path.realpath(named.path)))
        with_anchored_paths(base, named.path.parent, self._directory)
        return None if broken else base

    def _fault(self, named: Named, chain: tuple[str, ...]) -> tuple[str, str] | None:
        if self._count > MOST_FILES:
            return f"more than {MOST_FILES} base files make up this stack", "put what they share into fewer files"
        if not self._bounds.hold(named.path):
            there = shlex.quote(os.path.dirname(os.path.realpath(named.path)))  # noqa: PTH120 - text from text
            hint = f"bases lie in the stack's repository; to allow another directory: `export {EXTENDS_ROOT}={there}`"
            return f"{show(named.shown)} lies outside of `{escaped(str(self._bounds.roots[0]))}`", hint
        if os.path.realpath(named.path) in chain:
            return f"{show(named.shown)} extends itself, by way of this file", "take one of the two out"
        return missing(named)

    def _parsed(self, document: Document, named: Named) -> Document | None:
        try:
            text = decode(read_source(named.path, named.shown), named.shown)
        except StackError as error:
            self._faults.extend(error.problems)
            return None
        base = read_document(text, named.shown)
        if not is_stack_files(base, text):
            hint = f"a base has keys of a stack file: {listed(sorted(KEYS - {'version', 'name', 'protect'}))}"
            message = f"{show(named.shown)} is no part of a stack file"
            self._faults.append(_problem(document, named.place, message, hint))
            return None
        self._faults.extend(base.faults)
        if base.data is None:
            base.data = {}
        return None if base.broken else base


def is_stack_files(document: Document, text: str) -> bool:
    """Whether a file looks like a part of a stack file, so that problems may quote it."""
    if document.broken:
        keys = guessed(text).keys
        return bool(keys) and is_part(keys)
    return document.data is None or (isinstance(document.data, dict) and is_part(document.data))


def missing(named: Named) -> tuple[str, str] | None:
    """Message and hint where a base is no regular file (a pipe could hang, a directory says nothing)."""
    hint = "paths are relative to the file that names them"
    try:
        mode = named.path.stat().st_mode
    except (OSError, ValueError):
        return f"there is no file {show(named.shown)}", hint
    if stat.S_ISDIR(mode):
        return f"{show(named.shown)} is a directory", "name a file in it"
    return None if stat.S_ISREG(mode) else (f"{show(named.shown)} is no regular file", hint)


def standing_elsewhere(file: Path, place: Place, environ: Mapping[str, str]) -> Problem | None:
    """Where the value at ``place`` of a stack file stands, if that is in a base of it; ``None``: in the file itself."""
    document = read_document(decode(read_source(file, str(file)), str(file)), str(file))
    take_bases(document, file, file.parent, environ)
    where, line = document.origin(place)
    return None if where == document.file else Problem(where, line, place_text(place), "stands in a base file")


def _problem(document: Document, place: Place, message: str, hint: str) -> Problem:
    file, line = document.origin(place)
    return Problem(file, line, place_text(place), message, hint)
