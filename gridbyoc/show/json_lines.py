"""One JSON object a line: ``{"type": "step_started", …}``; the last line of a run is its report."""

from __future__ import annotations

from dataclasses import asdict
from types import TracebackType
from typing import TextIO

from gridbyoc.operations.events import Asking, Event
from gridbyoc.stack.words import json_text


class JsonLines:
    """Writes each event as it happens."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write the event's line."""
        if isinstance(event, Asking):
            return
        fields = {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(event).items()}
        self._stream.write(json_text({"type": event.type, **fields}) + "\n")
        self._stream.flush()

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()
