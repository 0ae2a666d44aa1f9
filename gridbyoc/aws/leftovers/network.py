"""Network kinds, and the rows that describe EC2's kinds: how to list, read and delete each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers.model import (
    Api,
    Key,
    NotYetError,
    Ours,
    Resource,
    ResourceKind,
    ScanScope,
    none_if_gone,
    tags_of,
)

Item = Mapping[str, Any]
GIB = 1024**3
BATCH = 150
"""A filter takes 200 values: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html"""


@dataclass(frozen=True, slots=True)
class Ec2Row:
    """How EC2 lists a kind. ``read`` returns a ``Resource``'s fields besides id, ARN and tags; ``None``: skip it.

    ``vpc_filter`` is the filter that lists what lies in a VPC. What is skipped is gone, or goes with its parent.
    """

    kind: str
    list: str
    items: str
    id: str
    ids: str
    arn: str
    read: Callable[[Item], dict[str, Any] | None]
    vpc_filter: str | None = None
    filters: str = "Filters"
    more: tuple[tuple[str, object], ...] = ()


def ec2_kind(row: Ec2Row, delete: Callable[[Api, Resource, Ours], None]) -> ResourceKind:
    """The ``ResourceKind`` of a row."""

    def scan(api: Api, scope: ScanScope) -> Iterator[Resource]:
        wanted = [("tag-key", scope.tag_keys)]
        if row.vpc_filter:
            wanted.append((row.vpc_filter, scope.of("VPC")))
        seen: set[str] = set()
        for name, values in wanted:
            for start in range(0, len(values), BATCH):
                narrowed = [{"Name": name, "Values": list(values[start : start + BATCH])}]
                for found in _listed(api, row, scope.place, **{row.filters: narrowed}, **dict(row.more)):
                    if found.id not in seen:
                        seen.add(found.id)
                        yield found

    @none_if_gone
    def look(api: Api, place: AccountRegion, ident: str) -> Resource | None:
        return next(_listed(api, row, place, **{row.ids: [ident]}), None)

    return ResourceKind(row.kind, scan, look, delete)


def _listed(api: Api, row: Ec2Row, place: AccountRegion, **arguments: object) -> Iterator[Resource]:
    for item in _flat(api.pages("ec2", row.list, row.items, **arguments)):
        read = row.read(item)
        if read is not None:
            tags = tags_of(item.get("Tags") or item.get("TagSet"))
            name = str(read.pop("name", "") or tags.get("Name", ""))
            ident = str(item[row.id])
            arn = place.regional("ec2", f"{row.arn}/{ident}")
            yield Resource(row.kind, ident, arn, name, tags, **read)


def _flat(items: Iterator[Item]) -> Iterator[Item]:
    for item in items:
        if "Instances" in item:
            yield from item["Instances"]
        else:
            yield item


def in_vpc(item: Item) -> tuple[Key, ...]:
    """The VPC that contains an item, as a parent."""
    return (("VPC", str(item["VpcId"])),) if item.get("VpcId") else ()


def _simple(operation: str, argument: str) -> Callable[[Api, Resource, Ours], None]:
    def delete(api: Api, resource: Resource, _ours: Ours) -> None:
        api.call("ec2", operation, **{argument: resource.id})

    return delete


def _vpc(item: Item) -> dict[str, Any] | None:
    return None if item.get("IsDefault") else {}


def _inside(item: Item) -> dict[str, Any] | None:
    return {"parents": in_vpc(item)}


def _table(item: Item) -> dict[str, Any] | None:
    main = any(association.get("Main") for association in item.get("Associations") or ())
    return None if main else {"parents": in_vpc(item)}


def _acl(item: Item) -> dict[str, Any] | None:
    return None if item.get("IsDefault") else {"parents": in_vpc(item)}


def _group(item: Item) -> dict[str, Any] | None:
    return None if item["GroupName"] == "default" else {"parents": in_vpc(item), "name": item["GroupName"]}


def _gateway(item: Item) -> dict[str, Any] | None:
    return {"parents": tuple(("VPC", str(one["VpcId"])) for one in item.get("Attachments") or () if one.get("VpcId"))}


def _interface(item: Item) -> dict[str, Any] | None:
    attachment = item.get("Attachment") or {}
    service = bool(attachment) and not attachment.get("InstanceId") and item.get("Status") != "available"
    return {
        "parents": in_vpc(item),
        "name": item.get("Description", ""),
        "held": f"in use by a service of AWS ({item.get('InterfaceType', 'interface')})" if service else "",
        "busy": item.get("Status") == "detaching",
    }


def _nat(item: Item) -> dict[str, Any] | None:
    if item.get("State") == "deleted":
        return None
    made = item.get("CreateTime")
    return {"parents": in_vpc(item), "created_at": made, "costs_money": True, "busy": item.get("State") == "deleting"}


def _endpoint(item: Item) -> dict[str, Any] | None:
    state = str(item.get("State", "")).lower()
    if state == "deleted":
        return None
    return {
        "parents": in_vpc(item),
        "name": item.get("ServiceName", ""),
        "created_at": item.get("CreationTimestamp"),
        "costs_money": item.get("VpcEndpointType") != "Gateway",
        "busy": state == "deleting",
    }


def _address(item: Item) -> dict[str, Any] | None:
    used = item.get("InstanceId") or item.get("NetworkInterfaceId") or item.get("AssociationId")
    return {"name": item.get("PublicIp", ""), "costs_money": True, "held": f"associated with {used}" if used else ""}


def _delete_interface(api: Api, resource: Resource, ours: Ours) -> None:
    """Release the address, but never take it from an instance: deleting the cluster's instances frees it."""
    for item in api.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", NetworkInterfaceIds=[resource.id]):
        user = (item.get("Attachment") or {}).get("InstanceId")
        if user and not ours(("instance", user)):
            raise NotYetError(f"in use by the instance {user}, which is not the cluster's")
    api.call("ec2", "delete_network_interface", NetworkInterfaceId=resource.id)


