"""The customer managed policies of a user of ours: made, kept up to date, attached, taken away.

Managed and not inline: all inline policies of a user together may have 2,048 characters, a managed one 6,144; it keeps
its last versions, and it can be looked at and attached by itself.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from gridbyoc.aws.iam_user import OWNER, PURPOSE, User
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsError

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import TagTypeDef

MOST_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class WantedPolicy:
    """A policy to attach; ``document`` ``None``: it is there already, as AWS's own are. ``owner``: its user's name."""

    arn: str
    document: Mapping[str, Any] | None = None
    owner: str = ""

    @property
    def name(self) -> str:
        """The last part of its ARN."""
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
    """The ARNs of policies that are missing, out of date, or not attached to ``user``. Reads only.

    Raises ``AwsError`` for a policy of such a name that is not ours.
    """
    attached = user.attached if user else ()
    return tuple(each.arn for each in wanted if not _up_to_date(session, each) or each.arn not in attached)


def put_policies(session: AwsSession, user: User, wanted: Sequence[WantedPolicy], tags: list[TagTypeDef]) -> None:
    """Make or renew the policies, and attach them."""
    for policy in wanted:
        _put(session, policy, tags)
        if policy.arn not in user.attached:
            with domain_errors(f"The policy {policy.name} could not be attached to {user.name}"):
                session.iam().attach_user_policy(UserName=user.name, PolicyArn=policy.arn)


def detach_policy(session: AwsSession, user: User, arn: str) -> None:
    """Detach it from the user; not attached is as good."""
    with domain_errors(f"The policy {arn} could not be detached from {user.name}"):
        try:
            session.iam().detach_user_policy(UserName=user.name, PolicyArn=arn)
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise


def delete_policy(session: AwsSession, arn: str, owner: str) -> None:
    """Delete it with all its versions, where we made it for the user ``owner``.

    Raises ``AwsError`` where it is attached to something else, too.
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
    """Those that exist and carry our tags, the user ``owner``'s among them."""
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
            f"The policy {policy.arn} was not made by gridbyoc.",
            why=f"It has no tag {PURPOSE[0]} = {PURPOSE[1]}.",
            fix="Give another user name, or another --path.",
            rerun=SAFE_NOTHING_DONE,
        )
    if live is not None and live.owner != policy.owner:
        raise AwsError(
            f"The policy {policy.arn} was made for another user.",
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
