"""The marker of a released stack, in its work_dir: every run that takes the stack's lock checks it first."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeGuard

from gridbyoc.errors import SAFE_NOTHING_DONE, ReleasedStackError
from gridbyoc.stack.files import file_error, read_json, remove, write_atomic
from gridbyoc.stack.model import Stack
from gridbyoc.stack.words import instant

MARKER = "released.json"
FORMAT = 1
ALLOWED = frozenset({"adopt", "release"})
"""The verbs that work on a released stack."""


@dataclass(frozen=True, slots=True)
class Marker:
    """When a stack was released (ISO 8601), and its role's ARN; empty if the marker does not say."""

    time: str
    role_arn: str

    @property
    def since(self) -> str:
        """The time, for use in a sentence."""
        return instant(self.time) if self.time else "an unknown time"


def adopt_command(marker: Marker, file: str) -> str:
    """The command that takes the stack back, ready to be typed. ``file`` is the stack file, quoted if needed."""
    return " ".join(filter(None, ("gridbyoc adopt", shlex.quote(marker.role_arn or "ROLE_ARN"), file)))


def file_words(stack: Stack) -> str:
    """The stack file as a command-line argument; ``adopt`` does not read standard input."""
    return shlex.quote(str(stack.file)) if stack.file else "STACK_FILE"


def read_marker(work_dir: Path) -> Marker | None:
    """The marker of a released stack; ``None`` if there is none. An unreadable marker still counts."""
    path = work_dir / MARKER
    if not os.path.lexists(path):
        return None
    found = read_json(path)
    time, role_arn = found.get("time"), found.get("role_arn")
    return Marker(time if _is_time(time) else "", role_arn if _is_arn(role_arn) else "")


def _is_time(text: object) -> TypeGuard[str]:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_arn(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and text.startswith("arn:") and text.isascii() and text.isprintable()


def write_marker(work_dir: Path, stack: Stack, marker: Marker) -> None:
    """Write the marker (0600) atomically; ``FileError``."""
    text = {"format": FORMAT, "time": marker.time, "stack": stack.name, "role_arn": marker.role_arn}
    write_atomic(work_dir / MARKER, json.dumps(text, indent=2) + "\n")


def remove_marker(work_dir: Path) -> bool:
    """Remove the marker; true if there was one. Raises ``FileError``."""
    try:
        return remove(work_dir / MARKER)
    except OSError as error:
        raise file_error("Cannot remove", work_dir / MARKER, error) from None


def refuse_released(stack: Stack, work_dir: Path) -> None:
    """Raise ``ReleasedStackError`` if the stack was released. The caller holds its lock."""
    marker = read_marker(work_dir)
    if marker is not None:
        raise ReleasedStackError(
            f"The stack {stack.name} was released at {marker.since}: no run changes it.",
            why=f"{work_dir / MARKER} says so. The role {marker.role_arn or 'of this stack'} and its state are in "
            "other hands.",
            fix=f"`{adopt_command(marker, file_words(stack))}` takes the stack back. To leave it released, delete "
            "its stack file.",
            rerun=SAFE_NOTHING_DONE,
        )
