"""Who the caller is, and whether that is the account the stack is meant for."""

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
    """Where resources are: the partition (``aws``, ``aws-cn``, ...), the account, the region. ARNs are built from it.

    ``account_id`` ``*`` and ``region`` ``*`` stand for any one.
    """

    partition: str = "aws"
    account_id: str = "*"
    region: str = "*"

    def iam(self, resource: str) -> str:
        """The ARN of something in IAM: ``role/platform/x``."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"

    def aws_policy(self, name: str) -> str:
        """The ARN of one of AWS's own managed policies."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"

    def s3(self, resource: str) -> str:
        """The ARN of a bucket, or of an object in it."""
        return f"arn:{self.partition}:s3:::{resource}"

    def regional(self, service: str, resource: str, region: str | None = None) -> str:
        """The ARN of something in a region."""
        return f"arn:{self.partition}:{service}:{region or self.region}:{self.account_id}:{resource}"


def caller_identity(session: AwsSession) -> Caller:
    """Ask STS who we are, once for each access key; ``AwsCredentialsError`` without valid credentials, ``AwsError``
    without an answer.
    """
    key = current_credentials(session).access_key_id
    if key not in session.callers:
        with domain_errors("AWS did not say who the caller is"):
            answer = session.sts().get_caller_identity()
            session.callers[key] = Caller(account_id=answer["Account"], arn=answer["Arn"])
    return session.callers[key]


def guard_account(caller: Caller, account_id: str | None) -> None:
    """Raise ``AccountMismatchError`` where the stack names another account than the caller's."""
    if account_id is not None and caller.account_id != account_id:
        raise AccountMismatchError(
            f"The AWS credentials belong to account {caller.account_id}, the stack is for {account_id}.",
            why=f"aws.account_id guards this stack; the caller is {caller.arn}.",
            fix=f"Use credentials of account {account_id}, or mend aws.account_id in the stack file.",
            rerun=SAFE_NOTHING_DONE,
        )


def own_region(environ: Mapping[str, str], profile: str | None = None) -> str | None:
    """``AWS_REGION``, ``AWS_DEFAULT_REGION``, else the profile's own (default: the one that botocore takes).

    ``None`` where none of them names one, or the profile cannot be read: whoever asks AWS with it says that. Order:
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    """
    named = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return named or _of_profile(profile)


def _of_profile(profile: str | None) -> str | None:
    # Here: a run whose environment names a region is not to wait for this import.
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return Session(profile=profile).get_config_variable("region") or None
    except BotoCoreError:
        return None
