"""The lock of a state in S3, as Terraform keeps it: an object beside the state, or an item in a DynamoDB table."""

from __future__ import annotations

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code


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
