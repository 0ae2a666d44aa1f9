"""GitHub's and GitLab's Markdown, written so that no name in it can be anything but a name.

https://github.github.com/gfm/
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from gridbyoc.stack.words import visible

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
