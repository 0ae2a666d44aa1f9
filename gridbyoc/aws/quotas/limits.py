"""A quota's value from Service Quotas: the account's own, or else AWS's default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.quotas.model import Limit
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import AwsError
from gridbyoc.stack.service_quotas import QuotaCode, quota_region

APPLIED = "servicequotas:GetServiceQuota"
DEFAULT = "servicequotas:GetAWSDefaultServiceQuota"


def read_limit(session: AwsSession, quota: QuotaCode) -> Limit:
    """What holds for clusters in the session's region. Never raises ``AwsError``: what cannot be read has no value.

    A quota that nobody has set for the account has no applied value, and its default holds:
    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
    """
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        with domain_errors(f"The quota {quota.code} could not be read"):
            client = session.client("service-quotas", quota_region(quota, session.region))
            try:
                return _limit(client.get_service_quota(**asked)["Quota"], APPLIED)
            except ClientError as error:
                if error_code(error) != "NoSuchResourceException":
                    raise
            return _limit(client.get_aws_default_service_quota(**asked)["Quota"], DEFAULT)
    except AwsError as error:
        return Limit(None, why=reason(error), source=APPLIED)


def reason(error: AwsError) -> str:
    """Why something could not be read, in one line."""
    return error.why or error.what


def _limit(found: Mapping[str, Any], source: str) -> Limit:
    value = found.get("Value")
    # Service Quotas answers without a value where it may not ask the service itself, and says so.
    trouble = dict(found.get("ErrorReason") or {})
    why = "" if value is not None else str(trouble.get("ErrorMessage") or "Service Quotas gave no value.")
    return Limit(
        None if value is None else float(value), str(found.get("QuotaName", "")), found.get("Adjustable"), why, source
    )
