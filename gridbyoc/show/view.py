"""Show events while they happen: drawn on a terminal, otherwise as plain lines, or as JSON lines on request.

``Views`` defines how events of one kind look (``show.run``: a run's; ``show.fleet``: a fleet's).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TextIO, TypeVar

from gridbyoc.stack.words import json_text

if TYPE_CHECKING:
    from gridbyoc.show.live import Board

E = TypeVar("E")
C = TypeVar("C", contravariant=True)


class View(Protocol[C]):
    """Shows events as they happen; a context manager that restores the terminal."""

    def __call__(self, event: C) -> None:
        """Show one event."""

    def __enter__(self) -> View[C]:
        """Start drawing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""


@dataclass(frozen=True, slots=True)
class Views(Generic[E]):
    """How events of one kind look.

    ``document``: an event's JSON, ``None`` for an event that is not written. ``words`` starts a log: it returns the
    function that makes each event's lines of text. ``board`` starts a drawing, with a clock in seconds.
    """

    document: Callable[[E], Mapping[str, Any] | None]
    words: Callable[[], Callable[[E], Iterable[str]]]
    board: Callable[[Callable[[], float]], Board[E]]


class Lines(Generic[E]):
    """Writes an event's lines as it happens."""

    def __init__(self, stream: TextIO, lines: Callable[[E], Iterable[str]]) -> None:
        self._stream = stream
        self._lines = lines

    def __call__(self, event: E) -> None:
        """Write the event's lines, if any."""
        for line in self._lines(event):
            self._stream.write(line + "\n")
            self._stream.flush()

    def __enter__(self) -> Lines[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()


def plain(views: Views[E], stream: TextIO, environ: Mapping[str, str] = MappingProxyType({})) -> Lines[E]:
    """Write lines of text, for logs, pipelines and terminals that cannot draw; wrapped on a terminal."""
    from gridbyoc.show.layout import for_stream

    words = views.words()
    return Lines(stream, lambda event: (for_stream(line, stream, environ) for line in words(event)))


def json_lines(views: Views[E], stream: TextIO) -> Lines[E]:
    """Write one JSON document per line."""
    return Lines(stream, lambda event: [json_text(found)] if (found := views.document(event)) is not None else [])


def view_of(
    views: Views[E],
    as_lines: bool,
    stdout: TextIO,
    stderr: TextIO,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float],
) -> View[E]:
    """The view for these streams.

    JSON lines on stdout, a drawing on a terminal's stderr, otherwise plain lines there.
    """
    if as_lines:
        return json_lines(views, stdout)
    if stderr.isatty() and environ.get("TERM") != "dumb":
        from gridbyoc.show.live import Live

        return Live(stderr, views.board(clock), environ=environ)
    return plain(views, stderr, environ)
