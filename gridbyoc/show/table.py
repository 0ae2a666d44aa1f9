"""Tables: rich on a terminal, aligned plain text elsewhere (so that ``awk`` and a diff can read them)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TextIO

from gridbyoc.stack.words import plain_text


def write_table(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    environ: Mapping[str, str],
    width: int | None = None,
) -> None:
    """Write ``rows`` below ``columns``. Colours and boxes only on a terminal; ``NO_COLOR`` takes colours away.

    ``width`` are the terminal's columns; ``None``: as the terminal says.
    """
    if is_drawn(stream, environ):
        _write_rich(stream, columns, rows, environ, width)
    else:
        stream.write(plain_text(plain_table(columns, rows)) + "\n")
    stream.flush()


def is_drawn(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether somebody looks at it on a terminal that can draw."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """The columns of the terminal that ``stream`` is; ``None`` where it is none, or does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if stream.isatty() else None
    except (OSError, ValueError):
        return None


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as text: two blanks between columns, no trailing blanks."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _write_rich(
    stream: TextIO, columns: Sequence[str], rows: Sequence[Sequence[str]], environ: Mapping[str, str], width: int | None
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for place, column in enumerate(columns):
        longest = max(len(row[place]) for row in (columns, *rows))
        table.add_column(column, overflow="fold", no_wrap=place == 0 and longest <= WHOLE)
    for row in rows:
        table.add_row(*(Text(plain_text(cell), style=STYLES.get(cell, "")) for cell in row))
    Console(file=stream, no_color="NO_COLOR" in environ, highlight=False, width=width).print(table)


WHOLE = 12
"""Characters of the first column that stay on one line, however narrow the terminal: a code is copied whole."""

STYLES = {
    "running": "green",
    "failed": "red",
    "pass": "green",
    "fail": "red",
    "warn": "yellow",
    "terminating": "yellow",
    "pending": "yellow",
    "queued": "yellow",
}
"""A cell's word → its colour."""
