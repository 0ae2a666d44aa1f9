"""Buckets and log groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers.evidence import bucket_arn
from gridbyoc.aws.leftovers.model import (
    Api,
    NotYetError,
    Ours,
    Resource,
    ResourceKind,
    ScanScope,
    is_gone,
    none_if_gone,
    tags_of,
)
from gridbyoc.aws.session import error_code
from gridbyoc.stack.regions import HOME_REGIONS

DELETE_BATCH = 1000
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
BATCHES_A_TURN = 50
"""A limit per round, so that the run can stop and report progress while it empties a large bucket."""


def _named(scope: ScanScope, kind: str) -> set[str]:
    """The exact names of a kind in the search."""
    return {ident for name, ident in scope.names if name == kind}


def _tagged(scope: ScanScope, service: str) -> Iterator[str]:
    """The resource part of every tagged ARN of a service."""
    for arn in scope.tagged:
        parts = arn.split(":", 5)
        if len(parts) == 6 and parts[2] == service:
            yield parts[5]


def _buckets(api: Api, scope: ScanScope) -> Iterator[Resource]:
    wanted = _named(scope, "bucket") | {name for name in _tagged(scope, "s3") if "/" not in name}
    if wanted:
        for item in api.pages("s3", "list_buckets", "Buckets"):
            if item["Name"] in wanted:
                yield _read_bucket(api, scope.place, item["Name"], item.get("CreationDate"))


def _look_bucket(api: Api, place: AccountRegion, name: str) -> Resource | None:
    # Bucket names are global: only the caller's own list proves that the bucket still belongs to this account.
    for item in api.pages("s3", "list_buckets", "Buckets"):
        if item["Name"] == name:
            return _read_bucket(api, place, name, item.get("CreationDate"))
    return None


def _read_bucket(api: Api, place: AccountRegion, name: str, created_at: datetime | None) -> Resource:
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
    """Empty the bucket in rounds, including versions and unfinished uploads; then delete it."""
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


def _log_groups(api: Api, scope: ScanScope) -> Iterator[Resource]:
    tagged = (part.removeprefix("log-group:").removesuffix(":*") for part in _tagged(scope, "logs"))
    for name in sorted(_named(scope, "log group") | set(tagged)):
        found = _look_log_group(api, scope.place, name)
        if found:
            yield found


def _look_log_group(api: Api, place: AccountRegion, name: str) -> Resource | None:
    for item in api.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name):
        if item["logGroupName"] == name:
            arn = place.regional("logs", f"log-group:{name}")
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


BUCKET = ResourceKind("bucket", _buckets, _look_bucket, _delete_bucket, needs_tagging=True)
LOG_GROUP = ResourceKind("log group", _log_groups, _look_log_group, _delete_log_group, needs_tagging=True)


Look = Callable[[Api, AccountRegion, str], Resource | None]

OTHER = "other resource"

COVERED = {
    "ec2": (
        "elastic-ip", "fleet", "instance", "internet-gateway", "launch-template", "natgateway", "network-acl",
        "network-interface", "route-table", "security-group", "security-group-rule", "snapshot",
        "spot-instances-request", "subnet", "volume", "vpc", "vpc-endpoint",
    ),
    "elasticloadbalancing": ("loadbalancer", "targetgroup", "listener", "listener-rule"),
    "eks": ("",),
    "autoscaling": ("",),
    "s3": ("",),
    "logs": ("log-group",),
    "iam": ("role", "policy", "instance-profile", "oidc-provider"),
    "sqs": ("",),
    "sns": ("",),
    "ecr": ("repository",),
}  # fmt: skip
"""Service → resource types that are found otherwise or deleted with their owner; ``""`` means all types."""


def _scan(service: str, look: Look) -> Callable[[Api, ScanScope], Iterator[Resource]]:
    """Look at every tagged ARN of a service."""

    def scan(api: Api, scope: ScanScope) -> Iterator[Resource]:
        for arn in scope.tagged:
            if arn.split(":")[2] == service and not is_other(arn):
                found = look(api, scope.place, arn)
                if found:
                    yield found

    return scan


def is_other(arn: str) -> bool:
    """Return whether no known kind of leftovers covers the ARN."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] not in COVERED:
        return True
    kinds = COVERED[parts[2]]
    return "" not in kinds and parts[5].replace(":", "/").split("/")[0] not in kinds


