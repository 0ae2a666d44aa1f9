"""A state in S3: which version of it there is, and its lock as Terraform keeps it.

The lock is an object beside the state, or an item in a DynamoDB table.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code


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


def read_state_lock(session: AwsSession, bucket: str, key: str, *, table: str | None = None) -> bytes | None:
    """The holder's note (JSON) or ``None`` where the state is not locked; ``AwsError``.

    Where both kinds are in use (Terraform takes both then) the object in S3 is the one that is told.
    """
    # https://developer.hashicorp.com/terraform/language/backend/s3#state-locking
    with domain_errors(f"The lock of s3://{bucket}/{key} could not be read"):
        try:
            return bytes(session.client("s3").get_object(Bucket=bucket, Key=f"{key}.tflock")["Body"].read())
        except ClientError as error:
            if error_code(error) not in {"NoSuchKey", "404"}:
                raise
        return _in_table(session, table, f"{bucket}/{key}") if table else None


def _in_table(session: AwsSession, table: str, lock: str) -> bytes | None:
    found = session.client("dynamodb").get_item(TableName=table, Key={"LockID": {"S": lock}}, ConsistentRead=True)
    note = found.get("Item", {}).get("Info", {}).get("S")
    return note.encode() if note else None
