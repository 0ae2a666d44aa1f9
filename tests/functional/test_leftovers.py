"""Leftovers in an AWS on this machine: each kind is found and goes; what is somebody else's stays as it is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gridbyoc.aws import AwsSession
from gridbyoc.aws.leftovers import HOLDS_DATA, DeletedCluster, DeletionPatience, Ledger, Leftover, Search, delete, find
from gridbyoc.aws.leftovers.delete import PROOF_GONE
from gridbyoc.aws.leftovers.kinds import BY_NAME, KINDS
from gridbyoc.aws.leftovers.model import Api
from gridbyoc.sandbox import Sandbox
from tests.e2e.warm_python import warm_sandbox
from tests.functional.leftover_world import PLACE, World, session_at

UNSEEN = {"repository"}
"""The local AWS's tagging service does not know it; the unit tests cover it."""
NUMBERS = itertools.count(1)
QUICK = DeletionPatience(pause=0.05, longest=0.2, refused=1.0, deleting=5.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with warm_sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> World:
    return World(sandbox.aws_url)


@pytest.fixture(scope="module")
def session(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> AwsSession:
    return session_at(sandbox.aws_url, tmp_path_factory.mktemp("aws"))


@pytest.fixture
def name() -> str:
    """Every test has a cluster of its own: to empty the local AWS takes longer than a test."""
    return f"demo{next(NUMBERS)}"


def now() -> datetime:
    return datetime.now(timezone.utc)


def owned(name: str) -> dict[str, str]:
    return {f"kubernetes.io/cluster/{name}": "owned"}


def search(*names: str, **fields: Any) -> Search:
    return Search(PLACE, tuple(DeletedCluster(name) for name in names), **fields)


def keys(ledger: Ledger) -> set[tuple[str, str]]:
    return {one.key for one in ledger.leftovers}


def deleted(session: AwsSession, wanted: Search, ledger: Ledger, **choices: Any) -> tuple[Leftover, ...]:
    return delete(
        session, wanted, ledger.leftovers, delete_data=choices.get("delete_data", True), patience=QUICK,
        clock=time.monotonic, sleep=time.sleep, on_event=choices.get("on_event", lambda *_: None),
    )  # fmt: skip


def missing(session: AwsSession, planted: dict[str, str]) -> list[str]:
    """Kinds of which the planted one is not there any more."""
    api = Api(session)
    return [kind for kind, ident in planted.items() if BY_NAME[kind].look(api, PLACE, ident) is None]


def test_each_kind_is_found_and_deleted_and_foreign_ones_are_untouched(
    world: World, session: AwsSession, name: str
) -> None:
    ours = world.plant(name, owned(name))
    foreign = [
        world.plant(f"{name}-2", {f"kubernetes.io/cluster/{name}-2": "owned", "Name": name}),
        world.plant(f"{name}-shared", {f"kubernetes.io/cluster/{name}": "shared"}),
        world.plant("other", {"lightning/cluster": "other", "team": name}),
        world.plant(f"{name}-untagged", {}),
        world.plant(f"{name}-stack", {"gridbyoc:stack": name, **owned(name)}),
    ]
    wanted = search(name)

    ledger = find(session, wanted, now)
    assert ledger.unknown == ()
    assert set(ours.items()) - keys(ledger) == {(kind, ours[kind]) for kind in UNSEEN}
    assert keys(ledger) & {one for each in foreign for one in each.items()} == set()
    assert set(ours) | {"other resource"} == {kind.name for kind in KINDS}
    assert [one.order for one in ledger.leftovers] == sorted(one.order for one in ledger.leftovers)
    assert all(one.arn.startswith("arn:aws:") and one.cluster == name for one in ledger.leftovers)

    kept = {one.kind: one.kept for one in deleted(session, wanted, ledger, delete_data=False)}
    assert kept == dict.fromkeys(["bucket", "volume", "snapshot"], HOLDS_DATA)
    assert deleted(session, wanted, find(session, wanted, now)) == ()

    assert find(session, wanted, now).clear
    assert set(missing(session, ours)) == set(ours) - UNSEEN
    assert [missing(session, each) for each in foreign] == [[] for _ in foreign]


def test_what_lies_in_a_vpc_of_ours_is_ours_unless_it_says_otherwise(
    world: World, session: AwsSession, name: str
) -> None:
    inside = world.network(name, owned(name))
    untagged = world.ec2.create_subnet(VpcId=inside["VPC"], CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
    theirs = world.ec2.create_subnet(VpcId=inside["VPC"], CidrBlock="10.0.3.0/24")["Subnet"]["SubnetId"]
    world.ec2.create_tags(Resources=[theirs], Tags=[{"Key": "lightning/cluster", "Value": "other"}])
    wanted = search(name)

    ledger = find(session, wanted, now)

    evidence = {one.id: one.evidence for one in ledger.leftovers}
    assert evidence[untagged] == f"in the VPC {inside['VPC']} (tag kubernetes.io/cluster/{name}=owned)"
    assert theirs not in evidence
    rest = deleted(session, wanted, ledger)
    assert [(one.kind, one.kept.split(":")[0]) for one in rest] == [("VPC", "DependencyViolation")]
    assert world.ec2.describe_subnets(SubnetIds=[theirs])["Subnets"]


def test_a_name_that_another_eks_cluster_bears_proves_nothing(world: World, session: AwsSession, name: str) -> None:
    network = world.network(name, owned(name))
    world.machines(name, {}, network)

    ledger = find(session, search(name), now)

    assert ledger.leftovers == ()
    assert f"The EKS cluster {name} has no tag" in ledger.notes[0]
    named = find(session, search(name, tags=(("team", "grid"),)), now)
    assert named.leftovers == ()
    world.eks.tag_resource(
        resourceArn=world.eks.describe_cluster(name=name)["cluster"]["arn"], tags={"gridbyoc:cluster": name}
    )
    ledger = find(session, search(name), now)
    assert ledger.notes == ()
    assert {("VPC", network["VPC"]), ("EKS cluster", name), ("node group", f"{name}/nodes")} <= keys(ledger)


def test_buckets_by_name_and_by_age(world: World, session: AwsSession, name: str) -> None:
    for bucket in (f"grid-{name}-1", f"grid-{name}-12", "state"):
        world.s3.create_bucket(Bucket=bucket)
    later = datetime(2100, 1, 1, tzinfo=timezone.utc)

    def found(*clusters: DeletedCluster, spared: tuple[str, ...] = ()) -> set[str]:
        wanted = Search(PLACE, clusters, spared=frozenset(f"arn:aws:s3:::{bucket}" for bucket in spared))
        return {one.id for one in find(session, wanted, now).leftovers}

    assert found(DeletedCluster(name, bucket_names=(f"grid-{name}-1", "gone"))) == {f"grid-{name}-1"}
    assert found(DeletedCluster(name, bucket_names=(f"grid-{name}-1",), created_at=now())) == {f"grid-{name}-1"}
    assert found(DeletedCluster(name, bucket_names=(f"grid-{name}-1",), created_at=later)) == set()
    assert found(DeletedCluster(name, bucket_names=("state",)), spared=("state",)) == set()


def test_a_log_group_is_found_by_the_exact_name(world: World, session: AwsSession, name: str) -> None:
    for cluster in (name, f"{name}-2"):
        world.logs.create_log_group(logGroupName=f"/aws/eks/{cluster}/cluster")
        world.logs.create_log_group(logGroupName=f"/aws/eks/{cluster}/cluster-old")

    ledger = find(session, search(name), now)

    assert keys(ledger) == {("log group", f"/aws/eks/{name}/cluster")}
    assert ledger.leftovers[0].age is not None


def test_a_tag_of_the_users_choice_proves(world: World, session: AwsSession, name: str) -> None:
    tags = {"team": "grid"}
    volume = world.ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "grid"}]}],
    )["VolumeId"]  # fmt: skip
    issuer = world.identity("any", tags)["OIDC provider"]

    ledger = find(session, search(name, tags=(("team", "grid"),)), now)

    assert {("volume", volume), ("OIDC provider", issuer)} <= keys(ledger)
    assert find(session, search(name, tags=(("team", "grid2"),)), now).leftovers == ()


