"""The IAM user that gridbyoc creates: recognize it by its tag, create it, its keys and policies, and delete them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, AwsError
from gridbyoc.stack.clock import backoff
from gridbyoc.stack.model import no_values
from gridbyoc.stack.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import TagTypeDef


PURPOSE = ("gridbyoc:purpose", "deployment-user")
"""The tag of the user and policies that `create-user` creates."""
OWNER = "gridbyoc:user"
"""The tag with a policy's user. A name is not enough: the policy of ``ada-2`` is named like the second of ``ada``."""
KEY = "gridbyoc:access-key"
"""The tag with the id of the key whose secret is stored in a profile. IAM's "last used" lags by minutes."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key without its secret. ``last_used`` ``None``: IAM knows of no use.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
    """

    id: str
    active: bool
    created: datetime
    last_used: datetime | None


@dataclass(frozen=True, slots=True)
class User:
    """A user in IAM. ``ours``: it has our tag. ``attached`` are policy ARNs, ``inline`` names of inline policies."""

    name: str
    path: str
    arn: str
    ours: bool
    tags: Mapping[str, str] = field(default_factory=no_values)
    boundary: str | None = None
    keys: tuple[AccessKey, ...] = ()
    attached: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedUser:
    """A user to create. ``boundary`` is a policy's ARN; ``tags`` are added to our own."""

    name: str
    path: str = "/"
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=no_values)

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags, including our own."""
        return {**dict([PURPOSE]), **self.tags}

    @property
    def tag_list(self) -> list[TagTypeDef]:
        """The tags in IAM's form."""
        return [{"Key": key, "Value": value} for key, value in self.all_tags.items()]


def look_at_user(session: AwsSession, name: str) -> User | None:
    """The user and its dependents; ``None`` if there is none. For a user that is not ours, only name, path and ARN."""
    iam = session.iam()
    with domain_errors(f"The user {name} could not be read"):
        try:
            found = iam.get_user(UserName=name)["User"]
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return None
            raise
        tags = {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName=name, MaxItems=100)["Tags"]}
        if tags.get(PURPOSE[0]) != PURPOSE[1]:
            return User(name, found["Path"], found["Arn"], ours=False)
        attached = iam.list_attached_user_policies(UserName=name, MaxItems=100)["AttachedPolicies"]
        groups = iam.list_groups_for_user(UserName=name, MaxItems=100)["Groups"]
        return User(
            name,
            found["Path"],
            found["Arn"],
            ours=True,
            tags=tags,
            boundary=found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            keys=_keys(session, name),
            attached=tuple(policy["PolicyArn"] for policy in attached),
            inline=tuple(iam.list_user_policies(UserName=name, MaxItems=100)["PolicyNames"]),
            groups=tuple(group["GroupName"] for group in groups),
        )


def require_ours(user: User | None, name: str) -> None:
    """Raise ``AwsError`` if the user is not ours."""
    if user is not None and not user.ours:
        raise AwsError(
            f"The user {name} was not created by gridbyoc.",
            why=f"{user.arn} has no tag {PURPOSE[0]} = {PURPOSE[1]}.",
            fix="Give another name.",
            rerun=SAFE_NOTHING_DONE,
        )


