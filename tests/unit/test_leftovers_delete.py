"""How leftovers go: what is refused, what is waited for, what is never touched."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers import HOLDS_DATA, DeletedCluster, Search
from gridbyoc.errors import AwsCredentialsError
from tests.unit.leftover_fakes import DEMO, NOW, OWNED, PLACE, FakeAws, found, refused, run_delete


class Things:
    """Resources of one EC2 kind: listed until they are deleted, which ``refusals`` put off."""

    def __init__(self, key: str, *items: dict[str, Any], refusals: list[Exception | None] | None = None) -> None:
        self.key = key
        self.items = list(items)
        self.refusals = refusals or []

    def list(self, **_arguments: Any) -> dict[str, Any]:
        return {self.key: [dict(item) for item in self.items]}

    def delete(self, **_arguments: Any) -> Any:
        error = self.refusals.pop(0) if self.refusals else None
        if error is not None:
            return error
        self.items.clear()
        return {}


VPC = {"VpcId": "vpc-1", "Tags": OWNED}
SUBNET = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "Tags": OWNED}
VOLUME = {"VolumeId": "vol-1", "Size": 2, "CreateTime": NOW, "Tags": OWNED}


def ec2(**kinds: tuple[str, Things]) -> FakeAws:
    answers: dict[str, Any] = {}
    for plural, (one, things) in kinds.items():
        answers[f"ec2.describe_{plural}"] = things.list
        answers[f"ec2.delete_{one}"] = things.delete
    return FakeAws(answers)


def test_a_refusal_that_passes_is_tried_again_with_growing_pauses() -> None:
    waiting = [refused("DependencyViolation", "has dependencies")] * 3
    aws = ec2(vpcs=("vpc", Things("Vpcs", VPC, refusals=[*waiting])))
    run = run_delete(aws)
    assert run.rest == ()
    assert run.time.naps == [1, 1.6, pytest.approx(2.56)]
    assert [state for _, state, _ in run.events] == ["started", "progress", "progress", "progress", "done"]


def test_a_refusal_that_stays_is_reported_and_the_rest_is_tried_more_briefly() -> None:
    dependent = refused("DependencyViolation", "has dependencies")
    subnets = Things("Subnets", SUBNET, refusals=[dependent] * 99)
    vpcs = Things("Vpcs", VPC, refusals=[dependent] * 99)
    run = run_delete(ec2(subnets=("subnet", subnets), vpcs=("vpc", vpcs)))
    assert [(one.kind, one.kept) for one in run.rest] == [
        ("subnet", "DependencyViolation: has dependencies"),
        ("VPC", "DependencyViolation: has dependencies"),
    ]
    assert 40 <= run.time.now <= 66


def test_what_is_denied_stays_and_the_others_go() -> None:
    volumes = Things("Volumes", VOLUME, refusals=[refused("UnauthorizedOperation", "not you")])
    aws = ec2(volumes=("volume", volumes), vpcs=("vpc", Things("Vpcs", VPC)))
    run = run_delete(aws)
    assert [(one.id, one.kept) for one in run.rest] == [("vol-1", "UnauthorizedOperation: not you")]
    assert run.time.naps == []


@pytest.mark.parametrize("error", [refused("Oops", status=503), ResponseParserError("<html>"), refused("Throttling")])
def test_a_bad_moment_of_aws_is_waited_out(error: Exception) -> None:
    run = run_delete(ec2(vpcs=("vpc", Things("Vpcs", VPC, refusals=[error]))))
    assert run.rest == ()
    assert len(run.time.naps) == 1


def test_credentials_that_end_stop_the_run_and_say_how_to_go_on() -> None:
    aws = ec2(vpcs=("vpc", Things("Vpcs", VPC, refusals=[refused("ExpiredToken")])))
    with pytest.raises(AwsCredentialsError) as caught:
        run_delete(aws)
    assert "continues with what is left" in caught.value.rerun


def test_what_holds_data_stays_unless_told() -> None:
    aws = ec2(volumes=("volume", Things("Volumes", VOLUME)))
    assert [one.kept for one in run_delete(aws, delete_data=False).rest] == [HOLDS_DATA]
    assert aws.names("delete") == []
    assert run_delete(aws).rest == ()


def test_a_deletion_under_way_is_awaited_for_long() -> None:
    looks = iter(["ACTIVE", "ACTIVE", "DELETING", "ACTIVE", *["DELETING"] * 30])

    def describe(name: str) -> Any:
        status = next(looks, None)
        if status is None:
            return refused("ResourceNotFoundException")
        tags = {"kubernetes.io/cluster/demo": "owned"}
        return {"cluster": {"arn": f"arn:eks/{name}", "status": status, "tags": tags, "createdAt": NOW}}

    aws = FakeAws({"eks.list_clusters": {"clusters": ["demo"]}, "eks.describe_cluster": describe})
    run = run_delete(aws)
    assert run.rest == ()
    assert run.time.now > 60


def test_a_deletion_that_never_ends_is_reported() -> None:
    nat = {"NatGatewayId": "nat-1", "State": "deleting", "Tags": OWNED, "CreateTime": NOW}
    run = run_delete(FakeAws({"ec2.describe_nat_gateways": {"NatGateways": [nat]}}))
    assert [one.kept for one in run.rest] == ["its deletion is under way"]
    assert 580 <= run.time.now <= 600


def test_groups_that_name_each_other_lose_their_rules_first() -> None:
    rules = {"sg-1": "sg-2", "sg-2": "sg-1"}
    gone: set[str] = set()

    def describe(**arguments: Any) -> Any:
        wanted = arguments.get("GroupIds") or sorted(rules)
        groups = [one for one in wanted if one not in gone]
        return {"SecurityGroups": [
            {"GroupId": one, "GroupName": one, "VpcId": "vpc-1", "Tags": OWNED,
             "IpPermissions": [{"UserIdGroupPairs": [{"GroupId": rules[one]}]}] if rules[one] else [],
             "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}
            for one in groups
        ]}  # fmt: skip

    def revoke(GroupId: str, IpPermissions: Any) -> Any:  # noqa: N803 - AWS's names
        rules[GroupId] = ""
        return {}

    def remove(GroupId: str) -> Any:  # noqa: N803 - AWS's name
        if any(other == GroupId for one, other in rules.items() if one not in gone):
            return refused("DependencyViolation")
        gone.add(GroupId)
        return {}

    aws = FakeAws({
        "ec2.describe_security_groups": describe, "ec2.revoke_security_group_ingress": revoke,
        "ec2.delete_security_group": remove,
    })  # fmt: skip
    assert run_delete(aws).rest == ()
    assert gone == {"sg-1", "sg-2"}
    assert aws.names("egress") == []


def test_a_gateway_of_somebody_elses_vpc_is_not_detached() -> None:
    gateway = {"InternetGatewayId": "igw-1", "Tags": OWNED, "Attachments": [{"VpcId": "vpc-9"}]}
    aws = FakeAws({
        "ec2.describe_internet_gateways": {"InternetGateways": [gateway]},
        "ec2.describe_vpcs": lambda **more: {"Vpcs": [{"VpcId": "vpc-9"}] if "VpcIds" in more else []},
    })  # fmt: skip
    run = run_delete(aws)
    assert run.rest[0].kept == "attached to the VPC vpc-9, which is not the cluster's"
    assert aws.names("detach", "delete") == []


def test_an_interface_is_not_taken_from_somebody_elses_instance() -> None:
    nic = {"NetworkInterfaceId": "eni-1", "TagSet": OWNED, "Attachment": {"InstanceId": "i-9"}, "Status": "in-use"}
    theirs = {"Reservations": [{"Instances": [{"InstanceId": "i-9", "State": {"Name": "running"}}]}]}
    aws = FakeAws({"ec2.describe_network_interfaces": {"NetworkInterfaces": [nic]}, "ec2.describe_instances": theirs})
    run = run_delete(aws)
    assert run.rest[0].kept == "in use by the instance i-9, which is not the cluster's"
    assert aws.names("delete", "detach") == []


@pytest.mark.parametrize(
    "operation,item,why",
    [
        ("volumes", VOLUME | {"Attachments": [{"InstanceId": "i-9"}]}, "attached to i-9"),
        ("addresses", {"AllocationId": "eip-1", "AssociationId": "a-1", "Tags": OWNED}, "associated with a-1"),
        (
            "network_interfaces",
            {"NetworkInterfaceId": "eni-1", "TagSet": OWNED, "Attachment": {"InstanceOwnerId": "amazon-elb"},
             "Status": "in-use", "InterfaceType": "nat_gateway"},
            "in use by a service of AWS (nat_gateway)",
        ),
    ],
)  # fmt: skip
def test_what_is_in_use_is_left_in_use(operation: str, item: dict[str, Any], why: str) -> None:
    key = {"volumes": "Volumes", "addresses": "Addresses", "network_interfaces": "NetworkInterfaces"}[operation]
    aws = FakeAws({f"ec2.describe_{operation}": {key: [item]}})
    assert [one.kept for one in run_delete(aws).rest] == [why]
    assert aws.names("delete", "release", "detach", "disassociate") == []


def test_a_table_keeps_its_tie_to_a_foreign_subnet() -> None:
    ties = [
        {"RouteTableAssociationId": "tie-1", "SubnetId": "subnet-gone"},
        {"RouteTableAssociationId": "tie-9", "SubnetId": "subnet-9"},
    ]
    table = {"RouteTableId": "rtb-1", "Tags": OWNED, "Associations": ties}
    aws = FakeAws({
        "ec2.describe_route_tables": {"RouteTables": [table]},
        "ec2.describe_subnets": lambda **more: {"Subnets": [{"SubnetId": "subnet-9"}]
                                                if more.get("SubnetIds") == ["subnet-9"] else []},
        "ec2.delete_route_table": refused("DependencyViolation"),
    })  # fmt: skip
    assert run_delete(aws).rest[0].kept == "DependencyViolation: no"
    assert {arguments["AssociationId"] for name, arguments in aws.calls if "disassociate" in name} == {"tie-1"}


def test_an_endpoint_that_aws_keeps_says_why() -> None:
    endpoint = {"VpcEndpointId": "vpce-1", "State": "available", "Tags": OWNED, "VpcEndpointType": "Gateway"}
    kept = {"Unsuccessful": [{"Error": {"Message": "still in use"}}]}
    aws = FakeAws({"ec2.describe_vpc_endpoints": {"VpcEndpoints": [endpoint]}, "ec2.delete_vpc_endpoints": kept})
    run = run_delete(aws)
    assert [(one.kept, one.costs_money) for one in run.rest] == [("still in use", False)]


BUCKET = Search(PLACE, (DeletedCluster("demo", bucket_names=("data",)),))


def test_objects_that_may_not_go_keep_their_bucket() -> None:
    listed = {"Versions": [{"Key": "a", "VersionId": "1"}]}
    locked = {"Errors": [{"Code": "AccessDenied", "Message": "object lock"}]}
    aws = FakeAws({
        "s3.list_buckets": {"Buckets": [{"Name": "data", "CreationDate": NOW}]},
        "s3.get_bucket_tagging": refused("NoSuchTagSet"),
        "s3.list_object_versions": listed,
        "s3.delete_objects": locked,
    })  # fmt: skip
    run = run_delete(aws, search=BUCKET)
    assert run.rest[0].kept == "1 of its objects cannot be deleted: AccessDenied: object lock"
    assert run.rest[0].arn == "arn:aws-us-gov:s3:::data"


def test_a_large_bucket_is_emptied_in_parts_and_unfinished_uploads_go() -> None:
    left = [120]
    bucket = [{"Name": "data", "CreationDate": NOW}]

    def listed(**_more: Any) -> Any:
        return {"Versions": [{"Key": "a", "VersionId": str(left[0])}] if left[0] else []}

    def one_less(**_more: Any) -> Any:
        left[0] -= 1
        return {}

    aws = FakeAws({
        "s3.list_buckets": lambda: {"Buckets": list(bucket)},
        "s3.list_object_versions": listed, "s3.delete_objects": one_less,
        "s3.list_multipart_uploads": {"Uploads": [{"Key": "b", "UploadId": "u"}]},
        "s3.delete_bucket": lambda **_more: bucket.clear() or {},
    })  # fmt: skip
    run = run_delete(aws, search=BUCKET)
    assert run.rest == ()
    assert ("data", "progress", "it is being emptied") in run.events
    assert len(aws.names("abort")) == 1


def tagged(*arns: str) -> dict[str, Any]:
    return {"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": OWNED} for arn in arns]}


def test_repositories_go_with_their_images_only_when_told() -> None:
    arn = "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/team/app"
    there = [{"repositoryArn": arn, "createdAt": NOW}]
    aws = FakeAws({
        "resourcegroupstaggingapi.get_resources": tagged(arn),
        "ecr.describe_repositories": lambda **_m: (
            {"repositories": list(there)} if there else refused("RepositoryNotFoundException")
        ),
        "ecr.list_tags_for_resource": {"tags": OWNED},
        "ecr.describe_images": {"imageDetails": [{"imageSizeInBytes": 5}, {"imageSizeInBytes": 6}]},
        "ecr.delete_repository": lambda **_m: there.clear() or {},
    })  # fmt: skip
    assert [(one.name, one.size_bytes, one.holds_data) for one in found(aws).leftovers] == [("team/app", 11, True)]
    assert run_delete(aws, delete_data=False).rest[0].kept == HOLDS_DATA
    assert run_delete(aws).rest == ()
    assert ("ecr.delete_repository", {"repositoryName": "team/app", "force": True}) in aws.calls


def test_kinds_that_nobody_covers_are_shown_and_left() -> None:
    table = "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/demo"
    listener = "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:listener/net/demo/1/2"
    rule = "arn:aws-us-gov:ec2:us-gov-west-1:123456789012:security-group-rule/sgr-1"
    aws = FakeAws({"resourcegroupstaggingapi.get_resources": tagged(table, listener, rule)})
    assert [(one.kind, one.id) for one in found(aws).leftovers] == [("other resource", table)]
    run = run_delete(aws)
    assert run.rest[0].kept == "gridbyoc does not delete this kind: delete it by hand"


def test_a_policy_is_detached_from_our_own_roles_only() -> None:
    arn = "arn:aws-us-gov:iam::123456789012:policy/extra"
    aws = FakeAws({
        "resourcegroupstaggingapi.get_resources": tagged(arn),
        "iam.get_policy": {"Policy": {"Arn": arn, "PolicyName": "extra", "Tags": OWNED}},
        "iam.list_entities_for_policy": {"PolicyRoles": [{"RoleName": "gone"}, {"RoleName": "theirs"}]},
        "iam.get_role": lambda RoleName: refused("NoSuchEntity") if RoleName == "gone" else {  # noqa: N803 - AWS's name
            "Role": {"RoleName": "theirs", "Arn": "arn", "Path": "/"}
        },
        "iam.delete_policy": refused("DeleteConflict", "attached"),
    })  # fmt: skip
    assert run_delete(aws).rest[0].kept == "DeleteConflict: attached"
    assert {arguments["RoleName"] for name, arguments in aws.calls if "detach" in name} == {"gone"}


@pytest.mark.parametrize("shown", [False, True])
def test_a_policy_stays_on_a_role_that_was_not_shown_or_is_proven_no_more(shown: bool) -> None:
    """Made since the list was shown: nobody approved its change. Untagged since: it may be somebody else's by now."""
    arn = "arn:aws-us-gov:iam::123456789012:policy/extra"
    role = {"RoleName": "node", "Arn": "arn:aws-us-gov:iam::123456789012:role/node", "Path": "/"}
    aws = FakeAws({
        "iam.get_account_authorization_details": {"RoleDetailList": [{**role, "Tags": OWNED}] if shown else []},
        "iam.get_role": {"Role": {**role, "Tags": [] if shown else OWNED}},
        "resourcegroupstaggingapi.get_resources": tagged(arn),
        "iam.get_policy": {"Policy": {"Arn": arn, "PolicyName": "extra", "Tags": OWNED}},
        "iam.list_entities_for_policy": {"PolicyRoles": [{"RoleName": "node"}]},
        "iam.delete_policy": refused("DeleteConflict", "attached"),
    })  # fmt: skip
    kept = {one.kind: one.kept for one in run_delete(aws).rest}
    assert kept.pop("policy") == "DeleteConflict: attached"
    assert list(kept) == (["role"] if shown else [])
    assert aws.names("detach_role_policy") == []


