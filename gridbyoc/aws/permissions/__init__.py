"""What the tool and Terraform call in AWS, as needs, and the policy that allows just that."""

from gridbyoc.aws.permissions.document import MANAGED_POLICY_LIMIT, policy_document, policy_size
from gridbyoc.aws.permissions.model import MANDATORY, PHASES, Need, Phase, Place
from gridbyoc.aws.permissions.needs import USES, needs_of, phases_of

__all__ = [
    "MANAGED_POLICY_LIMIT",
    "MANDATORY",
    "PHASES",
    "USES",
    "Need",
    "Phase",
    "Place",
    "needs_of",
    "phases_of",
    "policy_document",
    "policy_size",
]
