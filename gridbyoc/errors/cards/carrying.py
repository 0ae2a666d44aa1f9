"""An error that a card is put on."""

from __future__ import annotations

from typing import TypeVar

from gridbyoc.errors.base import GridbyocError
from gridbyoc.errors.cards.model import Card

E = TypeVar("E", bound=GridbyocError)


def carrying(error: E, card: Card | None, *, keep: bool = False) -> E:
    """``error`` with the card's code, cause and fix; as it was without a card. The exit status stays its kind's.

    The cause is put behind what ``why`` says already. With ``keep`` a ``why`` and a ``fix`` that are there stay.
    """
    if card is None:
        return error
    error.code = card.code
    if not (keep and error.why):
        error.why = f"{_sentence(error.why)} {card.cause}".strip()
    if not (keep and error.fix):
        error.fix = card.fix
    return error


def _sentence(text: str) -> str:
    words = text.rstrip()
    return words if not words or words.endswith((".", "!", "?")) else f"{words}."
