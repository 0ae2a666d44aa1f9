"""All cards, and which of them a text is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from gridbyoc.errors.cards.aws import ACCESS, CREDENTIALS, RESOURCES
from gridbyoc.errors.cards.control_plane import ANSWERS, REASONS
from gridbyoc.errors.cards.model import KnownFailure, facts_in
from gridbyoc.errors.cards.terraform import BACKENDS, LOCK_TABLE, LOCKS, NETWORK, PROVIDERS

_NOTHING: Mapping[str, str] = MappingProxyType({})
_LONGEST = 20_000  # characters of a text that are looked at: a reason stands near the beginning

AWS_CARDS = (*NETWORK, *CREDENTIALS, *RESOURCES, *ACCESS)
"""What AWS says, in the order of looking: the certain before the general."""

TERRAFORM_CARDS = (*LOCKS, *BACKENDS, *PROVIDERS, *AWS_CARDS, LOCK_TABLE)
"""What Terraform says, of itself and of AWS."""

CARDS: tuple[KnownFailure, ...] = tuple(sorted((*TERRAFORM_CARDS, *ANSWERS, *REASONS), key=lambda card: card.code))
"""Every card there is, by code."""

LOCK_CODES = frozenset(card.code for card in (*LOCKS, LOCK_TABLE))
"""The codes of a state that another run holds."""


def card_for(
    text: str, cards: Iterable[KnownFailure] = TERRAFORM_CARDS, *, known: Mapping[str, str] = _NOTHING
) -> KnownFailure | None:
    """The card that a text is about, its placeholders filled; ``None`` where no card is.

    Args:
        text: what Terraform, AWS or the control plane said, wrapped or not.
        cards: where to look, the first that matches.
        known: facts that the text does not tell, by placeholder (``UNSAID``): ``profile``, ``init_command``.
    """
    line = " ".join(text[:_LONGEST].replace("│", " ").split())
    for card in cards:
        facts = card.read(line)
        if facts is not None:
            return card.filled({**known, **facts_in(line), **facts})
    return None


def card_for_aws(code: str, message: str, *, operation: str = "") -> KnownFailure | None:
    """The card for AWS's error code and message, as botocore has them; ``operation`` such as ``CreateRole``."""
    return card_for(f"api error {code}: {message}", AWS_CARDS, known={"action": operation})


def card_for_answer(
    status: int, words: str = "", *, content_type: str = "", is_api: bool = True
) -> KnownFailure | None:
    """The card for a control plane's HTTP answer; ``status`` 0 where there was none, ``words`` then say why.

    ``is_api`` is false where the body is not what the API answers with: a page of HTML.
    """
    if not is_api:
        return card_for(f"HTTP {status:03}, {content_type or 'unknown'}: not the API", ANSWERS)
    return card_for(f"HTTP {status}: {words}" if status else words, ANSWERS)


def card_for_reason(reason: str) -> KnownFailure | None:
    """The card for the reason that a control plane gives for a cluster that FAILED."""
    return card_for(reason, (*REASONS, *AWS_CARDS))