def make_user(session: AwsSession, wanted: WantedUser) -> User:
    """Create the user together with its tags, or correct the tags and boundary of our existing user."""
    iam = session.iam()
    found = look_at_user(session, wanted.name)
    require_ours(found, wanted.name)
    if found is None:
        boundary = {"PermissionsBoundary": wanted.boundary} if wanted.boundary else {}
        with domain_errors(f"The user {wanted.name} could not be created"):
            made = iam.create_user(
                UserName=wanted.name,
                Path=wanted.path,
                Tags=wanted.tag_list,
                **boundary,
            )["User"]
            iam.get_waiter("user_exists").wait(UserName=wanted.name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        return User(wanted.name, made["Path"], made["Arn"], ours=True, boundary=wanted.boundary)
    with domain_errors(f"The user {wanted.name} could not be changed"):
        if not wanted.all_tags.items() <= found.tags.items():
            iam.tag_user(UserName=wanted.name, Tags=wanted.tag_list)
        if wanted.boundary and wanted.boundary != found.boundary:
            iam.put_user_permissions_boundary(UserName=wanted.name, PermissionsBoundary=wanted.boundary)
    return found


def note_key(session: AwsSession, user: User, key_id: str) -> None:
    """Record in a tag that the secret of this key is stored, so that the key does not count as lost."""
    if user.tags.get(KEY) != key_id:
        with domain_errors(f"The user {user.name} could not be tagged"):
            session.iam().tag_user(UserName=user.name, Tags=[{"Key": KEY, "Value": key_id}])


def remove_user(session: AwsSession, user: User) -> None:
    """Delete the user with its keys, memberships and inline policies. The caller has detached its managed policies.

    If it has anything else (a console password, an MFA device), IAM refuses with an ``AwsError``.
    """
    iam = session.iam()
    require_ours(user, user.name)
    with domain_errors(f"The user {user.name} could not be deleted"):
        for key in user.keys:
            iam.delete_access_key(UserName=user.name, AccessKeyId=key.id)
        for group in user.groups:
            iam.remove_user_from_group(UserName=user.name, GroupName=group)
        for policy in user.inline:
            iam.delete_user_policy(UserName=user.name, PolicyName=policy)
        iam.delete_user(UserName=user.name)


def _keys(session: AwsSession, name: str) -> tuple[AccessKey, ...]:
    found = session.iam().list_access_keys(UserName=name, MaxItems=100)["AccessKeyMetadata"]
    return tuple(
        AccessKey(
            key["AccessKeyId"],
            key["Status"] == "Active",
            key["CreateDate"],
            session.iam()
            .get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
            .get("AccessKeyLastUsed", {})
            .get("LastUsedDate"),
        )
        for key in found
    )


PATIENCE = 60.0
"""Seconds to wait for a new key to become valid; IAM is eventually consistent, usually within ten seconds.
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""
NOT_YET = frozenset(
    {"InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidAccessKeyId", "UnrecognizedClientException"}
)


def make_key(session: AwsSession, user: User) -> tuple[str, Secret]:
    """Create an access key; return id and secret. If botocore had to retry, the key of the lost answer is deleted.

    ``user`` was just read. Raises ``AwsError`` if another run creates a key at the same time (the other run's key
    stays), and if IAM refuses; then there may be a key whose secret nobody has.
    """
    iam = session.iam()
    with domain_errors(f"An access key of {user.name} could not be created"):
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
            f"Another run has just created an access key of {user.name}, too.",
            why=f"The key {others[0]} appeared meanwhile; ours was deleted again.",
            fix="Run the same command again: it uses the key that the other run created.",
            rerun=SAFE_RESUMES,
        )
    return made, secret


def drop_keys(session: AwsSession, user: User, key_ids: Iterable[str]) -> None:
    """Delete these keys of our user."""
    require_ours(user, user.name)
    for key_id in key_ids:
        with domain_errors(f"The access key {key_id} of {user.name} could not be deleted"):
            _delete(session, user.name, key_id)


def _delete(session: AwsSession, name: str, key_id: str) -> None:
    """Delete a key. A missing key is not an error, because a key that was just deleted may still be listed."""
    try:
        session.iam().delete_access_key(UserName=name, AccessKeyId=key_id)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise


def await_key(session: AwsSession, key_id: str, secret: Secret, *, arn: str, sleep: Callable[[float], None]) -> None:
    """Wait until STS accepts the key as that of ``arn``: a new key takes seconds to become valid.

    Waits for at most ``PATIENCE`` seconds. Raises ``AwsError`` if the key is still invalid, or belongs to another ARN.
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
                f"The access key is not valid {PATIENCE:g} s after it was created.",
                why="IAM takes seconds to activate a key everywhere, sometimes longer.",
                fix="Run the same command again: it keeps the key and tries it again.",
                rerun=SAFE_RESUMES,
            )
        sleep(pause)
    if found != arn:
        raise AwsError(f"The access key belongs to {found}, not to {arn}.", fix="Check the profile that holds it.")


def _pauses() -> Iterator[float]:
    """1, 2, 4, 8, 8, ... seconds, ``PATIENCE`` in all."""
    left = PATIENCE
    for pause in backoff(1.0, 2.0, 8.0):
        if left <= 0:
            return
        yield min(pause, left)
        left -= pause


MOST_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class WantedPolicy:
    """A policy to attach; ``document`` ``None``: it already exists, as AWS managed ones do. ``owner``: its user."""

    arn: str
    document: Mapping[str, Any] | None = None
    owner: str = ""

    @property
    def name(self) -> str:
        """Its name, the last part of the ARN."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def path(self) -> str:
        """IAM's path, ``/`` at both ends."""
        return "/" + self.arn.split(":policy/", 1)[1][: -len(self.name)]


@dataclass(frozen=True, slots=True)
class _Live:
    ours: bool
    owner: str
    document: Mapping[str, Any]


