"""What tables of the page are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "code", "label", "mark", "bar"]
MARKS = ("pass", "warn", "fail", "unknown", "wait", "none")
"""Each is a drawn sign of its own shape in the page, beside a word."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell. A ``label`` is a code of ours, which stays on one line. ``mark`` is one of ``MARKS``, ``note`` a second
    line, ``bar`` begin and length, of 100.
    """

    text: str
    kind: Kind = "text"
    mark: str = ""
    note: str = ""
    href: str = ""
    bar: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Table:
    """``caption`` is for those who hear the page. The first cell of a row is its heading; ``numbers``: columns."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """One line of the overview: what, how it stands, its mark, and the section (an id) that says more."""

    name: str
    text: str
    mark: str
    section: str
    note: str = ""


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, numbers: Sequence[int] = ()
) -> Table:
    """A table of these rows."""
    return Table(caption, tuple(columns), tuple(tuple(row) for row in rows), tuple(numbers))


def code(text: str, note: str = "") -> Cell:
    """A name of a machine's."""
    return Cell(text, "code", note=note)


def mark(word: str, sign: str) -> Cell:
    """A sign with its word."""
    return Cell(word, "mark", mark=sign if sign in MARKS else "unknown")
