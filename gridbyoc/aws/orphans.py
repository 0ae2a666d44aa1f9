"""Roles and policies in AWS that are in no state, because the run that created them was cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from gridbyoc.aws.live_role import DENIED_CODES, find_role
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.aws.trust import accepted_in
from gridbyoc.stack.defaults import STACK_TAG
from gridbyoc.stack.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


@dataclass(frozen=True, slots=True)
class OrphanQuery:
    """How to recognize an orphaned role: by ``name``, else by ``prefix``; roles in ``known`` do not count.

    It belongs to the stack if its trust policy contains ``external_id``, which is random and known to nobody else. It
    also does if it was created after ``since`` (when a run of the stack was cut off), has the stack's tag and is not in
    ``used``.
    """

    stack: str
    path: str
    name: str | None = None
    prefix: str = ""
    known: frozenset[str] = frozenset()
    external_id: Secret | None = None
    since: datetime | None = None
    used: frozenset[str] = frozenset()


def stray_roles(session: AwsSession, sought: OrphanQuery) -> tuple[str, ...]:
    """The names of the orphaned roles (``iam:GetRole``, ``iam:ListRoles``, ``iam:ListRoleTags``).

    If roles trust the external id, only they are returned. Empty if there is none, or the caller may not read roles.
    Raises ``AwsError`` if AWS cannot be reached.
    """
    iam = session.iam()
    with domain_errors("The roles of the account could not be read"):
        try:
            roles = [role for role in _called(iam, sought) if role["RoleName"] not in sought.known]
            named = [role for role in roles if sought.external_id in accepted_in(role["AssumeRolePolicyDocument"])]
            found = named or [role for role in roles if _made_since(iam, role, sought)]
        except ClientError as error:
            if error_code(error) in DENIED_CODES | {"NoSuchEntity"}:
                return ()
            raise
    return tuple(role["RoleName"] for role in found)


def policy_tags(session: AwsSession, arn: str) -> dict[str, str] | None:
    """The tags of a managed policy (``iam:GetPolicy``); ``None`` if there is none, or the caller may not read it."""
    iam = session.iam()
    with domain_errors(f"The policy {arn} could not be read"):
        try:
            return _tags(iam.get_policy(PolicyArn=arn)["Policy"].get("Tags", []))
        except ClientError as error:
            if error_code(error) in DENIED_CODES | {"NoSuchEntity"}:
                return None
            raise


def _called(iam: IAMClient, sought: OrphanQuery) -> Iterator[Any]:
    if sought.name:
        role = find_role(iam, sought.name)
        yield from (role,) if role else ()
        return
    for page in iam.get_paginator("list_roles").paginate(PathPrefix=sought.path):
        yield from (role for role in page["Roles"] if role["RoleName"].startswith(sought.prefix))


def _made_since(iam: IAMClient, role: Any, sought: OrphanQuery) -> bool:  # noqa: ANN401 - botocore's two kinds of role
    if sought.since is None or role["CreateDate"] < sought.since or role["RoleName"] in sought.used:
        return False
    return _tags(iam.list_role_tags(RoleName=role["RoleName"])["Tags"]).get(STACK_TAG) == sought.stack


def _tags(found: Collection[Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found}
