"""AWS, read through boto3: who we are, and the role as it is. No ``ClientError`` leaves this package."""

from gridbyoc.aws.accepted import accepted_external_ids
from gridbyoc.aws.identity import Caller, caller_identity, guard_account
from gridbyoc.aws.role import Trust, await_trust
from gridbyoc.aws.session import AwsSession, open_session

__all__ = [
    "AwsSession",
    "Caller",
    "Trust",
    "accepted_external_ids",
    "await_trust",
    "caller_identity",
    "guard_account",
    "open_session",
]
