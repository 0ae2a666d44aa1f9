"""Markdown for GitHub and GitLab, escaped so that a name cannot become markup.

https://github.github.com/gfm/
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from gridbyoc.stack.words import visible

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


def fitted(blocks: Sequence[str], *, left_out: str, limit: int = LIMIT, between: str = "\n\n") -> str:
    """Join as many blocks as fit, from the first on. ``left_out`` (with ``{count}``) names the rest.

    ``left_out`` must be short. The text ends at the first block that does not fit.
    """
    reserve = len(left_out.encode()) + 32
    kept: list[str] = []
    used = 0
    for number, block in enumerate(blocks):
        size = len(block.encode("utf-8", "replace")) + 2
        last = number == len(blocks) - 1
        if used + size + (0 if last else reserve) > limit:
            return f"{between.join(kept)}\n\n{left_out.format(count=len(blocks) - number)}\n"
        kept.append(block)
        used += size
    return between.join(kept) + "\n"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
