"""``extends``: merge base files into a stack file; every value keeps its own file and line."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack.document import LARGEST, STDIN, Document, Fault, decode, read_document, read_source
from gridbyoc.stack.files import directory_in
from gridbyoc.stack.model import Stack
from gridbyoc.stack.rules.terraform import is_path
from gridbyoc.stack.scan import KEYS, Scan, guessed, is_part, scan
from gridbyoc.stack.schema import schemas_at
from gridbyoc.stack.words import Place, escaped, listed, place_text, show

_MODULE_SOURCE: Place = ("terraform", "module", "source")
PATHS: tuple[Place, ...] = (
    ("aws", "assume_role", "external_id_from", "file"),
    ("control_plane", "ca_bundle"),
    ("role", "external_id_from", "file"),
    ("terraform", "backend", "s3", "assume_role", "external_id_from", "file"),
    ("terraform", "provider_mirror"),
    _MODULE_SOURCE,
)
"""The values of a stack file that are paths, relative to the file that contains them."""


def merge_under(near: Document, base: Document) -> None:
    """Add to ``near`` the values of ``base`` that it does not set itself.

    Mappings are merged; lists and single values are not. A mapping that allows only one key (a backend) is taken whole
    from one side. An empty section counts as absent, as it does without a base. An empty single value removes the
    base's value.
    """
    _Merge(near, base).mappings((), near.data, base.data)


class _Merge:
    def __init__(self, near: Document, base: Document) -> None:
        self._near = near
        self._base = base

    def mappings(self, place: Place, near: dict[str, Any], base: dict[str, Any]) -> None:
        for key, below in base.items():
            here = (*place, key)
            if key not in near:
                self._take(here, near, key, below)
            elif near[key] is None:
                if isinstance(below, (dict, list)):
                    self._take(here, near, key, below)
                else:
                    del near[key]
            elif isinstance(near[key], dict) and isinstance(below, dict) and not _chosen(here, near[key], below):
                self.mappings(here, near[key], below)

    def _take(self, place: Place, near: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401 - any YAML value
        near[key] = value
        self._origins(place, value)

    def _origins(self, place: Place, value: Any) -> None:  # noqa: ANN401 - any YAML value
        self._near.written.pop(place, None)
        if place in self._base.lines:
            self._near.lines[place] = self._base.lines[place]
            self._near.files[place] = self._base.files.get(place, self._base.file)
        if place in self._base.written:
            self._near.written[place] = self._base.written[place]
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for part, each in inner:
            self._origins((*place, part), each)


def _chosen(place: Place, near: dict[str, Any], base: dict[str, Any]) -> bool:
    """Whether the schema allows one key only and the two mappings choose different ones."""
    one_of = any(node.get("maxProperties") == 1 for node in schemas_at(place))
    return one_of and bool(near) and set(near) != set(base)


def with_anchored_paths(base: Document, directory: Path, stack_directory: Path) -> None:
    """Make the relative paths of a base in another ``directory`` absolute; they are relative to the base's own."""
    if directory == stack_directory:
        return
    for *outer, key in PATHS:
        holder = base.at(*outer)
        text = holder.get(str(key)) if isinstance(holder, dict) else None
        if isinstance(text, str) and _relative(text, module=(*outer, key) == _MODULE_SOURCE):
            top, slashes, inner = text.partition("//")
            holder[key] = os.path.normpath(directory / top) + slashes + inner


def _relative(text: str, *, module: bool) -> bool:
    if not text.strip() or "\0" in text or text.startswith(("/", "~/")):
        return False
    return is_path(text) if module else True


EXTENDS = "extends"
EXTENDS_ROOT = "GRIDBYOC_EXTENDS_ROOT"
"""Environment variable: a further directory that may hold bases, an absolute path."""
MOST_FILES = 50
"""The most base files of one stack; a base counts as often as it is named."""

_FORM = "a path relative to this file, such as `../base.yaml`, or a list of such paths"


@dataclass(frozen=True, slots=True)
class NamedBase:
    """One base, named at ``place`` of a document: its path, and the name that problems show."""

    place: Place
    path: Path
    shown: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """The directories that may hold a stack's bases, links resolved; the first is the root of its repository."""

    roots: tuple[Path, ...]

    @staticmethod
    def of(directory: Path, environ: Mapping[str, str]) -> Bounds:
        """The bounds of the stack files in ``directory``: its Git repository (its parent if there is none), and
        ``GRIDBYOC_EXTENDS_ROOT``. Raises ``UsageError`` if that variable is not an absolute path.
        """
        here = Path(os.path.realpath(directory))
        top = next((each for each in (here, *here.parents) if os.path.lexists(each / ".git")), here.parent)
        wider = directory_in(environ, EXTENDS_ROOT)
        return Bounds((top, Path(os.path.realpath(wider))) if wider else (top,))

    def hold(self, path: Path) -> bool:
        """Whether ``path``, links followed, lies in one of the directories."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self.roots)


def take_bases(document: Document, file: Path | None, directory: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Merge the bases into ``document``; return the base files, each once.

    Mappings are merged, lists replaced. A later base wins over an earlier one, and the document wins over all bases. A
    problem of a base (missing, out of bounds, a cycle, not YAML) becomes a fault of the document, with the file and
    line of the value. No content of a file is shown unless it looks like part of a stack file.
    """
    gatherer = _Gatherer(document.faults, directory, Bounds.of(directory, environ))
    broken = gatherer.gather(document, file or directory / STDIN, (os.path.realpath(file),) if file else ())
    document.broken = document.broken or broken
    return tuple(dict.fromkeys(gatherer.found))


