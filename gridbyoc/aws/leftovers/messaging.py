"""Queues, topics, image repositories; and whatever else carries a cluster's tag. All found by the tagging service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone

from botocore.exceptions import ClientError

from gridbyoc.aws.leftovers.api import Api, is_gone, tags_of
from gridbyoc.aws.leftovers.model import Kind, Ours, Place, Resource, Scope

Look = Callable[[Api, Place, str], Resource | None]

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
"""Service → kinds of resource that are found otherwise or vanish with what they belong to; ``""`` is all of them."""


def _scan(service: str, look: Look) -> Callable[[Api, Scope], Iterator[Resource]]:
    """Look at every tagged ARN of a service."""

    def scan(api: Api, scope: Scope) -> Iterator[Resource]:
        for arn in scope.tagged:
            if arn.split(":")[2] == service and not is_other(arn):
                found = look(api, scope.place, arn)
                if found:
                    yield found

    return scan


def is_other(arn: str) -> bool:
    """Whether no kind of this tool covers the ARN."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] not in COVERED:
        return True
    kinds = COVERED[parts[2]]
    return "" not in kinds and parts[5].replace(":", "/").split("/")[0] not in kinds


def _queue_url(api: Api, arn: str) -> str:
    _, _, _, _, account, name = arn.split(":", 5)
    return str(api.call("sqs", "get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])


def _queue(api: Api, _place: Place, arn: str) -> Resource | None:
    try:
        url = _queue_url(api, arn)
        tags = tags_of(api.call("sqs", "list_queue_tags", QueueUrl=url).get("Tags"))
        answer = api.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["CreatedTimestamp"])
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    made = datetime.fromtimestamp(float(answer["Attributes"]["CreatedTimestamp"]), timezone.utc)
    return Resource("queue", arn, arn, arn.rsplit(":", 1)[-1], tags, created_at=made)


def _delete_queue(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("sqs", "delete_queue", QueueUrl=_queue_url(api, resource.arn))


def _topic(api: Api, _place: Place, arn: str) -> Resource | None:
    try:
        tags = tags_of(api.call("sns", "list_tags_for_resource", ResourceArn=arn).get("Tags"))
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return Resource("topic", arn, arn, arn.rsplit(":", 1)[-1], tags)


def _delete_topic(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("sns", "delete_topic", TopicArn=resource.arn)


def _repository(api: Api, _place: Place, arn: str) -> Resource | None:
    name = arn.split(":repository/", 1)[-1]
    try:
        item = api.call("ecr", "describe_repositories", repositoryNames=[name])["repositories"][0]
        tags = tags_of(api.call("ecr", "list_tags_for_resource", resourceArn=arn).get("tags"))
        images = list(api.pages("ecr", "describe_images", "imageDetails", repositoryName=name))
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    size = sum(int(image.get("imageSizeInBytes") or 0) for image in images)
    return Resource(
        "repository", arn, arn, name, tags,
        created_at=item.get("createdAt"), size_bytes=size, costs_money=bool(images), holds_data=bool(images),
    )  # fmt: skip


def _delete_repository(api: Api, resource: Resource, _ours: Ours) -> None:
    # ``force`` takes images along; only a repository that may lose its data comes here with any.
    api.call("ecr", "delete_repository", repositoryName=resource.name, force=resource.holds_data)


def _others(_api: Api, scope: Scope) -> Iterator[Resource]:
    for arn, tags in scope.tagged.items():
        if is_other(arn):
            yield _other(arn, tags)


def _look_other(api: Api, _place: Place, arn: str) -> Resource | None:
    found = api.call("resourcegroupstaggingapi", "get_resources", ResourceARNList=[arn])["ResourceTagMappingList"]
    return next((_other(arn, tags_of(one.get("Tags"))) for one in found), None)


def _other(arn: str, tags: Mapping[str, str]) -> Resource:
    return Resource(OTHER, arn, arn, arn.split(":", 5)[-1], tags)


QUEUE = Kind("queue", _scan("sqs", _queue), _queue, _delete_queue, needs_tagging=True)
TOPIC = Kind("topic", _scan("sns", _topic), _topic, _delete_topic, needs_tagging=True)
REPOSITORY = Kind("repository", _scan("ecr", _repository), _repository, _delete_repository, needs_tagging=True)
OTHER_RESOURCE = Kind(OTHER, _others, _look_other, None, needs_tagging=True)
