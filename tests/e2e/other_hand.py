"""What another hand does to a standing role in AWS: it makes Terraform call what it has no other reason to call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

NAME = "by-hand"
READ_S3 = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
)
TAG = [{"Key": "by", "Value": "hand"}]
VERSIONS = 5
"""As many as a policy can have: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html"""


def leave_things(iam: Any, role: str) -> None:
    """An inline policy, and an instance profile that holds the role; what is there stays."""
    iam.put_role_policy(RoleName=role, PolicyName=NAME, PolicyDocument=READ_S3)
    if not iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]:
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_instance_profile(InstanceProfileName=NAME)
        iam.add_role_to_instance_profile(InstanceProfileName=NAME, RoleName=role)


@contextmanager
def changed(iam: Any, role: str, policy: str, change: str) -> Iterator[None]:
    """The role or its policy changed as ``change`` says (in the words of the list of actions), and put back again."""
    undo = _CHANGES[change](iam, role, policy)
    try:
        yield
    finally:
        undo()


def _role_tags(iam: Any, role: str, _policy: str) -> Callable[[], object]:
    iam.tag_role(RoleName=role, Tags=TAG)
    return lambda: iam.untag_role(RoleName=role, TagKeys=["by"])


def _policy_tags(iam: Any, _role: str, policy: str) -> Callable[[], object]:
    iam.tag_policy(PolicyArn=policy, Tags=TAG)
    return lambda: iam.untag_policy(PolicyArn=policy, TagKeys=["by"])


def _trust(iam: Any, role: str, _policy: str) -> Callable[[], object]:
    before = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    other = {**before, "Statement": [{**before["Statement"][0], "Effect": "Deny"}]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(other))
    return lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))


def _setting(name: str, value: object) -> Callable[[Any, str, str], Callable[[], object]]:
    def change(iam: Any, role: str, _policy: str) -> Callable[[], object]:
        found = iam.get_role(RoleName=role)["Role"]
        before = {each: found[each] for each in ("Description", "MaxSessionDuration")}
        iam.update_role(RoleName=role, **{**before, name: value})
        return lambda: iam.update_role(RoleName=role, **before)

    return change


def _boundary(iam: Any, role: str, _policy: str) -> Callable[[], object]:
    before = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    iam.delete_role_permissions_boundary(RoleName=role)
    return lambda: iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=before)


def _versions(iam: Any, _role: str, policy: str) -> Callable[[], object]:
    """As many versions as there can be, so that Terraform has to delete one; the last of them holds."""
    default = iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"]
    before = iam.get_policy_version(PolicyArn=policy, VersionId=default)["PolicyVersion"]["Document"]
    for _ in range(VERSIONS - len(iam.list_policy_versions(PolicyArn=policy)["Versions"])):
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=READ_S3, SetAsDefault=True)

    def undo() -> None:
        for version in iam.list_policy_versions(PolicyArn=policy)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=policy, VersionId=version["VersionId"])
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=json.dumps(before), SetAsDefault=True)

    return undo


_CHANGES: Mapping[str, Callable[[Any, str, str], Callable[[], object]]] = {
    "aws_iam_role: update of the tags": _role_tags,
    "aws_iam_role: update of the trust policy": _trust,
    "aws_iam_role: update of the session's length": _setting("MaxSessionDuration", 7200),
    "aws_iam_role: update of the description": _setting("Description", "by hand"),
    "aws_iam_role: update of the boundary": _boundary,
    "aws_iam_policy: update of the tags": _policy_tags,
    "aws_iam_policy: update": _versions,
    "aws_iam_policy: update, delete": _versions,
}
