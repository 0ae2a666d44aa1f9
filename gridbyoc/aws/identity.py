"""The caller's identity, and the check that its account is the stack's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gridbyoc.aws.credential_source import current_credentials
from gridbyoc.aws.session import AwsSession, domain_errors
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError


@dataclass(frozen=True, slots=True)
class Caller:
    """``sts:GetCallerIdentity``: the account, and the principal's ARN."""

    account_id: str
    arn: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ``aws-us-gov`` or ``aws-eusc``: the ARN's second part."""
        return self.arn.split(":")[1]


@dataclass(frozen=True, slots=True)
class AccountRegion:
    """The partition (``aws``, ``aws-cn``, ...), account and region of resources; it builds their ARNs.

    ``account_id`` ``*`` and ``region`` ``*`` mean any.
    """

    partition: str = "aws"
    account_id: str = "*"
    region: str = "*"

    def iam(self, resource: str) -> str:
        """The ARN of an IAM resource such as ``role/platform/x``."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"

    def aws_policy(self, name: str) -> str:
        """The ARN of an AWS managed policy."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"

    def s3(self, resource: str) -> str:
        """The ARN of a bucket, or of an object in it."""
        return f"arn:{self.partition}:s3:::{resource}"

    def regional(self, service: str, resource: str, region: str | None = None) -> str:
        """The ARN of a regional resource."""
        return f"arn:{self.partition}:{service}:{region or self.region}:{self.account_id}:{resource}"


def caller_identity(session: AwsSession) -> Caller:
    """The caller according to STS, asked once per access key.

    Raises ``AwsCredentialsError`` without valid credentials, ``AwsError`` without an answer.
    """
    key = current_credentials(session).access_key_id
    if key not in session.callers:
        with domain_errors("AWS did not say who the caller is"):
            answer = session.sts().get_caller_identity()
            session.callers[key] = Caller(account_id=answer["Account"], arn=answer["Arn"])
    return session.callers[key]


def guard_account(caller: Caller, account_id: str | None, role_arn: str | None = None) -> None:
    """Raise ``AccountMismatchError`` if the stack names another account than the caller's.

    ``role_arn``: the role of the stack file whose session the caller is.
    """
    if account_id is None or caller.account_id == account_id:
        return
    what = f"The AWS credentials belong to account {caller.account_id}, but the stack is for {account_id}."
    fix = f"Use credentials of account {account_id}, or correct aws.account_id in the stack file."
    if role_arn:
        what = f"The role {role_arn} is in account {caller.account_id}, but the stack is for {account_id}."
        fix = f"Name a role of account {account_id} in aws.assume_role.role_arn, or correct aws.account_id."
    raise AccountMismatchError(
        what,
        why=f"aws.account_id guards this stack; the caller is {caller.arn}.",
        fix=fix,
        rerun=SAFE_NOTHING_DONE,
    )


def own_region(environ: Mapping[str, str], profile: str | None = None) -> str | None:
    """``AWS_REGION``, ``AWS_DEFAULT_REGION``, else the region of the profile (default: the one that botocore uses).

    ``None`` if none of them is set, or the profile is unreadable, which the first AWS call reports. Order:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    named = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return named or _of_profile(profile)


def _of_profile(profile: str | None) -> str | None:
    # Imported late: a run whose environment names a region must not wait for this import.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return Session(profile=profile).get_config_variable("region") or None
    except BotoCoreError:
        return None
