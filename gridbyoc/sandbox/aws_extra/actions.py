"""The actions of IAM that an operation needs.

Shape: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
Most operations are the action of the same name. S3 names actions of its own:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from gridbyoc.sandbox.aws_extra.call import Call
from gridbyoc.sandbox.aws_extra.resources import resource_of
from gridbyoc.sandbox.aws_extra.s3_objects import object_needs
from gridbyoc.sandbox.aws_extra.services import iam_prefix

_S3 = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketCors": "PutBucketCORS",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutBucketReplication": "PutReplicationConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_TAGGED = {"CreateRole", "CreatePolicy", "CreateUser", "CreateInstanceProfile"}
"""IAM's operations that need a second action where they are given tags."""

_PASSED = {("eks", "CreateCluster"): ("roleArn",), ("eks", "CreateNodegroup"): ("nodeRole",)}
"""The members with a role that the service is to use."""

_OF_A_VERSION = {"GetObject", "DeleteObject", "GetObjectAcl", "GetObjectTagging", "PutObjectAcl", "PutObjectTagging"}


def action_of(call: Call) -> str:
    """``iam:CreateRole``; empty for a request that is no operation of its service."""
    if not call.operation:
        return ""
    name = call.operation
    if call.service == "s3":
        name = _S3.get(name, name)
        if call.parameters.get("VersionId") and name in _OF_A_VERSION:
            name = name.replace("Object", "ObjectVersion", 1)
    return f"{iam_prefix(call.service)}:{name}"


def needs_of(call: Call, account_id: str) -> list[tuple[str, str]]:
    """Every action that it needs, each with its resource: its own, tagging what it makes, passing a role on, S3's."""
    resource = resource_of(call, account_id)
    needed = [(action_of(call) or f"{iam_prefix(call.service)}:Unknown", resource)]
    if call.operation in _TAGGED and call.parameters.get("Tags"):
        needed.append((f"iam:{call.operation.replace('Create', 'Tag')}", resource))
    for member in _PASSED.get((call.service, call.operation), ()):
        needed.append(("iam:PassRole", str(call.parameters.get(member))))
    return needed + object_needs(call, account_id)
