"""What the last good ``init`` left, written down, so that one that would change nothing is not run (0.6 to 2 s)."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from gridbyoc.errors import FileError
from gridbyoc.stack.files import read_json, read_regular, remove, write_atomic
from gridbyoc.terraform.binary import Binary

_FILE = ".gridbyoc-init.json"
_LOCK_FILE = ".terraform.lock.hcl"


class InitRecord:
    """The record of one work_dir: the caller's digest, the binary, and every trace that init left on the disk."""

    def __init__(self, work_dir: Path, binary: Binary, mirror: Path | None) -> None:
        self._work_dir = work_dir
        self._path = work_dir / _FILE
        self._tool = [binary.flavour, *binary.version, str(mirror or "")]

    def holds(self, digest: str) -> bool:
        """The last init was for this digest and binary, and all that it installed is still there."""
        record = read_json(self._path)
        return bool(record) and record == self._now(digest)

    def write(self, digest: str) -> None:
        """Remember a good init. A disk that is full costs the next run an init, no more."""
        with suppress(FileError):
            write_atomic(self._path, json.dumps(self._now(digest)))

    def forget(self) -> None:
        """The next run inits."""
        with suppress(OSError):
            remove(self._path)

    def _now(self, digest: str) -> dict[str, object]:
        dot = self._work_dir / ".terraform"
        # A provider is often a link into a cache or a mirror: `exists` is false when its end is gone.
        packages = (path for path in dot.glob("providers/*/*/*/*/*") if path.exists())
        return {
            "digest": digest,
            "tool": self._tool,
            "lock_file": _sha256(self._work_dir / _LOCK_FILE),
            "backend": _sha256(dot / "terraform.tfstate"),
            "modules": _sha256(dot / "modules" / "modules.json"),
            "providers": sorted(str(path.relative_to(dot)) for path in packages),
        }


def _sha256(path: Path) -> str:
    with suppress(OSError):
        return hashlib.sha256(read_regular(path)).hexdigest()
    return ""
