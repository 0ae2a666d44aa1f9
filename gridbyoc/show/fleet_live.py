"""The live table of a fleet's run: what runs now with its step, below what has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gridbyoc.show.fleet import words_of
from gridbyoc.show.plain import duration
from gridbyoc.stack.words import plain_text
from gridbyoc.steps.fleet.detail import progress_of
from gridbyoc.steps.fleet.model import FleetEvent, FleetNote, FleetStarted, MemberSaid, MemberStarted, Result

MARKS = {
    "done": ("✔", "green"),
    "changes": ("~", "yellow"),
    "failed": ("✘", "red"),
    "interrupted": ("!", "yellow"),
    "skipped": ("-", "dim"),
    "not started": ("-", "dim"),
}


class LiveFleet:
    """A stack that has ended scrolls by as a line; those that run are redrawn below, with how many still wait."""

    def __init__(self, stream: TextIO, *, environ: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._console = Console(file=stream, no_color="NO_COLOR" in environ, highlight=False)
        self._running: dict[str, tuple[float, str]] = {}
        self._outcomes: Counter[str] = Counter()
        self._total = 0
        self._spinner = Spinner("dots")
        self._live = RichLive(console=self._console, get_renderable=self.drawn, refresh_per_second=8, transient=True)

    def __call__(self, event: FleetEvent) -> None:
        """Take an event: what ends becomes a line, the rest changes what is drawn."""
        if isinstance(event, FleetStarted):
            self._total = len(event.members)
        elif isinstance(event, FleetNote):
            self._console.print(Text(plain_text(event.message)))
        elif isinstance(event, MemberStarted):
            self._running[event.member.label] = (self._clock(), "")
        elif isinstance(event, MemberSaid):
            now = progress_of(event.data)
            began, before = self._running.get(event.member.label, (self._clock(), ""))
            self._running[event.member.label] = (began, now or before)
        else:
            self._end(event.result)

    def _end(self, result: Result) -> None:
        self._running.pop(result.member.label, None)
        self._outcomes[result.outcome] += 1
        mark, style = MARKS[result.outcome]
        took = duration(result.seconds) if result.seconds else ""
        line = Text.assemble((mark, style), f" {result.member.label:<24}", (f"{took:>7}  ", "dim"))
        self._console.print(line.append(plain_text(words_of(result)) or result.outcome))

    def drawn(self) -> Group:
        """What runs now, and how many have ended and still wait."""
        now = self._clock()
        rows = Table.grid(padding=(0, 1))
        for label, (began, at) in self._running.items():
            took = Text(duration(now - began), style="dim")
            rows.add_row(self._spinner, Text(label), took, Text(plain_text(at), style="dim"))
        ended = sum(self._outcomes.values())
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.items())
        waiting = self._total - ended - len(self._running)
        words = f"{ended} of {self._total}{f': {counts}' if counts else ''}{f'; {waiting} wait' if waiting else ''}"
        return Group(rows, Text(words, style="dim"))

    def __enter__(self) -> LiveFleet:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
