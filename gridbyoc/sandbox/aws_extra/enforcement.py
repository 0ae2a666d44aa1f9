"""Enforce the caller's policies on every request.

Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html; the codes of each
protocol: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html,
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.

moto can also do this (``INITIAL_NO_AUTH_ACTION_COUNT``, ``moto.iam.access_control``), but is not used: it rejects the
key ``test``, with which the sandbox's own control plane inspects roles; it omits AWS's reason; and its evaluator has
the faults that ``policy`` lists. Signatures are not checked, and resource policies are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbyoc.sandbox.aws_extra.call import AwsAnswerError, AwsCall, iam_prefix
from gridbyoc.sandbox.aws_extra.policy import ALLOWED, AccessRequest, decide, refusal
from gridbyoc.sandbox.aws_extra.principals import CallingPrincipal, resource_of

_READING = {"GetObject": ("Decrypt",), "HeadObject": ()}
_WRITING = {
    "CopyObject": ("GenerateDataKey",),
    "CreateMultipartUpload": ("GenerateDataKey", "Decrypt"),
    "PutObject": ("GenerateDataKey",),
}


def object_needs(call: AwsCall, account_id: str) -> list[tuple[str, str]]:
    """Every further action that the call needs, each with its resource."""
    bucket = _bucket(call, account_id) if call.service == "s3" else None
    if bucket is None:
        return []
    if call.operation in _READING:
        found = _object(bucket, call)
        if found is None:
            return [("s3:ListBucket", f"arn:aws:s3:::{call.parameters['Bucket']}")]
        return _on_key(_READING[call.operation], found.encryption, found.kms_key_id, account_id, bucket)
    kind, key = _to_write_with(bucket, call)
    return _on_key(_WRITING.get(call.operation, ()), kind, key, account_id, bucket)


def _bucket(call: AwsCall, account_id: str) -> Any:  # noqa: ANN401 -- moto's objects
    from moto.s3.models import s3_backends
    from moto.utilities.utils import get_partition

    return s3_backends[account_id][get_partition(call.region)].buckets.get(str(call.parameters.get("Bucket")))


def _object(bucket: Any, call: AwsCall) -> Any:  # noqa: ANN401 -- moto's objects
    """The requested version, otherwise the newest; ``None`` also for a deleted one."""
    version = call.parameters.get("VersionId")
    versions = bucket.keys.getlist(str(call.parameters.get("Key")), [])
    found = next((each for each in reversed(versions) if version in (None, each.version_id)), None)
    return found if hasattr(found, "encryption") else None


def _to_write_with(bucket: Any, call: AwsCall) -> tuple[object, object]:  # noqa: ANN401 -- moto's objects
    """The kind of encryption and the key: the request's, otherwise the bucket's."""
    rule = ((bucket.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
    kind = call.parameters.get("ServerSideEncryption") or rule.get("SSEAlgorithm")
    return kind, call.parameters.get("SSEKMSKeyId") or rule.get("KMSMasterKeyID")


def _on_key(
    actions: tuple[str, ...],
    kind: object,
    key: object,
    account_id: str,
    bucket: Any,  # noqa: ANN401 -- moto's objects
) -> list[tuple[str, str]]:
    if not key or not str(kind).startswith("aws:kms"):
        return []
    arn = str(key)
    if "alias/" in arn or not arn.startswith("arn:"):
        arn = f"arn:aws:kms:{bucket.region_name}:{account_id}:key/{'*' if 'alias/' in arn else arn}"
    return [(f"kms:{action}", arn) for action in actions]


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
"""IAM operations that need a second action if they get tags."""

_PASSED = {("eks", "CreateCluster"): ("roleArn",), ("eks", "CreateNodegroup"): ("nodeRole",)}
"""The members with a role that the service will use."""

_OF_A_VERSION = {"GetObject", "DeleteObject", "GetObjectAcl", "GetObjectTagging", "PutObjectAcl", "PutObjectTagging"}


def action_of(call: AwsCall) -> str:
    """The IAM action, such as ``iam:CreateRole``; empty if the request is no operation of its service."""
    if not call.operation:
        return ""
    name = call.operation
    if call.service == "s3":
        name = _S3.get(name, name)
        if call.parameters.get("VersionId") and name in _OF_A_VERSION:
            name = name.replace("Object", "ObjectVersion", 1)
    return f"{iam_prefix(call.service)}:{name}"


def needs_of(call: AwsCall, account_id: str) -> list[tuple[str, str]]:
    """Every action that the call needs, each with its resource: its own, tagging, passing a role, and S3's."""
    resource = resource_of(call, account_id)
    needed = [(action_of(call) or f"{iam_prefix(call.service)}:Unknown", resource)]
    if call.operation in _TAGGED and call.parameters.get("Tags"):
        needed.append((f"iam:{call.operation.replace('Create', 'Tag')}", resource))
    for member in _PASSED.get((call.service, call.operation), ()):
        needed.append(("iam:PassRole", str(call.parameters.get(member))))
    return needed + object_needs(call, account_id)


