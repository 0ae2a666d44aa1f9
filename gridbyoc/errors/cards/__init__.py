"""Failure cards: every known failure of Terraform, AWS and the control plane, with its code, cause and fix.

Data and matching over text, without any input or output. What matches no card passes through as it was.
"""

from gridbyoc.errors.cards.catalogue import (
    AWS_CARDS,
    CARDS,
    LOCK_CODES,
    TERRAFORM_CARDS,
    card_for,
    card_for_answer,
    card_for_aws,
    card_for_reason,
)
from gridbyoc.errors.cards.model import (
    AFTER_FIX,
    LATER,
    UNSAID,
    KnownFailure,
    with_known_failure,
)
from gridbyoc.errors.cards.terraform import ENDPOINTS

__all__ = [
    "AFTER_FIX",
    "AWS_CARDS",
    "CARDS",
    "ENDPOINTS",
    "LATER",
    "LOCK_CODES",
    "TERRAFORM_CARDS",
    "UNSAID",
    "KnownFailure",
    "card_for",
    "card_for_answer",
    "card_for_aws",
    "card_for_reason",
    "with_known_failure",
]
