"""Buckets and log groups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.leftovers.api import Api, is_gone, tags_of
from gridbyoc.aws.leftovers.evidence import bucket_arn
from gridbyoc.aws.leftovers.model import Kind, NotYetError, Ours, Place, Resource, Scope
from gridbyoc.aws.session import error_code

DELETE_BATCH = 1000
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
BATCHES_A_TURN = 50
"""So that a large bucket leaves the run able to stop, and says that it goes on."""


def _named(scope: Scope, kind: str) -> set[str]:
    """The exact names of this kind that the search knows."""
    return {ident for name, ident in scope.names if name == kind}


def _tagged(scope: Scope, service: str) -> Iterator[str]:
    """The resource part of every tagged ARN of a service."""
    for arn in scope.tagged:
        parts = arn.split(":", 5)
        if len(parts) == 6 and parts[2] == service:
            yield parts[5]


def _buckets(api: Api, scope: Scope) -> Iterator[Resource]:
    wanted = _named(scope, "bucket") | {name for name in _tagged(scope, "s3") if "/" not in name}
    if wanted:
        for item in api.pages("s3", "list_buckets", "Buckets"):
            if item["Name"] in wanted:
                yield _read_bucket(api, scope.place, item["Name"], item.get("CreationDate"))


def _look_bucket(api: Api, place: Place, name: str) -> Resource | None:
    # S3's names are the whole world's: only the caller's own list proves that it is (still) this account's.
    for item in api.pages("s3", "list_buckets", "Buckets"):
        if item["Name"] == name:
            return _read_bucket(api, place, name, item.get("CreationDate"))
    return None


def _read_bucket(api: Api, place: Place, name: str, created_at: datetime | None) -> Resource:
    owner = place.account_id
    try:
        tags = tags_of(api.call("s3", "get_bucket_tagging", Bucket=name, ExpectedBucketOwner=owner).get("TagSet"))
    except ClientError as error:
        if error_code(error) != "NoSuchTagSet":
            raise
        tags = {}
    first = api.call("s3", "list_object_versions", Bucket=name, MaxKeys=1, ExpectedBucketOwner=owner)
    full = bool(first.get("Versions") or first.get("DeleteMarkers"))
    return Resource(
        "bucket", name, bucket_arn(place, name), name, tags,
        created_at=created_at, size_bytes=None if full else 0, costs_money=full, holds_data=full,
    )  # fmt: skip


def _delete_bucket(api: Api, resource: Resource, _ours: Ours) -> None:
    """Empty it, versions and unfinished uploads too, a bounded part at a time; then delete it."""
    bucket = {"Bucket": resource.id}
    for _turn in range(BATCHES_A_TURN):
        answer = api.call("s3", "list_object_versions", **bucket, MaxKeys=DELETE_BATCH)
        found = [*(answer.get("Versions") or ()), *(answer.get("DeleteMarkers") or ())]
        if not found:
            break
        _delete_objects(api, bucket, found)
    else:
        raise NotYetError("it is being emptied", progress=True)
    for upload in api.pages("s3", "list_multipart_uploads", "Uploads", **bucket):
        api.call("s3", "abort_multipart_upload", **bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    api.call("s3", "delete_bucket", **bucket)


def _delete_objects(api: Api, bucket: dict[str, str], found: list[Any]) -> None:
    doomed = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
    answer = api.call("s3", "delete_objects", **bucket, Delete={"Objects": doomed, "Quiet": True})
    refused = answer.get("Errors") or ()
    if refused:
        first = refused[0]
        why = f"{first.get('Code')}: {first.get('Message')}"
        raise NotYetError(f"{len(refused)} of its objects cannot be deleted: {why}")


def _log_groups(api: Api, scope: Scope) -> Iterator[Resource]:
    tagged = (part.removeprefix("log-group:").removesuffix(":*") for part in _tagged(scope, "logs"))
    for name in sorted(_named(scope, "log group") | set(tagged)):
        found = _look_log_group(api, scope.place, name)
        if found:
            yield found


def _look_log_group(api: Api, place: Place, name: str) -> Resource | None:
    for item in api.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name):
        if item["logGroupName"] == name:
            arn = place.arn("logs", f"log-group:{name}")
            size = int(item.get("storedBytes") or 0)
            made = datetime.fromtimestamp(int(item["creationTime"]) / 1000, timezone.utc)
            tags = _log_tags(api, arn)
            return Resource("log group", name, arn, name, tags, (), made, size, costs_money=size > 0)
    return None


def _log_tags(api: Api, arn: str) -> dict[str, str]:
    try:
        return tags_of(api.call("logs", "list_tags_for_resource", resourceArn=arn).get("tags"))
    except ClientError as error:
        if is_gone(error):
            return {}
        raise


def _delete_log_group(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("logs", "delete_log_group", logGroupName=resource.id)


BUCKET = Kind("bucket", _buckets, _look_bucket, _delete_bucket, needs_tagging=True)
LOG_GROUP = Kind("log group", _log_groups, _look_log_group, _delete_log_group, needs_tagging=True)
