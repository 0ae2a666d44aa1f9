"""A cluster as it is kept, and the phase it is in at a given time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

QUEUED = "QUEUED"
PENDING = "PENDING"
CONFIGURING = "CONFIGURING"
RUNNING = "RUNNING"
FAILED = "FAILED"
DELETED = "DELETED"

_QUEUED_SHARE = 0.2
_CONFIGURING_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds."""

    create_seconds: float
    delete_seconds: float


@dataclass(frozen=True, slots=True)
class Record:
    """One cluster. Times are seconds since the epoch; ``started_at`` is when its making last began.

    ``verdict`` is what came of looking at the role: ``None`` not looked yet, empty good, else what is wrong.
    ``revision`` counts the updates, so that a verdict on an older spec is not kept.
    """

    id: str
    name: str
    spec: dict[str, Any]
    created_at: float
    started_at: float
    deleted_at: float | None = None
    verdict: str | None = None
    revision: int = 0


def phase_at(record: Record, now: float, timing: Timing) -> str:
    """The phase, from the times alone. A deletion is never FAILED: clients would take that for its outcome."""
    if record.deleted_at is not None:
        return DELETED if now >= record.deleted_at + timing.delete_seconds else PENDING
    if record.verdict is None:
        return QUEUED
    if record.verdict:
        return FAILED
    elapsed = now - record.started_at
    if elapsed >= timing.create_seconds:
        return RUNNING
    return CONFIGURING if elapsed >= timing.create_seconds * _CONFIGURING_SHARE else PENDING


def is_due(record: Record, now: float, timing: Timing) -> bool:
    """Whether it is to go on from QUEUED, so that the role must be looked at."""
    waited = now - record.started_at
    return record.deleted_at is None and record.verdict is None and waited >= timing.create_seconds * _QUEUED_SHARE
