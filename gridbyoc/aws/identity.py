"""Who the caller is, and whether that is the account the stack is meant for."""

from __future__ import annotations

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
