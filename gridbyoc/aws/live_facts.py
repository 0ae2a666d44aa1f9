"""All that Terraform would read of a role and its policies, read directly: to tell whether anything has moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from gridbyoc.aws.live_role import decoded
from gridbyoc.aws.readers import Readers
from gridbyoc.aws.session import AwsSession, domain_errors, error_code

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

READERS = 6
ROLE_FIELDS = ("Arn", "RoleId", "Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
POLICY_FIELDS = ("Arn", "PolicyId", "Path", "Description", "DefaultVersionId")


def read_live_facts(session: AwsSession, role_arn: str) -> Mapping[str, Any]:
    """The role, what is attached to it, its inline policies, and each attached policy of the role's own account.

    Calls: ``iam:GetRole``, ``ListAttachedRolePolicies``, ``ListRolePolicies``, ``GetRolePolicy``, ``GetPolicy``,
    ``GetPolicyVersion``. JSON-able, the same for the same role; it holds the external id. AWS's own policies count by
    their ARN, for what they say is not the stack's. Raises ``AwsError``, also where anything may not be read.
    """
    name, account = role_arn.rsplit("/", 1)[-1], role_arn.split(":")[4]
    iam = session.iam()
    readers = Readers(READERS)
    with domain_errors(f"The role {name} could not be read"):
        role = readers.submit(lambda: _role(iam, name))
        inline = readers.submit(lambda: _inline(iam, name))
        attached = _attached(iam, name)
        own = [arn for arn in attached if arn.split(":")[4] == account]
        policies = readers.map(lambda arn: _policy(iam, arn), own)
        return {"role": role.result(), "attached": attached, "inline": inline.result(), "policies": policies}


def state_version(session: AwsSession, bucket: str, key: str) -> str | None:
    """Which version of an S3 object there is (``s3:HeadObject``): its ETag and version id; ``None`` without one."""
    with domain_errors(f"The state s3://{bucket}/{key} could not be looked at"):
        try:
            head = session.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in {"404", "NoSuchKey", "NoSuchBucket"}:
                return None
            raise
    return f"{head['ETag']} {head.get('VersionId', '')}"


def _role(iam: IAMClient, name: str) -> dict[str, Any]:
    role: Mapping[str, Any] = iam.get_role(RoleName=name)["Role"]
    trust = decoded(role["AssumeRolePolicyDocument"])
    return {**_some(role, ROLE_FIELDS), "trust": trust, "tags": _tags(role)}


def _attached(iam: IAMClient, name: str) -> list[str]:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return sorted(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])


def _inline(iam: IAMClient, name: str) -> dict[str, Any]:
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=name)
    names = sorted(policy for page in pages for policy in page["PolicyNames"])
    return {each: decoded(iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]) for each in names}


def _policy(iam: IAMClient, arn: str) -> dict[str, Any]:
    policy: Mapping[str, Any] = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    document = decoded(version["PolicyVersion"]["Document"])
    return {**_some(policy, POLICY_FIELDS), "document": document, "tags": _tags(policy)}


def _some(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found.get(name) for name in names}


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}
