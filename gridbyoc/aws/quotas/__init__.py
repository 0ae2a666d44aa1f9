"""Quotas: what the account may have, what it has, and asking for more."""

from gridbyoc.aws.quotas.limits import read_limit
from gridbyoc.aws.quotas.model import AccountQuotas, Increase, Limit, QuotaReading, Use
from gridbyoc.aws.quotas.read import read_quotas
from gridbyoc.aws.quotas.requests import list_requests, open_request, read_request, request_increase

__all__ = [
    "AccountQuotas",
    "Increase",
    "Limit",
    "QuotaReading",
    "Use",
    "list_requests",
    "open_request",
    "read_limit",
    "read_quotas",
    "read_request",
    "request_increase",
]
