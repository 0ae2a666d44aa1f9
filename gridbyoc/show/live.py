"""The live view on a terminal: steps with elapsed time, the resource at work, each cluster's phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gridbyoc.operations.events import (
    ClusterProgress,
    Event,
    FindingMade,
    Note,
    ResourceProgress,
    StepFinished,
    StepStarted,
)
from gridbyoc.show.markdown import STYLES
from gridbyoc.show.plain import describe, duration
from gridbyoc.stack.words import plain_text

OUTCOMES = {"done": ("✔", "green"), "skipped": ("-", "dim"), "failed": ("✘", "red")}


class Live:
    """Finished steps scroll by as lines; what is going on is redrawn below them eight times a second."""

    def __init__(self, stream: TextIO, *, environ: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._console = Console(file=stream, no_color="NO_COLOR" in environ, highlight=False)
        self._running: dict[str, tuple[float, str]] = {}
        self._resources: dict[str, str] = {}
        self._clusters: dict[str, ClusterProgress] = {}
        self._spinner = Spinner("dots")
        self._live = RichLive(console=self._console, get_renderable=self._draw, refresh_per_second=8, transient=True)

    def __call__(self, event: Event) -> None:
        """Take an event: a finished step or a note becomes a line, the rest changes what is drawn."""
        if isinstance(event, StepStarted):
            self._running[event.step] = (self._clock(), event.detail)
        elif isinstance(event, StepFinished):
            self._finish(event)
        elif isinstance(event, ResourceProgress):
            if event.state in {"started", "progress"}:
                self._resources[event.address] = event.action
            else:
                self._resources.pop(event.address, None)
        elif isinstance(event, ClusterProgress):
            self._clusters[event.name] = event
        elif isinstance(event, Note | FindingMade):
            self._note(event)
        elif event.over:
            self._live.start()
        else:
            self._live.stop()

    def _finish(self, event: StepFinished) -> None:
        self._running.pop(event.step, None)
        self._resources.clear()
        mark, style = OUTCOMES[event.outcome]
        line = Text.assemble((mark, style), f" {event.step:<10}", (f"{duration(event.seconds):>7}  ", "dim"))
        self._console.print(line.append(plain_text(event.detail)))

    def _note(self, event: Note | FindingMade) -> None:
        line = describe(event)
        if line is not None:
            self._console.print(Text(plain_text(line), style="yellow" if line.startswith("warning") else ""))

    def _draw(self) -> Group:
        now = self._clock()
        rows = Table.grid(padding=(0, 1))
        for step, (began, detail) in self._running.items():
            busy = next(iter(self._resources), "")
            rows.add_row(
                self._spinner,
                Text(step),
                Text(duration(now - began), style="dim"),
                Text(plain_text(detail or busy), style="dim"),
            )
        for cluster in self._clusters.values():
            style = STYLES.get(cluster.status, "")
            rows.add_row(
                "",
                Text(plain_text(cluster.name)),
                Text(plain_text(cluster.status), style=style),
                Text(plain_text(cluster.reason), style="dim"),
            )
        return Group(rows)

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
