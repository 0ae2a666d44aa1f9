"""The append-only record of a stack's steps, in its work_dir; it never holds a secret."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.errors import FileError, ForeignFileError
from gridbyoc.stack.files import json_object, open_private, read_private
from gridbyoc.stack.words import json_text

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Journal:
    """Appends one JSON object per line and flushes it to disk before it returns.

    Writes nothing once ``over()`` is true.
    """

    path: Path
    now: Callable[[], datetime]
    run_id: str
    over: Callable[[], bool] = lambda: False

    @contextmanager
    def of_run(self, verb: str, version: str) -> Iterator[None]:
        """Record the run's start (verb, version) and its end (the code of its error). A killed run has no end."""
        self.write("run_started", verb=verb, version=version, pid=os.getpid())
        try:
            yield
        except BaseException as error:
            self.write("run_ended", verb=verb, code=getattr(error, "code", type(error).__name__))
            raise
        self.write("run_ended", verb=verb, code=None)

    def write(self, kind: str, **fields: str | float | int | bool | None) -> None:
        """Append a record; ``FileError`` if it cannot be written."""
        if self.over():
            return
        record = {"time": self.now().isoformat(timespec="milliseconds"), "run": self.run_id, "type": kind, **fields}
        line = json_text(record) + "\n"
        try:
            descriptor = open_private(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                _write_all(descriptor, line.encode())
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FileError(
                f"The journal {self.path} could not be written.",
                why=error.strerror or str(error),
                fix="Make room, or make the directory writable, then run again.",
                rerun="A re-run is safe: it continues from what exists.",
            ) from None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes. If a full disk takes part of a line, retry to get the error, and remove that part."""
    written = os.write(descriptor, data)
    while written < len(data):
        try:
            written += os.write(descriptor, data[written:])
        except OSError:
            os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - written))
            raise


def read_journal(path: Path) -> tuple[dict[str, Any], ...]:
    """All readable records, oldest first; a line that a crash cut off is skipped."""
    try:
        lines = read_private(path).splitlines()
    except FileNotFoundError:
        return ()
    return tuple(record for record in map(parse_record, lines) if record)


_TAIL = 256 * 1024


def newest_lines(path: Path) -> list[bytes]:
    """The lines in the last 256 KiB of a journal; none if it cannot be read or is a foreign file."""
    try:
        with os.fdopen(open_private(path, os.O_RDONLY), "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
            return stream.read().splitlines()
    except (OSError, ForeignFileError):
        return []


def parse_record(line: str | bytes) -> dict[str, Any]:
    """One line of a journal; empty if it is cut off, damaged or not a record."""
    return json_object(line) or {}


def cut_off_since(records: Iterable[Mapping[str, Any]]) -> datetime | None:
    """Start time of the oldest apply not followed by a completed one; ``None`` if there is none."""
    began: datetime | None = None
    for record in records:
        if record.get("effect") in {"apply", "destroy"} and record.get("type") == "effect_done":
            began = None
        elif record.get("effect") == "apply" and record.get("type") == "effect_started" and began is None:
            began = _time(record.get("time"))
    return began


def role_was_made(records: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the newest completed effect on the role made or adopted it, and did not destroy it."""
    done = [record.get("effect") for record in records if record.get("type") == "effect_done"]
    return next((effect != "destroy" for effect in reversed(done) if effect in {"apply", "adopt", "destroy"}), False)


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
