"""An access key from its making to the moment it works. Its secret is told once, and never shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from botocore.exceptions import ClientError

from gridbyoc.aws.iam_user import User, require_ours
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_RESUMES, AwsError
from gridbyoc.stack.secret import Secret

PATIENCE = 60.0
"""Seconds until a new key must be valid everywhere; IAM is eventually consistent, usually within ten.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""
NOT_YET = frozenset(
    {"InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidAccessKeyId", "UnrecognizedClientException"}
)


def make_key(session: AwsSession, user: User) -> tuple[str, Secret]:
    """A new access key: id and secret. Where botocore had to ask twice, the key of the lost answer is deleted again.

    ``user`` is as it was just read. Raises ``AwsError`` where another run makes one at the same time, whose key is left
    to it, and where IAM refuses: then a key may be there whose secret nobody has.
    """
    iam = session.iam()
    with domain_errors(f"An access key of {user.name} could not be made"):
        answer = iam.create_access_key(UserName=user.name)
        made, secret = answer["AccessKey"]["AccessKeyId"], Secret(answer["AccessKey"]["SecretAccessKey"])
        known = {made, *(before.id for before in user.keys)}
        listed = iam.list_access_keys(UserName=user.name, MaxItems=100)["AccessKeyMetadata"]
        others = [key["AccessKeyId"] for key in listed if key["AccessKeyId"] not in known]
        twice = answer["ResponseMetadata"].get("RetryAttempts")
        for unwanted in others if twice else [made] if others else []:
            _delete(session, user.name, unwanted)
    if others and not twice:
        raise AwsError(
            f"Another run has just made an access key of {user.name}, too.",
            why=f"The key {others[0]} came up meanwhile; ours was deleted again.",
            fix="Run the same command again: it takes what the other one has made.",
            rerun=SAFE_RESUMES,
        )
    return made, secret


def drop_keys(session: AwsSession, user: User, key_ids: Iterable[str]) -> None:
    """Delete these keys of a user of ours."""
    require_ours(user, user.name)
    for key_id in key_ids:
        with domain_errors(f"The access key {key_id} of {user.name} could not be deleted"):
            _delete(session, user.name, key_id)


def _delete(session: AwsSession, name: str, key_id: str) -> None:
    """A key that was deleted a moment ago may still be listed."""
    try:
        session.iam().delete_access_key(UserName=name, AccessKeyId=key_id)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise


def await_key(session: AwsSession, key_id: str, secret: Secret, *, arn: str, sleep: Callable[[float], None]) -> None:
    """Wait until STS takes the key and says that it is ``arn``'s: a new key takes seconds to become valid.

    ``sleep`` takes seconds; they are bounded. Raises ``AwsError`` where it is not valid then, or is somebody else's.
    """
    client = session.boto.client(
        "sts",
        region_name=session.region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret.reveal(),
        config=session.config(),
    )
    for pause in (*_pauses(), None):
        with domain_errors("The new access key could not be tried"):
            try:
                found = client.get_caller_identity()["Arn"]
                break
            except ClientError as error:
                if error_code(error) not in NOT_YET:
                    raise
        if pause is None:
            raise AwsError(
                f"The access key is not valid {PATIENCE:g} s after it was made.",
                why="IAM takes seconds to make a key known everywhere, and now and then longer.",
                fix="Run the same command again: it keeps the key and tries it once more.",
                rerun=SAFE_RESUMES,
            )
        sleep(pause)
    if found != arn:
        raise AwsError(f"The access key belongs to {found}, not to {arn}.", fix="Look at the profile it was kept in.")


def _pauses() -> Iterator[float]:
    """1, 2, 4, 8, 8, ... seconds, ``PATIENCE`` in all."""
    left, pause = PATIENCE, 1.0
    while left > 0:
        yield min(pause, left)
        left, pause = left - pause, min(pause * 2, 8.0)
