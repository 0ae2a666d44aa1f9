"""Write values as HCL. Only this module creates text that templates may print into a ``.tf`` file.

Syntax: https://developer.hashicorp.com/terraform/language/expressions/strings
"""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ARGUMENT = re.compile(r"( *)([A-Za-z0-9_-]+) *= (.*[^{(\[])")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile(r"""[\\"]|[$%](?=\{)|[^ -~]""")


class Hcl(str):
    """Text that is already HCL; the templates print nothing else."""

    __slots__ = ()


def hcl(value: object) -> Hcl:
    """A string, number or boolean as an HCL literal that always evaluates to exactly that value.

    The result is printable ASCII on one line. Raises ``TypeError`` for any other type and ``ValueError`` for text that
    is not Unicode (half a surrogate pair).
    """
    if isinstance(value, bool):
        return Hcl(str(value).lower())
    if isinstance(value, int):
        return Hcl(value)
    if not isinstance(value, str):
        raise TypeError(f"a value of type {type(value).__name__} cannot stand in HCL")
    return Hcl(f'"{_SPECIAL.sub(_escape, value)}"')


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    number = ord(character)
    if 0xD800 <= number <= 0xDFFF:
        raise ValueError("text with half a surrogate pair cannot stand in HCL")
    # $ and % are matched only before {; escaped as numbers, they cannot open a template.
    return _SHORT.get(character) or (f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}")


def is_identifier(name: str) -> bool:
    """Whether an argument can have this name (ASCII only; Terraform allows more)."""
    return _IDENTIFIER.fullmatch(name) is not None


def identifier(name: str) -> Hcl:
    """The name itself. Raises ``ValueError`` if it is not an identifier."""
    if not is_identifier(name):
        raise ValueError(f"{name!r} is not a name that an argument can have")
    return Hcl(name)


def only_hcl(value: object) -> Hcl:
    """Pass ``Hcl`` through; raise ``TypeError`` for a value that no filter (``hcl``, ``identifier``) has made safe."""
    if not isinstance(value, Hcl):
        raise TypeError("a template prints a value that did not pass the hcl filter")
    return value


def align(text: str) -> str:
    """Align the ``=`` of neighbouring one-line arguments, as ``terraform fmt`` does."""
    lines: list[str] = []
    group: list[re.Match[str]] = []
    for line in [*text.split("\n"), ""]:
        match = _ARGUMENT.fullmatch(line)
        if group and (match is None or match[1] != group[0][1]):
            lines += _aligned(group)
            group = []
        if match:
            group.append(match)
        else:
            lines.append(line)
    return "\n".join(lines[:-1])


def _aligned(group: list[re.Match[str]]) -> list[str]:
    width = max(len(match[2]) for match in group)
    return [f"{match[1]}{match[2].ljust(width)} = {match[3]}" for match in group]