def test_nothing_of_aws_itself_is_listed() -> None:
    aws = FakeAws({
        "iam.get_account_authorization_details": {"RoleDetailList": [
            {"RoleName": "AWSServiceRoleForEKS", "Arn": "a", "Path": "/aws-service-role/eks/", "Tags": OWNED}
        ]},
        "ec2.describe_vpcs": {"Vpcs": [{"VpcId": "vpc-0", "IsDefault": True, "Tags": OWNED}]},
        "ec2.describe_security_groups": {"SecurityGroups": [{"GroupId": "sg", "GroupName": "default", "Tags": OWNED}]},
        "ec2.describe_route_tables": {"RouteTables": [
            {"RouteTableId": "rtb", "Tags": OWNED, "Associations": [{"Main": True}]}
        ]},
        "ec2.describe_network_acls": {"NetworkAcls": [{"NetworkAclId": "acl", "Tags": OWNED, "IsDefault": True}]},
    })  # fmt: skip
    assert found(aws, DEMO).clear


def test_credentials_that_are_refused_end_the_search() -> None:
    for operation in ("ec2.describe_volumes", "resourcegroupstaggingapi.get_resources"):
        with pytest.raises(AwsCredentialsError):
            found(FakeAws({operation: refused("ExpiredToken")}))


