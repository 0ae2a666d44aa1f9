"""What the sandbox's AWS answers where moto does not, asked with real boto3 clients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from werkzeug.test import Client

from gridbyoc.sandbox.aws_extra.call import AwsAnswerError, AwsCall, CallContext, answer_with, model_name
from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer
from gridbyoc.stack.service_quotas import quota_codes
from tests.unit.aws_kit import ACCOUNT, SESSION, LocalAws, allow, policy

STANDARD, ROLES = "L-1216C47A", "L-FE177D64"
ADMINISTRATOR = f"arn:aws:sts::{ACCOUNT}:user/moto"


def code_of(ask: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask(**given)
    return str(caught.value.response["Error"]["Code"])


QUOTA = {"ServiceCode": "ec2", "QuotaCode": STANDARD}
EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("servicequotas", "GetServiceQuota"): QUOTA,
    ("servicequotas", "GetAWSDefaultServiceQuota"): QUOTA,
    ("servicequotas", "ListServiceQuotas"): {"ServiceCode": "ec2", "MaxResults": 3},
    ("servicequotas", "ListAWSDefaultServiceQuotas"): {"ServiceCode": "ec2"},
    ("servicequotas", "ListServices"): {},
    ("servicequotas", "RequestServiceQuotaIncrease"): QUOTA | {"DesiredValue": 5000.0},
    ("servicequotas", "GetRequestedServiceQuotaChange"): {},
    ("servicequotas", "ListRequestedServiceQuotaChangeHistory"): {},
    ("servicequotas", "ListRequestedServiceQuotaChangeHistoryByQuota"): QUOTA,
    ("iam", "SimulatePrincipalPolicy"): {
        "PolicySourceArn": ADMINISTRATOR,
        "ActionNames": ["iam:CreateRole", "s3:GetObject"],
        "ResourceArns": ["*", "arn:aws:s3:::b/k"],
        "PermissionsBoundaryPolicyInputList": [policy(allow("iam:*"))],
    },
    ("iam", "SimulateCustomPolicy"): {
        "PolicyInputList": [policy(allow("s3:*", Condition={"StringEquals": {"aws:username": "ada"}}))],
        "ActionNames": ["s3:GetObject", "s3:PutObject"],
        "MaxItems": 1,
    },
    ("iam", "GetAccountSummary"): {},
    ("iam", "PutUserPermissionsBoundary"): {
        "UserName": "ada",
        "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/limit",
    },
    ("iam", "DeleteUserPermissionsBoundary"): {"UserName": "ada"},
    ("sts", "AssumeRole"): {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/grid", "RoleSessionName": "test"},
    ("tagging", "GetResources"): {"TagFilters": [{"Key": "team"}]},
    ("autoscaling", "DescribeAccountLimits"): {},
    ("ec2", "DescribeRegions"): {"AllRegions": True},
    ("ec2", "DescribeAvailabilityZones"): {},
    ("ec2", "DescribeInstanceTypes"): {"InstanceTypes": ["t2.medium", "g4dn.xlarge"]},
    ("ec2", "DescribeInstanceTypeOfferings"): {"LocationType": "availability-zone"},
}


def test_every_answer_is_what_botocore_reads_out_of_it_again() -> None:
    aws = LocalAws(denied_by_scp=["s3:PutObject"])
    aws.client("iam").create_user(UserName="ada")
    aws.client("iam").create_policy(
        PolicyName="limit", PolicyDocument=policy(allow("*")), Tags=[{"Key": "team", "Value": "ml"}]
    )
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    aws.client("iam").create_role(RoleName="grid", AssumeRolePolicyDocument=policy(trust))
    assert set(EXAMPLES) == set(aws.extras.operations)
    caller = CallContext(ACCOUNT, "us-east-1", ADMINISTRATOR)
    filed = ""
    for (service, name), given in EXAMPLES.items():
        if name == "GetRequestedServiceQuotaChange":
            given = {"RequestId": filed}
        result = aws.extras.operations[service, name](caller, given)
        filed = result.get("RequestedQuota", {}).get("Id", filed)
        answer = answer_with(AwsCall(service, name, "us-east-1", "test", given, protocol_of(service)), result)
        if name == "DescribeInstanceTypes":  # what moto knows of a type, which may be more than an old botocore reads
            result = only_known(result, output_of(service, name))
        assert read_again(service, name, answer.body) == result, name
        assert answer.status == 200


def protocol_of(service: str) -> str:
    """The one that clients of the service speak to moto, which writes no CBOR."""
    model = SESSION.get_service_model(model_name(service))
    return "json" if "json" in model.metadata.get("protocols", ()) else str(model.protocol)


def output_of(service: str, name: str) -> Any:
    return SESSION.get_service_model(model_name(service)).operation_model(name).output_shape


def only_known(value: Any, shape: Any) -> Any:
    """Without the members that botocore has no word for."""
    if shape.type_name == "structure":
        return {key: only_known(each, shape.members[key]) for key, each in value.items() if key in shape.members}
    return [only_known(each, shape.member) for each in value] if shape.type_name == "list" else value


def read_again(service: str, name: str, body: bytes) -> Any:
    shape = output_of(service, name)
    raw = {"body": body, "headers": {}, "status_code": 200}
    parsed = create_parser(protocol_of(service)).parse(raw, shape)
    parsed.pop("ResponseMetadata")
    return parsed


@pytest.mark.parametrize("service", ["servicequotas", "iam", "ec2", "autoscaling", "eks", "s3", "sts"])
def test_every_error_is_read_by_botocore(service: str) -> None:
    model = SESSION.get_service_model(model_name(service))
    call = AwsCall(service, next(iter(model.operation_names)), "us-east-1", "x", {})
    answer = answer_with(call, AwsAnswerError("AccessDenied", "User: <x> & y", 403))
    raw = {"body": answer.body, "headers": dict(answer.headers), "status_code": answer.status}
    read = create_parser(model.protocol).parse(raw, None)
    assert read["Error"]["Code"] == "AccessDenied"
    assert (read["Error"].get("Message") or read["Error"].get("message")) == "User: <x> & y"


def test_a_healthy_account_has_room_for_the_guide_and_a_new_one_has_awss_defaults() -> None:
    healthy, new = (LocalAws(quotas={"account": name}).client("service-quotas") for name in ("healthy", "new"))
    groups = [quota for quota in quota_codes() if quota.family_group]
    for quota in groups:
        asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        assert healthy.get_service_quota(**asked)["Quota"]["Value"] >= 1000
        assert new.get_service_quota(**asked)["Quota"]["Value"] == quota.aws_default
        assert new.get_service_quota(**asked)["Quota"]["QuotaName"] == quota.name


def test_where_an_account_has_no_value_of_its_own_only_the_default_is_known() -> None:
    quotas = LocalAws(quotas={"account": "new"}).client("service-quotas")
    asked = {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}
    assert code_of(quotas.get_service_quota, **asked) == "NoSuchResourceException"
    assert quotas.get_aws_default_service_quota(**asked)["Quota"]["Value"] == 5
    assert quotas.list_service_quotas(ServiceCode="vpc")["Quotas"] == []
    assert len(quotas.list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]) == 2


def test_the_global_services_quotas_are_kept_in_one_region() -> None:
    aws = LocalAws()
    asked = {"ServiceCode": "iam", "QuotaCode": ROLES}
    assert aws.client("service-quotas").get_aws_default_service_quota(**asked)["Quota"]["GlobalQuota"] is True
    elsewhere = aws.client("service-quotas", region="eu-west-1")
    assert code_of(elsewhere.get_aws_default_service_quota, **asked) == "NoSuchResourceException"


@pytest.mark.parametrize(
    "asked", [{"ServiceCode": "none", "QuotaCode": STANDARD}, {"ServiceCode": "vpc", "QuotaCode": STANDARD}]
)
def test_quotas_that_are_not_there(asked: dict[str, str]) -> None:
    quotas = LocalAws().client("service-quotas")
    for ask in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
        assert code_of(ask, **asked) == "NoSuchResourceException"
    assert code_of(quotas.request_service_quota_increase, **asked, DesiredValue=9) == "NoSuchResourceException"
    assert code_of(quotas.get_requested_service_quota_change, RequestId="abc") == "NoSuchResourceException"


def test_given_values_and_names_are_answered_everywhere() -> None:
    values = {f"iam/{ROLES}": 12, "autoscaling/L-CDE20ADC": 3, f"ec2/{STANDARD}": 64}
    aws = LocalAws(quotas={"account": "new", "values": values, "names": {f"ec2/{STANDARD}": "Renamed"}})
    quota = aws.client("service-quotas").get_service_quota(**QUOTA)["Quota"]
    assert (quota["Value"], quota["QuotaName"]) == (64, "Renamed")
    summary = aws.client("iam").get_account_summary()["SummaryMap"]
    assert (summary["RolesQuota"], summary["AttachedPoliciesPerRoleQuota"], summary["Roles"]) == (12, 10, 0)
    limits = aws.client("autoscaling").describe_account_limits()
    assert (limits["MaxNumberOfAutoScalingGroups"], limits["NumberOfAutoScalingGroups"]) == (3, 0)


@pytest.mark.parametrize("outcome", ["APPROVED", "DENIED"])
def test_a_request_moves_with_the_clock_and_its_value_holds_once_it_is_approved(outcome: str) -> None:
    aws = LocalAws(quotas={"account": "new", "seconds": 10, "outcome": outcome})
    quotas = aws.client("service-quotas")
    filed = quotas.request_service_quota_increase(**QUOTA, DesiredValue=64)["RequestedQuota"]
    assert (filed["Status"], filed["DesiredValue"], "CaseId" in filed) == ("PENDING", 64, False)
    assert code_of(quotas.request_service_quota_increase, **QUOTA, DesiredValue=99) == "ResourceAlreadyExistsException"
    seen = []
    for _ in range(3):
        seen.append(quotas.get_requested_service_quota_change(RequestId=filed["Id"])["RequestedQuota"]["Status"])
        assert quotas.get_service_quota(**QUOTA)["Quota"]["Value"] == (64 if seen[-1] == "APPROVED" else 5)
        aws.now += 5
    assert seen == ["PENDING", "CASE_OPENED", outcome]
    history = quotas.list_requested_service_quota_change_history_by_quota(**QUOTA)["RequestedQuotas"]
    assert [change["Id"] for change in history] == [filed["Id"]]
    assert quotas.list_requested_service_quota_change_history(Status="PENDING")["RequestedQuotas"] == []
    assert quotas.request_service_quota_increase(**QUOTA, DesiredValue=99)["RequestedQuota"]["Id"] != filed["Id"]


@pytest.mark.parametrize("value", [0, 4, 5])
def test_no_more_than_there_is_cannot_be_asked_for(value: float) -> None:
    quotas = LocalAws(quotas={"account": "new"}).client("service-quotas")
    assert code_of(quotas.request_service_quota_increase, **QUOTA, DesiredValue=value) == "IllegalArgumentException"


def test_requests_are_of_one_region() -> None:
    aws = LocalAws(quotas={"account": "new", "seconds": 0})
    aws.client("service-quotas").request_service_quota_increase(**QUOTA, DesiredValue=64)
    elsewhere = aws.client("service-quotas", region="eu-west-1")
    assert elsewhere.list_requested_service_quota_change_history()["RequestedQuotas"] == []
    assert elsewhere.get_service_quota(**QUOTA)["Quota"]["Value"] == 5


def test_pages_follow_one_another() -> None:
    quotas = LocalAws().client("service-quotas")
    pages = list(
        quotas.get_paginator("list_service_quotas").paginate(ServiceCode="ec2", PaginationConfig={"PageSize": 4})
    )
    codes = [quota["QuotaCode"] for page in pages for quota in page["Quotas"]]
    assert len(pages) > 3
    assert sorted(codes) == sorted(quota.code for quota in quota_codes() if quota.service == "ec2")
    assert code_of(quotas.list_service_quotas, ServiceCode="ec2", NextToken="x") == "InvalidPaginationTokenException"


def test_a_type_that_the_region_does_not_offer_does_not_exist_there() -> None:
    aws = LocalAws()
    here, north = aws.client("ec2"), aws.client("ec2", region="eu-north-1")
    assert (
        here.describe_instance_types(InstanceTypes=["t2.medium"])["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"] == 2
    )
    assert code_of(north.describe_instance_types, InstanceTypes=["t2.medium"]) == "InvalidInstanceType"
    assert code_of(here.describe_instance_types, InstanceTypes=["t2.medium", "zz.large"]) == "InvalidInstanceType"
    for client, known in ((here, True), (north, False)):
        found = client.describe_instance_type_offerings(Filters=[{"Name": "instance-type", "Values": ["t2.m*"]}])
        assert bool(found["InstanceTypeOfferings"]) is known


def test_a_retired_type_is_offered_nowhere() -> None:
    asked = {"Filters": [{"Name": "instance-type", "Values": ["p3.2xlarge"]}], "LocationType": "availability-zone"}
    assert LocalAws().client("ec2").describe_instance_type_offerings(**asked)["InstanceTypeOfferings"] == []


def test_types_come_in_pages_and_filters_are_motos() -> None:
    ec2 = LocalAws().client("ec2")
    pages = ec2.get_paginator("describe_instance_types").paginate(
        Filters=[{"Name": "processor-info.supported-architecture", "Values": ["arm64"]}],
        PaginationConfig={"PageSize": 50},
    )
    first, second = itertools.islice(pages, 2)
    types = [each for page in (first, second) for each in page["InstanceTypes"]]
    assert len({each["InstanceType"] for each in types}) == 100
    assert all(each["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"] for each in types)
    strange = [{"Name": "no-such", "Values": ["x"]}]
    assert code_of(ec2.describe_instance_types, Filters=strange) == "InvalidParameterValue"


def test_regions_are_the_enabled_ones_unless_all_are_asked_for() -> None:
    ec2 = LocalAws().client("ec2")
    enabled = {each["RegionName"] for each in ec2.describe_regions()["Regions"]}
    everything = {each["RegionName"]: each["OptInStatus"] for each in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert "us-east-1" in enabled
    assert everything["af-south-1"] == "not-opted-in"
    assert "af-south-1" not in enabled
    assert ec2.describe_regions(RegionNames=["af-south-1"])["Regions"][0]["OptInStatus"] == "not-opted-in"
    assert code_of(ec2.describe_regions, RegionNames=["mars-east-1"]) == "InvalidParameterValue"
    nowhere = LocalAws().client("ec2", region="nowhere-1")
    assert code_of(nowhere.describe_regions) == "InvalidParameterValue"
    chosen = ec2.describe_regions(Filters=[{"Name": "region-name", "Values": ["eu-west-*"]}])["Regions"]
    assert {each["RegionName"] for each in chosen} == {"eu-west-1", "eu-west-2", "eu-west-3"}


def test_zones_say_that_they_are_enabled() -> None:
    ec2 = LocalAws().client("ec2")
    asked = [{"Name": "opt-in-status", "Values": ["opt-in-not-required"]}, {"Name": "state", "Values": ["available"]}]
    zones = ec2.describe_availability_zones(Filters=asked)["AvailabilityZones"]
    assert {zone["RegionName"] for zone in zones} == {"us-east-1"}
    assert code_of(ec2.describe_availability_zones, Filters=[{"Name": "x", "Values": []}]) == "InvalidParameterValue"


def test_a_dry_run_changes_nothing() -> None:
    ec2 = LocalAws().client("ec2")
    before = len(ec2.describe_vpcs()["Vpcs"])
    assert code_of(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True) == "DryRunOperation"
    assert len(ec2.describe_vpcs()["Vpcs"]) == before


def test_an_operation_that_moto_lacks_is_said_to_be_lacking() -> None:
    assert code_of(LocalAws().client("ec2").describe_capacity_reservations) == "NotImplemented"


def test_a_fault_of_motos_is_an_error_that_clients_know() -> None:
    """botocore takes Flask's page for an answer that was cut off, and does not ask again."""

    def broken(_environ: Any, start_response: Any) -> list[bytes]:
        page = b"<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>"
        start_response("500 INTERNAL SERVER ERROR", [("Content-Type", "text/html; charset=utf-8")])
        return [page]

    answer = Client(ExtraLayer(broken, make_extras({}))).post("/", data="Action=ListRoles&Version=2010-05-08")
    assert (answer.status_code, answer.data) == (500, b"")
    model = SESSION.get_service_model("iam").operation_model("ListRoles")
    parser = create_parser(model.service_model.protocol)
    read = parser.parse({"status_code": 500, "headers": {}, "body": answer.data}, model.output_shape)
    assert read["Error"]["Code"] == "500"


@pytest.mark.parametrize("region, types, found", [
    ("us-east-1", [], ["policy/ours"]), ("us-east-1", ["iam"], ["policy/ours"]), ("us-east-1", ["s3"], []),
    ("eu-west-1", [], []),
])  # fmt: skip
def test_tagged_policies_are_found_in_the_region_that_keeps_iam(
    region: str, types: list[str], found: list[str]
) -> None:
    aws = LocalAws()
    for name, tags in (("ours", {"Team": "ml"}), ("theirs", {"Team": "web"}), ("other", {"team": "ml"}), ("bare", {})):
        aws.client("iam").create_policy(
            PolicyName=name, PolicyDocument=policy(allow("*")), Tags=[{"Key": k, "Value": v} for k, v in tags.items()]
        )
    answer = aws.client("resourcegroupstaggingapi", region=region).get_resources(
        TagFilters=[{"Key": "Team", "Values": ["ml"]}], ResourceTypeFilters=types
    )
    assert [one["ResourceARN"].split(":")[-1] for one in answer["ResourceTagMappingList"]] == found
