"""A value that does not show itself."""

from __future__ import annotations

from typing import NoReturn

MASK = "[secret]"
"""What stands in a secret's place."""

SHORTEST_TO_HIDE = 8
"""Characters. A shorter secret is part of too many ordinary words to be taken out of them."""


class Secret:
    """Holds text that must not reach a log, a traceback, a repr or JSON; only ``reveal()`` hands it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself. Call it where the value leaves for its destination, nowhere else."""
        return self._value

    def hidden_in(self, text: str) -> str:
        """``text`` with ``[secret]`` in the secret's place; one that is shorter than ``SHORTEST_TO_HIDE`` is left."""
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
