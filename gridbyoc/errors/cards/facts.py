"""What a message says besides its reason: who was refused, what, on which resource, by which operation."""

from __future__ import annotations

import re
from collections.abc import Mapping

# IAM's common form: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_REFUSED = re.compile(
    r"(?:User: )?(?P<principal>arn:[^\s,]{1,400}) is not authorized to perform: (?P<action>[\w-]{1,64}:[\w*]{1,128})"
    r"(?: on resource: \"?(?P<resource>arn:[^\s,\"]{1,400}|\*|[^\s,.\"]{1,200}(?: [^\s,.\"]{1,200})?)\"?)?"
    r"(?=[\s,.\"]|$)"
)
# The AWS SDK for Go v2, in Terraform, OpenTofu and the provider: `operation error IAM: CreateRole, https …`.
_OPERATION = re.compile(r"operation error (?P<service>[A-Za-z0-9 ]{1,40}): (?P<operation>[A-Za-z0-9]{1,80})\b")
_SIMPLE: Mapping[str, re.Pattern[str]] = {
    "policy": re.compile(r"\bpolicy:? (?P<policy>arn:[\w-]+:[^\s,;)\"]{1,400})", re.IGNORECASE),
    "bucket": re.compile(r"S3 [Bb]ucket \(?\"?(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})\"?\)?"),
    "region": re.compile(r"\b(?P<region>[a-z]{2}(?:-[a-z]+){1,2}-\d)(?=[.\s\"',:)]|$)"),
    "host": re.compile(r"https?://(?P<host>[\w.-]{1,253}(?::\d{1,5})?)"),
    "provider": re.compile(r"\b(?P<provider>[\w-]{1,60}/aws)\b"),
}
_PREFIXES = {"IAM": "iam", "STS": "sts", "S3": "s3", "EC2": "ec2", "EKS": "eks", "KMS": "kms", "DynamoDB": "dynamodb"}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html: the action's name is another.
_ACTIONS = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
}


def facts_in(text: str) -> dict[str, str]:
    """The facts of a text whose white space is single blanks; only what has the form of a name, an ARN, an action."""
    found = {name: match[name] for name, pattern in _SIMPLE.items() if (match := pattern.search(text))}
    operation = _OPERATION.search(text)
    if operation and operation["service"] in _PREFIXES:
        action = f"{_PREFIXES[operation['service']]}:{operation['operation']}"
        found["action"] = _ACTIONS.get(action, action)
    refused = _REFUSED.search(text)
    if refused:
        found |= {name: value.rstrip(".:") for name, value in refused.groupdict().items() if value}
    return found
