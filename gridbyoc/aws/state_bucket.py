"""The S3 bucket for Terraform's state: check and set its properties; read, write and remove a state's objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

from gridbyoc.aws.session import BUSY, AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, AwsError
from gridbyoc.stack.files import json_object
from gridbyoc.stack.model import S3Backend

SID = "DenyRequestsWithoutTls"


def requires_tls(policy: str | None, bucket: str, partition: str) -> bool:
    """Whether a statement denies everybody all actions on the bucket and its objects without TLS."""
    return any(_denies(statement, bucket, partition) for statement in _statements(_document(policy, bucket)))


def policy_with_tls(policy: str | None, bucket: str, partition: str) -> str:
    """``policy`` (``None``: there is none yet) with that statement added; the others stay unchanged."""
    document = _document(policy, bucket)
    statements = _statements(document)
    taken = {statement.get("Sid") for statement in statements}
    sid = next(name for name in (SID, *(f"{SID}{number}" for number in range(2, 1000))) if name not in taken)
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html (enforce encryption in transit)
    ours = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": list(_resources(bucket, partition)),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", **document, "Statement": [*statements, ours]})


def _resources(bucket: str, partition: str) -> tuple[str, str]:
    arn = f"arn:{partition}:s3:::{bucket}"
    return arn, f"{arn}/*"


def _document(policy: str | None, bucket: str) -> dict[str, Any]:
    found = json_object(policy or "{}")
    if found is None:
        raise AwsError(
            f"The policy of the bucket {bucket} is not a JSON object.",
            fix="Correct or delete it, then run again.",
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = document.get("Statement", [])
    listed = found if isinstance(found, list) else [found]
    return [statement for statement in listed if isinstance(statement, dict)]


def _denies(statement: Mapping[str, Any], bucket: str, partition: str) -> bool:
    resources = _listed(statement.get("Resource"))
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and any(action in {"*", "s3:*"} for action in _listed(statement.get("Action")))
        and ("*" in resources or all(arn in resources for arn in _resources(bucket, partition)))
        and _only_without_tls(statement.get("Condition"))
    )


def _only_without_tls(condition: object) -> bool:
    """Whether this is the only condition; a second one would narrow the denial."""
    if not isinstance(condition, dict) or len(condition) != 1 or not isinstance(condition.get("Bool"), dict):
        return False
    pairs = {str(key).lower(): _listed(value) for key, value in condition["Bool"].items()}
    return set(pairs) == {"aws:securetransport"} and [str(v).lower() for v in pairs["aws:securetransport"]] == ["false"]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


S3: TypeAlias = Any  # boto3 makes its clients at run time
LOCK_SUFFIX = ".tflock"
"""https://developer.hashicorp.com/terraform/language/backend/s3#state-locking"""
FINGERPRINT_SUFFIX = ".converged.json"
"""The object beside a state that holds the stack's converged fingerprint."""
TAG = ("gridbyoc:purpose", "terraform-state")
_NOT_THERE = {"404", "NoSuchBucket"}
_MISSING = {*_NOT_THERE, "NoSuchKey"}
_WRITTEN_SINCE = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "404", "NoSuchKey"}
"""The codes of a conditional write that S3 refuses. With ``If-Match``, a removed object is ``NoSuchKey``."""
_UNSET = {
    "NoSuchBucketPolicy",
    "NoSuchTagSet",
    "NoSuchTagSetError",
    "NoSuchPublicAccessBlockConfiguration",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@dataclass(frozen=True, slots=True)
class StateBucket:
    """The desired bucket. ``kms_key_id`` ``None``: SSE-S3, or the existing encryption of an existing bucket.

    ``over_tls``: our requests use TLS. With an ``http://`` endpoint (a local S3) the policy would lock us out.
    """

    name: str
    region: str
    account_id: str
    partition: str
    kms_key_id: str | None = None
    over_tls: bool = True


@dataclass(frozen=True, slots=True)
class BucketSetting:
    """One property of the bucket as text, and whether it has the desired value."""

    name: str
    wanted: str
    in_order: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    """How to read, judge and write one property. ``read`` raises an error of ``_UNSET`` if the property is not set."""

    name: str
    wanted: Callable[[StateBucket], str]
    read: Callable[[S3, StateBucket], Any]
    good: Callable[[StateBucket, Any], bool]
    write: Callable[[S3, StateBucket, Any], object]


def reached_over_tls(session: AwsSession) -> bool:
    """Whether S3 is reached over TLS: always, except with an ``http://`` endpoint in the configuration."""
    return not str(session.client("s3").meta.endpoint_url).startswith("http://")


def look_at_bucket(session: AwsSession, bucket: StateBucket) -> tuple[BucketSetting, ...] | None:
    """The current value of each property; ``None`` if there is no such bucket. Reads only.

    Raises ``AwsError`` if the bucket belongs to someone else, or is in another region than ``session``.
    """
    client = session.client("s3")
    if not _exists(client, bucket):
        return None
    return tuple(BucketSetting(rule.name, rule.wanted(bucket), good) for rule, _, good in _looked(client, bucket))


def make_bucket(session: AwsSession, bucket: StateBucket) -> tuple[BucketSetting, ...]:
    """Create the bucket if it is missing, and correct only the properties that differ.

    The result says of each property whether it was correct before. After a kill at any point, a second call continues.
    """
    client = session.client("s3")
    if not _exists(client, bucket):
        _create(client, bucket)
    settings = []
    for rule, found, good in _looked(client, bucket):
        if not good:
            with domain_errors(f"The {rule.name} of the bucket {bucket.name} could not be set"):
                rule.write(client, bucket, found)
        settings.append(BucketSetting(rule.name, rule.wanted(bucket), good))
    return tuple(settings)


def _exists(client: S3, bucket: StateBucket) -> bool:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html"""
    with domain_errors(f"The bucket {bucket.name} could not be looked at"):
        try:
            answer = client.head_bucket(Bucket=bucket.name, ExpectedBucketOwner=bucket.account_id)
        except ClientError as error:
            if error_code(error) in _NOT_THERE:
                return False
            if error_code(error) in {"403", "AccessDenied"}:
                raise _somebody_elses(bucket) from None
            raise
    region = answer.get("BucketRegion") or bucket.region
    if region != bucket.region:
        raise AwsError(
            f"The bucket {bucket.name} is in {region}, not in {bucket.region}.",
            fix=f"Give --region {region}, or another --bucket.",
            rerun=SAFE_NOTHING_DONE,
        )
    return True


def _create(client: S3, bucket: StateBucket) -> None:
    """Create the bucket. In us-east-1, S3 requires that there is no LocationConstraint.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    place: dict[str, Any] = {}
    if bucket.region != "us-east-1":
        place["CreateBucketConfiguration"] = {"LocationConstraint": bucket.region}
    with domain_errors(f"The bucket {bucket.name} could not be created"):
        try:
            client.create_bucket(Bucket=bucket.name, ObjectOwnership="BucketOwnerEnforced", **place)
        except ClientError as error:
            if error_code(error) == "BucketAlreadyExists":
                raise _somebody_elses(bucket) from None
            if error_code(error) != "BucketAlreadyOwnedByYou":
                raise
        client.get_waiter("bucket_exists").wait(Bucket=bucket.name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})


