"""Where a stack's state has been: the record of the last ``init``, and the backends that may still hold a state."""

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
    """The init record of a work_dir: the caller's digest, the binary, and every trace that init left on disk."""

    def __init__(self, work_dir: Path, binary: Binary, mirror: Path | None) -> None:
        self._work_dir = work_dir
        self._path = work_dir / _FILE
        self._tool = [binary.flavour, *binary.version, str(mirror or "")]

    def holds(self, digest: str) -> bool:
        """Whether the last init had this digest and binary, and everything that it installed still exists."""
        record = read_json(self._path)
        return bool(record) and record == self._now(digest)

    def write(self, digest: str) -> None:
        """Record a successful init. If writing fails (a full disk), the next run only inits again."""
        with suppress(FileError):
            write_atomic(self._path, json.dumps(self._now(digest)))

    def forget(self) -> None:
        """Delete the record, so that the next run inits."""
        with suppress(OSError):
            remove(self._path)

    def _now(self, digest: str) -> dict[str, object]:
        dot = self._work_dir / ".terraform"
        # A provider is often a link into a cache or a mirror: `exists` is false if its target was deleted.
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
"""Our own record of the last successful init's backend, because anybody may delete ``.terraform`` at any time."""


def earlier_backends(work_dir: Path) -> tuple[Backend, ...]:
    """The backends that may hold the state, the likeliest first: Terraform's record, our record, a local state file."""
    places: list[Backend] = []
    for note in (read_json(work_dir / RECORD).get("backend"), read_json(work_dir / REMEMBERED)):
        if isinstance(note, dict) and isinstance(note.get("type"), str):
            config = note.get("config")
            places.append(Backend(note["type"], _without_nulls(config) if isinstance(config, dict) else {}))
    if _may_hold_state(Backend().state_file(work_dir)):
        places.append(Backend())
    return tuple(places)


def _may_hold_state(file: Path) -> bool:
    if not file.exists() or not file.stat().st_size:
        return False
    state = read_json(file)  # empty if it cannot be read: it may still be a state
    return not state or not State(state).empty


def recorded_backend(work_dir: Path) -> Backend | None:
    """The backend in Terraform's own record of the work_dir; ``None`` without one."""
    return earlier_backends(work_dir)[0] if isinstance(read_json(work_dir / RECORD).get("backend"), dict) else None


def forget_record(work_dir: Path) -> None:
    """Delete Terraform's record: the next ``init`` starts afresh, and only our record says where the state lies."""
    remove(work_dir / RECORD)


def remember(work_dir: Path, backend: Backend) -> None:
    """Record the backend after a successful ``init``."""
    note = {"type": backend.type, "config": dict(backend.config)}
    write_atomic(work_dir / REMEMBERED, json.dumps(note, indent=2, sort_keys=True) + "\n")


def same_place(one: Backend, other: Backend) -> bool:
    """Whether two backends name the same state, even if other settings differ (encryption, lock table, region)."""
    if one.type != other.type:
        return False
    names = {"local": ("path",), "s3": ("bucket", "key")}.get(one.type)
    if names is None:
        return dict(one.config) == dict(other.config)
    return all(one.config.get(name) == other.config.get(name) for name in names)


def place_words(backend: Backend, work_dir: Path) -> str:
    """The state's place for messages: ``s3://bucket/key``, the path of the file, or the backend's type."""
    if backend.type == "s3":
        return f"s3://{backend.config.get('bucket')}/{backend.config.get('key')}"
    return str(backend.state_file(work_dir)) if not backend.remote else f"the {backend.type} backend"


def local_state(work_dir: Path, backend: Backend) -> dict[str, Any]:
    """The document in a local state file, empty if there is none. Raises ``TerraformError`` if it is unreadable."""
    file = backend.state_file(work_dir)
    state = read_json(file)
    if state.get("version") == 4 or not file.exists() or not file.stat().st_size:
        return state
    raise TerraformError(
        f"{file} is not a readable state.",
        why="It is damaged, encrypted, or written by a Terraform older than 0.12.",
        fix="Inspect it with `terraform show`, or restore terraform.tfstate.backup.",
        rerun=SAFE_NOTHING_DONE,
    )


def _without_nulls(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}
