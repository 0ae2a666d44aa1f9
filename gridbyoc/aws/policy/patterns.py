"""IAM's texts: wildcards and policy variables.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ANY = "any"
ONE = "one"
"""A pattern's wildcards; every other token is a single character, so that a value's own ``*`` stays one."""

VARIABLE = re.compile(r"\$\{([^{}]*)\}")
WITH_DEFAULT = re.compile(r"\s*([^,']+?)\s*,\s*'([^']*)'\s*")
Lookup = Callable[[str], "tuple[str, ...] | None"]
"""A context key's values: empty where the request has none, ``None`` where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``tokens`` is ``None`` where a variable has no value: such a text matches nothing.

    ``unknown`` says that the variable may have one, which is not known here.
    """

    tokens: tuple[str, ...] | None
    unknown: bool = False


def read_pattern(text: str, *, wildcards: bool = True, lookup: Lookup | None = None) -> Pattern:
    """Split a policy's text into tokens. ``lookup`` ``None``: no variables (the old version of the language)."""
    if lookup is None:
        return Pattern(tuple(_plain(text, wildcards)))
    tokens: list[str] = []
    end = 0
    for found in VARIABLE.finditer(text):
        value = _variable(found[1], lookup)
        if not isinstance(value, str):
            return Pattern(None, unknown=value is None)
        tokens += [*_plain(text[end : found.start()], wildcards), *value]
        end = found.end()
    rest = text[end:]
    if "${" in rest:
        return Pattern(None)
    return Pattern((*tokens, *_plain(rest, wildcards)))


def _variable(body: str, lookup: Lookup) -> str | bool | None:
    """Its value; ``False`` where it has none, ``None`` where that cannot be told."""
    if body in ("*", "?", "$"):
        return body
    with_default = WITH_DEFAULT.fullmatch(body)
    values = lookup(with_default[1] if with_default else body.strip())
    if values is None:
        return None
    if len(values) == 1:
        return values[0]
    return with_default[2] if with_default and not values else False


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
