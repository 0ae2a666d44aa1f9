"""Renderers of one event stream: live on a terminal, plain lines elsewhere, JSON lines where asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, TextIO

from gridbyoc.operations.events import Event


class Renderer(Protocol):
    """Takes events as they happen; a context manager, so that a live view leaves the terminal as it was."""

    def __call__(self, event: Event) -> None:
        """Show one event."""

    def __enter__(self) -> Renderer:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""


def renderer(
    as_lines: bool,
    stdout: TextIO,
    stderr: TextIO,
    *,
    environ: Mapping[str, str],
    clock: Callable[[], float],
) -> Renderer:
    """The renderer for this output: JSON lines on stdout, a live view on a terminal's stderr, else plain lines."""
    if as_lines:
        from gridbyoc.show.json_lines import JsonLines

        return JsonLines(stdout)
    if stderr.isatty() and environ.get("TERM") != "dumb":
        from gridbyoc.show.live import Live

        return Live(stderr, environ=environ, clock=clock)
    from gridbyoc.show.plain import Plain

    return Plain(stderr)
