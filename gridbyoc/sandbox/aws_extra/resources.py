"""The resource that a request is about, as its ARN; ``*`` where it cannot be told from the parameters.

Shape: the resource types of
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.sandbox.aws_extra.call import Call

_IAM_NAMES = (
    # Before the role that goes into a profile or out of it: the profile is what is changed.
    ("InstanceProfileName", "instance-profile"),
    ("RoleName", "role"),
    ("UserName", "user"),
    ("GroupName", "group"),
)
_ARNS = ("PolicySourceArn", "PolicyArn", "RoleArn", "OpenIDConnectProviderArn", "SAMLProviderArn", "ResourceARN",
         "resourceArn", "TopicArn", "SecretId")  # fmt: skip


def resource_of(call: Call, account_id: str) -> str:
    """The ARN. In IAM a role, user or group is meant before a policy that is attached to it."""
    if call.service == "iam":
        return _iam(call, account_id)
    if call.service == "s3":
        return _s3(call.parameters)
    if call.service == "eks" and (name := call.parameters.get("clusterName") or _eks_name(call)):
        return f"arn:aws:eks:{call.region}:{account_id}:cluster/{name}"
    if call.service == "dynamodb" and (table := call.parameters.get("TableName")):
        return f"arn:aws:dynamodb:{call.region}:{account_id}:table/{table}"
    return _named_arn(call.parameters)


def _iam(call: Call, account_id: str) -> str:
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
    """The ARN of one that exists: its path is part of it, and not of most requests."""
    from gridbyoc.sandbox.aws_extra.principals import entity_arn

    return entity_arn(account_id, kind, name, region) if kind in {"role", "user", "group"} else ""


def _s3(given: Mapping[str, Any]) -> str:
    bucket, key = given.get("Bucket"), given.get("Key")
    if not bucket:
        return "*"
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def _eks_name(call: Call) -> str:
    return str(call.parameters.get("name") or "") if "Cluster" in call.operation else ""


def _named_arn(given: Mapping[str, Any]) -> str:
    found = (str(given[name]) for name in _ARNS if str(given.get(name) or "").startswith("arn:"))
    return next(found, "*")
