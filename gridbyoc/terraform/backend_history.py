"""Where a stack's state has been: what ``init`` was last run for, and the places where a state still lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, TerraformError
from gridbyoc.stack.files import read_json, read_regular, remove, write_atomic
from gridbyoc.terraform.binary import Binary
from gridbyoc.terraform.state import RECORD, Backend, State

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


REMEMBERED = ".gridbyoc-state.json"
"""Our own note of the backend of the last good init: ``.terraform`` may be deleted by anybody at any time."""


def earlier_backends(work_dir: Path) -> tuple[Backend, ...]:
    """Where the state may lie, the likeliest first: by Terraform's record, by our note, in a file that holds one."""
    places: list[Backend] = []
    for note in (read_json(work_dir / RECORD).get("backend"), read_json(work_dir / REMEMBERED)):
        if isinstance(note, dict) and isinstance(note.get("type"), str):
            config = note.get("config")
            places.append(Backend(note["type"], _told(config) if isinstance(config, dict) else {}))
    if _holds_something(Backend().state_file(work_dir)):
        places.append(Backend())
    return tuple(places)


def _holds_something(file: Path) -> bool:
    if not file.exists() or not file.stat().st_size:
        return False
    state = read_json(file)  # nothing where it cannot be read: what it holds may still be a state
    return not state or not State(state).empty


def recorded_backend(work_dir: Path) -> Backend | None:
    """The backend that Terraform itself was initialised with here."""
    return earlier_backends(work_dir)[0] if isinstance(read_json(work_dir / RECORD).get("backend"), dict) else None


def forget_record(work_dir: Path) -> None:
    """Take Terraform's record away: the next ``init`` begins anew, and our note alone says where the state lies."""
    remove(work_dir / RECORD)


def remember(work_dir: Path, backend: Backend) -> None:
    """Note where the state lies, once ``init`` has gone well there."""
    note = {"type": backend.type, "config": dict(backend.config)}
    write_atomic(work_dir / REMEMBERED, json.dumps(note, indent=2, sort_keys=True) + "\n")


def same_place(one: Backend, other: Backend) -> bool:
    """Whether two backends mean the same state, whatever else differs (encryption, lock table, region's spelling)."""
    if one.type != other.type:
        return False
    names = {"local": ("path",), "s3": ("bucket", "key")}.get(one.type)
    if names is None:
        return dict(one.config) == dict(other.config)
    return all(one.config.get(name) == other.config.get(name) for name in names)


def place_words(backend: Backend, work_dir: Path) -> str:
    """``s3://bucket/key``, or the path of the file."""
    if backend.type == "s3":
        return f"s3://{backend.config.get('bucket')}/{backend.config.get('key')}"
    return str(backend.state_file(work_dir)) if not backend.remote else f"the {backend.type} backend"


def local_state(work_dir: Path, backend: Backend) -> dict[str, Any]:
    """The document in a local state file, empty where there is none; ``TerraformError`` where it cannot be read."""
    file = backend.state_file(work_dir)
    state = read_json(file)
    if state.get("version") == 4 or not file.exists() or not file.stat().st_size:
        return state
    raise TerraformError(
        f"{file} is no state that can be read.",
        why="It is damaged, encrypted, or of a Terraform before 0.12.",
        fix="Look at it with `terraform show`, or put back terraform.tfstate.backup.",
        rerun=SAFE_NOTHING_DONE,
    )


def _told(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}
