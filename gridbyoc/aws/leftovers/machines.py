"""Machines and what starts them: EKS, node groups, Auto Scaling groups, instances, launch templates, disks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers.model import Api, Ours, Resource, ResourceKind, ScanScope, none_if_gone, tags_of
from gridbyoc.aws.leftovers.network import GIB, Ec2Row, Item, ec2_kind


@none_if_gone
def _cluster(api: Api, _place: AccountRegion, name: str) -> Resource | None:
    found = api.call("eks", "describe_cluster", name=name)["cluster"]
    return Resource(
        "EKS cluster", name, found["arn"], name, tags_of(found.get("tags")),
        created_at=found.get("createdAt"), costs_money=True, busy=found.get("status") == "DELETING",
    )  # fmt: skip


def _clusters(api: Api, scope: ScanScope) -> Iterator[Resource]:
    for name in api.pages("eks", "list_clusters", "clusters"):
        found = _cluster(api, scope.place, name)
        if found:
            yield found


@none_if_gone
def _node_group(api: Api, _place: AccountRegion, ident: str) -> Resource | None:
    cluster, name = ident.split("/", 1)
    found = api.call("eks", "describe_nodegroup", clusterName=cluster, nodegroupName=name)["nodegroup"]
    return Resource(
        "node group", ident, found["nodegroupArn"], name, tags_of(found.get("tags")), (("EKS cluster", cluster),),
        created_at=found.get("createdAt"), busy=found.get("status") == "DELETING",
    )  # fmt: skip


def _node_groups(api: Api, scope: ScanScope) -> Iterator[Resource]:
    for cluster in scope.of("EKS cluster"):
        for name in api.pages("eks", "list_nodegroups", "nodegroups", clusterName=cluster):
            found = _node_group(api, scope.place, f"{cluster}/{name}")
            if found:
                yield found


def _delete_cluster(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("eks", "delete_cluster", name=resource.id)


def _delete_node_group(api: Api, resource: Resource, _ours: Ours) -> None:
    cluster, name = resource.id.split("/", 1)
    api.call("eks", "delete_nodegroup", clusterName=cluster, nodegroupName=name)


def _scaling_group(item: Mapping[str, Any]) -> Resource:
    name = str(item["AutoScalingGroupName"])
    return Resource(
        "Auto Scaling group", name, item["AutoScalingGroupARN"], name, tags_of(item.get("Tags")),
        created_at=item.get("CreatedTime"), busy=str(item.get("Status", "")).startswith("Delet"),
    )  # fmt: skip


def _scaling_groups(api: Api, scope: ScanScope) -> Iterator[Resource]:
    narrowed = [{"Name": "tag-key", "Values": list(scope.tag_keys)}]
    for item in api.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", Filters=narrowed):
        yield _scaling_group(item)


def _look_scaling_group(api: Api, _place: AccountRegion, name: str) -> Resource | None:
    found = api.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name])
    return next((_scaling_group(item) for item in found), None)


def _delete_scaling_group(api: Api, resource: Resource, _ours: Ours) -> None:
    # Otherwise the group must be emptied first; its instances belong to the group and are deleted with it.
    api.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=resource.id, ForceDelete=True)


def _instance(item: Item) -> dict[str, Any] | None:
    state = item["State"]["Name"]
    if state == "terminated":
        return None
    made, busy = item.get("LaunchTime"), state == "shutting-down"
    return {"created_at": made, "costs_money": state not in {"stopped", "stopping"}, "busy": busy}


def _terminate(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("ec2", "terminate_instances", InstanceIds=[resource.id])


def _template(item: Item) -> dict[str, Any] | None:
    return {"name": item.get("LaunchTemplateName", ""), "created_at": item.get("CreateTime")}


def _delete_template(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("ec2", "delete_launch_template", LaunchTemplateId=resource.id)


def _volume(item: Item) -> dict[str, Any] | None:
    users = ", ".join(str(one.get("InstanceId")) for one in item.get("Attachments") or ())
    return {
        "created_at": item.get("CreateTime"),
        "size_bytes": int(item.get("Size", 0)) * GIB,
        "costs_money": True,
        "holds_data": True,
        "held": f"attached to {users}" if users else "",
        "busy": item.get("State") == "deleting",
    }


def _delete_volume(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("ec2", "delete_volume", VolumeId=resource.id)


def _snapshot(item: Item) -> dict[str, Any] | None:
    # The volume's size is the upper limit of a snapshot's size; AWS does not report the actual size.
    size = int(item.get("VolumeSize", 0)) * GIB
    return {"created_at": item.get("StartTime"), "size_bytes": size, "costs_money": True, "holds_data": True}


def _delete_snapshot(api: Api, resource: Resource, _ours: Ours) -> None:
    api.call("ec2", "delete_snapshot", SnapshotId=resource.id)


NODE_GROUP = ResourceKind("node group", _node_groups, _node_group, _delete_node_group)
EKS_CLUSTER = ResourceKind("EKS cluster", _clusters, _cluster, _delete_cluster)
SCALING_GROUP = ResourceKind("Auto Scaling group", _scaling_groups, _look_scaling_group, _delete_scaling_group)
INSTANCE = ec2_kind(
    Ec2Row("instance", "describe_instances", "Reservations", "InstanceId", "InstanceIds", "instance", _instance),
    _terminate,
)
LAUNCH_TEMPLATE = ec2_kind(
    Ec2Row("launch template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId", "LaunchTemplateIds",
        "launch-template", _template),
    _delete_template,
)  # fmt: skip
VOLUME = ec2_kind(
    Ec2Row("volume", "describe_volumes", "Volumes", "VolumeId", "VolumeIds", "volume", _volume), _delete_volume
)
SNAPSHOT = ec2_kind(
    Ec2Row("snapshot", "describe_snapshots", "Snapshots", "SnapshotId", "SnapshotIds", "snapshot", _snapshot,
        more=(("OwnerIds", ["self"]),)),
    _delete_snapshot,
)  # fmt: skip
