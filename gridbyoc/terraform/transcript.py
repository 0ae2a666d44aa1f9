"""What one command said: written to its log, kept as far as it is needed, passed on as events while it runs."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from gridbyoc.stack.files import json_object
from gridbyoc.stack.words import plain_text
from gridbyoc.terraform.events import (
    ChangeSummary,
    Diagnostic,
    Log,
    OutputsEvent,
    PlannedChange,
    ResourceDrift,
    TerraformEvent,
    Version,
    holds_state,
    parse_diagnostic,
    parse_event,
    parse_state_dump,
)
from gridbyoc.terraform.logs import RunLog
from gridbyoc.terraform.process import Stream
from gridbyoc.terraform.redaction import Redactor

OnEvent = Callable[[TerraformEvent], None]
OnState = Callable[[Mapping[str, Any]], None]
_KEPT = (Version, Diagnostic, ChangeSummary, OutputsEvent, PlannedChange, ResourceDrift)
_HEAD = re.compile(r"^\s*(Error|Warning): (.+)$")
_PLACE = re.compile(r"^\s*on (.+?) line (\d+)")
_WITH = re.compile(r"^\s*with (.+?),$")
_FRAME = re.compile("^[╷│╵] ?")
_TEXT_KEPT = 400  # lines
T = TypeVar("T")


class Transcript:
    """Takes every line of one command.

    With ``document`` standard output is one JSON text that may hold secrets: it is kept as ``stdout`` and neither
    logged nor passed on. Otherwise each line is an event; a line that is none becomes a ``Log``. A state that Terraform
    prints because it could save it nowhere goes to ``on_state`` alone.
    """

    def __init__(
        self,
        log: RunLog,
        redactor: Redactor,
        on_event: OnEvent,
        *,
        document: bool = False,
        on_state: OnState = lambda _state: None,
    ) -> None:
        self._log = log
        self._redactor = redactor
        self._on_event: OnEvent | None = on_event
        self._document = document
        self._on_state = on_state
        self.printed_state = False
        self._kept: list[TerraformEvent] = []
        self._stdout: list[str] = []
        self._text: deque[str] = deque(maxlen=_TEXT_KEPT)

    @property
    def stdout(self) -> str:
        """The document; may hold secrets."""
        return "\n".join(self._stdout)

    @property
    def text(self) -> tuple[str, ...]:
        """The lines that were no events, such as a crash or a usage message; clean."""
        return tuple(self._text)

    def line(self, stream: Stream, text: str) -> None:
        """One line, as it comes. A listener that raises is not called again."""
        if self._document and stream == "stdout":
            self._stdout.append(text)
            return
        if holds_state(text):
            self._take_state(text)
            return
        self._log.line(text if stream == "stdout" else f"stderr: {text}")
        event = parse_event(text, self._clean) or self._words(text)
        if isinstance(event, _KEPT):
            self._kept.append(event)
        if event is not None:
            self._tell(event)

    def _take_state(self, text: str) -> None:
        self.printed_state = True
        self.note("Terraform could save its state nowhere and printed it; it is kept out of this log.")
        state = parse_state_dump(text)
        if state is not None:
            self._on_state(state)

    def note(self, text: str) -> None:
        """A word of ours between Terraform's: a line of the log, and a warning to the listener."""
        self._log.line(f"# {text}")
        self._tell(Log("warn", text))

    def end(self, words: str) -> None:
        """The last line of the log."""
        if self._stdout:
            self._log.line(f"# {sum(map(len, self._stdout))} characters on stdout, not logged")
        self._log.line(f"# {words}")
        self._log.close()

    def kept(self, kind: type[T]) -> tuple[T, ...]:
        """The events of this kind, in their order."""
        return tuple(event for event in self._kept if isinstance(event, kind))

    def errors(self) -> tuple[Diagnostic, ...]:
        """Every error, from the stream or, where a command speaks plain text, from that."""
        found = [event for event in self.kept(Diagnostic) if event.severity == "error"]
        found += [event for event in diagnostics_in(list(self._text)) if event.severity == "error"]
        found += [event for event in self.in_document() if event.severity == "error"]
        return tuple(dict.fromkeys(found))

    def document(self) -> dict[str, Any] | None:
        """The JSON object on standard output, empty where nothing was printed; ``None`` for anything else."""
        return json_object(self.stdout.strip() or "{}")

    def in_document(self) -> tuple[Diagnostic, ...]:
        """The diagnostics of a document that has them (``validate -json``)."""
        found = (self.document() or {}).get("diagnostics")
        return tuple(parse_diagnostic(item, self._clean) for item in found) if isinstance(found, list) else ()

    def _tell(self, event: TerraformEvent) -> None:
        if self._on_event is not None:
            listener, self._on_event = self._on_event, None
            listener(event)
            self._on_event = listener

    def _clean(self, text: str) -> str:
        return self._redactor.clean(text)

    def _words(self, text: str) -> Log | None:
        words = self._clean(_FRAME.sub("", plain_text(text))).rstrip()
        self._text.append(words)
        return Log("info", words.strip()) if words.strip() else None


def diagnostics_in(lines: list[str]) -> tuple[Diagnostic, ...]:
    """The errors and warnings in Terraform's text for people: ``Error: …``, where, and what."""
    found: list[Diagnostic] = []
    start: int | None = None
    for number, line in enumerate([*lines, "Error: end"]):
        if _HEAD.match(line):
            if start is not None:
                found.append(_diagnostic(lines[start:number]))
            start = number
    return tuple(found)


def _diagnostic(block: list[str]) -> Diagnostic:
    head = _HEAD.match(block[0])
    severity, summary = (head[1].lower(), head[2]) if head else ("error", block[0])
    place = next((match for match in map(_PLACE.match, block) if match), None)
    address = next((match[1] for match in map(_WITH.match, block) if match), "")
    detail = "\n".join(line for line in block[1:] if not _PLACE.match(line) and not _WITH.match(line)).strip()
    return Diagnostic(severity, summary, detail, address, place[1] if place else "", int(place[2]) if place else None)
