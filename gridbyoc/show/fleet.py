"""A fleet's run: a table that fills in on a terminal, plain lines elsewhere, JSON lines where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, TextIO

from gridbyoc.show.attributes import terminal_lines
from gridbyoc.show.plain import duration
from gridbyoc.stack.words import counted, escaped, json_text, plain_text, visible
from gridbyoc.steps.fleet.carry_out import FleetReport, result_object
from gridbyoc.steps.fleet.detail import problem_words, progress_of
from gridbyoc.steps.fleet.model import (
    FleetEvent,
    FleetNote,
    FleetStarted,
    MemberFinished,
    MemberSaid,
    MemberStarted,
    Result,
)
from gridbyoc.steps.review.details import AttributeChange

_ADVICE = (("why:", "why"), ("do: ", "fix"), ("    ", "rerun"))
COLUMNS = ("stack", "file", "outcome", "took", "detail")


class FleetView(Protocol):
    """Takes a fleet's events as they happen; a context manager, so that the terminal is left as it was."""

    def __call__(self, event: FleetEvent) -> None:
        """Show one event."""

    def __enter__(self) -> FleetView:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""


def fleet_view(
    as_json: bool, stdout: TextIO, stderr: TextIO, *, environ: Mapping[str, str], clock: Callable[[], float]
) -> FleetView:
    """The view for this output: JSON lines on stdout, a table on a terminal's stderr, else plain lines there."""
    if as_json:
        return JsonFleet(stdout)
    if stderr.isatty() and environ.get("TERM") != "dumb":
        from gridbyoc.show.fleet_live import LiveFleet

        return LiveFleet(stderr, environ=environ, clock=clock)
    return PlainFleet(stderr)


def fleet_rows(report: FleetReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of the summary."""
    return COLUMNS, [
        (r.member.label, escaped(r.member.shown), r.outcome, duration(r.seconds) if r.seconds else "-", words_of(r))
        for r in report.results
    ]


def words_of(result: Result) -> str:
    """The detail, behind the error's code where there is one."""
    return f"{result.code}: {result.detail}" if result.code else result.detail


def advice_lines(report: FleetReport) -> list[str]:
    """For each stack that failed, all that it said of it: every problem, why, what to do, whether a re-run is safe.

    For each that has drifted, what differs.
    """
    lines: list[str] = []
    for result in report.results:
        error, document = result.said.get("error"), result.said.get("document", {}).get("document")
        if error:
            lines.append(f"{result.member.label}: error[{error.get('code')}]: {error.get('what')}")
            lines += [f"  {problem_words(problem, hints=True)}" for problem in error.get("problems") or ()]
            lines += [f"  {line}" for text in error.get("diagnostics") or () for line in str(text).splitlines()]
            lines += [f"  {word} {error[key]}" for word, key in _ADVICE if error.get(key)]
        elif "drift" in result.said:
            lines += _drift_lines(result.member.label, result.said["drift"])
        elif result.outcome == "failed" and isinstance(document, list):
            lines += [f"{result.member.label}: {problem_words(problem, hints=True)}" for problem in document]
    return lines


def _drift_lines(label: str, said: Mapping[str, Any]) -> Iterator[str]:
    """What differs, from the object that the stack's run wrote."""
    for each in said.get("drift") or ():
        yield visible(f"{label}: {each.get('side')}: {each.get('subject')}: {each.get('detail')}")
        for change in each.get("attributes") or ():
            known = AttributeChange(str(change.get("name")), change.get("before"), change.get("after"))
            yield from (f"  {line}" for line in terminal_lines(known))
    for sentence in said.get("permissions") or ():
        yield visible(f"{label}: bootstrap would change: {sentence}")


def fleet_summary(report: FleetReport) -> str:
    """One sentence: how many came out how, and how long it took."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts().items())
    return f"{report.verb} of {counted(len(report.results), 'stack')} in {duration(report.seconds)}: {counts}."


class _Lines:
    """A view that writes lines and draws nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        self._stream.write(plain_text(line) + "\n")
        self._stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()


class PlainFleet(_Lines):
    """A line when a stack begins, gets to its next step, and ends; each begins with the stack."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._at: dict[str, str] = {}
        self._quiet = False

    def __call__(self, event: FleetEvent) -> None:
        """Write the event's line, if it has one."""
        if isinstance(event, FleetStarted):
            left = len(event.members) - len(event.skipped)
            self._quiet = event.verb == "validate"  # which may be of thousands, in a moment: the table names them all
            self.write(f"{event.verb}: {counted(left, 'stack')}, {min(event.jobs, max(left, 1))} at once")
        elif isinstance(event, FleetNote):
            self.write(event.message)
        elif isinstance(event, MemberStarted):
            self.write(f"{event.member.label}: begins")
        elif isinstance(event, MemberSaid):
            self._said(event)
        elif event.result.outcome != "skipped" and not self._quiet:
            words, took = words_of(event.result), duration(event.result.seconds)
            self.write(f"{event.result.member.label}: {event.result.outcome} in {took}{f': {words}' if words else ''}")

    def _said(self, event: MemberSaid) -> None:
        label, now = event.member.label, progress_of(event.data)
        steps = event.data.get("type") in {"step_started", "cluster_progress"}
        if now and steps and self._at.get(label) != now:
            self._at[label] = now
            self.write(f"{label}: {now}")
        elif event.data.get("type") == "note" and event.data.get("level") == "warning":
            self.write(f"{label}: warning: {event.data.get('message')}")

    def __enter__(self) -> PlainFleet:
        return self


class JsonFleet(_Lines):
    """Each line is an object with ``stack`` and ``file``; what a stack's run writes is passed on with them."""

    def __call__(self, event: FleetEvent) -> None:
        """Write the event's line."""
        if isinstance(event, FleetStarted):
            names = [member.label for member in event.members]
            self._object({"type": "fleet_started", "verb": event.verb, "jobs": event.jobs, "stacks": names})
        elif isinstance(event, FleetNote):
            self._object({"type": "note", "message": event.message, "level": "info"})
        elif isinstance(event, MemberStarted):
            self._object({"type": "stack_started", "stack": event.member.label, "file": event.member.shown})
        elif isinstance(event, MemberSaid):
            self._object({**event.data, "stack": event.member.label, "file": event.member.shown})
        elif isinstance(event, MemberFinished):
            document = event.result.said.get("document", {})
            self._object({"type": "stack_finished", **result_object(event.result), **document})

    def _object(self, value: Mapping[str, object]) -> None:
        self.write(json_text(value))

    def __enter__(self) -> JsonFleet:
        return self
