"""An IAM user of ours: told from others by its tag, made, and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError
from gridbyoc.stack.model import no_values

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import TagTypeDef

PURPOSE = ("gridbyoc:purpose", "deployment-user")
"""The tag of what `create-user` makes: user and policies."""
STACK = "gridbyoc:stack"
OWNER = "gridbyoc:user"
"""Whose a policy is: the user ``ada-2`` has one that is called as the second one of ``ada`` would be."""
KEY = "gridbyoc:access-key"
"""The id of the key whose secret lies in a profile somewhere. IAM's own "last used" lags behind by minutes."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key, without its secret. ``last_used`` ``None``: never, as far as IAM knows.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
    """

    id: str
    active: bool
    created: datetime
    last_used: datetime | None


@dataclass(frozen=True, slots=True)
class User:
    """A user as it is. ``ours``: it has the tag. ``attached`` are policy ARNs, ``inline`` names of its own policies."""

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
    """A user as it should be. ``boundary`` is a policy's ARN; ``tags`` come besides our own."""

    name: str
    path: str = "/"
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=no_values)

    @property
    def all_tags(self) -> dict[str, str]:
        """With the one that says whose it is."""
        return {**dict([PURPOSE]), **self.tags}

    @property
    def tag_list(self) -> list[TagTypeDef]:
        """As IAM takes them."""
        return [{"Key": key, "Value": value} for key, value in self.all_tags.items()]


def look_at_user(session: AwsSession, name: str) -> User | None:
    """The user and what hangs on it; ``None`` where there is none of that name. Of others' only the name is read."""
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
    """Raise ``AwsError`` for somebody else's user."""
    if user is not None and not user.ours:
        raise AwsError(
            f"The user {name} was not made by gridbyoc.",
            why=f"{user.arn} has no tag {PURPOSE[0]} = {PURPOSE[1]}.",
            fix="Give another name.",
            rerun=SAFE_NOTHING_DONE,
        )


def make_user(session: AwsSession, wanted: WantedUser) -> User:
    """Make the user, with its tags from the first moment on, or put the boundary of ours right."""
    iam = session.iam()
    found = look_at_user(session, wanted.name)
    require_ours(found, wanted.name)
    if found is None:
        boundary = {"PermissionsBoundary": wanted.boundary} if wanted.boundary else {}
        with domain_errors(f"The user {wanted.name} could not be made"):
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
    """Write down, in a tag, that the secret of this key is kept somewhere: it is not lost."""
    if user.tags.get(KEY) != key_id:
        with domain_errors(f"The user {user.name} could not be tagged"):
            session.iam().tag_user(UserName=user.name, Tags=[{"Key": KEY, "Value": key_id}])


def remove_user(session: AwsSession, user: User) -> None:
    """Delete the user and what is left on it: keys, memberships, inline policies. Its policies are detached before.

    What else hangs on it (a console password, an MFA device) makes IAM refuse, in ``AwsError``'s words.
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
