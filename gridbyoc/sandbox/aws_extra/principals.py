"""Find the principal of a key or an ARN, and its policies, in moto's IAM and STS in this process.

Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html

The key ``test`` is the account's administrator. moto shows any unknown key as ``user/moto``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.sandbox.aws_extra.call import AwsAnswerError, AwsCall
from gridbyoc.sandbox.aws_extra.policy import AttachedPolicy, Powers, read_document
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID

ADMINISTRATOR_KEY = "test"

_ENTITY = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):(?P<kind>user|group|role)/(?P<path>.+)")
_ADMINISTRATOR = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(user/moto|root)")


@dataclass(frozen=True, slots=True)
class CallingPrincipal:
    """A principal. ``arn`` as in AWS's messages; ``context`` holds its condition keys."""

    arn: str
    account_id: str
    powers: Powers = field(repr=False)
    context: Mapping[str, list[str]]


def principal_of_key(access_key: str, region: str) -> CallingPrincipal | None:
    """The user or the assumed role that owns the key; ``None`` if it belongs to nobody."""
    from moto.iam.models import get_account_id_from

    account_id = get_account_id_from(access_key)
    if access_key == ADMINISTRATOR_KEY:
        return administrator()
    if not access_key:
        return None
    iam, sts = _backends(account_id, region)
    if session := sts.get_assumed_role_from_access_key(access_key):
        role = next((role for role in _entities(iam, "role") if role.arn == session.role_arn), None)
        return _principal(session.arn, account_id, _of_role(role, iam) if role else Powers())
    user = iam.get_user_from_access_key_id(access_key)
    if user and any(each.access_key_id == access_key and each.status != "Active" for each in user.access_keys):
        return None
    return None if user is None else _principal(user.arn, account_id, _of_user(user, iam), user.name)


def administrator() -> CallingPrincipal:
    """The principal of moto's test credentials."""
    arn = f"arn:aws:sts::{AWS_ACCOUNT_ID}:user/moto"
    return _principal(arn, AWS_ACCOUNT_ID, Powers(administrator=True), "moto")


