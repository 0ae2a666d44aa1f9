"""IAM's policy language: documents read, requests evaluated. Pure: nothing here asks AWS anything."""

from gridbyoc.aws.policy.digest import digest, redact
from gridbyoc.aws.policy.evaluate import evaluate, evaluate_identity
from gridbyoc.aws.policy.model import Decision, Policy, PrincipalEntry, Statement, StatementName, unreadable
from gridbyoc.aws.policy.parse import PolicyDocumentError, parse_policy
from gridbyoc.aws.policy.request import ANONYMOUS, Actor, Request, ask, principal, some_principal_of
from gridbyoc.aws.policy.trust import assume_request

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
