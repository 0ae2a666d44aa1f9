"""Markdown for GitHub and GitLab, escaped so that a name cannot become markup.

https://github.github.com/gfm/
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from gridbyoc.stack.words import plain_text, visible

LIMIT = 65_536 - 256
"""The most bytes of a comment. GitHub allows 65,536 characters (never more than bytes); the program that posts the
comment may add a marker before it."""

_MARKUP = re.compile(r"([\\`*_\[\]<>&~$|!])")
_AT_THE_START = re.compile(r"^(\d*)([-+#>=.)])")
_LONGEST_NAME = 300


def code(text: str) -> str:
    """A code span on one line: its fence is longer than any run of backticks in ``text``."""
    shown = one_line(text) or " "
    fence = "`" * (_longest_run(shown) + 1)
    # Markdown strips one blank on either side; it keeps a backtick at the end from joining the fence.
    pad = " " if "`" in shown or shown != shown.strip() or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str) -> str:
    """Text in which nothing is markup, HTML or a mention of somebody."""
    escaped = _MARKUP.sub(r"\\\1", one_line(text, longest=2000).strip())
    # A zero-width space after the sign prevents a mention of a person or an issue.
    return _AT_THE_START.sub(r"\1\\\2", escaped).replace("@", "@\u200b").replace("#", "#\u200b")


def fence(lines: Iterable[str], language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    text = "\n".join(visible(line.replace("\t", " ")) for line in lines)
    marks = "`" * max(3, _longest_run(text) + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def details(summary: str, content: str) -> str:
    """A collapsed section; ``summary`` is any text, ``content`` is Markdown."""
    shown = html.escape(one_line(summary)).replace("@", "&#64;")
    return f"<details><summary><code>{shown}</code></summary>\n\n{content}\n\n</details>"


def one_line(text: str, *, longest: int = _LONGEST_NAME) -> str:
    """The text on one line, without invisible characters, limited in length."""
    shown = visible(text.replace("\n", " ").replace("\t", " "))
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(shown) - longest} more characters)"


def fitted(blocks: Sequence[str], *, left_out: str, limit: int = LIMIT) -> str:
    """Join as many blocks as fit, from the first on, with blank lines. ``left_out`` (with ``{count}``) names the rest.

    ``left_out`` must be short. The text ends at the first block that does not fit.
    """
    reserve = len(left_out.encode()) + 32
    kept: list[str] = []
    used = 0
    for number, block in enumerate(blocks):
        size = len(block.encode("utf-8", "replace")) + 2
        last = number == len(blocks) - 1
        if used + size + (0 if last else reserve) > limit:
            return "\n\n".join([*kept, left_out.format(count=len(blocks) - number)]) + "\n"
        kept.append(block)
        used += size
    return "\n\n".join(kept) + "\n"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def write_table(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    environ: Mapping[str, str],
    width: int | None = None,
) -> None:
    """Write ``rows`` below ``columns``. Colours and boxes only on a terminal; ``NO_COLOR`` disables colours.

    ``width``: the terminal's columns; ``None``: as the terminal reports.
    """
    if is_drawn(stream, environ):
        _write_rich(stream, columns, rows, environ, width)
    else:
        stream.write(plain_text(plain_table(columns, rows)) + "\n")
    stream.flush()


def is_drawn(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal that can draw."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """The number of columns of the terminal; ``None`` if ``stream`` is none, or does not report it."""
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
"""The first column stays on one line up to this many characters, even on a narrow terminal.

A user can then copy a code.
"""

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
"""The colour of a cell's word."""
