"""A run's events as lines of text, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gridbyoc.operations.cluster_times import expected_words
from gridbyoc.operations.events import (
    Asking,
    ClusterProgress,
    Event,
    FindingMade,
    ProviderProgress,
    ResourceProgress,
    StepFinished,
    StepStarted,
    WaitExpected,
    provider_words,
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
        state = f"{event.state} after" if event.state != "progress" else "at work for"
        return f"  {event.address}: {event.action} {state} {duration(event.seconds)}{_count(event)}"
    if isinstance(event, ProviderProgress):
        # The end of the step names what was installed. Only a download from a registry takes long.
        words = f"  downloads {provider_words(event)}"
        return words if event.state == "installing" and event.source not in ("mirror", "cache") else None
    if isinstance(event, WaitExpected):
        return f"  {words}" if (words := expected_words(event)) else None
    if isinstance(event, ClusterProgress):
        reason = f" ({event.reason})" if event.reason else ""
        return f"  cluster {event.name}: {event.status}{reason} [{duration(cluster_seconds(event))}]"
    if isinstance(event, FindingMade):
        return finding_line(event) if event.verdict == "warn" else None
    if isinstance(event, Asking):
        return None
    return f"warning: {event.message}" if event.level == "warning" else event.message


def _count(event: ResourceProgress) -> str:
    return f" ({event.finished} of {event.total})" if event.total else ""


def cluster_seconds(event: ClusterProgress) -> float:
    """Seconds since the cluster was created, otherwise since the wait began."""
    return event.seconds if event.age is None else event.age


def finding_line(finding: FindingMade) -> str:
    """A preflight finding that needs attention, as one line."""
    return f"warning: {finding.check}: {'. '.join(filter(None, (finding.read, finding.fix)))} ({finding.code})"


LONGEST_SILENCE = 300.0
"""Seconds after which an unchanged status is written again: many CI services stop a job that writes nothing."""


class RunWords:
    """A run's lines of text: one for each event with news, fewer the longer a resource or a cluster takes."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, str]] = {}
        self._again: dict[str, float] = {}

    def __call__(self, event: Event) -> Iterator[str]:
        """The event's line, if it has one."""
        if self._is_news(event) and (line := describe(event)) is not None:
            yield line

    def _is_news(self, event: Event) -> bool:
        if isinstance(event, ClusterProgress):
            status = event.status, event.reason
            if self._seen.get(event.name) == status and event.seconds < self._again[event.name]:
                return False
            self._seen[event.name] = status
            self._again[event.name] = event.seconds + LONGEST_SILENCE
        if isinstance(event, ResourceProgress) and event.state == "progress":
            # Terraform reports each resource every 10 s: after 10 s, 30 s and each minute is enough.
            if event.seconds < self._again.get(event.address, 0.0):
                return False
            self._again[event.address] = 30.0 if event.seconds < 30 else (event.seconds // 60 + 1) * 60
        return True


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
