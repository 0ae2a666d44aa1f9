"""One run per stack at a time, on this machine; the lock says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gridbyoc.errors import FileError, LockedError
from gridbyoc.stack.files import file_error, make_private_dir, open_private, read_json, remove, touch_private
from gridbyoc.stack.words import instant

LOCK = "run.lock"
HOLDER = "run.lock.json"
SAVED_PLAN = "gridbyoc.tfplan"
"""Terraform's plan in a work_dir, from planning to applying. It holds secrets in plain text."""


@contextmanager
def hold(work_dir: Path, *, verb: str, now: Callable[[], datetime], wait: float = 0.5) -> Iterator[None]:
    """Hold the stack's lock while inside. Waits ``wait`` seconds for another holder, then raises ``LockedError``.

    The kernel drops the lock if the holder dies, so a killed run leaves none behind. A saved plan that it left is
    removed: nobody applies it any more.
    """
    lock = _taken(work_dir, wait)
    holder = work_dir / HOLDER
    try:
        _sign(holder, verb, now())
        with suppress(OSError):
            remove(work_dir / SAVED_PLAN)
        yield
    finally:
        remove(holder)
        lock.release()


def _taken(work_dir: Path, wait: float) -> FileLock:
    make_private_dir(work_dir)
    lock = FileLock(work_dir / LOCK, mode=0o600)
    try:
        touch_private(work_dir / LOCK)
        lock.acquire(timeout=wait)
    except Timeout:
        raise LockedError(
            "Another run of this stack is in progress.",
            why=_holder(work_dir),
            fix="Wait for it to end, or stop it there with Ctrl-C; nothing needs to be unlocked by hand.",
            rerun="Nothing was created or changed; a re-run is safe.",
        ) from None
    except OSError as error:
        raise FileError(
            f"The lock {work_dir / LOCK} could not be acquired.",
            why=error.strerror or str(error),
            fix="Make room, or make the directory writable, then run again.",
        ) from None
    return lock


def holder_of(work_dir: Path) -> str | None:
    """Who holds the stack's lock right now, in words; ``None`` if nobody does."""
    try:
        # The same lock that FileLock takes on Unix, without opening the file for writing: checking changes nothing.
        descriptor = open_private(work_dir / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{work_dir / LOCK} could not be read: {error.strerror}."
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(work_dir)
    finally:
        os.close(descriptor)
    return None


def _sign(holder: Path, verb: str, when: datetime) -> None:
    text = {"pid": os.getpid(), "host": socket.gethostname(), "verb": verb, "since": when.isoformat(timespec="seconds")}
    try:
        with os.fdopen(open_private(holder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8") as stream:
            json.dump(text, stream)
    except OSError as error:
        raise file_error("Cannot write", holder, error) from None


def _holder(work_dir: Path) -> str:
    who = read_json(work_dir / HOLDER)
    if not {"verb", "pid", "host", "since"} <= who.keys():
        return f"{work_dir / LOCK} is held by a process that did not record its identity."
    return (
        f"`gridbyoc {who['verb']}`, process {who['pid']} on {who['host']}, holds it since {instant(str(who['since']))}."
    )