def test_the_proof_is_looked_at_again_right_before(world: World, session: AwsSession, name: str) -> None:
    planted = world.network(name, owned(name))
    wanted = search(name)
    ledger = find(session, wanted, now)
    group, vpc = planted["security group"], planted["VPC"]
    world.ec2.create_tags(Resources=[vpc, group], Tags=[{"Key": "kubernetes.io/cluster/other", "Value": "shared"}])
    world.ec2.delete_tags(Resources=[planted["subnet"]], Tags=[{"Key": next(iter(owned(name)))}])

    rest = {one.kind: one.kept for one in deleted(session, wanted, ledger)}

    assert {kind: rest[kind] for kind in ("VPC", "security group", "subnet")} == dict.fromkeys(
        ("VPC", "security group", "subnet"), PROOF_GONE
    )
    assert world.ec2.describe_subnets(SubnetIds=[planted["subnet"]])["Subnets"]


def test_only_what_was_shown_is_deleted(world: World, session: AwsSession, name: str) -> None:
    first = world.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, **tagged("volume", name))["VolumeId"]
    wanted = search(name)
    ledger = find(session, wanted, now)
    second = world.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, **tagged("volume", name))["VolumeId"]

    assert deleted(session, wanted, ledger) == ()
    assert keys(find(session, wanted, now)) == {("volume", second)}
    assert keys(ledger) == {("volume", first)}


