"""GitHub's and GitLab's Markdown, written so that no name in it can be anything but a name.

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
"""Below the longest comment that GitHub takes, in characters: what posts it may put a mark of its own before it. We
count bytes, which are never fewer."""

_MARKUP = re.compile(r"([\\`*_\[\]<>&~$|!])")
_AT_THE_START = re.compile(r"^(\d*)([-+#>=.)])")
_LONGEST_NAME = 300


def code(text: str) -> str:
    """A code span on one line: its fence is longer than any run of backticks in ``text``."""
    shown = one_line(text) or " "
    fence = "`" * (_longest_run(shown) + 1)
    # A blank on either side is taken away again, and keeps a backtick at the end from joining the fence.
    pad = " " if "`" in shown or shown != shown.strip() or not shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str) -> str:
    """Text of which nothing is markup, HTML or a mention of somebody."""
    escaped = _MARKUP.sub(r"\\\1", one_line(text, longest=2000).strip())
    # A blank of no width after the sign keeps it from naming a person or an issue.
    return _AT_THE_START.sub(r"\1\\\2", escaped).replace("@", "@\u200b").replace("#", "#\u200b")


def fence(lines: Iterable[str], language: str = "") -> str:
    """A code block: its fence is longer than any run of backticks in it."""
    text = "\n".join(visible(line.replace("\t", " ")) for line in lines)
    marks = "`" * max(3, _longest_run(text) + 1)
    return f"{marks}{language}\n{text}\n{marks}"


def details(summary: str, content: str) -> str:
    """A section that is shut until somebody opens it; ``summary`` is any text, ``content`` is Markdown."""
    shown = html.escape(one_line(summary)).replace("@", "&#64;")
    return f"<details><summary><code>{shown}</code></summary>\n\n{content}\n\n</details>"


def one_line(text: str, *, longest: int = _LONGEST_NAME) -> str:
    """Without line ends and what cannot be seen, and not without end."""
    shown = visible(text.replace("\n", " ").replace("\t", " "))
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(shown) - longest} more characters)"


def fitted(blocks: Sequence[str], *, left_out: str, limit: int = LIMIT) -> str:
    """The blocks, a blank line between them, as many as fit from the first on; ``left_out`` (with ``{count}``) says so.

    ``left_out`` must be short. A block alone that is larger than what is left ends the text too.
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
