"""Limits and use as AWS tells them; what cannot be read has no value, and says why."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import pytest

from gridbyoc.aws.quotas import (
    COUNTS,
    Limit,
    Machines,
    Use,
    list_requests,
    open_request,
    read_limit,
    read_machines,
    read_quotas,
    request_increase,
)
from gridbyoc.errors import AwsCredentialsError, AwsError
from gridbyoc.operations.quotas.review import quotas_of
from gridbyoc.stack.background import Readers
from gridbyoc.stack.service_quotas import quota_by_code, quota_codes
from tests.unit.leftover_fakes import refused
from tests.unit.quota_fakes import QuotaAws, machine

G = quota_by_code("L-DB2E81BA")
VPCS = quota_by_code("L-F678F1CE")
ROLES = quota_by_code("L-FE177D64")


def test_the_applied_value_holds_and_brings_the_name_along() -> None:
    aws = QuotaAws(
        limits={G.code: {"Value": 64.0, "QuotaName": "Another name", "Adjustable": False}}, region="us-west-2"
    )
    assert read_limit(aws.session, G) == Limit(64.0, "Another name", False, source="servicequotas:GetServiceQuota")
    assert aws.named("service-quotas.get_service_quota") == [
        ("us-west-2", {"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"})
    ]


def test_without_an_applied_value_the_default_holds() -> None:
    found = read_limit(QuotaAws(defaults={VPCS.code: 5}).session, VPCS)
    assert (found.value, found.source) == (5.0, "servicequotas:GetAWSDefaultServiceQuota")


@pytest.mark.parametrize(
    ("region", "home"),
    [("eu-west-1", "us-east-1"), ("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")],
)
def test_iams_quotas_are_read_in_the_partitions_home_region(region: str, home: str) -> None:
    aws = QuotaAws(limits={ROLES.code: 1000}, region=region)
    assert read_limit(aws.session, ROLES).value == 1000
    assert [where for where, _ in aws.named("service-quotas.get_service_quota")] == [home]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (refused("AccessDeniedException", "not authorized"), "AccessDeniedException: not authorized"),
        (refused("TooManyRequestsException", "slow down"), "TooManyRequestsException: slow down"),
        (refused("UnknownOperationException", "no"), "UnknownOperationException: no"),
        (
            {"ErrorReason": {"ErrorCode": "DEPENDENCY_ACCESS_DENIED_ERROR", "ErrorMessage": "may not ask"}},
            "may not ask",
        ),
        ({"QuotaName": "x"}, "Service Quotas gave no value."),
    ],
)
def test_what_cannot_be_read_has_no_value_and_says_why(answer: Any, why: str) -> None:
    found = read_limit(QuotaAws(limits={G.code: answer}).session, G)
    assert found.value is None
    assert found.why.startswith(why)


def test_a_quota_that_no_region_knows_is_unknown() -> None:
    found = read_limit(QuotaAws().session, G)
    assert found.value is None
    assert "NoSuchResourceException" in found.why


def count(call: str, **answers: Any) -> Any:
    return COUNTS[call](QuotaAws({name.replace("__", "."): found for name, found in answers.items()}).session)


def test_every_quota_is_counted_by_a_call_there_is() -> None:
    assert {quota.counted for quota in quota_codes() if not quota.family_group} == set(COUNTS)
    for quota in quota_codes():
        if not quota.family_group:
            assert quota.code in count(quota.counted)


def test_auto_scaling_and_iam_tell_limit_and_use_in_one_call() -> None:
    assert count("autoscaling:DescribeAccountLimits")["L-CDE20ADC"] == Use(2, limit=500.0)
    assert count("iam:GetAccountSummary") == {
        "L-FE177D64": Use(7, limit=1000.0),
        "L-E95E4862": Use(3, limit=1500.0),
        "L-0DA4ABF3": Use(0, limit=10.0),
    }


def test_addresses_of_own_pools_and_of_services_do_not_count() -> None:
    found = [
        {"PublicIp": "1.1.1.1"},
        {"PublicIp": "1.1.1.2", "PublicIpv4Pool": "amazon"},
        {"PublicIp": "1.1.1.3", "PublicIpv4Pool": "ipv4pool-ec2-012345"},
        {"PublicIp": "1.1.1.4", "CustomerOwnedIpv4Pool": "ipv4pool-coip-1"},
        {"PublicIp": "1.1.1.5", "PublicIpv4Pool": "amazon", "ServiceManaged": "alb"},
    ]
    assert count("ec2:DescribeAddresses", ec2__describe_addresses={"Addresses": found})["L-0263D0A3"] == Use(2)


def test_vpcs_that_another_account_shares_do_not_count() -> None:
    found = [{"OwnerId": "123456789012"}, {"OwnerId": "999999999999"}, {}]
    assert count("ec2:DescribeVpcs", ec2__describe_vpcs={"Vpcs": found})["L-F678F1CE"] == Use(2)


def test_pages_are_counted_to_the_last() -> None:
    assert count("eks:ListClusters", eks__list_clusters=[{"clusters": ["a", "b"]}, {"clusters": ["c"]}, {}]) == {
        "L-1194D53C": Use(3)
    }


def test_nat_gateways_are_counted_in_each_zone() -> None:
    gateways = [{"SubnetId": "s-1"}, {"SubnetId": "s-1"}, {"SubnetId": "s-2"}, {"AvailabilityMode": "regional"}]
    subnets = [{"SubnetId": "s-1", "AvailabilityZone": "z-a"}, {"SubnetId": "s-2", "AvailabilityZone": "z-b"}]
    zones = [{"ZoneName": name} for name in ("z-a", "z-b", "z-c")]
    answers = {
        "ec2__describe_nat_gateways": {"NatGateways": gateways},
        "ec2__describe_subnets": {"Subnets": subnets},
    }
    code = "L-FE5A380F"
    call = "ec2:DescribeNatGateways"
    three = count(call, ec2__describe_availability_zones={"AvailabilityZones": zones}, **answers)
    assert three[code] == Use(2, least=0)
    two = count(call, ec2__describe_availability_zones={"AvailabilityZones": zones[:2]}, **answers)
    assert two[code] == Use(2, least=1)
    local = {"ZoneName": "z-lax-1a", "ZoneType": "local-zone"}  # no cluster is made there

    def of_type(Filters: list[Any]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        (wanted,) = Filters[0]["Values"]
        return {"AvailabilityZones": [z for z in (*zones[:2], local) if z.get("ZoneType", wanted) == wanted]}

    assert count(call, ec2__describe_availability_zones=of_type, **answers)[code] == Use(2, least=1)


RUNNING = {
    "Reservations": [
        {"Instances": [machine("t2.medium"), machine("t2.medium"), machine("m5.large", InstanceLifecycle="spot")]},
        {"Instances": [machine("g4dn.metal", Placement={"Tenancy": "host"})]},
        {"Instances": [machine("p3.2xlarge", InstanceLifecycle="capacity-block"), machine("g4dn.xlarge")]},
    ]
}


def test_vcpus_in_use_by_family_group_and_market() -> None:
    aws = QuotaAws({"ec2.describe_instances": RUNNING})
    found = read_machines(aws.session, ["p3.2xlarge", "gone9.large"])
    assert found.vcpus == {"t2.medium": 2, "m5.large": 2, "g4dn.xlarge": 4, "p3.2xlarge": 8}
    assert [found.use(code).value for code in ("L-1216C47A", "L-34B43A08", "L-DB2E81BA", "L-417A185B")] == [4, 2, 4, 0]
    asked = aws.named("ec2.describe_instance_types")
    assert asked == [
        (
            "us-west-2",
            {
                "Filters": [
                    {
                        "Name": "instance-type",
                        "Values": ["g4dn.xlarge", "gone9.large", "m5.large", "p3.2xlarge", "t2.medium"],
                    }
                ]
            },
        )
    ]


def test_a_filter_never_takes_more_than_ec2_does() -> None:
    aws = QuotaAws()
    read_machines(aws.session, [f"m5.{size}xlarge" for size in range(450)])
    asked = aws.named("ec2.describe_instance_types")
    assert [len(given["Filters"][0]["Values"]) for _, given in asked] == [200, 200, 50]


def test_a_running_type_that_ec2_does_not_describe_leaves_its_group_unknown() -> None:
    running = {"Reservations": [{"Instances": [machine("t2.medium"), machine("m99.large"), machine("g4dn.xlarge")]}]}
    found = read_machines(QuotaAws({"ec2.describe_instances": running}).session, [])
    assert found.use("L-1216C47A") == Use(None, why="EC2 does not say how many vCPUs a running m99.large has.")
    assert found.use("L-DB2E81BA") == Use(4)


def test_each_of_the_two_calls_may_be_denied_by_itself() -> None:
    denied = refused("UnauthorizedOperation", "no")
    unread = read_machines(QuotaAws({"ec2.describe_instances": denied}).session, ["t2.medium"])
    assert unread.vcpus == {"t2.medium": 2}
    assert unread.use("L-1216C47A").value is None
    assert unread.use("L-1216C47A").why.startswith("UnauthorizedOperation: no")
    answers = {"ec2.describe_instances": RUNNING, "ec2.describe_instance_types": denied}
    untyped = read_machines(QuotaAws(answers).session, ["t2.medium"])
    assert untyped.vcpus is None
    assert untyped.vcpus_why.startswith("UnauthorizedOperation: no")
    assert untyped.use("L-1216C47A") == Use(None, why=untyped.vcpus_why)
    assert untyped.use("L-417A185B") == Use(0)


def test_nothing_runs() -> None:
    assert read_machines(QuotaAws().session, []) == Machines({}, {})


def test_everything_is_read_once() -> None:
    aws = QuotaAws(defaults={quota.code: 10 for quota in quota_codes()})
    quotas = quotas_of(["t2.medium", "g4dn.xlarge"])
    found = read_quotas(aws.session, quotas, ["t2.medium", "g4dn.xlarge"])
    assert list(found.readings) == [quota.code for quota in quotas]
    assert {name for name, _, _ in aws.calls if not name.startswith("service-quotas")} == {
        "autoscaling.describe_account_limits", "iam.get_account_summary", "ec2.describe_vpcs",
        "ec2.describe_addresses", "ec2.describe_nat_gateways", "s3.list_buckets", "eks.list_clusters",
        "ec2.describe_instances", "ec2.describe_instance_types", "sts.get_caller_identity",
    }  # fmt: skip
    assert len(aws.calls) == 10 + 2 * len(quotas)
    assert found.readings["L-FE177D64"].region == "us-east-1"
    assert found.readings["L-F678F1CE"].region == "us-west-2"
    assert found.vcpus == {"t2.medium": 2, "g4dn.xlarge": 4}


def test_a_service_that_does_not_answer_leaves_its_own_quotas_unknown_and_no_others() -> None:
    aws = QuotaAws({"eks.list_clusters": refused("AccessDenied", "no eks")}, defaults={"L-1194D53C": 100, VPCS.code: 5})
    found = read_quotas(aws.session, [quota_by_code("L-1194D53C"), VPCS])
    assert found.readings["L-1194D53C"].use.value is None
    assert found.readings["L-1194D53C"].use.why.startswith("AccessDenied: no eks")
    assert found.readings[VPCS.code].use == Use(1)


def test_where_service_quotas_may_not_be_asked_the_counting_calls_limit_holds() -> None:
    denied = {"service-quotas.get_service_quota": refused("AccessDeniedException", "no")}
    found = read_quotas(QuotaAws(denied).session, [ROLES, VPCS])
    assert found.readings[ROLES.code].limit.value == 1000
    assert found.readings[VPCS.code].limit.value is None
    assert found.readings[VPCS.code].limit.why.startswith("AccessDeniedException: no")


def change(code: str, status: str, **fields: Any) -> dict[str, Any]:
    return {"Id": f"{code}-{status}", "QuotaCode": code, "DesiredValue": 8.0, "Status": status, **fields}


HISTORY = "service-quotas.list_requested_service_quota_change_history"


def test_the_open_request_is_found_among_the_old_ones() -> None:
    pages = [{"RequestedQuotas": [change(G.code, "DENIED")]}, {"RequestedQuotas": [change(G.code, "CASE_OPENED")]}]
    found = open_request(QuotaAws({f"{HISTORY}_by_quota": pages}).session, G)
    assert found is not None
    assert (found.status, found.region, found.desired) == ("CASE_OPENED", "us-west-2", 8.0)
    closed = QuotaAws({f"{HISTORY}_by_quota": {"RequestedQuotas": [change(G.code, "APPROVED")]}})
    assert open_request(closed.session, G) is None


def test_a_quota_that_nobody_has_asked_for_has_no_open_request() -> None:
    never = QuotaAws({f"{HISTORY}_by_quota": refused("NoSuchResourceException")})
    assert open_request(never.session, G) is None
    with pytest.raises(AwsError, match="could not be read"):
        open_request(QuotaAws({f"{HISTORY}_by_quota": refused("AccessDeniedException")}).session, G)


def test_requests_for_other_quotas_are_left_out() -> None:
    answer = {"RequestedQuotas": [change("L-00000000", "PENDING"), change(G.code, "PENDING", CaseId="77")]}
    found = list_requests(QuotaAws({HISTORY: answer}).session, "us-east-1")
    assert [(each.quota.code, each.case_id) for each in found] == [(G.code, "77")]


REQUEST = "service-quotas.request_service_quota_increase"


def test_a_request_that_is_under_way_is_no_error() -> None:
    aws = QuotaAws({REQUEST: refused("ResourceAlreadyExistsException")})
    assert request_increase(aws.session, G, 8) is None
    assert aws.named(REQUEST) == [
        ("us-west-2", {"ServiceCode": "ec2", "QuotaCode": G.code, "DesiredValue": 8.0}),
    ]


@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDeniedException", AwsError), ("ExpiredTokenException", AwsCredentialsError)]
)
def test_what_aws_does_not_take_is_an_error_of_ours(code: str, kind: type[AwsError]) -> None:
    with pytest.raises(kind, match="L-DB2E81BA"):
        request_increase(QuotaAws({REQUEST: refused(code)}).session, G, 8)


def test_readers_work_two_at_a_time_and_raise_what_was_raised() -> None:
    readers, pairs, lock = Readers(2), threading.Barrier(2, timeout=20), threading.Lock()
    busy, most = [0], [0]

    def work(number: int) -> int:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        pairs.wait()
        time.sleep(0.02)  # long enough for a third to begin, were it let in
        with lock:
            busy[0] -= 1
        if number == 3:
            raise AwsError("The third.")
        return number

    answers = [readers.submit(partial(work, number)) for number in range(6)]
    assert [answer.result() for number, answer in enumerate(answers) if number != 3] == [0, 1, 2, 4, 5]
    with pytest.raises(AwsError, match="The third"):
        answers[3].result()
    assert most == [2]