def _release_gateway(api: Api, resource: Resource, ours: Ours) -> None:
    for parent in resource.parents:
        if not ours(parent):
            raise NotYetError(f"attached to the {parent[0]} {parent[1]}, which is not the cluster's")
        api.call("ec2", "detach_internet_gateway", InternetGatewayId=resource.id, VpcId=parent[1])
    api.call("ec2", "delete_internet_gateway", InternetGatewayId=resource.id)


def _delete_table(api: Api, resource: Resource, ours: Ours) -> None:
    """Delete the route table after removing its associations, but only those with the cluster's or missing subnets."""
    tables = api.call("ec2", "describe_route_tables", RouteTableIds=[resource.id])["RouteTables"]
    for tie in (tie for table in tables for tie in table.get("Associations") or ()):
        if not tie.get("Main") and tie.get("SubnetId") and ours(("subnet", tie["SubnetId"])):
            api.call("ec2", "disassociate_route_table", AssociationId=tie["RouteTableAssociationId"])
    api.call("ec2", "delete_route_table", RouteTableId=resource.id)


def _delete_group(api: Api, resource: Resource, _ours: Ours) -> None:
    """Delete its rules first: two groups that reference each other would block each other for ever."""
    for group in api.call("ec2", "describe_security_groups", GroupIds=[resource.id])["SecurityGroups"]:
        for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            rules = [rule for rule in group.get(key) or () if rule.get("UserIdGroupPairs")]
            if rules:
                api.call("ec2", f"revoke_security_group_{direction}", GroupId=resource.id, IpPermissions=rules)
    api.call("ec2", "delete_security_group", GroupId=resource.id)


def _delete_endpoint(api: Api, resource: Resource, _ours: Ours) -> None:
    refused = api.call("ec2", "delete_vpc_endpoints", VpcEndpointIds=[resource.id]).get("Unsuccessful") or ()
    for one in refused:
        raise NotYetError(str(one.get("Error", {}).get("Message", "AWS refused the deletion")))


