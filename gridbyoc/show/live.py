"""The live view on a terminal: finished items scroll by as lines, running ones are redrawn below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Generic, Protocol, TextIO, TypeVar

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gridbyoc.operations.events import (
    Asking,
    ClusterProgress,
    Event,
    FindingMade,
    Note,
    ResourceProgress,
    StepFinished,
    StepStarted,
)
from gridbyoc.operations.fleet.model import (
    FleetEvent,
    FleetNote,
    FleetStarted,
    MemberSaid,
    MemberStarted,
    MemberWaiting,
    Result,
    progress_of,
    words_of,
)
from gridbyoc.show.markdown import STYLES
from gridbyoc.show.run import describe, duration
from gridbyoc.stack.words import plain_text

E = TypeVar("E")
C = TypeVar("C", contravariant=True)

OUTCOMES = {
    "done": ("✔", "green"),
    "changes": ("~", "yellow"),
    "failed": ("✘", "red"),
    "interrupted": ("!", "yellow"),
    "skipped": ("-", "dim"),
    "not started": ("-", "dim"),
}
"""Marks and colours for outcomes of steps and stacks."""
SHOWN_WAITING = 10
"""How many of the stacks that wait for clusters are drawn; the last line counts all of them."""


class Board(Protocol[C]):
    """The redrawn part of the view: takes events, and knows what is running."""

    def take(self, event: C) -> Iterator[Text]:
        """Take an event; returns the lines to scroll by."""

    def drawn(self) -> Group:
        """The items that are running."""


class Live(Generic[E]):
    """Redraws a board eight times a second; pauses while the user is asked."""

    def __init__(self, stream: TextIO, board: Board[E], *, environ: Mapping[str, str]) -> None:
        self._console = Console(file=stream, no_color="NO_COLOR" in environ, highlight=False)
        self._board = board
        self._live = RichLive(console=self._console, get_renderable=board.drawn, refresh_per_second=8, transient=True)

    def __call__(self, event: E) -> None:
        """Take an event: finished items become lines, everything else changes the drawing."""
        if not isinstance(event, Asking):
            for line in self._board.take(event):
                self._console.print(line)
        elif event.over:
            self._live.start()
        else:
            self._live.stop()

    def __enter__(self) -> Live[E]:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def _ended(outcome: str, name: str, took: str, words: str) -> Text:
    mark, style = OUTCOMES[outcome]
    return Text.assemble((mark, style), f" {name}", (f"{took:>7}  ", "dim")).append(plain_text(words))


class RunBoard:
    """Steps with elapsed time, the resource in progress, each cluster's phase."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._running: dict[str, tuple[float, str]] = {}
        self._resources: dict[str, str] = {}
        self._clusters: dict[str, ClusterProgress] = {}
        self._spinner = Spinner("dots")

    def take(self, event: Event) -> Iterator[Text]:
        """Finished steps and notes become lines."""
        if isinstance(event, StepStarted):
            self._running[event.step] = (self._clock(), event.detail)
        elif isinstance(event, StepFinished):
            self._running.pop(event.step, None)
            self._resources.clear()
            yield _ended(event.outcome, f"{event.step:<10}", duration(event.seconds), event.detail)
        elif isinstance(event, ResourceProgress):
            if event.state in {"started", "progress"}:
                self._resources[event.address] = event.action
            else:
                self._resources.pop(event.address, None)
        elif isinstance(event, ClusterProgress):
            self._clusters[event.name] = event
        elif isinstance(event, Note | FindingMade):
            line = describe(event)
            if line is not None:
                yield Text(plain_text(line), style="yellow" if line.startswith("warning") else "")

    def drawn(self) -> Group:
        """The running steps, and the clusters as last seen."""
        now = self._clock()
        rows = Table.grid(padding=(0, 1))
        for step, (began, detail) in self._running.items():
            busy = next(iter(self._resources), "")
            took, at = Text(duration(now - began), style="dim"), Text(plain_text(detail or busy), style="dim")
            rows.add_row(self._spinner, Text(step), took, at)
        for cluster in self._clusters.values():
            status = Text(plain_text(cluster.status), style=STYLES.get(cluster.status, ""))
            rows.add_row("", Text(plain_text(cluster.name)), status, Text(plain_text(cluster.reason), style="dim"))
        return Group(rows)


class FleetBoard:
    """The running stacks, with the numbers of finished and waiting ones."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._running: dict[str, tuple[float, str]] = {}
        self._waiting: dict[str, tuple[float, str]] = {}
        self._outcomes: Counter[str] = Counter()
        self._total = 0
        self._spinner = Spinner("dots")

    def take(self, event: FleetEvent) -> Iterator[Text]:
        """Finished stacks and notes become lines."""
        if isinstance(event, FleetStarted):
            self._total = len(event.members)
        elif isinstance(event, FleetNote):
            yield Text(plain_text(event.message))
        elif isinstance(event, MemberStarted):
            self._running[event.member.label] = (self._clock(), "")
        elif isinstance(event, MemberWaiting):
            self._running.pop(event.member.label, None)
            self._waiting[event.member.label] = (self._clock(), f"waits for {', '.join(event.clusters)}")
        elif isinstance(event, MemberSaid):
            self._said(event)
        else:
            yield self._end(event.result)

    def _said(self, event: MemberSaid) -> None:
        label, now = event.member.label, progress_of(event.data)
        waits = event.data.get("type") == ClusterProgress.type and label in self._waiting
        if not waits:
            self._waiting.pop(label, None)
        where = self._waiting if waits else self._running
        began, before = where.get(label, (self._clock(), ""))
        where[label] = (began, now or before)

    def _end(self, result: Result) -> Text:
        self._running.pop(result.member.label, None)
        self._waiting.pop(result.member.label, None)
        self._outcomes[result.outcome] += 1
        took = duration(result.seconds) if result.seconds else ""
        return _ended(result.outcome, f"{result.member.label:<24}", took, words_of(result) or result.outcome)

    def drawn(self) -> Group:
        """The stacks at work, those that wait for clusters, and the number of finished ones."""
        now = self._clock()
        rows = Table.grid(padding=(0, 1))
        for label, (began, at) in self._running.items():
            took = Text(duration(now - began), style="dim")
            rows.add_row(self._spinner, Text(label), took, Text(plain_text(at), style="dim"))
        for label, (began, at) in list(self._waiting.items())[:SHOWN_WAITING]:
            took = Text(duration(now - began), style="dim")
            rows.add_row("", Text(label), took, Text(plain_text(at), style="dim"))
        ended = sum(self._outcomes.values())
        unbegun = self._total - ended - len(self._running) - len(self._waiting)
        parts = [f"{count} {outcome}" for outcome, count in self._outcomes.items()]
        parts += [f"{len(self._running)} working"] if self._running else []
        parts += [f"{len(self._waiting)} waiting for clusters"] if self._waiting else []
        parts += [f"{unbegun} to begin"] if unbegun else []
        words = f"{ended} of {self._total}{f': {counts}' if (counts := ', '.join(parts)) else ''}"
        return Group(rows, Text(words, style="dim"))
