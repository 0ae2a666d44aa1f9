"""Check that AWS is reachable: STS at a region's endpoint, the clock difference, and whether a region is enabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.identity import Caller
from gridbyoc.aws.session import AwsSession, domain_errors
from gridbyoc.errors import AwsCredentialsError, AwsError
from gridbyoc.stack.regions import HOME_REGIONS

NOT_ENABLED_OR_WRONG = "InvalidClientTokenId"
"""A region's error for valid keys of an account that has not enabled the region, and for unknown keys.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_enable-regions.html
"""


@dataclass(frozen=True, slots=True)
class RegionStatus:
    """``ec2:DescribeRegions``: ``opt_in`` is ``opt-in-not-required``, ``opted-in`` or ``not-opted-in``.

    ``None``: AWS does not list the region.
    """

    region: str
    opt_in: str | None


def ask_sts(session: AwsSession, region: str) -> tuple[Caller, str]:
    """``sts:GetCallerIdentity`` at the region's endpoint, and that endpoint's address. Raises ``AwsError``."""
    with domain_errors(f"STS did not answer in {region}"):
        client = session.client("sts", region)
        answer = client.get_caller_identity()
        return Caller(answer["Account"], answer["Arn"]), str(client.meta.endpoint_url)


def clock_skew(session: AwsSession, now: Callable[[], datetime]) -> timedelta:
    """How far AWS's clock (the Date of an STS response, whole seconds) is ahead of ``now``, without the travel time.

    AWS refuses requests that are five minutes off; that response has a Date, too. ``AwsError`` without a response.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
    """
    began = now()
    with domain_errors("AWS did not tell the time"):
        metadata = _sts_metadata(session)
    ended = now()
    header = metadata.get("HTTPHeaders", {}).get("date", "")
    try:
        said = parsedate_to_datetime(str(header)).astimezone(timezone.utc)
    except (ValueError, TypeError):
        raise AwsError("AWS did not tell the time.", why="The answer has no Date header.") from None
    if said < began - timedelta(seconds=1):
        return said - began
    return max(said - ended, timedelta(0))


def _sts_metadata(session: AwsSession) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = session.sts().get_caller_identity()
    except ClientError as error:
        answer = error.response
    found: Mapping[str, Any] = answer["ResponseMetadata"]
    return found


def region_status(session: AwsSession, region: str, partition: str) -> RegionStatus:
    """Whether the account has enabled ``region``. Raises ``AwsError`` if the caller lacks the permission to read it.

    A region that is not enabled refuses every key. Then the partition's home region is asked, which is always enabled.
    It comes second because an organization may forbid it.
    """
    try:
        return _listed(session, region, region)
    except AwsCredentialsError:
        return _listed(session, region, HOME_REGIONS.get(partition, region))


def _listed(session: AwsSession, region: str, asked: str) -> RegionStatus:
    with domain_errors("AWS did not say which regions the account has enabled"):
        answer = session.client("ec2", asked).describe_regions(AllRegions=True)
        statuses = {each["RegionName"]: each.get("OptInStatus") for each in answer["Regions"]}
    return RegionStatus(region, statuses.get(region))
