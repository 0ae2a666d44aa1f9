"""All known failures, and the search for the one that a text describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from gridbyoc.errors.cards.aws import ACCESS, CREDENTIALS, RESOURCES
from gridbyoc.errors.cards.control_plane import ANSWERS, REASONS
from gridbyoc.errors.cards.model import KnownFailure, facts_in
from gridbyoc.errors.cards.terraform import BACKENDS, LOCK_TABLE, LOCKS, NETWORK, PROVIDERS

_NOTHING: Mapping[str, str] = MappingProxyType({})
_LONGEST = 20_000  # characters of a text to search; the reason is near its beginning

AWS_CARDS = (*NETWORK, *CREDENTIALS, *RESOURCES, *ACCESS)
"""Failures that AWS reports, in search order: specific before general."""

TERRAFORM_CARDS = (*LOCKS, *BACKENDS, *PROVIDERS, *AWS_CARDS, LOCK_TABLE)
"""Failures that Terraform reports, its own and those of AWS."""

CARDS: tuple[KnownFailure, ...] = tuple(sorted((*TERRAFORM_CARDS, *ANSWERS, *REASONS), key=lambda card: card.code))
"""Every known failure, sorted by code."""

LOCK_CODES = frozenset(card.code for card in (*LOCKS, LOCK_TABLE))
"""The codes of failures to lock the state."""


def card_for(
    text: str, cards: Iterable[KnownFailure] = TERRAFORM_CARDS, *, known: Mapping[str, str] = _NOTHING
) -> KnownFailure | None:
    """The known failure that a text describes, its placeholders filled; ``None`` if there is none.

    Args:
        text: the message of Terraform, AWS or the control plane, wrapped or not.
        cards: the known failures to search; the first match wins.
        known: facts that are not in the text, by placeholder (``UNSAID``): ``profile``, ``init_command``.
    """
    line = " ".join(text[:_LONGEST].replace("│", " ").split())
    for card in cards:
        facts = card.read(line)
        if facts is not None:
            return card.filled({**known, **facts_in(line), **facts})
    return None


def card_for_aws(code: str, message: str, *, operation: str = "") -> KnownFailure | None:
    """The known failure for an error code and message from botocore; ``operation`` is a name such as ``CreateRole``."""
    return card_for(f"api error {code}: {message}", AWS_CARDS, known={"action": operation})


def card_for_answer(
    status: int, words: str = "", *, content_type: str = "", is_api: bool = True
) -> KnownFailure | None:
    """The known failure for a control plane's HTTP response; ``status`` 0: there was none, for the reason in ``words``.

    ``is_api`` is false if the body is not the API's, such as an HTML page.
    """
    if not is_api:
        return card_for(f"HTTP {status:03}, {content_type or 'unknown'}: not the API", ANSWERS)
    return card_for(f"HTTP {status}: {words}" if status else words, ANSWERS)


def card_for_reason(reason: str) -> KnownFailure | None:
    """The known failure for a control plane's reason for a FAILED cluster."""
    return card_for(reason, (*REASONS, *AWS_CARDS))