_IAM = {
    "PermissionsBoundary": "iam:permissionsboundary",
    "PolicyArn": "iam:policyarn",
    "AWSServiceName": "iam:awsservicename",
}


def context_of(call: AwsCall, principal: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The values of each condition key; keys in lower case."""
    context = {**principal, "aws:requestedregion": [call.region], "aws:securetransport": ["false"]}
    if call.service == "iam":
        context |= {key: [str(call.parameters[name])] for name, key in _IAM.items() if call.parameters.get(name)}
    if call.service == "sts" and call.parameters.get("ExternalId"):
        context["sts:externalid"] = [str(call.parameters["ExternalId"])]
    tags = call.parameters.get("Tags")
    named = [tag for tag in tags if isinstance(tag, dict) and "Key" in tag] if isinstance(tags, list) else []
    if named:
        context["aws:tagkeys"] = [str(tag["Key"]) for tag in named]
        context |= {f"aws:requesttag/{str(tag['Key']).lower()}": [str(tag.get("Value", ""))] for tag in named}
    return context


_ALWAYS = {"sts:GetCallerIdentity"}
_UNSIGNED = {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}
_JSON = {"json": 400, "rest-json": 403}
"""The protocols whose error codes end in Exception, with the status of an access denial."""


def authorize(call: AwsCall, principal: CallingPrincipal | None, denied_by_scp: Sequence[str]) -> None:
    """Raise ``AwsAnswerError`` unless the principal (``None``: the key belongs to nobody) may do it."""
    if not call.access_key:
        if call.operation not in _UNSIGNED:
            raise AwsAnswerError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        return
    if principal is None:
        raise _unknown_key(call)
    if principal.powers.administrator or action_of(call) in _ALWAYS:
        return
    context = context_of(call, principal.context)
    for action, resource in needs_of(call, principal.account_id):
        decision = decide(principal.powers, AccessRequest(action, resource, context), denied_by_scp)
        if decision.decision != ALLOWED:
            raise _denied(call, refusal(decision, principal.arn, action, _resource_words(call, resource)))


def _denied(call: AwsCall, said: str) -> AwsAnswerError:
    if call.protocol == "ec2":
        return AwsAnswerError("UnauthorizedOperation", f"You are not authorized to perform this operation. {said}", 403)
    if call.protocol in _JSON:
        return AwsAnswerError("AccessDeniedException", said, _JSON[call.protocol])
    return AwsAnswerError("AccessDenied", said, 403)


def _unknown_key(call: AwsCall) -> AwsAnswerError:
    if call.protocol == "ec2":
        return AwsAnswerError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    if call.service == "s3":
        said = "The AWS Access Key Id you provided does not exist in our records."
        return AwsAnswerError("InvalidAccessKeyId", said, 403)
    code = "UnrecognizedClientException" if call.protocol in _JSON else "InvalidClientTokenId"
    return AwsAnswerError(code, "The security token included in the request is invalid.", _JSON.get(call.protocol, 403))


def _resource_words(call: AwsCall, resource: str) -> str:
    """The resource in an error message: IAM names kind and name; EC2 and S3 omit it if it is everything."""
    if call.service == "iam" and ":iam::" in resource:
        kind, _, path = resource.split(":", 5)[5].partition("/")
        return f"{kind} {path.rpartition('/')[2]}"
    return "" if resource == "*" and call.service in {"ec2", "s3"} else resource
