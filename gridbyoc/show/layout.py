"""Fit text and tables to the width of a terminal.

Lines break between words. A word is never cut: an ARN, a code or an address that is longer than the terminal is wide
stands on a line of its own, which the terminal wraps and a user can copy whole.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from gridbyoc.stack.words import plain_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
GAP = "  "
LEAST_PROSE, LEAST_LAST = 18, 24
"""The fewest columns for prose in a table, and in its last column; a table that leaves less becomes blocks."""
SHORT = 12
"""The most columns of the cells that share a line in a block."""

_LEAD = re.compile(
    r"\s*(?:(?:-/\+|<=|[-+~!?*✓✗])\s+|(?:why|do|needed|found|read by|more|fix):\s+|[^\s`]+(?: [^\s`]+)?:?\s{2,})?"
)
"""The start of a line that the following lines are indented by: a sign, or a label and the gap after it."""
_WORD = re.compile(r"(?:[^\s`]*`[^`\n]*`)+[^\s`]*|\S+")
"""A command or a name in backticks is one word, with its blanks."""


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int | None:
    """The number of columns of the terminal; ``None`` if ``stream`` is none, or does not report it.

    ``COLUMNS`` in the environment takes precedence, as for other programs.
    """
    if not stream.isatty():
        return None
    asked = environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and int(asked):
        return int(asked)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def for_stream(text: str, stream: TextIO, environ: Mapping[str, str]) -> str:
    """``text`` without control characters, wrapped if ``stream`` is a terminal."""
    return "\n".join(wrapped(plain_text(text), width_of(stream, environ)))


def columns_of(text: str) -> int:
    """The columns that a text takes on a terminal: two for each wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrapped(text: str, width: int | None, lead: int | None = None) -> list[str]:
    """The lines of ``text``, each at most ``width`` columns or one longer word; ``None``: unchanged.

    Further lines are indented to the text after the first line's sign or label, or by the length of its ``lead``.
    """
    lines = text.split("\n")
    return lines if width is None else [part for line in lines for part in _wrapped_line(line, width, lead)]


def _wrapped_line(line: str, width: int, given: int | None) -> Iterator[str]:
    if columns_of(line) <= width:
        yield line
        return
    found = _LEAD.match(line)
    lead = line[:given] if given else found.group() if found else ""
    indent = len(lead) - len(lead.lstrip())
    hang = columns_of(lead) if lead.strip() else indent + 2
    if hang > width // 2:
        lead, hang = lead[:indent], indent + 2
    sign = not any(char.isalnum() for char in lead)
    current, empty = lead, True
    for gap, word in _words(line[len(lead) :], width - hang):
        joined = current + ("" if empty else gap) + word
        if columns_of(joined) <= width or (empty and sign):
            current, empty = joined, False
            continue
        if current.strip():
            yield current.rstrip()
        current, empty = " " * max(0, min(hang, width - columns_of(word))) + word, False
    yield current.rstrip()


def _words(text: str, room: int) -> Iterator[tuple[str, str]]:
    """Each unit that stays on one line, and the gap before it.

    A unit is a word, or, in a line of several columns, a column if it fits.
    """
    for number, column in enumerate(re.split(r"\s{2,}", text.strip())):
        gap = GAP if number else " "
        if GAP in text.strip() and columns_of(column) <= room:
            yield gap, column
            continue
        for word in _WORD.findall(column):
            for part in [word] if columns_of(word) <= room else word.split():
                yield gap, part
                gap = " "


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as text: two blanks between columns, no trailing blanks."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    lines = [GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def console_of(stream: TextIO, environ: Mapping[str, str], width: int | None = None) -> Console:
    """A console on a terminal: without colours if ``NO_COLOR`` is set, without any styles if it cannot draw."""
    from rich.console import Console

    return Console(
        file=stream,
        no_color="NO_COLOR" in environ,
        color_system=None if environ.get("TERM") == "dumb" else "auto",
        highlight=False,
        width=width or width_of(stream, environ),
    )


