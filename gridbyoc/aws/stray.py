"""Roles and policies that exist in AWS and that no state knows: what a run left that was cut off while it made them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from gridbyoc.aws.accepted import external_ids_in
from gridbyoc.aws.live_role import DENIED_CODES
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.stack.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


@dataclass(frozen=True, slots=True)
class RoleName:
    """How a role is called that is looked for: exactly ``name``, else anything that starts with ``prefix``.

    ``known`` are names that it has not: roles that a state holds.
    """

    path: str
    name: str | None = None
    prefix: str = ""
    known: frozenset[str] = frozenset()


def role_that_accepts(session: AwsSession, wanted: RoleName, ids: Collection[Secret]) -> str | None:
    """The name of the role whose live trust policy names one of ``ids`` (``iam:GetRole``, ``iam:ListRoles``).

    ``None`` where there is none, or the caller may not look. Raises ``AwsError`` where AWS cannot be asked.
    """
    iam = session.iam()
    with domain_errors("The roles of the account could not be read"):
        try:
            roles = _named(iam, wanted.name) if wanted.name else _listed(iam, wanted)
            strays = (role for role in roles if role["RoleName"] not in wanted.known and _accepts(role, ids))
            return next((role["RoleName"] for role in strays), None)
        except ClientError as error:
            if error_code(error) in DENIED_CODES | {"NoSuchEntity"}:
                return None
            raise


def policy_tags(session: AwsSession, arn: str) -> dict[str, str] | None:
    """The tags of a managed policy (``iam:GetPolicy``); ``None`` where there is none, or the caller may not look."""
    iam = session.iam()
    with domain_errors(f"The policy {arn} could not be read"):
        try:
            found = iam.get_policy(PolicyArn=arn)["Policy"].get("Tags", [])
        except ClientError as error:
            if error_code(error) in DENIED_CODES | {"NoSuchEntity"}:
                return None
            raise
    return {tag["Key"]: tag["Value"] for tag in found}


def _named(iam: IAMClient, name: str) -> Iterator[Any]:
    yield iam.get_role(RoleName=name)["Role"]


def _listed(iam: IAMClient, wanted: RoleName) -> Iterator[Any]:
    for page in iam.get_paginator("list_roles").paginate(PathPrefix=wanted.path):
        yield from (role for role in page["Roles"] if role["RoleName"].startswith(wanted.prefix))


def _accepts(role: Any, ids: Collection[Secret]) -> bool:  # noqa: ANN401 - botocore's two kinds of role
    return not external_ids_in(role["AssumeRolePolicyDocument"]).isdisjoint(ids)
