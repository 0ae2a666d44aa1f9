"""Load balancers of both generations, and target groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.leftovers.api import Api, is_gone, tags_of
from gridbyoc.aws.leftovers.model import Kind, Ours, Place, Resource, Scope

BATCH = 20
"""DescribeTags takes 20: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html"""

Item = Mapping[str, Any]


def _tagged(api: Api, service: str, argument: str, key: str, items: Iterable[Item]) -> Iterator[tuple[Item, Item]]:
    """Each item with its tags, which both services keep apart."""
    every = list(items)
    for start in range(0, len(every), BATCH):
        batch = {str(item[key]): item for item in every[start : start + BATCH]}
        answer = api.call(service, "describe_tags", **{argument: list(batch)})
        for one in answer["TagDescriptions"]:
            ident = str(one.get("ResourceArn") or one.get("LoadBalancerName"))
            if ident in batch:
                yield batch[ident], tags_of(one.get("Tags"))


def _classic(api: Api, place: Place, **arguments: object) -> Iterator[Resource]:
    found = api.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions", **arguments)
    for item, tags in _tagged(api, "elb", "LoadBalancerNames", "LoadBalancerName", found):
        name = str(item["LoadBalancerName"])
        arn = place.arn("elasticloadbalancing", f"loadbalancer/{name}")
        yield Resource(
            "classic load balancer", name, arn, name, tags, created_at=item.get("CreatedTime"), costs_money=True
        )


def _modern(api: Api, **arguments: object) -> Iterator[Resource]:
    found = api.pages("elbv2", "describe_load_balancers", "LoadBalancers", **arguments)
    for item, tags in _tagged(api, "elbv2", "ResourceArns", "LoadBalancerArn", found):
        arn, name = str(item["LoadBalancerArn"]), str(item["LoadBalancerName"])
        yield Resource("load balancer", arn, arn, name, tags, created_at=item.get("CreatedTime"), costs_money=True)


def _groups(api: Api, **arguments: object) -> Iterator[Resource]:
    found = api.pages("elbv2", "describe_target_groups", "TargetGroups", **arguments)
    for item, tags in _tagged(api, "elbv2", "ResourceArns", "TargetGroupArn", found):
        arn, name = str(item["TargetGroupArn"]), str(item["TargetGroupName"])
        yield Resource("target group", arn, arn, name, tags)


def _first(found: Iterator[Resource]) -> Resource | None:
    try:
        return next(found, None)
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def _delete_classic(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("elb", "delete_load_balancer", LoadBalancerName=resource.id)


def _delete_modern(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("elbv2", "delete_load_balancer", LoadBalancerArn=resource.id)


def _delete_group(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("elbv2", "delete_target_group", TargetGroupArn=resource.id)


def _scan_classic(api: Api, scope: Scope) -> Iterator[Resource]:
    return _classic(api, scope.place)


def _look_classic(api: Api, place: Place, name: str) -> Resource | None:
    return _first(_classic(api, place, LoadBalancerNames=[name]))


CLASSIC_LOAD_BALANCER = Kind("classic load balancer", _scan_classic, _look_classic, _delete_classic)
LOAD_BALANCER = Kind(
    "load balancer",
    lambda api, _scope: _modern(api),
    lambda api, _place, arn: _first(_modern(api, LoadBalancerArns=[arn])),
    _delete_modern,
)
TARGET_GROUP = Kind(
    "target group",
    lambda api, _scope: _groups(api),
    lambda api, _place, arn: _first(_groups(api, TargetGroupArns=[arn])),
    _delete_group,
)
