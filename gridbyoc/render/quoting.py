"""Quote text for each engine's language: YAML, GitHub, GitLab, Argo, Groovy, make."""

from __future__ import annotations

import json
import re

_GROOVY = {"\\": "\\\\", "'": "\\'", "$": "\\u0024", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WORD = re.compile(r"[A-Za-z0-9._-]+( --[a-z-]+(=[a-z]+)?)*")
_MAKE_BREAKS = frozenset(" \t\n\r\v\f\\:;|'\"`")


class Quoted(str):
    """Text that is already in the pipeline's language; the templates print nothing else."""

    __slots__ = ()


def only_quoted(value: object) -> Quoted:
    """Pass ``Quoted`` through; raise ``TypeError`` for a value that no filter has quoted."""
    if not isinstance(value, Quoted):
        raise TypeError("a template prints a value that did not pass a filter for its language")
    return value


def yaml(value: str) -> Quoted:
    """A double-quoted YAML scalar in printable ASCII. Raises ``ValueError`` for text with half a surrogate pair."""
    value.encode()
    return Quoted('"' + "".join(_yaml_character(char) for char in value) + '"')


def _yaml_character(char: str) -> str:
    """The JSON escape, except for surrogate pairs and a literal DEL, which YAML does not allow."""
    if char > "\uffff":
        return f"\\U{ord(char):08X}"
    return "\\x7F" if char == "\x7f" else json.dumps(char)[1:-1]


def word(value: str) -> Quoted:
    """Text that every language accepts unquoted: letters, digits and ``._-``. Else raises ``ValueError``.

    A space before a command-line option (``--name=value``) is allowed, too.
    """
    if _WORD.fullmatch(value) is None:
        raise ValueError(f"{value!r} cannot stand unquoted")
    return Quoted(value)


def github(value: str) -> Quoted:
    """YAML for GitHub Actions. Raises ``ValueError`` if it contains ``${{``, which cannot be escaped there."""
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
    """YAML for Argo Workflows. Raises ``ValueError`` if it contains ``{{``, which cannot be escaped there."""
    if "{{" in value:
        raise ValueError("a value with {{ in it cannot stand in an Argo workflow")
    return yaml(value)


def groovy(value: str) -> Quoted:
    """A single-quoted Groovy string; Groovy evaluates nothing in it."""
    value.encode()
    return Quoted("'" + "".join(_GROOVY.get(char) or _printable(char) for char in value) + "'")


def _printable(char: str) -> str:
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))


def make(value: str) -> Quoted:
    """One word of a Make variable. Raises ``ValueError`` for text that breaks a Make word or a single-quoted recipe."""
    if not value or not value.isprintable() or _MAKE_BREAKS & set(value):
        raise ValueError(f"{value!r} cannot be one word of a Makefile")
    return Quoted(value.replace("$", "$$").replace("#", "\\#"))


def comment(value: str) -> Quoted:
    """Text of a comment: always one line of printable ASCII."""
    return Quoted("".join(char if " " <= char <= "~" else "?" for char in value))