def _somebody_elses(bucket: StateBucket) -> AwsError:
    return AwsError(
        f"The bucket {bucket.name} exists, and account {bucket.account_id} may not look at it.",
        why="Bucket names are unique in all of AWS: it belongs to another account, or its policy or your permissions "
        "forbid s3:ListBucket.",
        fix="Choose another name with --bucket; for a bucket of your own, get s3:ListBucket on it.",
        rerun=SAFE_NOTHING_DONE,
    )


def _looked(client: S3, bucket: StateBucket) -> list[tuple[_Rule, Any, bool]]:
    looked = []
    for rule in _RULES:
        with domain_errors(f"The {rule.name} of the bucket {bucket.name} could not be read"):
            try:
                found = rule.read(client, bucket)
            except ClientError as error:
                if error_code(error) not in _UNSET:
                    raise
                found = None
        looked.append((rule, found, rule.good(bucket, found)))
    return looked


def _mine(bucket: StateBucket) -> dict[str, str]:
    """Arguments of every call: with the expected owner, S3 refuses if another account owns the bucket."""
    return {"Bucket": bucket.name, "ExpectedBucketOwner": bucket.account_id}


def _encryption(bucket: StateBucket) -> dict[str, Any]:
    if bucket.kms_key_id is None:
        return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": bucket.kms_key_id}
    return {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}


