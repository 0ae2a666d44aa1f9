"""The table of quotas: codes, names and family groups held together, and every EC2 type in exactly one group."""

from __future__ import annotations

import re

import pytest

from gridbyoc.stack.regions import known_types
from gridbyoc.stack.service_quotas import (
    ON_DEMAND,
    SPOT,
    WITHOUT_QUOTA,
    console_link,
    family_group,
    group_quota,
    home_region,
    quota_by_code,
    quota_codes,
    quota_region,
    vcpu_quota,
)

TABLE = """
L-CDE20ADC autoscaling - - Auto Scaling groups per region
L-6B80B8FA autoscaling - - Launch configurations per region
L-1216C47A ec2 Standard on-demand Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances
L-DB2E81BA ec2 G-VT on-demand Running On-Demand G and VT instances
L-417A185B ec2 P on-demand Running On-Demand P instances
L-74FC7D96 ec2 F on-demand Running On-Demand F instances
L-1945791B ec2 Inf on-demand Running On-Demand Inf instances
L-6E869C2A ec2 DL on-demand Running On-Demand DL instances
L-2C3B7624 ec2 Trn on-demand Running On-Demand Trn instances
L-7295265B ec2 X on-demand Running On-Demand X instances
L-43DA4232 ec2 High-Memory on-demand Running On-Demand High Memory instances
L-F7808C92 ec2 HPC on-demand Running On-Demand HPC instances
L-34B43A08 ec2 Standard spot All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests
L-3819A6DF ec2 G-VT spot All G and VT Spot Instance Requests
L-7212CCBC ec2 P spot All P4, P3 and P2 Spot Instance Requests
L-C4BD4855 ec2 P5 spot All P5 Spot Instance Requests
L-88CF9481 ec2 F spot All F Spot Instance Requests
L-B5D1601B ec2 Inf spot All Inf Spot Instance Requests
L-6B0D517C ec2 Trn spot All Trn Spot Instance Requests
L-85EED4F7 ec2 DL spot All DL Spot Instance Requests
L-E3A00192 ec2 X spot All X Spot Instance Requests
L-FE177D64 iam - - Roles per account
L-E95E4862 iam - - Customer managed policies per account
L-0DA4ABF3 iam - - Managed policies per role
L-F678F1CE vpc - - VPCs per Region
L-0263D0A3 ec2 - - EC2-VPC Elastic IPs
L-FE5A380F vpc - - NAT gateways per Availability Zone
L-DC2B2D3D s3 - - General purpose buckets
L-1194D53C eks - - Clusters
"""


def test_code_service_group_market_and_name_belong_together() -> None:
    written = [" ".join((q.code, q.service, q.family_group or "-", q.market or "-", q.name)) for q in quota_codes()]
    assert written == TABLE.strip().splitlines()


def test_every_row_says_how_it_is_counted_and_where_it_comes_from() -> None:
    for quota in quota_codes():
        assert re.fullmatch(r"L-[0-9A-F]{8}", quota.code)
        assert re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+", quota.counted)
        assert quota.source.startswith("https://docs.aws.amazon.com/")
        assert quota.provenance
        assert quota.region in {"region", "home"}
    assert len({quota.code for quota in quota_codes()}) == len(quota_codes())


def test_the_name_of_a_vcpu_quota_names_its_group() -> None:
    for quota in quota_codes():
        if quota.family_group:
            word = {"G-VT": "G and VT", "High-Memory": "High Memory", "P": "P"}.get(
                quota.family_group, quota.family_group
            )
            assert word in quota.name
            assert quota.name.startswith({ON_DEMAND: "Running On-Demand", SPOT: "All"}[quota.market])


def test_every_type_that_botocore_knows_is_in_one_group_or_named_as_having_none() -> None:
    types = known_types()
    assert len(types) > 800
    for name in types:
        letters = re.match(r"[a-z]+-?", name.partition(".")[0])
        assert letters
        assert (family_group(name) is None) == (letters[0] in WITHOUT_QUOTA), name


@pytest.mark.parametrize(
    ("name", "on_demand", "spot"),
    [
        ("t2.medium", "L-1216C47A", "L-34B43A08"),
        ("im4gn.large", "L-1216C47A", "L-34B43A08"),
        ("d3en.xlarge", "L-1216C47A", "L-34B43A08"),
        ("g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("vt1.3xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p3dn.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p4de.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5en.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("p6-b200.48xlarge", "L-417A185B", None),
        ("f2.48xlarge", "L-74FC7D96", "L-88CF9481"),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("dl1.24xlarge", "L-6E869C2A", "L-85EED4F7"),
        ("dl2q.24xlarge", "L-6E869C2A", "L-85EED4F7"),
        ("trn2u.48xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("x2iezn.metal", "L-7295265B", "L-E3A00192"),
        ("u-6tb1.56xlarge", "L-43DA4232", None),
        ("u7in-16tb.224xlarge", "L-43DA4232", None),
        ("hpc7a.96xlarge", "L-F7808C92", None),
        ("mac2-m2.metal", None, None),
        ("mac-m4.metal", None, None),
        ("hi1.4xlarge", None, None),
        ("quantum1.large", None, None),
        ("", None, None),
    ],
)
def test_a_type_counts_against_its_groups_quota(name: str, on_demand: str | None, spot: str | None) -> None:
    found = [vcpu_quota(name, market) for market in (ON_DEMAND, SPOT)]
    assert [quota and quota.code for quota in found] == [on_demand, spot]


def test_a_groups_quota() -> None:
    for quota in quota_codes():
        if quota.family_group:
            assert group_quota(quota.family_group, quota.market) == quota
    assert group_quota("High-Memory", SPOT) is None


@pytest.mark.parametrize(
    ("region", "home"),
    [
        ("us-west-2", "us-east-1"),
        ("eu-west-1", "us-east-1"),
        ("cn-northwest-1", "cn-north-1"),
        ("us-gov-east-1", "us-gov-west-1"),
        ("eusc-de-east-1", "eusc-de-east-1"),
        ("us-east-1", "us-east-1"),
    ],
)
def test_global_quotas_are_kept_in_the_partitions_home_region(region: str, home: str) -> None:
    assert home_region(region) == home
    assert quota_region(quota_by_code("L-FE177D64"), region) == home
    assert quota_region(quota_by_code("L-F678F1CE"), region) == region


def test_a_link_leads_to_the_quotas_page_in_its_partition() -> None:
    vpc = quota_by_code("L-F678F1CE")
    assert console_link(vpc, "us-west-2") == (
        "https://us-west-2.console.aws.amazon.com/servicequotas/home/services/vpc/quotas/L-F678F1CE"
    )
    assert console_link(quota_by_code("L-FE177D64"), "us-west-2").startswith(
        "https://us-east-1.console.aws.amazon.com/"
    )
    assert "//cn-north-1.console.amazonaws.cn/" in console_link(vpc, "cn-north-1")
    assert "//us-gov-west-1.console.amazonaws-us-gov.com/" in console_link(vpc, "us-gov-west-1")
