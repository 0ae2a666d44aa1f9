"""Instance types and regions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbyoc.stack.regions import data_directories, known_types, partition_of, partitions, region_fault, regions
from gridbyoc.stack.service_quotas import amd64_sibling, instance_type_fault, is_arm

ARM = """
a1 t4g m6g m6gd c6g c6gd c6gn r6g r6gd x2gd im4gn is4gen g5g hpc7g c7g c7gd c7gn m7g m7gd r7g r7gd i4g
c8g m8g r8g x8g i8g i8ge c8gn r8gb c9gd m7g-flex p6e-gb200 mac2 mac2-m2pro mac-m4
"""
AMD64 = """
t1 t2 t3 t3a m1 m5 m5dn m5zn m6a m6i m6idn m7i-flex c5 c5a c5n c7a c8i-flex r5b r7iz g2 g3 g3s g4dn g4ad g5 g6
g6e g6f gr6 gr6f p2 p3 p3dn p4d p4de p5 p5en p6-b200 inf1 inf2 trn1n trn2u dl1 dl2q f1 vt1 u-6tb1 u7in-24tb x1e
x2idn x2iezn z1d hpc6a hpc7a i3en i4i i7ie d3en h1 mac1 cg1 cc2
"""


def test_arm() -> None:
    for family in ARM.split():
        assert is_arm(f"{family}.large"), family
        assert "Arm" in getattr(instance_type_fault(f"{family}.large"), "message", ""), family


def test_amd64() -> None:
    for family in AMD64.split():
        assert not is_arm(f"{family}.large"), family
        assert instance_type_fault(f"{family}.metal") is None, family


def test_every_family_that_botocore_knows_is_one_or_the_other() -> None:
    families = {name.partition(".")[0] for name in known_types()}
    assert len(families) > 150
    graviton = {family for family in families if is_arm(f"{family}.x")}
    assert {"a1", "t4g", "g5g", "im4gn"} <= graviton
    assert is_arm("p6e-gb200.36xlarge")  # which the lowest botocore that is allowed does not know
    assert not graviton & {family for family in families if family.startswith(("g4", "g6", "p4", "p5", "t3", "u-"))}


def test_every_type_that_botocore_knows_has_the_form() -> None:
    faults = {name: instance_type_fault(name) for name in known_types() if not is_arm(name)}
    assert {name for name, fault in faults.items() if fault} == set()


@pytest.mark.parametrize(
    "arm, amd64",
    [
        ("t4g.medium", "t3.medium"),
        ("m6g.large", "m6i.large"),
        ("m6gd.large", "m6id.large"),
        ("m6g.medium", "m6i.large"),
        ("c6gn.xlarge", "c6in.xlarge"),
        ("g5g.xlarge", "g5.xlarge"),
        ("im4gn.large", "i4i.large"),
        ("mac2.metal", None),
    ],
)
def test_siblings(arm: str, amd64: str | None) -> None:
    assert amd64_sibling(arm) == amd64


def test_siblings_of_every_arm_type_exist_and_are_amd64() -> None:
    siblings = {amd64_sibling(name) for name in known_types() if is_arm(name)} - {None}
    assert siblings <= known_types()
    assert not any(is_arm(str(name)) for name in siblings)


def test_regions_of_every_partition() -> None:
    assert {"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}.items() <= regions().items()
    assert partition_of("eusc-de-east-1") == "aws-eusc"
    assert partition_of("mars") is None
    assert not any("global" in region for region in regions())


@pytest.mark.parametrize("zone, region", [("eu-west-2c", "eu-west-2"), ("us-gov-west-1b", "us-gov-west-1")])
def test_zones(zone: str, region: str) -> None:
    assert f"write `{region}`" in getattr(region_fault(zone), "hint", "")


@pytest.mark.parametrize("zone_id, region", [("apne1-az2", "ap-northeast-1"), ("use1-wl1-bos-wlz1", "us-east-1")])
def test_zone_ids(zone_id: str, region: str) -> None:
    assert f"write `{region}`" in getattr(region_fault(zone_id), "hint", "")


def test_nothing_near() -> None:
    fault = region_fault("mars")
    assert fault is not None
    assert "newer" in fault.hint


def test_without_botocores_data_nothing_is_known(tmp_path: Path) -> None:
    assert partitions(()) == []
    assert partitions((tmp_path,)) == []
    assert known_types((tmp_path,)) == frozenset()
    assert known_types((tmp_path, *data_directories())) == known_types()