def _queue_url(api: Api, arn: str) -> str:
    _, _, _, _, account, name = arn.split(":", 5)
    return str(api.call("sqs", "get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])


@none_if_gone
def _queue(api: Api, _place: AccountRegion, arn: str) -> Resource | None:
    url = _queue_url(api, arn)
    tags = tags_of(api.call("sqs", "list_queue_tags", QueueUrl=url).get("Tags"))
    answer = api.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["CreatedTimestamp"])
    made = datetime.fromtimestamp(float(answer["Attributes"]["CreatedTimestamp"]), timezone.utc)
    return Resource("queue", arn, arn, arn.rsplit(":", 1)[-1], tags, created_at=made)


def _delete_queue(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("sqs", "delete_queue", QueueUrl=_queue_url(api, resource.arn))


@none_if_gone
def _topic(api: Api, _place: AccountRegion, arn: str) -> Resource | None:
    tags = tags_of(api.call("sns", "list_tags_for_resource", ResourceArn=arn).get("Tags"))
    return Resource("topic", arn, arn, arn.rsplit(":", 1)[-1], tags)


def _delete_topic(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("sns", "delete_topic", TopicArn=resource.arn)


@none_if_gone
def _repository(api: Api, _place: AccountRegion, arn: str) -> Resource | None:
    name = arn.split(":repository/", 1)[-1]
    item = api.call("ecr", "describe_repositories", repositoryNames=[name])["repositories"][0]
    tags = tags_of(api.call("ecr", "list_tags_for_resource", resourceArn=arn).get("tags"))
    images = list(api.pages("ecr", "describe_images", "imageDetails", repositoryName=name))
    size = sum(int(image.get("imageSizeInBytes") or 0) for image in images)
    return Resource(
        "repository", arn, arn, name, tags,
        created_at=item.get("createdAt"), size_bytes=size, costs_money=bool(images), holds_data=bool(images),
    )  # fmt: skip


def _delete_repository(api: Api, resource: Resource, _ours: Ours) -> None:
    # ``force`` deletes images, too; a repository with images gets here only if its data may be deleted.
    api.call("ecr", "delete_repository", repositoryName=resource.name, force=resource.holds_data)


def _others(_api: Api, scope: ScanScope) -> Iterator[Resource]:
    for arn, tags in scope.tagged.items():
        if is_other(arn):
            yield _other(arn, tags)


def _look_other(api: Api, place: AccountRegion, arn: str) -> Resource | None:
    # Outside the search's region only IAM's resources are found: an account's certificates and MFA devices.
    region = HOME_REGIONS.get(place.partition) if arn.startswith(place.iam("")) else None
    answer = api.at(region).call("resourcegroupstaggingapi", "get_resources", ResourceARNList=[arn])
    found = answer["ResourceTagMappingList"]
    return next((_other(arn, tags_of(one.get("Tags"))) for one in found), None)


def _other(arn: str, tags: Mapping[str, str]) -> Resource:
    return Resource(OTHER, arn, arn, arn.split(":", 5)[-1], tags)


QUEUE = ResourceKind("queue", _scan("sqs", _queue), _queue, _delete_queue, needs_tagging=True)
TOPIC = ResourceKind("topic", _scan("sns", _topic), _topic, _delete_topic, needs_tagging=True)
REPOSITORY = ResourceKind("repository", _scan("ecr", _repository), _repository, _delete_repository, needs_tagging=True)
OTHER_RESOURCE = ResourceKind(OTHER, _others, _look_other, None, needs_tagging=True)
