"""Requests to raise a quota: those there are, and a new one, never two for one quota."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.quotas.counting import pages
from gridbyoc.aws.quotas.model import Increase
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.stack.service_quotas import QuotaCode, quota_by_code, quota_codes, quota_region

HISTORY = "list_requested_service_quota_change_history"


def open_request(session: AwsSession, quota: QuotaCode) -> Increase | None:
    """The request for this quota that AWS has yet to decide; ``None`` where there is none. ``AwsError``."""
    where = quota_region(quota, session.region)
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    with domain_errors(f"The requests for the quota {quota.code} could not be read"):
        client = session.client("service-quotas", where)
        try:
            found = list(pages(client, f"{HISTORY}_by_quota", "RequestedQuotas", **asked))
        except ClientError as error:
            if error_code(error) != "NoSuchResourceException":
                raise
            return None  # nobody has ever asked for this one
        return next((each for each in (_increase(item, where) for item in found) if each.open), None)


def request_increase(session: AwsSession, quota: QuotaCode, desired: int) -> Increase | None:
    """Ask AWS for ``desired``; ``None`` where a request is under way already. ``AwsError`` where it is refused."""
    where = quota_region(quota, session.region)
    with domain_errors(f"The quota {quota.code} ({quota.name}) could not be asked for"):
        try:
            answer = session.client("service-quotas", where).request_service_quota_increase(
                ServiceCode=quota.service, QuotaCode=quota.code, DesiredValue=float(desired)
            )
        except ClientError as error:
            if error_code(error) == "ResourceAlreadyExistsException":
                return None
            raise
        return _increase(answer["RequestedQuota"], where)


def read_request(session: AwsSession, request: Increase) -> Increase:
    """The request as it stands now; ``AwsError``."""
    with domain_errors(f"The request {request.id} could not be read"):
        client = session.client("service-quotas", request.region)
        answer = client.get_requested_service_quota_change(RequestId=request.id)
        return _increase(answer["RequestedQuota"], request.region)


def list_requests(session: AwsSession, region: str) -> tuple[Increase, ...]:
    """Every request for one of our quotas in a region, in AWS's order; ``AwsError``."""
    ours = {quota.code for quota in quota_codes()}
    with domain_errors(f"The quota requests in {region} could not be read"):
        found = list(pages(session.client("service-quotas", region), HISTORY, "RequestedQuotas"))
        return tuple(_increase(item, region) for item in found if item["QuotaCode"] in ours)


def _increase(item: Mapping[str, Any], region: str) -> Increase:
    return Increase(
        id=str(item["Id"]),
        quota=quota_by_code(str(item["QuotaCode"])),
        region=region,
        desired=float(item["DesiredValue"]),
        status=str(item["Status"]),
        case_id=str(item.get("CaseId") or ""),
        created=item.get("Created"),
        updated=item.get("LastUpdated"),
    )