def policies_to_change(session: AwsSession, wanted: Sequence[WantedPolicy], user: User | None) -> tuple[str, ...]:
    """The ARNs of policies that are missing, outdated, or not attached to ``user``. Reads only.

    Raises ``AwsError`` if a policy with such a name is not ours.
    """
    attached = user.attached if user else ()
    return tuple(each.arn for each in wanted if not _up_to_date(session, each) or each.arn not in attached)


def put_policies(session: AwsSession, user: User, wanted: Sequence[WantedPolicy], tags: list[TagTypeDef]) -> None:
    """Create or update the policies, and attach them."""
    for policy in wanted:
        _put(session, policy, tags)
        if policy.arn not in user.attached:
            with domain_errors(f"The policy {policy.name} could not be attached to {user.name}"):
                session.iam().attach_user_policy(UserName=user.name, PolicyArn=policy.arn)


def detach_policy(session: AwsSession, user: User, arn: str) -> None:
    """Detach a policy from the user; a policy that is not attached is not an error."""
    with domain_errors(f"The policy {arn} could not be detached from {user.name}"):
        try:
            session.iam().detach_user_policy(UserName=user.name, PolicyArn=arn)
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise


def delete_policy(session: AwsSession, arn: str, owner: str) -> None:
    """Delete a policy with all its versions if we created it for the user ``owner``.

    Raises ``AwsError`` if it is attached to something else, too.
    """
    if not _is_ours(session, arn, owner):
        return
    iam = session.iam()
    with domain_errors(f"The policy {arn} could not be deleted"):
        for version in iam.list_policy_versions(PolicyArn=arn, MaxItems=100)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=arn)


def our_policies(session: AwsSession, arns: Iterable[str], owner: str) -> tuple[str, ...]:
    """The ARNs of existing policies with our tags for the user ``owner``."""
    return tuple(arn for arn in dict.fromkeys(arns) if _is_ours(session, arn, owner))


def _put(session: AwsSession, policy: WantedPolicy, tags: list[TagTypeDef]) -> None:
    if policy.document is None or _up_to_date(session, policy):
        return
    iam, text = session.iam(), json.dumps(policy.document, separators=(",", ":"))
    with domain_errors(f"The policy {policy.name} could not be written"):
        if _live(session, policy.arn) is None:
            iam.create_policy(
                PolicyName=policy.name,
                Path=policy.path,
                PolicyDocument=text,
                Description="What gridbyoc and Terraform need for a stack",
                Tags=[*tags, {"Key": OWNER, "Value": policy.owner}],
            )
            return
        versions = iam.list_policy_versions(PolicyArn=policy.arn, MaxItems=100)["Versions"]
        spare = [version for version in versions if not version["IsDefaultVersion"]]
        if len(versions) >= MOST_VERSIONS:
            oldest = min(spare, key=lambda version: int(version["VersionId"].removeprefix("v")))
            iam.delete_policy_version(PolicyArn=policy.arn, VersionId=oldest["VersionId"])
        iam.create_policy_version(PolicyArn=policy.arn, PolicyDocument=text, SetAsDefault=True)


def _up_to_date(session: AwsSession, policy: WantedPolicy) -> bool:
    if policy.document is None:
        return True
    live = _live(session, policy.arn)
    if live is not None and not live.ours:
        raise AwsError(
            f"The policy {policy.arn} was not created by gridbyoc.",
            why=f"It has no tag {PURPOSE[0]} = {PURPOSE[1]}.",
            fix="Give another user name, or another --path.",
            rerun=SAFE_NOTHING_DONE,
        )
    if live is not None and live.owner != policy.owner:
        raise AwsError(
            f"The policy {policy.arn} was created for another user.",
            why=f"It has the tag {OWNER} = {live.owner}." if live.owner else f"It has no tag {OWNER}.",
            fix="Give another user name, or another --path.",
            rerun=SAFE_NOTHING_DONE,
        )
    return live is not None and live.document == policy.document


def _is_ours(session: AwsSession, arn: str, owner: str) -> bool:
    if ":iam::aws:" in arn:
        return False
    live = _live(session, arn)
    return live is not None and live.ours and live.owner == owner


def _live(session: AwsSession, arn: str) -> _Live | None:
    iam = session.iam()
    with domain_errors(f"The policy {arn} could not be read"):
        try:
            policy = iam.get_policy(PolicyArn=arn)["Policy"]
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return None
            raise
        tags = {tag["Key"]: tag["Value"] for tag in iam.list_policy_tags(PolicyArn=arn, MaxItems=100)["Tags"]}
        version = policy["DefaultVersionId"]
        found: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        document = json.loads(unquote(found)) if isinstance(found, str) else found
    return _Live(tags.get(PURPOSE[0]) == PURPOSE[1], tags.get(OWNER, ""), document)