def test_policies_are_looked_for_by_tag_in_the_region_that_keeps_iam_and_others_are_never_read() -> None:
    arn = "arn:aws:iam::123456789012:policy/extra"
    aws = FakeAws({
        "resourcegroupstaggingapi@us-east-1.get_resources": tagged(arn, "arn:aws:iam::123456789012:mfa/demo"),
        "iam.get_policy": {"Policy": {"Arn": arn, "PolicyName": "extra", "Tags": OWNED}},
    })  # fmt: skip
    search = Search(AccountRegion("aws", "123456789012", "eu-west-1"), DEMO.clusters)
    assert {one.kind for one in found(aws, search).leftovers} == {"policy", "other resource"}
    assert aws.names("list_policies") == []
    assert aws.names("get_policy") == ["iam.get_policy"]
    home = [given for name, given in aws.calls if "us-east-1" in name]
    assert all(given["ResourceTypeFilters"] == ["iam"] for given in home)
    stays = {one.kind: one.kept for one in run_delete(aws, search=search).rest}
    assert stays["other resource"] == "gridbyoc does not delete this kind: delete it by hand"


def test_a_scan_that_is_throttled_says_how_far_it_got() -> None:
    roles = iter(({"RoleName": str(number), "Arn": "a", "Path": "/"}) for number in range(3))

    def pages(**_arguments: Any) -> Any:
        def throttled() -> Any:
            yield from roles
            raise refused("Throttling", "Rate exceeded")

        return {"RoleDetailList": throttled()}

    unknown = found(FakeAws({"iam.get_account_authorization_details": pages})).unknown
    assert [(one.kind, "(after 3 of them had been read)" in one.why) for one in unknown] == [("role", True)]


def test_a_search_by_tag_that_is_throttled_says_how_far_it_got() -> None:
    asked = iter(range(100))

    def get_resources(**_arguments: Any) -> Any:
        return refused("ThrottlingException", "Rate exceeded") if next(asked) == 2 else {}

    unknown = found(FakeAws({"resourcegroupstaggingapi.get_resources": get_resources})).unknown
    assert "policy" in {one.kind for one in unknown}
    assert all(re.search(r"Rate exceeded.* \(after 2 of \d+ searches\)", one.why) for one in unknown)
