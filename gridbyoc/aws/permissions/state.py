"""What a state in S3 needs, and its bucket: https://developer.hashicorp.com/terraform/language/backend/s3"""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.aws.permissions.model import Need, Place, literal
from gridbyoc.stack.model import S3Backend

_KMS = "S3 asks KMS for it on the caller's behalf; nobody calls it"


def state_needs(backend: S3Backend, place: Place, *, native_lock: bool = True) -> Iterator[Need]:
    """Reading, writing and locking the state. ``native_lock``: by an object beside it (Terraform 1.10 and later)."""
    bucket, key = place.s3(backend.bucket), place.s3(f"{backend.bucket}/{literal(backend.key)}")
    # Terraform goes on where it may not list; but S3 says 403 then, and not 404, of a state that is not there yet:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    yield Need("s3:ListBucket", bucket, "the state: looking for it", "state")
    yield Need("s3:GetObject", key, "the state: reading it", "state")
    yield Need("s3:PutObject", key, "the state: writing it", "apply")
    yield Need("s3:PutObject", key, "the state: writing it", "destroy")
    yield Need(
        "s3:GetBucketPolicy", bucket, "preflight: whether the bucket's policy allows what is missing", "preflight"
    )
    if native_lock:
        for action, what in (("Get", "reading who holds it"), ("Put", "taking it"), ("Delete", "giving it back")):
            yield Need(f"s3:{action}Object", f"{key}.tflock", f"the state's lock: {what}", "state")
    if backend.dynamodb_table:
        yield from _table_needs(backend, backend.dynamodb_table, place)
    if backend.kms_key_id:
        arn = _key_arn(backend, backend.kms_key_id, place)
        # Terraform's page names kms:Encrypt, too; S3 does not ask for it:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            yield Need(action, arn, "the state: its encryption", "state", unseen=_KMS)


def bucket_needs(bucket: str, place: Place) -> Iterator[Need]:
    """What ``state init`` reads and writes of a bucket (``*``: any name)."""
    arn = place.s3(bucket)
    reads = ("s3:ListBucket", *(f"s3:Get{name}" for name in _PROPERTIES))
    for action in (*reads, "s3:CreateBucket", *(f"s3:Put{name}" for name in _PROPERTIES)):
        yield Need(action, arn, "the state's bucket: making it, and putting it right", "bucket")


_PROPERTIES = (
    "BucketOwnershipControls",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "BucketTagging",
    "BucketVersioning",
    "EncryptionConfiguration",
)
"""In the words of IAM, which are not the API's: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"""


def _table_needs(backend: S3Backend, table: str, place: Place) -> Iterator[Need]:
    arn = table if table.startswith("arn:") else place.regional("dynamodb", f"table/{table}", backend.region)
    # Terraform's page names DescribeTable, too; its client never calls it (internal/backend/remote-state/s3/client.go).
    for action in ("GetItem", "PutItem", "DeleteItem"):
        yield Need(f"dynamodb:{action}", arn, "the state's lock in DynamoDB", "state")


def _key_arn(backend: S3Backend, key: str, place: Place) -> str:
    """A key's ARN; behind an alias is any key of the alias's account and region, because a policy cannot name aliases.

    https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
    """
    if key.startswith("arn:"):
        owner, _, alias = key.partition(":alias/")
        return f"{owner}:key/*" if alias else key
    name = "*" if key.startswith("alias/") else key
    return place.regional("kms", f"key/{name}", backend.region)
