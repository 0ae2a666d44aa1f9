"""IAM users in a running sandbox, and the environment that makes a program act as one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3

from gridbyoc.sandbox import Sandbox


def administrator(sandbox: Sandbox, service: str, region: str = "us-east-1") -> Any:
    """A client with the key ``test``, the account's administrator."""
    return boto3.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=sandbox.aws_url,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def add_user(
    sandbox: Sandbox, name: str, *statements: Mapping[str, Any], boundary: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Make a user with those policy statements; the variables that make a program act as them.

    ``boundary`` is a policy document. Put the result over ``sandbox.environ(...)``: ``environ | add_user(...)``.
    """
    iam = administrator(sandbox, "iam")
    limits = {}
    if boundary is not None:
        made = iam.create_policy(PolicyName=f"{name}-boundary", PolicyDocument=json.dumps(boundary))
        limits = {"PermissionsBoundary": made["Policy"]["Arn"]}
    iam.create_user(UserName=name, **limits)
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
