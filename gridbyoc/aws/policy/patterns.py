"""IAM's texts: wildcards and policy variables.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

ANY = "any"
ONE = "one"
"""A pattern's wildcards; every other token is a single character, so that a value's own ``*`` stays one."""

VARIABLE = re.compile(r"\$\{(\$|[^{}$]*)\}")
NAME = r"[^,'\s:]+:[^,']*[^,'\s]"
VARIABLE_BODY = re.compile(rf"({NAME})(?:, '([^']*)')?")
"""A key, and a default after a comma and one space: no other form is documented."""

Lookup = Callable[[str], "tuple[str, ...] | None"]
"""A context key's values: empty where the request has none, ``None`` where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``tokens`` is ``None`` where a variable has no value: such a text matches nothing.

    ``unknown`` says that it cannot be told what the text stands for: a value that is not known here, or a form of
    variable that AWS does not document. ``early_variable``: one stands before an ARN's last part.
    """

    tokens: tuple[str, ...] | None
    unknown: bool = False
    early_variable: bool = False


def read_pattern(text: str, *, wildcards: bool = True, lookup: Lookup | None = None) -> Pattern:
    """Split a policy's text into tokens. ``lookup`` ``None``: no variables (the old version of the language)."""
    if lookup is None:
        return Pattern(tuple(_plain(text, wildcards)))
    tokens: list[str] = []
    end, void, early = 0, False, False
    for found in VARIABLE.finditer(text):
        before = text[end : found.start()]
        value = _variable(found[1], lookup)
        if value is None or "${" in before:
            return Pattern(None, unknown=True)
        void = void or value is False
        early = early or text.count(":", 0, found.start()) < 5
        tokens += [*_plain(before, wildcards), *(value or "")]
        end = found.end()
    if "${" in text[end:]:
        return Pattern(None, unknown=True)
    return Pattern(None if void else (*tokens, *_plain(text[end:], wildcards)), early_variable=early)


def _variable(body: str, lookup: Lookup) -> str | Literal[False] | None:
    """Its value; ``False`` where it has none, ``None`` where that cannot be told."""
    if body in ("*", "?", "$"):
        return body
    read = VARIABLE_BODY.fullmatch(body)
    values = lookup(read[1]) if read else None
    if read is None or values is None or len(values) > 1 or values == ("",):
        return None
    return values[0] if values else False if read[2] is None else read[2]


def _plain(text: str, wildcards: bool) -> list[str]:
    return [{"*": ANY, "?": ONE}.get(char, char) if wildcards else char for char in text]


def glob(tokens: Sequence[str], text: str) -> bool:
    """Whether the whole text matches: ``ANY`` is any characters or none, ``ONE`` is one. Linear times linear."""
    at = place = 0
    star, mark = -1, 0
    while at < len(text):
        if place < len(tokens) and tokens[place] == ANY:
            star, mark = place, at
            place += 1
        elif place < len(tokens) and tokens[place] in (ONE, text[at]):
            place += 1
            at += 1
        elif star >= 0:
            mark += 1
            place, at = star + 1, mark
        else:
            return False
    return all(token == ANY for token in tokens[place:])


def text_of(tokens: Sequence[str]) -> str:
    """The tokens as text again, with their wildcards as they are written."""
    return "".join({ANY: "*", ONE: "?"}.get(token, token) for token in tokens)


def split_arn(text: str) -> tuple[str, ...] | None:
    """An ARN's six parts (the last may hold colons), or ``None`` for any other text."""
    parts = tuple(text.split(":", 5))
    return parts if len(parts) == 6 and parts[0] == "arn" else None


def split_tokens(tokens: Sequence[str]) -> list[list[str]]:
    """A pattern of an ARN by its six parts (fewer where it has fewer); the last may hold colons."""
    parts: list[list[str]] = [[]]
    for each in tokens:
        if each == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(each)
    return parts
