"""The managed policies that a role gets, as IAM has them, and how many it may have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from gridbyoc.aws.live_role import DENIED_CODES, PASSING_CODES, READERS, unread_reason
from gridbyoc.aws.readers import Readers
from gridbyoc.aws.session import AwsSession, domain_errors, error_code

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

MOST_BOUNDARIES = 20
"""Each is a question to IAM's simulator."""


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """One policy. ``unread`` says why it could not be read; nothing else is known then."""

    arn: str
    exists: bool = True
    attachable: bool = True
    unread: str = ""

    @property
    def name(self) -> str:
        """Its name, without its path."""
        return self.arn.rsplit("/", 1)[-1]


def managed_policies(session: AwsSession, arns: Collection[str]) -> tuple[ManagedPolicy, ...]:
    """Each of them (``iam:GetPolicy``, side by side), in their order; raises ``AwsError``."""
    iam = session.iam()
    with domain_errors("The managed policies could not be read"):
        return tuple(Readers(READERS).map(lambda arn: _policy(iam, arn), arns))


def likely_boundaries(session: AwsSession) -> tuple[str, ...] | None:
    """ARNs of up to 20 of the account's own policies (``iam:ListPolicies``), the likeliest to be a boundary first.

    Those that are one already come first, then those with the word in their names. ``None`` where IAM does not list
    them; raises ``AwsError`` where it cannot be reached.
    """
    with domain_errors("The account's policies could not be listed"):
        try:
            pages = session.iam().get_paginator("list_policies").paginate(Scope="Local")
            found = [policy for page in pages for policy in page["Policies"]]
        except ClientError as error:
            if error_code(error) not in DENIED_CODES | PASSING_CODES:
                raise
            return None
    found.sort(key=lambda each: "boundary" not in each["PolicyName"].lower())
    found.sort(key=lambda each: not each.get("PermissionsBoundaryUsageCount"))
    return tuple(each["Arn"] for each in found[:MOST_BOUNDARIES])


def policies_per_role(session: AwsSession) -> int | None:
    """How many managed policies one role may have in this account; ``None`` where IAM does not say.

    ``iam:GetAccountSummary``: AttachedPoliciesPerRoleQuota
    (https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html). Raises ``AwsError``.
    """
    with domain_errors("IAM did not say what the account's quotas are"):
        summary = session.iam().get_account_summary()["SummaryMap"]
    return summary.get("AttachedPoliciesPerRoleQuota")


def _policy(iam: IAMClient, arn: str) -> ManagedPolicy:
    try:
        return ManagedPolicy(arn, attachable=iam.get_policy(PolicyArn=arn)["Policy"].get("IsAttachable", True))
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return ManagedPolicy(arn, exists=False)
        return ManagedPolicy(arn, unread=unread_reason(error))
