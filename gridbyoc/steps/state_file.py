"""What a stack file must say for its state to lie somewhere else."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from gridbyoc.stack.model import LocalBackend, S3Backend, Stack
from gridbyoc.stack.write_back import write_back

_BACKEND = ("terraform", "backend")
_TOLD = ("bucket", "key", "region", "kms_key_id")


def backend_changes(
    found: LocalBackend | S3Backend, wanted: LocalBackend | S3Backend
) -> dict[tuple[str | int, ...], Any]:
    """Key paths and their new values; other settings of an S3 backend (profile, lock table) stay as they are."""
    if isinstance(wanted, LocalBackend):
        return {} if isinstance(found, LocalBackend) else {_BACKEND: {"local": {}}}
    if isinstance(found, LocalBackend):
        return {_BACKEND: {"s3": _told(wanted)}}
    return {(*_BACKEND, "s3", name): value for name, value in _told(wanted).items() if getattr(found, name) != value}


def point_at(stack: Stack, wanted: LocalBackend | S3Backend) -> bool:
    """Write the backend into the stack file, comments kept; whether anything changed. ``FileError``."""
    changes = backend_changes(stack.terraform.backend, wanted)
    if not changes or stack.file is None:
        return False
    write_back(stack.file, changes)
    return True


def snippet(wanted: LocalBackend | S3Backend) -> str:
    """The lines of a stack file that say so, for a stack file that cannot be written (standard input)."""
    stream = io.StringIO()
    backend = {"local": {}} if isinstance(wanted, LocalBackend) else {"s3": _told(wanted)}
    YAML().dump({"terraform": {"backend": backend}}, stream)
    return stream.getvalue().rstrip()


def _told(backend: S3Backend) -> dict[str, str]:
    return {name: value for name in _TOLD if (value := getattr(backend, name)) is not None}