def _encrypted(bucket: StateBucket, found: Any) -> bool:  # noqa: ANN401 - S3's answer
    default = (found or [{}])[0].get("ApplyServerSideEncryptionByDefault", {})
    key = str(default.get("KMSMasterKeyID") or "")
    if bucket.kms_key_id is None:
        return bool(default.get("SSEAlgorithm"))
    same_key = key == bucket.kms_key_id or key.endswith(f"/{bucket.kms_key_id}")
    return str(default.get("SSEAlgorithm")).startswith("aws:kms") and same_key


def _tagged(found: Any) -> list[dict[str, str]]:  # noqa: ANN401 - S3's answer
    return [*(found or []), {"Key": TAG[0], "Value": TAG[1]}]


_RULES = (
    _Rule(
        "object ownership",
        lambda _bucket: "the bucket's owner owns every object; ACLs are off",
        lambda s3, b: s3.get_bucket_ownership_controls(**_mine(b))["OwnershipControls"]["Rules"],
        lambda _bucket, found: bool(found) and found[0]["ObjectOwnership"] == "BucketOwnerEnforced",
        lambda s3, b, _found: s3.put_bucket_ownership_controls(
            **_mine(b), OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        ),
    ),
    _Rule(
        "public access block",
        lambda _bucket: "all public access is blocked",
        lambda s3, b: s3.get_public_access_block(**_mine(b))["PublicAccessBlockConfiguration"],
        lambda _bucket, found: bool(found) and all(found.get(name) for name in _BLOCKS),
        lambda s3, b, _found: s3.put_public_access_block(
            **_mine(b), PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True)
        ),
    ),
    _Rule(
        "encryption",
        lambda bucket: f"KMS key {bucket.kms_key_id}" if bucket.kms_key_id else "every object is encrypted (SSE-S3)",
        lambda s3, b: s3.get_bucket_encryption(**_mine(b))["ServerSideEncryptionConfiguration"]["Rules"],
        _encrypted,
        lambda s3, b, _found: s3.put_bucket_encryption(
            **_mine(b), ServerSideEncryptionConfiguration={"Rules": [_encryption(b)]}
        ),
    ),
    _Rule(
        "versioning",
        lambda _bucket: "every version of the state is kept",
        lambda s3, b: s3.get_bucket_versioning(**_mine(b)).get("Status"),
        lambda _bucket, found: found == "Enabled",
        lambda s3, b, _found: s3.put_bucket_versioning(**_mine(b), VersioningConfiguration={"Status": "Enabled"}),
    ),
    _Rule(
        "policy",
        lambda b: "requests without TLS are denied" if b.over_tls else "none: this S3 is reached without TLS",
        lambda s3, b: s3.get_bucket_policy(**_mine(b))["Policy"],
        lambda b, found: not b.over_tls or requires_tls(found, b.name, b.partition),
        lambda s3, b, found: s3.put_bucket_policy(**_mine(b), Policy=policy_with_tls(found, b.name, b.partition)),
    ),
    _Rule(
        "tags",
        lambda _bucket: f"{TAG[0]} = {TAG[1]}",
        lambda s3, b: s3.get_bucket_tagging(**_mine(b))["TagSet"],
        lambda _bucket, found: any(tag["Key"] == TAG[0] for tag in found or []),
        lambda s3, b, found: s3.put_bucket_tagging(**_mine(b), Tagging={"TagSet": _tagged(found)}),
    ),
)


