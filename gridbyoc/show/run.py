"""A run's events as lines of text, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gridbyoc.operations.events import (
    Asking,
    ClusterProgress,
    Event,
    FindingMade,
    ResourceProgress,
    StepFinished,
    StepStarted,
)
from gridbyoc.show.view import Views

if TYPE_CHECKING:
    from gridbyoc.show.live import RunBoard


def duration(seconds: float) -> str:
    """``0.4s``, ``12s``, ``3m05s``, ``1h02m``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


READING = frozenset({"refresh", "read"})
"""Actions that change nothing and get no line."""


def describe(event: Event) -> str | None:
    """An event as one line of text; ``None`` for events that only a live view shows."""
    if isinstance(event, StepStarted):
        return f"{event.step}: {event.detail}" if event.detail else None
    if isinstance(event, StepFinished):
        detail = f": {event.detail}" if event.detail else ""
        return f"{event.step}: {event.outcome} in {duration(event.seconds)}{detail}"
    if isinstance(event, ResourceProgress):
        if event.state == "started" or event.action in READING:
            return None
        return f"  {event.address}: {event.action} {event.state} after {duration(event.seconds)}"
    if isinstance(event, ClusterProgress):
        reason = f" ({event.reason})" if event.reason else ""
        return f"  cluster {event.name}: {event.status}{reason} [{duration(event.seconds)}]"
    if isinstance(event, FindingMade):
        return finding_line(event) if event.verdict == "warn" else None
    if isinstance(event, Asking):
        return None
    return f"warning: {event.message}" if event.level == "warning" else event.message


def finding_line(finding: FindingMade) -> str:
    """A preflight finding that needs attention, as one line."""
    return f"warning: {finding.check}: {'. '.join(filter(None, (finding.read, finding.fix)))} ({finding.code})"


class RunWords:
    """A run's lines of text: one for each event with news; a cluster's status is not repeated."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, str]] = {}

    def __call__(self, event: Event) -> Iterator[str]:
        """The event's line, if it has one."""
        if isinstance(event, ClusterProgress):
            if self._seen.get(event.name) == (event.status, event.reason):
                return
            self._seen[event.name] = (event.status, event.reason)
        line = describe(event)
        if line is not None:
            yield line


def event_document(event: Event) -> Mapping[str, Any] | None:
    """The event as a line of ``--format jsonl``; ``None`` for a question."""
    if isinstance(event, Asking):
        return None
    fields = {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(event).items()}
    return {"type": event.type, **fields}


def _board(clock: Callable[[], float]) -> RunBoard:
    from gridbyoc.show.live import RunBoard

    return RunBoard(clock)


RUN: Views[Event] = Views(event_document, RunWords, _board)