def write_table(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    environ: Mapping[str, str],
    width: int | None = None,
) -> None:
    """Write ``rows`` below ``columns``; as blocks, one for each row, if the terminal is too narrow for the table.

    Colours only on a terminal; ``NO_COLOR`` disables them. ``width``: the terminal's columns; ``None``: as the terminal
    reports. Without a terminal, each row is one line.
    """
    if stream.isatty():
        console = console_of(stream, environ, width)
        cleaned = [tuple(plain_text(cell) for cell in row) for row in rows]
        lines = _table(columns, cleaned, console.width) or _blocks(columns, cleaned, console.width)
        for line in lines:
            # Already fitted: rich would cut a word that is longer than the line.
            console.print(line, soft_wrap=True)
    else:
        stream.write(plain_text(plain_table(columns, rows)) + "\n")
    stream.flush()


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[tuple[int, ...]]:
    """Ways to fit the columns of a table into ``width``; none if it is too narrow.

    No word is cut, but one in the last column may begin further to the left on a line of its own. Columns of prose
    share the room that the others leave, by the length of their texts or the shortest first.
    """
    cells = [[row[place] for row in (columns, *rows)] for place in range(len(columns))]
    natural = [max(columns_of(line) for cell in column for line in cell.split("\n")) for column in cells]
    room = width - len(GAP) * (len(columns) - 1)
    if sum(natural) <= room:
        return [tuple(natural)]
    longest = [max((columns_of(word) for cell in column for word in cell.split()), default=0) for column in cells]
    last = len(columns) - 1
    least = [max(word, min(size, LEAST_PROSE)) for size, word in zip(natural, longest, strict=True)]
    least[last] = min(natural[last], LEAST_LAST)
    least[0] = natural[0]  # the row's name stays on one line
    spare, wish = room - sum(least), [size - low for size, low in zip(natural, least, strict=True)]
    if spare < 0:
        return []
    shared = tuple(low + spare * more // sum(wish) for low, more in zip(least, wish, strict=True))
    ordered = list(least)
    for place in sorted(range(len(columns)), key=lambda place: wish[place]):
        ordered[place] += min(spare, wish[place])
        spare -= min(spare, wish[place])
    return [tuple(ordered), shared]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Text]:
    """The lines of the table; none if it does not fit, or if blocks are shorter."""
    ways = [_rows(columns, rows, widths, width) for widths in _widths(columns, rows, width)]
    best = min(ways, key=len, default=[])
    higher = len(best) > 2 * len(rows) + 2
    return [] if higher and len(best) > len(_blocks(columns, rows, width)) else best


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], width: int) -> list[Text]:
    from rich.text import Text

    header = GAP.join(name.ljust(size) for name, size in zip(columns, widths, strict=True)).rstrip()
    rule = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    found = [Text(header, style="bold"), Text(rule, style="dim")]
    for row in rows:
        parts = [cell_lines(cell, size) for cell, size in zip(row, widths, strict=True)]
        for number in range(max(map(len, parts))):
            line = Text()
            for lines, size, cell in zip(parts, widths, row, strict=True):
                part = lines[number] if number < len(lines) else ""
                if columns_of(part) > size:
                    line.rstrip()
                    found += [line] if line else []
                    line = Text(" " * max(0, width - columns_of(part)))
                line.append(part, style=STYLES.get(cell, ""))
                line.append(" " * (size - columns_of(part)) + GAP)
            line.rstrip()
            found.append(line)
    return found


def cell_lines(cell: str, width: int) -> list[str]:
    """A cell's text, wrapped between words, in lines without indentation."""
    lines: list[str] = []
    for text in cell.split("\n"):
        current = ""
        for word in text.split():
            joined = f"{current} {word}" if current else word
            if columns_of(joined) > width and current:
                lines.append(current)
                joined = word
            current = joined
        lines.append(current)
    return lines


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Text]:
    """Each row as a block: its first cell, then the further cells with their columns' names.

    Columns of short cells that follow each other share a line.
    """
    from rich.text import Text

    label = max(map(columns_of, columns)) + len(GAP)
    short_columns = {place for place in range(1, len(columns)) if all(columns_of(row[place]) <= SHORT for row in rows)}
    found: list[Text] = []
    for number, row in enumerate(rows):
        found += [Text()] if number else []
        line = Text()
        for place, (name, cell) in enumerate(zip(columns, row, strict=True)):
            if not cell:
                continue
            style = "bold" if place == 0 else STYLES.get(cell, "")
            head = f"{'' if place == 0 else GAP}{name}".ljust(label + len(GAP) * (place > 0))
            if place not in short_columns:
                found += [line] if line else []
                line = Text()
                found += _cell(head, cell, style, width)
                continue
            pair = Text.assemble((f"{name} ", "dim"), (cell, style))
            if line and line.cell_len + len(GAP) + pair.cell_len <= width:
                line = line.append(GAP).append_text(pair)
                continue
            found += [line] if line else []
            line = Text.assemble((head, "dim"), (cell, style))
        found += [line] if line else []
    return found


def _cell(head: str, cell: str, style: str, width: int) -> Iterator[Text]:
    """A long cell after its label. A word that is too long for that begins further to the left."""
    from rich.text import Text

    for number, part in enumerate(cell_lines(cell, max(width - len(head), 1))):
        room = max(0, width - columns_of(part))
        if number == 0 and room < len(head):
            yield Text(head.rstrip(), style="dim")
        lead = head if number == 0 and room >= len(head) else " " * min(len(head), room)
        yield Text.assemble((lead, "dim"), (part, style))
