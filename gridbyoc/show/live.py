"""The live view on a terminal: finished items scroll by as lines, running ones are redrawn below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, TextIO, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.text import Text

from gridbyoc.operations.cluster_times import expected_words
from gridbyoc.operations.events import (
    Asking,
    ClusterProgress,
    Event,
    FindingMade,
    Note,
    ProviderProgress,
    ResourceProgress,
    StepFinished,
    StepStarted,
    WaitExpected,
    provider_words,
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
from gridbyoc.show.layout import STYLES, columns_of, width_of, wrapped
from gridbyoc.show.run import cluster_seconds, describe, duration
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


@dataclass(frozen=True, slots=True)
class Row:
    """A running item: its name, time, state and subject. ``busy`` rows have a spinner."""

    name: str
    took: str
    state: str = ""
    subject: str = ""
    style: str = "dim"
    busy: bool = False


class Rows:
    """The drawn rows, each on one line: a subject that is too long loses its beginning, which tells the least."""

    def __init__(self, rows: Sequence[Row], spinner: Spinner, last: str = "") -> None:
        self._rows = rows
        self._spinner = spinner
        self._last = last

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, none wider than the terminal."""
        width = options.max_width
        names = [plain_text(row.name) for row in self._rows]
        longest = min(max(map(columns_of, names), default=0), width // 3)
        frame = self._spinner.render(console.get_time())
        for name, row in zip(names, self._rows, strict=True):
            sign = frame.copy() if row.busy and isinstance(frame, Text) else Text(" ")
            label = Text(name)
            label.truncate(longest, overflow="ellipsis", pad=True)
            line = Text.assemble(sign, " ", label, "  ", (f"{row.took:>6}", "dim"))
            if row.state:
                line.append(f"  {plain_text(row.state)}", style=row.style)
            room = width - line.cell_len - 2
            if row.subject and room > 1:
                line.append(f"  {_end_of(plain_text(row.subject), room)}", style="dim")
            line.truncate(width, overflow="ellipsis")
            yield line
        if self._last:
            last = Text(plain_text(self._last), style="dim")
            last.truncate(width, overflow="ellipsis")
            yield last


def _end_of(text: str, room: int) -> str:
    if columns_of(text) <= room:
        return text
    while text and columns_of(text) > room - 1:
        text = text[1:]
    return f"…{text}"


class Board(Protocol[C]):
    """The redrawn part of the view: takes events, and knows what is running."""

    def take(self, event: C) -> Iterator[Text]:
        """Take an event; returns the lines to scroll by."""

    def drawn(self) -> Rows:
        """The items that are running."""


class Live(Generic[E]):
    """Redraws a board eight times a second; pauses while the user is asked."""

    def __init__(self, stream: TextIO, board: Board[E], *, environ: Mapping[str, str]) -> None:
        width = width_of(stream, environ)
        self._console = Console(file=stream, no_color="NO_COLOR" in environ, highlight=False, width=width)
        self._board = board
        self._live = RichLive(console=self._console, get_renderable=board.drawn, refresh_per_second=8, transient=True)

    def __call__(self, event: E) -> None:
        """Take an event: finished items become lines, everything else changes the drawing."""
        if not isinstance(event, Asking):
            for line in self._board.take(event):
                self._console.print(fitted(line, self._console.width), soft_wrap=True)
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


def fitted(line: Text, width: int) -> Text:
    """The line wrapped between words, with the styles of its first part; rich would cut words that are too long."""
    hang = max((span.end for span in line.spans), default=0) or None
    lines = wrapped(line.plain, width, hang)
    whole = Text("\n".join(lines), style=line.style)
    for span in line.spans:
        whole.stylize(span.style, span.start, min(span.end, len(lines[0])))
    return whole


def _ended(outcome: str, name: str, took: str, words: str) -> Text:
    mark, style = OUTCOMES[outcome]
    return Text.assemble((mark, style), f" {name}", (f"{took:>7}  ", "dim")).append(plain_text(words))


class RunBoard:
    """Steps with elapsed time, the resources and the provider in progress, each cluster's status and time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._running: dict[str, tuple[float, str]] = {}
        self._resources: dict[str, ResourceProgress] = {}
        self._count = ""
        self._provider = ""
        self._clusters: dict[str, tuple[float, ClusterProgress]] = {}
        self._expected = ""
        self._spinner = Spinner("dots")

    def take(self, event: Event) -> Iterator[Text]:
        """Finished steps and notes become lines."""
        if isinstance(event, StepStarted):
            self._running[event.step] = (self._clock(), event.detail)
        elif isinstance(event, StepFinished):
            self._running.pop(event.step, None)
            self._resources.clear()
            self._count = self._provider = self._expected = ""
            yield _ended(event.outcome, f"{event.step:<10}", duration(event.seconds), event.detail)
        elif isinstance(event, ResourceProgress):
            self._count = f"{event.finished} of {event.total}" if event.total else ""
            if event.state in {"started", "progress"}:
                self._resources[event.address] = event
            else:
                self._resources.pop(event.address, None)
        elif isinstance(event, ProviderProgress):
            self._provider = provider_words(event) if event.state == "installing" else ""
        elif isinstance(event, WaitExpected):
            self._expected = expected_words(event)
        elif isinstance(event, ClusterProgress):
            self._clusters[event.name] = self._clock(), event
        elif isinstance(event, Note | FindingMade):
            line = describe(event)
            if line is not None:
                yield Text(plain_text(line), style="yellow" if line.startswith("warning") else "")

    def drawn(self) -> Rows:
        """The running steps, and the clusters as last seen."""
        now = self._clock()
        rows = [self._step(step, now - began, detail) for step, (began, detail) in self._running.items()]
        for at, cluster in self._clusters.values():
            # A cluster that is there takes no more time.
            over = cluster.status in {"running", "deleted", "gone"}
            took = duration(cluster_seconds(cluster) + (0.0 if over else now - at))
            rows.append(Row(cluster.name, took, cluster.status, cluster.reason, STYLES.get(cluster.status, "")))
        return Rows(rows, self._spinner, self._expected and f"  {self._expected}")

    def _step(self, step: str, took: float, detail: str) -> Row:
        """The step, with the resource that is at work for the longest time, or the provider that is installed."""
        first = next(iter(self._resources.values()), None) if step != "init" else None
        count = self._count if step in {"apply", "destroy"} else ""
        state = "  ".join(filter(None, (count, first.action if first else "")))
        subject = detail or (first.address if first else self._provider if step == "init" else "")
        return Row(step, duration(took), state, subject, busy=True)


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

    def drawn(self) -> Rows:
        """The stacks at work, those that wait for clusters, and the number of finished ones."""
        now = self._clock()
        rows = [Row(label, duration(now - began), "", at, busy=True) for label, (began, at) in self._running.items()]
        waiting = list(self._waiting.items())[:SHOWN_WAITING]
        rows += [Row(label, duration(now - began), "", at) for label, (began, at) in waiting]
        ended = sum(self._outcomes.values())
        unbegun = self._total - ended - len(self._running) - len(self._waiting)
        parts = [f"{count} {outcome}" for outcome, count in self._outcomes.items()]
        parts += [f"{len(self._running)} working"] if self._running else []
        parts += [f"{len(self._waiting)} waiting for clusters"] if self._waiting else []
        parts += [f"{unbegun} to begin"] if unbegun else []
        words = f"{ended} of {self._total}{f': {counts}' if (counts := ', '.join(parts)) else ''}"
        return Rows(rows, self._spinner, words)