def named_bases(document: Document, file: Path, faults: list[Problem]) -> Iterator[NamedBase]:
    """The bases that ``document`` (of ``file``) names directly, in order; invalid paths go to ``faults``."""
    value = document.data.get(EXTENDS) if isinstance(document.data, dict) else None
    if value is None:
        return
    items = [((EXTENDS,), value)] if not isinstance(value, list) else [((EXTENDS, i), v) for i, v in enumerate(value)]
    if not items:
        faults.append(document.problem((EXTENDS,), Fault("is empty", "give the path of a file, or remove the key")))
    for place, item in items:
        fault = path_fault(item)
        if fault or not isinstance(item, str):
            faults.append(document.problem(place, fault or Fault("must be text", _FORM)))
            continue
        shown = os.path.normpath(Path(document.file).parent / item) if document.file != STDIN else item
        yield NamedBase(place, Path(os.path.normpath(file.parent / item)), str(shown))


def path_fault(item: object) -> Fault | None:
    """Why ``item`` is not an allowed base path. Only relative paths are allowed.

    A stack file then means the same on every machine, and all its parts are visible in the repository.
    """
    if not isinstance(item, str):
        return Fault("must be the path of a file", _FORM)
    if not item.strip() or "\0" in item or not item.isprintable():
        return Fault("is not a path", _FORM)
    if item.startswith(("/", "~")):
        return Fault(f"{show(item)} is not relative to this file", _FORM)
    return None


class _Gatherer:
    """Reads bases recursively and collects their faults."""

    def __init__(self, faults: list[Problem], directory: Path, bounds: Bounds) -> None:
        self._faults = faults
        self._directory = directory
        self._bounds = bounds
        self._count = 0
        self.found: list[Path] = []

    def gather(self, document: Document, file: Path, chain: tuple[str, ...]) -> bool:
        """Merge the bases of ``document`` into it; return whether any of them is unreadable."""
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

    def _read(self, document: Document, named: NamedBase, chain: tuple[str, ...]) -> Document | None:
        self._count += 1
        self.found.append(named.path)
        fault = self._fault(named, chain)
        if fault:
            self._faults.append(document.problem(named.place, fault))
            return None
        base = self._parsed(document, named)
        if base is None:
            return None
        broken = self.gather(base, named.path, (*chain, os.path.realpath(named.path)))
        with_anchored_paths(base, named.path.parent, self._directory)
        return None if broken else base

    def _fault(self, named: NamedBase, chain: tuple[str, ...]) -> Fault | None:
        if self._count > MOST_FILES:
            return Fault(
                f"more than {MOST_FILES} base files make up this stack", "put what they share into fewer files"
            )
        if not self._bounds.hold(named.path):
            there = shlex.quote(os.path.dirname(os.path.realpath(named.path)))  # noqa: PTH120 - text from text
            hint = f"bases lie in the stack's repository; to allow another directory: `export {EXTENDS_ROOT}={there}`"
            return Fault(f"{show(named.shown)} lies outside `{escaped(str(self._bounds.roots[0]))}`", hint)
        if os.path.realpath(named.path) in chain:
            return Fault(f"{show(named.shown)} extends itself through this file", "remove one of the two references")
        return missing(named)

    def _parsed(self, document: Document, named: NamedBase) -> Document | None:
        try:
            text = decode(read_source(named.path, named.shown), named.shown)
        except StackError as error:
            self._faults.extend(error.problems)
            return None
        base = read_document(text, named.shown)
        if not is_stack_files(base, text):
            hint = f"a base has keys of a stack file: {listed(sorted(KEYS - {'version', 'name', 'protect'}))}"
            message = f"{show(named.shown)} is not part of a stack file"
            self._faults.append(document.problem(named.place, Fault(message, hint)))
            return None
        self._faults.extend(base.faults)
        if base.data is None:
            base.data = {}
        return None if base.broken else base


def is_stack_files(document: Document, text: str) -> bool:
    """Whether a file looks like part of a stack file; only then may problems quote it."""
    if document.broken:
        keys = guessed(text).keys
        return bool(keys) and is_part(keys)
    return document.data is None or (isinstance(document.data, dict) and is_part(document.data))