def state_version(session: AwsSession, bucket: str, key: str) -> str | None:
    """ETag and version id of an S3 object (``s3:HeadObject``); ``None`` if it does not exist."""
    with domain_errors(f"The state s3://{bucket}/{key} could not be looked at"):
        try:
            head = session.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
    return f"{head['ETag']} {head.get('VersionId', '')}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was read. ``etag`` names this content in a conditional write."""

    content: bytes = field(repr=False)
    etag: str


def read_object(session: AwsSession, bucket: str, key: str) -> StoredObject | None:
    """An object (``s3:GetObject``); ``None`` if it does not exist. Raises ``AwsError``."""
    with domain_errors(f"s3://{bucket}/{key} could not be read"):
        try:
            answer = session.client("s3").get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
        return StoredObject(bytes(answer["Body"].read()), str(answer["ETag"]))


def write_object(
    session: AwsSession, backend: S3Backend, key: str, content: str, *, replaces: StoredObject | None
) -> bool:
    """Write an object beside a state, encrypted as Terraform encrypts the state (``s3:PutObject``).

    ``replaces``: the object as it was read before; ``None``: there was none. Returns false, and writes nothing, if
    somebody has written or removed the object since. Raises ``AwsError``.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    settings: dict[str, str] = {"IfMatch": replaces.etag} if replaces else {"IfNoneMatch": "*"}
    if backend.encrypt and backend.kms_key_id:
        settings |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": backend.kms_key_id}
    elif backend.encrypt:
        settings["ServerSideEncryption"] = "AES256"
    with domain_errors(f"s3://{backend.bucket}/{key} could not be written"):
        try:
            session.client("s3").put_object(
                Bucket=backend.bucket, Key=key, Body=content.encode(), ContentType="application/json", **settings
            )
        except ClientError as error:
            if error_code(error) in _WRITTEN_SINCE:
                return False
            raise
    return True


def remove_object(session: AwsSession, bucket: str, key: str) -> None:
    """Remove an object (``s3:DeleteObject``). A versioned bucket keeps its versions. Raises ``AwsError``."""
    with domain_errors(f"s3://{bucket}/{key} could not be removed"):
        session.client("s3").delete_object(Bucket=bucket, Key=key)


def read_state_lock(session: AwsSession, bucket: str, key: str, *, table: str | None = None) -> bytes | None:
    """The lock's content (JSON), or ``None`` if the state is not locked. Raises ``AwsError``.

    If both kinds of locks are in use (Terraform then takes both), it is the object in S3.
    """
    # https://developer.hashicorp.com/terraform/language/backend/s3#state-locking
    with domain_errors(f"The lock of s3://{bucket}/{key} could not be read"):
        try:
            return bytes(session.client("s3").get_object(Bucket=bucket, Key=f"{key}{LOCK_SUFFIX}")["Body"].read())
        except ClientError as error:
            if error_code(error) not in {"NoSuchKey", "404"}:
                raise
        return _in_table(session, table, f"{bucket}/{key}") if table else None


def _in_table(session: AwsSession, table: str, lock: str) -> bytes | None:
    found = session.client("dynamodb").get_item(TableName=table, Key={"LockID": {"S": lock}}, ConsistentRead=True)
    note = found.get("Item", {}).get("Info", {}).get("S")
    return note.encode() if note else None


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object. ``latest``: the version that readers get; ``marker``: it is a delete marker.

    The id is ``null`` in a bucket without versioning.
    """

    key: str
    ident: str
    latest: bool
    marker: bool


@dataclass(frozen=True, slots=True)
class StateObjects:
    """Everything that AWS stores for one state.

    ``versions`` of its object, its lock and its fingerprint are sorted oldest first, with those that readers get at the
    end. ``digest``: whether the DynamoDB ``table`` has the item against which Terraform checks the object.
    """

    bucket: str
    key: str
    table: str | None
    versions: tuple[ObjectVersion, ...]
    digest: bool

    @property
    def nothing(self) -> bool:
        """Return whether S3 and DynamoDB hold no part of the state."""
        return not self.versions and not self.digest

    @property
    def deleted_state(self) -> ObjectVersion | None:
        """The newest version of a state that was deleted, so that readers no longer get it; else ``None``."""
        own = [each for each in self.versions if each.key == self.key]
        if any(each.latest and not each.marker for each in own):
            return None
        return next((each for each in reversed(own) if not each.marker), None)


