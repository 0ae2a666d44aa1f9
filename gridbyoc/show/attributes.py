"""An attribute's old and new value as lines of text; documents as a line-by-line difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from gridbyoc.operations.review.review import UNKNOWN, AttributeChange
from gridbyoc.stack.words import visible

LONGEST_VALUE = 4000
"""The most characters shown of one value; the rest is only counted."""


def diff_lines(change: AttributeChange) -> Iterator[str]:
    """Lines for a ``diff`` code block: each begins with ``-``, ``+`` or a blank."""
    before, after = _lines(change.before), _lines(change.after)
    if len(before) > 1 and len(after) > 1:
        yield f"  {change.name}:"
        marked = difflib.unified_diff(before, after, n=2, lineterm="")
        yield from (line for line in marked if not line.startswith(("---", "+++", "@@")))
        return
    for sign, value in (("-", before), ("+", after)):
        for number, line in enumerate(value):
            yield f"{sign} {change.name}: {line}" if number == 0 else f"{sign}   {line}"


def terminal_lines(change: AttributeChange, *, created: bool = False) -> Iterator[str]:
    """Lines for a terminal or a log: ``name: old -> new``.

    ``created``: the resource is new and has no old values; values that are not known yet are left out.
    """
    before, after = _lines(change.before), _lines(change.after)
    if len(before) > 1 or len(after) > 1:
        yield from map(visible, diff_lines(change))
    elif not created:
        old, new = (value[0] if value else "(none)" for value in (before, after))
        yield visible(f"{change.name}: {old} -> {new}")
    elif after and change.after != UNKNOWN:
        yield visible(f"{change.name}: {after[0]}")


def _lines(text: str | None) -> list[str]:
    if text is None:
        return []
    more = len(text) - LONGEST_VALUE
    return (text if more <= 0 else f"{text[:LONGEST_VALUE]}… ({more} more characters)").split("\n")
