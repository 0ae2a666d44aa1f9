"""AWS through boto3: the caller, the live role and the state bucket. No ``ClientError`` leaves this package."""

from gridbyoc.aws.identity import Caller, caller_identity, guard_account
from gridbyoc.aws.session import AwsSession, open_session
from gridbyoc.aws.state_bucket import (
    BucketSetting,
    StateBucket,
    StateObjects,
    look_at_bucket,
    make_bucket,
    reached_over_tls,
    read_state_lock,
    read_version,
    remove_state_objects,
    state_objects,
)
from gridbyoc.aws.trust import Trust, accepted_external_ids, await_trust, role_is_gone

__all__ = [
    "AwsSession",
    "BucketSetting",
    "Caller",
    "StateBucket",
    "StateObjects",
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
    "read_version",
    "remove_state_objects",
    "role_is_gone",
    "state_objects",
]
