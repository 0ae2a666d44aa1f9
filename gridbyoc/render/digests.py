"""Digests by which another machine can tell whether it would render and call the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from gridbyoc.render.module import called_module
from gridbyoc.render.work_dir import terraform_files
from gridbyoc.stack.files import file_error, read_private
from gridbyoc.stack.model import Stack


def module_digest(stack: Stack) -> str:
    """SHA-256 of the module that the root calls: address, version, and every file where it is copied in.

    A module that ``terraform init`` fetches is named by address and version alone. Raises ``FileError``.
    """
    module = called_module(stack)
    files = [(name, file.content) for name, file in sorted(module.files.items()) if not name.endswith(".md")]
    return _digest([("source", module.source.encode()), ("version", (module.version or "").encode()), *files])


def root_digest(work_dir: Path) -> str:
    """SHA-256 of all that Terraform reads of a rendered root, values and all: they hold secrets, so keep it safe."""
    try:
        files = [(path.relative_to(work_dir).as_posix(), path) for path in terraform_files(work_dir)]
        return _digest((name, read_private(path)) for name, path in files)
    except OSError as error:
        raise file_error("Cannot read", work_dir, error) from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes; ``FileError`` where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise file_error("Cannot read", path, error) from None


def _digest(parts: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in parts:
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
