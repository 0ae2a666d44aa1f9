"""The user that ``credentials create-user`` makes, and its policy with an action less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def granted(iam: Any, user: str) -> set[str]:
    """Every action that the user's policies allow, as they are in IAM."""
    documents = [document for _, _, document in _policies(iam, user)]
    return {action for document in documents for each in document["Statement"] for action in each["Action"]}


@contextmanager
def taken_away(iam: Any, user: str, *actions: str) -> Iterator[None]:
    """The user's policies without these actions, as long as this lasts."""
    gone, changed = set(actions), []
    for arn, version, document in _policies(iam, user):
        statements = [_without(each, gone) for each in document["Statement"]]
        if statements != document["Statement"]:
            less = {**document, "Statement": [each for each in statements if each["Action"]]}
            made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(less), SetAsDefault=True)
            changed.append((arn, version, made["PolicyVersion"]["VersionId"]))
    assert changed, f"no policy of {user} allows {actions}"
    try:
        yield
    finally:
        for arn, whole, less_version in changed:
            iam.set_default_policy_version(PolicyArn=arn, VersionId=whole)
            iam.delete_policy_version(PolicyArn=arn, VersionId=less_version)


def _without(statement: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    return {**statement, "Action": [action for action in statement["Action"] if action not in gone]}


def _policies(iam: Any, user: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The ARN, the version that holds, and its document."""
    for attached in iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        yield arn, version, found
