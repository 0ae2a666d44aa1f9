"""Every known failure of Terraform, AWS and the control plane, with its code, cause and fix.

Only data and text matching, without I/O. A text that matches no known failure is passed on unchanged.
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
