"""Which files stacks are made of, and what else is known of them at a glance; nothing here is checked or refused."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from gridbyoc.errors import StackError
from gridbyoc.stack.extends import MOST_FILES, path_fault
from gridbyoc.stack.scan import Scan, guessed, is_part, scan
from gridbyoc.stack.source import LARGEST, decode

NOTHING = Scan()
UNREADABLE = Scan(frozenset({"version", "name", "clusters"}))
"""What may be a stack counts as one: its own run says that it cannot be read."""
_UNREADABLE = {errno.EACCES, errno.EPERM, errno.EIO}


@dataclass(frozen=True, slots=True)
class Glance:
    """A stack file as it looks from outside: its keys, its name, itself and its bases, its module's directory.

    ``sources`` begins with the file; a base that is missing is in it, too. ``modules`` are directories.
    """

    file: Path
    keys: frozenset[str]
    name: str | None
    sources: tuple[Path, ...]
    modules: tuple[Path, ...]


@dataclass(slots=True)
class Gallery:
    """Looks at many stack files and reads each file once. Paths are absolute."""

    _scans: dict[Path, Scan] = field(default_factory=dict)

    def scan(self, file: Path) -> Scan:
        """What one file says by itself; nothing where it is gone, is no text or no regular file."""
        if file not in self._scans:
            self._scans[file] = _scanned(file)
        return self._scans[file]

    def bases(self, file: Path) -> tuple[Path, ...]:
        """The bases that a file names itself, in its order; what may not be followed is left out."""
        named = (item for item in self.scan(file).extends if path_fault(item) is None)
        return tuple(Path(os.path.normpath(file.parent / item)) for item in named)

    def glance(self, file: Path) -> Glance:
        """Look at a stack file and all its bases."""
        sources = self._sources(file)
        scans = [(source, self.scan(source)) for source in sources]
        modules = [_module(source.parent, text) for source, one in scans for text in one.modules]
        keys = frozenset().union(*(one.keys for _, one in scans))
        return Glance(file, keys, self._name(sources), tuple(sources), tuple(dict.fromkeys(modules)))

    def _sources(self, file: Path) -> list[Path]:
        """The file, then its bases, those that win first, each before what it yields to; one that comes twice once."""
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
    """Every file that a stack is made of: the stack file, then what it extends, directly or by way of another base.

    Absolute paths as they are written, links not resolved; also those that are missing. Raises nothing.
    """
    return Gallery().glance(Path(os.path.abspath(stack_file))).sources  # noqa: PTH100 - `..` is taken as written


def _scanned(file: Path) -> Scan:
    try:
        with open(file, "rb", opener=_quietly) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return NOTHING
            return _looked_at(stream.read(LARGEST + 1))
    except OSError as error:
        return UNREADABLE if error.errno in _UNREADABLE else NOTHING
    except ValueError:
        return NOTHING


def _looked_at(data: bytes) -> Scan:
    try:
        return scan(decode(data, ""))
    except StackError:
        return NOTHING if b"\0" in data else guessed(data.decode(errors="replace"))


def _quietly(path: str, flags: int) -> int:
    """A pipe that nobody writes to must not hold us up."""
    return os.open(path, flags | os.O_NONBLOCK)


def _module(directory: Path, source: str) -> Path:
    """The whole directory that is copied: what stands before ``//``."""
    top = source.partition("//")[0] if not source.startswith("//") else source
    return Path(os.path.normpath(directory / Path(top).expanduser()))
