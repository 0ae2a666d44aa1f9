"""A wrapper for a secret value that hides it from logs, reprs and JSON."""

from __future__ import annotations

from typing import NoReturn

MASK = "[secret]"
"""The text that replaces a secret."""

SHORTEST_TO_HIDE = 8
"""Characters. A shorter secret may be part of ordinary words, so it is not replaced in text."""


class Secret:
    """Text that must not reach a log, a traceback, a repr or JSON; only ``reveal()`` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself. Call it only where the value is sent to its destination."""
        return self._value

    def hidden_in(self, text: str) -> str:
        """``text`` with the secret replaced by ``[secret]``; unchanged if it is shorter than ``SHORTEST_TO_HIDE``."""
        return text if len(self._value) < SHORTEST_TO_HIDE else text.replace(self._value, MASK)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")