def tagged(kind: str, name: str) -> dict[str, Any]:
    return {
        "TagSpecifications": [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in owned(name).items()]}]
    }


class Refusing:
    """A session whose user may not use some services."""

    def __init__(self, session: AwsSession, *services: str) -> None:
        self._session = session
        self._services = services

    def client(self, service: str, region: str | None = None) -> Any:
        return Denied(service) if service in self._services else self._session.client(service, region)


class Denied:
    """A client to which everything is denied."""

    def __init__(self, service: str) -> None:
        self._service = service

    def can_paginate(self, _operation: str) -> bool:
        return False

    def __getattr__(self, operation: str) -> Any:
        def refuse(**_arguments: Any) -> Any:
            error = {"Code": "AccessDeniedException", "Message": f"not authorized to {self._service}:{operation}"}
            raise ClientError({"Error": error}, operation)  # type: ignore[typeddict-item]

        return refuse


def test_a_kind_that_may_not_be_read_is_unknown_and_never_none(world: World, session: AwsSession, name: str) -> None:
    volume = world.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, **tagged("volume", name))["VolumeId"]
    denied: Any = Refusing(session, "iam", "elb", "resourcegroupstaggingapi")

    ledger = find(denied, search(name), now)

    assert keys(ledger) == {("volume", volume)}
    assert {one.kind for one in ledger.unknown} == {
        "classic load balancer", "log group", "bucket", "queue", "topic", "repository", "instance profile", "role",
        "policy", "OIDC provider", "other resource",
    }  # fmt: skip
    assert "not authorized to iam:" in next(one.why for one in ledger.unknown if one.kind == "role")
    assert not ledger.clear


def test_what_eks_tagged_stays_while_nobody_knows_which_eks_clusters_live(
    world: World, session: AwsSession, name: str
) -> None:
    planted = world.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, **tagged("volume", name))["VolumeId"]
    denied: Any = Refusing(session, "eks")
    wanted = search(name)

    ledger = find(denied, wanted, now)

    assert [one.kept != "" for one in ledger.leftovers] == [True]
    assert [one.id for one in deleted(denied, wanted, ledger)] == [planted]
    assert world.ec2.describe_volumes(VolumeIds=[planted])["Volumes"]