def state_objects(session: AwsSession, bucket: str, key: str, *, table: str | None = None) -> StateObjects:
    """List the versions of exactly this key, its lock and its fingerprint, and look for the digest.

    Calls ``s3:ListBucketVersions`` and ``dynamodb:GetItem``. Raises ``AwsError``.
    """
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html: newest first, markers apart
    found: list[ObjectVersion] = []
    with domain_errors(f"The versions of s3://{bucket}/{key} could not be listed"):
        for page in session.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            for kind in ("Versions", "DeleteMarkers"):
                found += (
                    ObjectVersion(each["Key"], each["VersionId"], bool(each["IsLatest"]), kind == "DeleteMarkers")
                    for each in page.get(kind) or ()
                    if each["Key"] in (key, f"{key}{LOCK_SUFFIX}", f"{key}{FINGERPRINT_SUFFIX}")
                )
    with domain_errors(f"The digest of s3://{bucket}/{key} could not be looked for in {table}"):
        digest = table is not None and "Item" in session.client("dynamodb").get_item(
            TableName=table, Key=_digest_key(bucket, key), ConsistentRead=True
        )
    found.reverse()
    return StateObjects(bucket, key, table, tuple(sorted(found, key=lambda each: each.latest)), digest)


def _digest_key(bucket: str, key: str) -> dict[str, Any]:
    """https://developer.hashicorp.com/terraform/language/backend/s3#dynamodb-state-locking"""
    return {"LockID": {"S": f"{bucket}/{key}-md5"}}


def read_version(session: AwsSession, bucket: str, version: ObjectVersion) -> bytes:
    """The content of one version (``s3:GetObjectVersion``); ``AwsError``."""
    with domain_errors(f"The version {version.ident} of s3://{bucket}/{version.key} could not be read"):
        answer = session.client("s3").get_object(Bucket=bucket, Key=version.key, VersionId=version.ident)
        return bytes(answer["Body"].read())


def remove_state_objects(session: AwsSession, doomed: StateObjects) -> None:
    """Permanently remove exactly these versions and the digest. Raises ``AwsError`` at the first refusal of AWS.

    The digest is removed first: while it exists, Terraform refuses to read a missing state. The versions that readers
    get are removed last; otherwise readers would get an older version: the state of destroyed resources, or a released
    lock. So the state stays readable and empty until the end, and a second call continues.
    """
    if doomed.digest:
        with domain_errors(f"The digest of s3://{doomed.bucket}/{doomed.key} could not be removed"):
            session.client("dynamodb").delete_item(TableName=doomed.table, Key=_digest_key(doomed.bucket, doomed.key))
    client = session.client("s3")
    for count, version in enumerate(doomed.versions):
        what = (
            f"The version {version.ident} of s3://{doomed.bucket}/{version.key} could not be removed "
            f"({count} of {len(doomed.versions)} are)"
        )
        with domain_errors(what):
            try:
                client.delete_object(Bucket=doomed.bucket, Key=version.key, VersionId=version.ident)
            except ClientError as error:
                if fix := _why_it_stays(error):
                    why = f"{error_code(error)}: {error.response['Error'].get('Message', '')}"
                    raise AwsError(f"{what}.", why=why, fix=fix, rerun=SAFE_RESUMES) from None
                raise


def _why_it_stays(error: ClientError) -> str:
    """The fix for a version that S3 does not remove; empty if AWS's message is all that is known.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
    """
    code = error_code(error)
    if "object lock" in str(error).lower():
        return "Object Lock retains it. Run the same command again when the retention has ended."
    if code in {"AccessDenied", "403"}:
        return (
            "Get s3:DeleteObjectVersion on the state, its lock and its fingerprint (`gridbyoc policy --for "
            "destroy-with-state`). If you have it, the version may be under a retention of Object Lock, or the bucket "
            "asks for MFA to delete."
        )
    if code in BUSY or code in {"SlowDown", "ServiceUnavailable", "InternalError"}:
        return "S3 is busy. Run the same command again in a moment."
    return ""
