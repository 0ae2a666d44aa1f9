"""AWS through boto3: the caller, the live role and the state bucket. No ``ClientError`` leaves this package."""

from gridbyoc.aws.assumed_role import assume_role, stack_session
from gridbyoc.aws.identity import Caller, caller_identity, guard_account
from gridbyoc.aws.session import AwsSession, open_session
from gridbyoc.aws.state_bucket import (
    FINGERPRINT_SUFFIX,
    BucketSetting,
    StateBucket,
    StateObjects,
    StoredObject,
    look_at_bucket,
    make_bucket,
    reached_over_tls,
    read_object,
    read_state_lock,
    read_version,
    remove_object,
    remove_state_objects,
    state_objects,
    write_object,
)
from gridbyoc.aws.trust import Trust, accepted_external_ids, await_trust, role_is_gone

__all__ = [
    "FINGERPRINT_SUFFIX",
    "AwsSession",
    "BucketSetting",
    "Caller",
    "StateBucket",
    "StateObjects",
    "StoredObject",
    "Trust",
    "accepted_external_ids",
    "assume_role",
    "await_trust",
    "caller_identity",
    "guard_account",
    "look_at_bucket",
    "make_bucket",
    "open_session",
    "reached_over_tls",
    "read_object",
    "read_state_lock",
    "read_version",
    "remove_object",
    "remove_state_objects",
    "role_is_gone",
    "stack_session",
    "state_objects",
    "write_object",
]
