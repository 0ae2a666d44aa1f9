"""One layout for every stack file, as `terraform fmt` has one for configurations: comments, order and values stay."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_BLANK_LINES = re.compile(r"\n{3,}")
_AT_LINE_END = re.compile(r"[ \t]+(?=\n)")
_ROUNDS = 3


def laid_out(text: str) -> str | None:
    """``text`` with two blanks for each level, lists four, no blanks at line ends, one line feed at the end.

    ``None`` where that cannot be done without changing what it says: it is no YAML mapping, or has parts (several
    documents, texts over several lines with blanks at their ends) that a new layout would not keep.
    """
    found = text.replace("\r\n", "\n")
    before = _values(found)
    if not isinstance(before, dict):
        return None
    for _ in range(_ROUNDS):
        found, last = _once(found), found
        if _values(found) != before:
            return None
        if found == last:
            return found
    return None


def _once(text: str) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(yaml.load(text), stream)
    plain = _AT_LINE_END.sub("", stream.getvalue())
    return _BLANK_LINES.sub("\n\n", plain).strip("\n") + "\n"


def _values(text: str) -> Any:  # noqa: ANN401 - whatever YAML holds
    """What a text says, without its layout; ``None`` for what is no YAML."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        return None