def missing(named: NamedBase) -> Fault | None:
    """The fault of a base that is missing or not a regular file; reading a pipe could block."""
    hint = "paths are relative to the file that names them"
    try:
        mode = named.path.stat().st_mode
    except (OSError, ValueError):
        return Fault(f"there is no file {show(named.shown)}", hint)
    if stat.S_ISDIR(mode):
        return Fault(f"{show(named.shown)} is a directory", "give the path of a file in it")
    return None if stat.S_ISREG(mode) else Fault(f"{show(named.shown)} is not a regular file", hint)


def standing_elsewhere(file: Path, place: Place, environ: Mapping[str, str]) -> Problem | None:
    """File and line of the value at ``place`` if it comes from a base; ``None`` if the stack file itself sets it."""
    document = read_document(decode(read_source(file, str(file)), str(file)), str(file))
    take_bases(document, file, file.parent, environ)
    where, line = document.origin(place)
    return None if where == document.file else Problem(where, line, place_text(place), "is set in a base file")


NOTHING = Scan()
UNREADABLE = Scan(frozenset({"version", "name", "clusters"}))
"""An unreadable file counts as a stack: a run of that stack then reports that it cannot be read."""
_UNREADABLE = {errno.EACCES, errno.EPERM, errno.EIO}


@dataclass(frozen=True, slots=True)
class StackFileInfo:
    """Keys, name, bases and module directories of a stack file, read without validating it.

    ``sources`` starts with the file itself and includes missing bases. ``modules`` are directories.
    """

    file: Path
    keys: frozenset[str]
    name: str | None
    sources: tuple[Path, ...]
    modules: tuple[Path, ...]


@dataclass(slots=True)
class StackFileIndex:
    """Scans many stack files and reads each file once. Paths are absolute."""

    _scans: dict[Path, Scan] = field(default_factory=dict)

    def scan(self, file: Path) -> Scan:
        """The scan of one file without its bases; empty if it is missing, not text or not a regular file."""
        if file not in self._scans:
            self._scans[file] = _scanned(file)
        return self._scans[file]

    def bases(self, file: Path) -> tuple[Path, ...]:
        """The bases that a file names directly, in order, without those whose path is not allowed."""
        named = (item for item in self.scan(file).extends if path_fault(item) is None)
        return tuple(Path(os.path.normpath(file.parent / item)) for item in named)

    def glance(self, file: Path) -> StackFileInfo:
        """The summary of a stack file and all its bases."""
        sources = self._sources(file)
        scans = [(source, self.scan(source)) for source in sources]
        modules = [_module(source.parent, text) for source, one in scans for text in one.modules]
        keys = frozenset().union(*(one.keys for _, one in scans))
        return StackFileInfo(file, keys, self._name(sources), tuple(sources), tuple(dict.fromkeys(modules)))

    def _sources(self, file: Path) -> list[Path]:
        """The file, then its bases by falling precedence, each once."""
        found: list[Path] = []
        ahead = [file]
        while ahead and len(found) <= MOST_FILES:
            nearest = ahead.pop()
            if nearest not in found:
                found.append(nearest)
                ahead += self.bases(nearest)
        return found

    def _name(self, sources: list[Path]) -> str | None:
        parts = (one for one in map(self.scan, sources) if is_part(one.keys))
        return next((one.name for one in parts if one.name is not None), None)


def sources(stack_file: Path) -> tuple[Path, ...]:
    """Every file of a stack: the stack file, then its direct and indirect bases, missing ones included.

    Paths are absolute, as they are written; links are not resolved. Never raises.
    """
    return StackFileIndex().glance(Path(os.path.abspath(stack_file))).sources  # noqa: PTH100 - `..` is taken as written


def _scanned(file: Path) -> Scan:
    try:
        with open(file, "rb", opener=_non_blocking) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return NOTHING
            return _scanned_bytes(stream.read(LARGEST + 1))
    except OSError as error:
        return UNREADABLE if error.errno in _UNREADABLE else NOTHING
    except ValueError:
        return NOTHING


def _scanned_bytes(data: bytes) -> Scan:
    try:
        return scan(decode(data, ""))
    except StackError:
        return NOTHING if b"\0" in data else guessed(data.decode(errors="replace"))


def _non_blocking(path: str, flags: int) -> int:
    """Open without blocking on a pipe that has no writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _module(directory: Path, source: str) -> Path:
    """The directory that is copied whole: the part of ``source`` before ``//``."""
    top = source.partition("//")[0] if not source.startswith("//") else source
    return Path(os.path.normpath(directory / Path(top).expanduser()))


def files_of(stack: Stack) -> tuple[Path, ...]:
    """The stack file, then every base that it extends; empty if it came from standard input."""
    return StackFileIndex().glance(stack.file).sources if stack.file else ()
