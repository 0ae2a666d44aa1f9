"""IAM's policy language: parse documents and evaluate requests. Pure functions without AWS calls."""

from gridbyoc.aws.policy.evaluate import assume_request, evaluate, evaluate_identity
from gridbyoc.aws.policy.model import (
    ANONYMOUS,
    Actor,
    Decision,
    Policy,
    PrincipalEntry,
    Request,
    Statement,
    StatementName,
    actor_of,
    ask,
    digest,
    principal,
    redact,
    some_principal_of,
    unreadable,
)
from gridbyoc.aws.policy.parse import PolicyDocumentError, parse_policy

__all__ = [
    "ANONYMOUS",
    "Actor",
    "Decision",
    "Policy",
    "PolicyDocumentError",
    "PrincipalEntry",
    "Request",
    "Statement",
    "StatementName",
    "actor_of",
    "ask",
    "assume_request",
    "digest",
    "evaluate",
    "evaluate_identity",
    "parse_policy",
    "principal",
    "redact",
    "some_principal_of",
    "unreadable",
]