NAT_GATEWAY = ec2_kind(
    Ec2Row("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", "NatGatewayIds", "natgateway", _nat,
        "vpc-id", filters="Filter"),
    _simple("delete_nat_gateway", "NatGatewayId"),
)  # fmt: skip
ELASTIC_IP = ec2_kind(
    Ec2Row("Elastic IP", "describe_addresses", "Addresses", "AllocationId", "AllocationIds", "elastic-ip", _address),
    _simple("release_address", "AllocationId"),
)
VPC_ENDPOINT = ec2_kind(
    Ec2Row("VPC endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "VpcEndpointIds", "vpc-endpoint",
        _endpoint, "vpc-id"),
    _delete_endpoint,
)  # fmt: skip
NETWORK_INTERFACE = ec2_kind(
    Ec2Row("network interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId",
        "NetworkInterfaceIds", "network-interface", _interface, "vpc-id"),
    _delete_interface,
)  # fmt: skip
SECURITY_GROUP = ec2_kind(
    Ec2Row("security group", "describe_security_groups", "SecurityGroups", "GroupId", "GroupIds", "security-group",
        _group, "vpc-id"),
    _delete_group,
)  # fmt: skip
SUBNET = ec2_kind(
    Ec2Row("subnet", "describe_subnets", "Subnets", "SubnetId", "SubnetIds", "subnet", _inside, "vpc-id"),
    _simple("delete_subnet", "SubnetId"),
)
ROUTE_TABLE = ec2_kind(
    Ec2Row("route table", "describe_route_tables", "RouteTables", "RouteTableId", "RouteTableIds", "route-table",
        _table, "vpc-id"),
    _delete_table,
)  # fmt: skip
NETWORK_ACL = ec2_kind(
    Ec2Row("network ACL", "describe_network_acls", "NetworkAcls", "NetworkAclId", "NetworkAclIds", "network-acl",
        _acl, "vpc-id"),
    _simple("delete_network_acl", "NetworkAclId"),
)  # fmt: skip
INTERNET_GATEWAY = ec2_kind(
    Ec2Row("internet gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId",
        "InternetGatewayIds", "internet-gateway", _gateway, "attachment.vpc-id"),
    _release_gateway,
)  # fmt: skip
VPC = ec2_kind(Ec2Row("VPC", "describe_vpcs", "Vpcs", "VpcId", "VpcIds", "vpc", _vpc), _simple("delete_vpc", "VpcId"))


TAG_BATCH = 20
"""DescribeTags takes 20: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html"""


def _tagged(api: Api, service: str, argument: str, key: str, items: Iterable[Item]) -> Iterator[tuple[Item, Item]]:
    """Each item with its tags, which a separate call returns."""
    every = list(items)
    for start in range(0, len(every), TAG_BATCH):
        batch = {str(item[key]): item for item in every[start : start + TAG_BATCH]}
        answer = api.call(service, "describe_tags", **{argument: list(batch)})
        for one in answer["TagDescriptions"]:
            ident = str(one.get("ResourceArn") or one.get("LoadBalancerName"))
            if ident in batch:
                yield batch[ident], tags_of(one.get("Tags"))


def _classic(api: Api, place: AccountRegion, **arguments: object) -> Iterator[Resource]:
    found = api.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions", **arguments)
    for item, tags in _tagged(api, "elb", "LoadBalancerNames", "LoadBalancerName", found):
        name = str(item["LoadBalancerName"])
        arn = place.regional("elasticloadbalancing", f"loadbalancer/{name}")
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


@none_if_gone
def _first(found: Iterator[Resource]) -> Resource | None:
    return next(found, None)


def _delete_classic(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("elb", "delete_load_balancer", LoadBalancerName=resource.id)


def _delete_modern(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("elbv2", "delete_load_balancer", LoadBalancerArn=resource.id)


def _delete_target_group(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("elbv2", "delete_target_group", TargetGroupArn=resource.id)


def _scan_classic(api: Api, scope: ScanScope) -> Iterator[Resource]:
    return _classic(api, scope.place)


def _look_classic(api: Api, place: AccountRegion, name: str) -> Resource | None:
    return _first(_classic(api, place, LoadBalancerNames=[name]))


CLASSIC_LOAD_BALANCER = ResourceKind("classic load balancer", _scan_classic, _look_classic, _delete_classic)
LOAD_BALANCER = ResourceKind(
    "load balancer",
    lambda api, _scope: _modern(api),
    lambda api, _place, arn: _first(_modern(api, LoadBalancerArns=[arn])),
    _delete_modern,
)
TARGET_GROUP = ResourceKind(
    "target group",
    lambda api, _scope: _groups(api),
    lambda api, _place, arn: _first(_groups(api, TargetGroupArns=[arn])),
    _delete_target_group,
)
