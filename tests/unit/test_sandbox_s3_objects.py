"""What S3 asks of a caller besides the operation's own action: the object's key, and listing where there is none."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.aws_kit import ACCOUNT, LocalAws, allow, deny

ID = "1234abcd-12ab-44cd-96ef-1234567890ab"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{ID}"
WITH_KEY = {"Bucket": "bbb", "Key": "k", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
OBJECT = {"Bucket": "bbb", "Key": "k"}


def bucket(aws: LocalAws, **default: str) -> Any:
    """The administrator's client, and a bucket with this encryption by default."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bbb")
    if default:
        rules = [{"ApplyServerSideEncryptionByDefault": default}]
        s3.put_bucket_encryption(Bucket="bbb", ServerSideEncryptionConfiguration={"Rules": rules})
    return s3


def denied(action: str, resource: str) -> str:
    return f"not authorized to perform: {action} on resource: {resource} because"


@pytest.mark.parametrize("named", [KEY, ID])
def test_an_object_with_a_key_is_written_and_read_with_it(named: str) -> None:
    aws = LocalAws(enforce_iam=True)
    bucket(aws)
    put = {**WITH_KEY, "SSEKMSKeyId": named, "Body": b"x"}
    without = aws.client("s3", aws.user("ada", allow("s3:*")))
    with pytest.raises(ClientError, match=denied("kms:GenerateDataKey", KEY)):
        without.put_object(**put)
    whole = aws.client("s3", aws.user("eve", allow("s3:*"), allow("kms:Decrypt", "kms:GenerateDataKey", resource=KEY)))
    whole.put_object(**put)
    assert whole.get_object(**OBJECT)["Body"].read() == b"x"
    with pytest.raises(ClientError, match=denied("kms:Decrypt", KEY)):
        without.get_object(**OBJECT)
    assert without.head_object(**OBJECT)["ContentLength"] == 1
    with pytest.raises(ClientError, match=denied("kms:GenerateDataKey", KEY)):
        without.create_multipart_upload(**WITH_KEY)


def test_a_buckets_own_key_counts_and_an_alias_is_any_key() -> None:
    aws = LocalAws(enforce_iam=True)
    bucket(aws, SSEAlgorithm="aws:kms", KMSMasterKeyID="alias/state")
    other = aws.client("s3", aws.user("ada", allow("s3:*"), allow("kms:*", resource=KEY)))
    with pytest.raises(ClientError, match="kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:"):
        other.put_object(**OBJECT, Body=b"x")
    any_key = KEY.replace(ID, "*")
    aws.client("s3", aws.user("eve", allow("s3:*"), allow("kms:*", resource=any_key))).put_object(**OBJECT, Body=b"x")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        other.get_object(**OBJECT)


@pytest.mark.parametrize("default", [{}, {"SSEAlgorithm": "AES256"}, {"SSEAlgorithm": "aws:kms"}])
def test_without_a_key_of_its_own_nobody_is_asked_for_one(default: dict[str, str]) -> None:
    aws = LocalAws(enforce_iam=True)
    bucket(aws, **default)
    s3 = aws.client("s3", aws.user("ada", allow("s3:*"), deny("kms:*")))
    s3.put_object(**OBJECT, Body=b"x")
    assert s3.get_object(**OBJECT)["Body"].read() == b"x"


def test_that_there_is_no_object_is_said_to_whoever_may_list() -> None:
    aws = LocalAws(enforce_iam=True)
    bucket(aws).put_object(**OBJECT, Body=b"x")
    reader = aws.client("s3", aws.user("ada", allow("s3:GetObject")))
    assert reader.get_object(**OBJECT)["Body"].read() == b"x"
    with pytest.raises(ClientError, match=denied("s3:ListBucket", "arn:aws:s3:::bbb")):
        reader.get_object(Bucket="bbb", Key="none")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.head_object(Bucket="bbb", Key="none")
    lister = aws.client("s3", aws.user("eve", allow("s3:GetObject", "s3:ListBucket")))
    with pytest.raises(ClientError, match="NoSuchKey"):
        lister.get_object(Bucket="bbb", Key="none")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        reader.get_object(Bucket="nobodys", Key="none")


def test_a_deleted_object_is_none_and_its_old_version_still_one() -> None:
    aws = LocalAws(enforce_iam=True)
    s3 = bucket(aws)
    s3.put_bucket_versioning(Bucket="bbb", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(**WITH_KEY, Body=b"x")["VersionId"]
    s3.delete_object(**OBJECT)
    reader = aws.client("s3", aws.user("ada", allow("s3:GetObject", "s3:GetObjectVersion")))
    with pytest.raises(ClientError, match="s3:ListBucket"):
        reader.get_object(**OBJECT)
    with pytest.raises(ClientError, match=denied("kms:Decrypt", KEY)):
        reader.get_object(**OBJECT, VersionId=first)
