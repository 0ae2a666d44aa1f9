"""Quoting text for the language of each engine: YAML, GitHub, GitLab, Argo, Groovy, make."""

from __future__ import annotations

import json
import re

_GROOVY = {"\\": "\\\\", "'": "\\'", "$": "\\u0024", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORD = re.compile(r"[A-Za-z0-9._-]+( --[a-z-]+(=[a-z]+)?)*")
_MAKE_BREAKS = frozenset(" \t\n\r\v\f\\:;|'\"`")


class Quoted(str):
    """Text in a pipeline's own language already: the templates print nothing else."""

    __slots__ = ()


def only_quoted(value: object) -> Quoted:
    """Let nothing into a pipeline that did not come out of a filter: ``TypeError``."""
    if not isinstance(value, Quoted):
        raise TypeError("a template prints a value that did not pass a filter for its language")
    return value


def yaml(value: str) -> Quoted:
    """A double-quoted YAML scalar in printable ASCII. ``ValueError`` for text with half a surrogate pair."""
    value.encode()
    return Quoted('"' + "".join(_yaml_character(char) for char in value) + '"')


def _yaml_character(char: str) -> str:
    """As JSON has it, but for what YAML has not: pairs of surrogates, and DEL as it is."""
    if char > "\uffff":
        return f"\\U{ord(char):08X}"
    return "\\x7F" if char == "\x7f" else json.dumps(char)[1:-1]


def word(value: str) -> Quoted:
    """Text that stands as it is, unquoted, in every language: letters, digits and ``._-``, or ``ValueError``.

    A blank before a sign of a command line's option is let through, too.
    """
    if _WORD.fullmatch(value) is None:
        raise ValueError(f"{value!r} cannot stand unquoted")
    return Quoted(value)


def github(value: str) -> Quoted:
    """YAML for GitHub Actions. ``ValueError`` where it holds ``${{``, which has no escape there."""
    if "${{" in value:
        raise ValueError("a value with ${{ in it cannot stand in a workflow")
    return yaml(value)


def literal(value: str) -> str:
    """A string in an expression of GitHub Actions; the whole expression must still pass ``github``."""
    return "'" + value.replace("'", "''") + "'"


def gitlab(value: str) -> Quoted:
    """YAML for GitLab CI's ``variables``, where ``$$`` is a dollar."""
    return yaml(value.replace("$", "$$"))


def argo(value: str) -> Quoted:
    """YAML for Argo Workflows. ``ValueError`` where it holds ``{{``, which has no escape there."""
    if "{{" in value:
        raise ValueError("a value with {{ in it cannot stand in an Argo workflow")
    return yaml(value)


def groovy(value: str) -> Quoted:
    """A single-quoted Groovy string: nothing in it is evaluated."""
    value.encode()
    return Quoted("'" + "".join(_GROOVY.get(char) or _printable(char) for char in value) + "'")


def _printable(char: str) -> str:
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))


def make(value: str) -> Quoted:
    """One word of a Make variable. ``ValueError`` for what no Make can hold in a word, or a recipe in single quotes."""
    if not value or not value.isprintable() or _MAKE_BREAKS & set(value):
        raise ValueError(f"{value!r} cannot be one word of a Makefile")
    return Quoted(value.replace("$", "$$").replace("#", "\\#"))


def comment(value: str) -> Quoted:
    """Text after a comment's sign: one line, whatever is in it."""
    return Quoted("".join(char if " " <= char <= "~" else "?" for char in value))
