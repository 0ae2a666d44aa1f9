"""The note that Terraform leaves beside a state while it holds its lock."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from gridbyoc.stack.files import json_object, open_private, read_private
from gridbyoc.stack.words import minute

_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Who holds a lock, as the holder wrote it; texts are empty where it does not say."""

    id: str
    operation: str = ""
    who: str = ""
    version: str = ""
    created: datetime | None = None
    path: str = ""

    @property
    def host(self) -> str:
        """The machine in ``user@host``."""
        return self.who.rpartition("@")[2]

    def __str__(self) -> str:
        since = f", since {minute(self.created)}" if self.created else ""
        what = self.operation.removeprefix("OperationType").lower() or "an operation"
        return f"{self.who or 'somebody'}, {what}{since}, lock {self.id or '(without an id)'}"


def parse_lock(text: str | bytes) -> LockInfo | None:
    """The JSON of a lock; ``None`` where it is none. Its fields: statemgr.LockInfo in Terraform's source."""
    found = json_object(text)
    if found is None:
        return None
    names = {"ID": "id", "Operation": "operation", "Who": "who", "Version": "version", "Path": "path"}
    texts = {field: str(found.get(name) or "") for name, field in names.items()}
    return LockInfo(**texts, created=_time(str(found.get("Created") or "")))


def local_lock(state_file: Path) -> LockInfo | None:
    """The note beside a local state file, whether or not its writer still lives."""
    with suppress(OSError):
        return parse_lock(read_private(state_file.parent / f".{state_file.name}.lock.info"))
    return None


def locally_held(state_file: Path) -> bool:
    """Whether a process holds the lock on the file right now: the kernel drops it with the process, the note stays."""
    try:
        with os.fdopen(open_private(state_file, os.O_RDWR), "r+b") as stream:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _time(text: str) -> datetime | None:
    """RFC 3339 with Go's nanoseconds."""
    with suppress(ValueError):
        found = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", _padded(text)).replace("Z", "+00:00"))
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None


def _padded(text: str) -> str:
    """Go drops trailing zeros of the fraction; Python 3.10 reads three or six digits alone."""
    return re.sub(r"\.(\d{1,5})(?=\D|$)", lambda match: "." + match[1].ljust(6, "0"), text)
