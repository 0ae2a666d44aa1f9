"""What S3 asks for besides an operation's own action: the object's key in KMS, and listing, where there is no object.

Shape: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax (Permissions)
Where neither request nor bucket names a key, AWS's own ``aws/s3`` is used, which everybody in the account may use
through S3. No key has to exist here, nothing is encrypted, and an alias stands for any key.
"""

from __future__ import annotations

from typing import Any

from gridbyoc.sandbox.aws_extra.call import Call

_READING = {"GetObject": ("Decrypt",), "HeadObject": ()}
_WRITING = {
    "CopyObject": ("GenerateDataKey",),
    "CreateMultipartUpload": ("GenerateDataKey", "Decrypt"),
    "PutObject": ("GenerateDataKey",),
}


def object_needs(call: Call, account_id: str) -> list[tuple[str, str]]:
    """Every further action that it needs, each with its resource."""
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


def _bucket(call: Call, account_id: str) -> Any:  # noqa: ANN401 -- moto's objects
    from moto.s3.models import s3_backends
    from moto.utilities.utils import get_partition

    return s3_backends[account_id][get_partition(call.region)].buckets.get(str(call.parameters.get("Bucket")))


def _object(bucket: Any, call: Call) -> Any:  # noqa: ANN401 -- moto's objects
    """The version that is asked for, else the newest; ``None`` also for one that is deleted."""
    version = call.parameters.get("VersionId")
    versions = bucket.keys.getlist(str(call.parameters.get("Key")), [])
    found = next((each for each in reversed(versions) if version in (None, each.version_id)), None)
    return found if hasattr(found, "encryption") else None


def _to_write_with(bucket: Any, call: Call) -> tuple[object, object]:  # noqa: ANN401 -- moto's objects
    """What the request says, else what the bucket says: the kind of encryption, and the key."""
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