def principal_of_arn(arn: str, region: str) -> CallingPrincipal:
    """The user, group or role with an ARN. Raises ``AwsAnswerError`` as IAM does: NoSuchEntity, or InvalidInput."""
    found = _ENTITY.fullmatch(arn)
    name = found["path"].rpartition("/")[2] if found else ""
    if found:
        iam, _ = _backends(found["account"], region)
        entity = next((each for each in _entities(iam, found["kind"]) if each.arn == arn), None)
        if entity is not None:
            reading = {"user": _of_user, "group": _of_group, "role": _of_role}[found["kind"]]
            return _principal(arn, found["account"], reading(entity, iam), name if found["kind"] == "user" else "")
    if _ADMINISTRATOR.fullmatch(arn):
        return administrator()
    if not found:
        raise AwsAnswerError("InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    raise AwsAnswerError("NoSuchEntity", f"The {found['kind']} with name {name} cannot be found.", 404)


def entity_arn(account_id: str, kind: str, name: str, region: str) -> str:
    """The ARN of an existing user, group or role; empty if it does not exist."""
    iam, _ = _backends(account_id, region)
    return next((str(each.arn) for each in _entities(iam, kind) if each.name == name), "")


def _entities(iam: Any, kind: str) -> list[Any]:  # noqa: ANN401 -- moto's objects
    return list({"user": iam.users, "group": iam.groups, "role": iam.roles}[kind].values())


def _backends(account_id: str, region: str) -> tuple[Any, Any]:
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends
    from moto.utilities.utils import get_partition

    partition = get_partition(region)
    return iam_backends[account_id][partition], sts_backends[account_id][partition]


def _principal(arn: str, account_id: str, powers: Powers, username: str = "") -> CallingPrincipal:
    context = {"aws:principalarn": [arn], "aws:principalaccount": [account_id]}
    if username:
        context["aws:username"] = [username]
    return CallingPrincipal(arn, account_id, powers, context)


def _of_user(user: Any, iam: Any) -> Powers:  # noqa: ANN401 -- moto's objects
    groups = [group for group in _entities(iam, "group") if any(member.name == user.name for member in group.users)]
    policies = [*_attached(user, "user"), *(each for group in groups for each in _attached(group, "group"))]
    boundary = getattr(user, "permissions_boundary", None) or {}
    return Powers(tuple(policies), _boundary(boundary.get("PermissionsBoundaryArn"), iam))


def _of_group(group: Any, _iam: Any) -> Powers:  # noqa: ANN401 -- moto's objects
    return Powers(tuple(_attached(group, "group")))


def _of_role(role: Any, iam: Any) -> Powers:  # noqa: ANN401 -- moto's objects
    return Powers(tuple(_attached(role, "role")), _boundary(role.permissions_boundary_arn, iam))


def _attached(entity: Any, kind: str) -> Iterable[AttachedPolicy]:  # noqa: ANN401 -- moto's objects
    for name, text in list(entity.policies.items()):
        yield AttachedPolicy(name, kind, read_document(text))
    for arn, managed in list(entity.managed_policies.items()):
        yield _managed(arn, managed)


def _managed(arn: str, managed: Any) -> AttachedPolicy:  # noqa: ANN401 -- moto's objects
    version = next(version for version in managed.versions if version.is_default)
    kind = "aws-managed" if ":iam::aws:" in arn else "user-managed"
    return AttachedPolicy(managed.name, kind, read_document(version.document))


def _boundary(arn: str | None, iam: Any) -> tuple[AttachedPolicy, ...] | None:  # noqa: ANN401 -- moto's objects
    """The boundary's policy; a deleted boundary allows nothing."""
    if not arn:
        return None
    managed = iam.managed_policies.get(arn)
    return (_managed(arn, managed),) if managed else ()


_IAM_NAMES = (
    # Before the role that is added to or removed from a profile: the profile is the resource.
    ("InstanceProfileName", "instance-profile"),
    ("RoleName", "role"),
    ("UserName", "user"),
    ("GroupName", "group"),
)
_ARNS = ("PolicySourceArn", "PolicyArn", "RoleArn", "OpenIDConnectProviderArn", "SAMLProviderArn", "ResourceARN",
         "resourceArn", "TopicArn", "SecretId")  # fmt: skip


def resource_of(call: AwsCall, account_id: str) -> str:
    """The resource's ARN. In IAM a role, user or group comes before a policy that is attached to it."""
    if call.service == "iam":
        return _iam(call, account_id)
    if call.service == "s3":
        return _s3(call.parameters)
    if call.service == "eks" and (name := call.parameters.get("clusterName") or _eks_name(call)):
        return f"arn:aws:eks:{call.region}:{account_id}:cluster/{name}"
    if call.service == "dynamodb" and (table := call.parameters.get("TableName")):
        return f"arn:aws:dynamodb:{call.region}:{account_id}:table/{table}"
    return _named_arn(call.parameters)


def _iam(call: AwsCall, account_id: str) -> str:
    given = call.parameters
    path = str(given.get("Path") or "/")
    for member, kind in _IAM_NAMES:
        if name := given.get(member):
            known = _existing(account_id, kind, str(name), call.region)
            return known or f"arn:aws:iam::{account_id}:{kind}{path}{name}"
    if name := given.get("PolicyName"):
        return f"arn:aws:iam::{account_id}:policy{path}{name}"
    return _named_arn(given)


def _existing(account_id: str, kind: str, name: str, region: str) -> str:
    """The ARN of an existing entity: it includes the path, which most requests lack."""

    return entity_arn(account_id, kind, name, region) if kind in {"role", "user", "group"} else ""


def _s3(given: Mapping[str, Any]) -> str:
    bucket, key = given.get("Bucket"), given.get("Key")
    if not bucket:
        return "*"
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def _eks_name(call: AwsCall) -> str:
    return str(call.parameters.get("name") or "") if "Cluster" in call.operation else ""


def _named_arn(given: Mapping[str, Any]) -> str:
    found = (str(given[name]) for name in _ARNS if str(given.get(name) or "").startswith("arn:"))
    return next(found, "*")
