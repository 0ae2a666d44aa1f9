"""AWS, read through boto3: who we are, and the role as it is. No ``ClientError`` leaves this package."""

from gridbyoc.aws.identity import Caller, caller_identity, guard_account
from gridbyoc.aws.session import AwsSession, open_session
from gridbyoc.aws.state_bucket import (
    BucketSetting,
    StateBucket,
    look_at_bucket,
    make_bucket,
    reached_over_tls,
    read_state_lock,
)
from gridbyoc.aws.trust import Trust, accepted_external_ids, await_trust, role_is_gone

__all__ = [
    "AwsSession",
    "BucketSetting",
    "Caller",
    "StateBucket",
    "Trust",
    "accepted_external_ids",
    "await_trust",
    "caller_identity",
    "guard_account",
    "look_at_bucket",
    "make_bucket",
    "open_session",
    "reached_over_tls",
    "read_state_lock",
    "role_is_gone",
]
