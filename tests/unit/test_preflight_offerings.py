"""What EC2 offers: types that do not exist, are Arm, or cannot be had in the region or zone, and what to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.control_plane.model import Listing
from gridbyoc.errors import StackError
from gridbyoc.operations.preflight.model import PreflightContext, Shared
from gridbyoc.operations.preflight.offerings import CHECKS, Alternatives, likely_facts, nearest_type
from gridbyoc.stack.load import read
from gridbyoc.stack.model import Aws, ClusterSpec, ControlPlane, InstanceType
from tests.unit.fakes import cluster, stack
from tests.unit.preflight_kit import Ec2, results, scene_of, verdicts

OFFERS, TYPES_CALL = "describe_instance_type_offerings", "describe_instance_types"
TYPES: Mapping[str, Mapping[str, Any]] = {
    "t2.medium": {},
    "t3.medium": {},
    "t3.large": {"gib": 8},
    "g4dn.xlarge": {"vcpus": 4, "gib": 16, "gpus": 1},
    "g4dn.2xlarge": {"vcpus": 8, "gib": 32, "gpus": 1},
    "g4ad.2xlarge": {"vcpus": 8, "gib": 32, "gpus": 1, "maker": "AMD"},
    "g6.2xlarge": {"vcpus": 8, "gib": 32, "gpus": 1},
    "p5.48xlarge": {"vcpus": 192, "gib": 2048, "gpus": 8},
    "m5.large": {"gib": 8, "current": False},
    "m8i.large": {"gib": 8},
    "m8g.large": {"gib": 8, "arch": "arm64"},
}


def ec2(*, without: tuple[str, ...] = (), zone: str = "us-west-1a", **types: Mapping[str, Any]) -> Ec2:
    """us-west-1 with ``TYPES``; ``without`` are missing in the zone."""
    everything = {**TYPES, **{name.replace("_", "."): row for name, row in types.items()}}
    return Ec2(everything, {zone: [name for name in everything if name not in without]}, everything)


def looking_at(*names: str, at: Ec2 | None = None, **fields: Any) -> PreflightContext:
    spec = ClusterSpec("ml", tuple(InstanceType(name) for name in names))
    return scene_of(stack(spec, aws=Aws("us-west-1"), **fields), ec2=at or ec2())


def test_what_can_be_had_passes_in_three_calls() -> None:
    at = ec2()
    found = results(looking_at("t2.medium", "g4dn.xlarge", at=at), CHECKS)
    assert verdicts(found) == {f"GBY-O00{number}": "pass" for number in range(1, 6)}
    assert {each.detail for (each,) in found.values()} == {"t2.medium, g4dn.xlarge"}
    assert at.calls == ["offers region", "offers us-west-1a", "types"]


def test_three_bad_types_are_three_findings_each_with_the_nearest_that_can_be_had() -> None:
    found = results(looking_at("t2.medium", "t4g.medium", "p3.2xlarge", "m99.large"), CHECKS)
    assert verdicts(found) == {
        "GBY-O001": "fail", "GBY-O002": "fail", "GBY-O003": "fail", "GBY-O004": "pass", "GBY-O005": "pass",
    }  # fmt: skip
    told = {each.subject: each.facts["alternative"] for code in ("1", "2", "3") for each in found[f"GBY-O00{code}"]}
    assert told == {"m99.large": "m8i.large", "t4g.medium": "t3.medium", "p3.2xlarge": "g4dn.2xlarge"}
    assert "Use g4dn.2xlarge" in found["GBY-O003"][0].fix
    assert "clusters[0].instance_types[2]" in found["GBY-O003"][0].detail
    assert found["GBY-O004"][0].detail == "t2.medium"


def test_line_and_file_are_named_where_the_stack_file_was_read() -> None:
    text = "version: 1\nname: ml\nclusters:\n  - name: ml\n    instance_types:\n      - t2.medium\n      - t4g.medium\n"
    loaded = read("-", environ={}, stdin=text, cwd=Path("/nowhere"), home=Path("/nowhere"), any_instance_type=True)
    at = Ec2(TYPES, {"us-east-1a": TYPES}, TYPES)
    scene = replace(scene_of(loaded.stack, ec2=at), origin=loaded.origin)
    (finding,) = results(scene, CHECKS)["GBY-O002"]
    assert finding.facts["line"] == 7
    assert ":7, clusters[0].instance_types[1])" in finding.detail


@pytest.mark.parametrize("more", ["", "    root: 1\n"])
def test_a_file_with_arm_types_is_let_through_only_where_asked_and_with_nothing_else_wrong(more: str) -> None:
    text = f"version: 1\nname: ml\nclusters:\n  - name: ml\n    instance_types: [t4g.medium, t9.vast]\n{more}"
    with pytest.raises(StackError):
        read("-", environ={}, stdin=text, cwd=Path("/nowhere"), home=Path("/nowhere"))
    if not more:
        loaded = read("-", environ={}, stdin=text, cwd=Path("/nowhere"), home=Path("/nowhere"), any_instance_type=True)
        assert [item.name for item in loaded.stack.clusters[0].instance_types] == ["t4g.medium", "t9.vast"]
        return
    with pytest.raises(StackError) as caught:
        read("-", environ={}, stdin=text, cwd=Path("/nowhere"), home=Path("/nowhere"), any_instance_type=True)
    assert len(caught.value.problems) == 3


def test_a_size_that_there_is_not_is_told_without_asking_ec2() -> None:
    at = ec2()
    found = results(looking_at("m5.xxlarge", at=at), CHECKS)
    assert verdicts(found) == {"GBY-O001": "fail"}
    assert "m5." in found["GBY-O001"][0].fix
    assert at.calls == []


def test_advice_ends_with_one_mark() -> None:
    found = results(looking_at("m5.lage", "x9.huge"), CHECKS)["GBY-O001"]
    assert [each.fix[-1] for each in found] == ["?", "…"]
    assert found[0].fix == "Did you mean `m5.large`?"


def test_arm_by_the_word_of_ec2_where_the_name_does_not_tell() -> None:
    at = ec2(y1_large={"arch": "arm64", "gib": 8})
    found = results(looking_at("y1.large", at=at), CHECKS)
    assert verdicts(found)["GBY-O002"] == "fail"
    assert "runs arm64 only" in found["GBY-O002"][0].detail


def test_a_type_that_only_other_zones_offer_is_told_with_one_of_zone_a() -> None:
    found = results(looking_at("g4dn.2xlarge", "t2.medium", at=ec2(without=("g4dn.2xlarge",))), CHECKS)
    assert verdicts(found)["GBY-O004"] == "fail"
    assert found["GBY-O004"][0].facts["alternative"] == "g6.2xlarge"
    assert found["GBY-O003"][0].detail == "t2.medium"


def test_an_account_without_zone_a_is_told_so_once() -> None:
    found = results(looking_at("t2.medium", "t3.large", at=ec2(zone="us-west-1c")), CHECKS)
    assert verdicts(found)["GBY-O004"] == "warn"
    assert found["GBY-O004"][0].detail == "this account has no zone us-west-1a; it has us-west-1c"
    assert verdicts(found)["GBY-O003"] == "pass"


def test_an_earlier_generation_is_a_warning_with_one_of_today() -> None:
    found = results(looking_at("m5.large"), CHECKS)
    assert verdicts(found) == {**{f"GBY-O00{n}": "pass" for n in (1, 2, 3, 4)}, "GBY-O005": "warn"}
    assert found["GBY-O005"][0].fix == "m8i.large is the most similar current type."


def test_what_may_not_be_asked_is_unknown_and_what_the_name_tells_stays() -> None:
    at = replace(ec2(), refused=(OFFERS, TYPES_CALL))
    found = results(looking_at("t4g.medium", "t2.medium", at=at), CHECKS)
    assert verdicts(found) == {
        "GBY-O001": "unknown", "GBY-O002": "fail", "GBY-O003": "unknown", "GBY-O004": "unknown", "GBY-O005": "unknown",
    }  # fmt: skip
    assert found["GBY-O002"][0].facts["alternative"] == "t3.medium"


def test_a_part_that_may_not_be_asked_leaves_the_others_what_they_found() -> None:
    at = replace(ec2(without=("t3.large",)), refused=(TYPES_CALL,))
    found = results(looking_at("t2.medium", "t3.large", at=at), CHECKS)
    assert verdicts(found) == {
        "GBY-O001": "pass", "GBY-O002": "unknown", "GBY-O003": "pass", "GBY-O004": "fail", "GBY-O005": "unknown",
    }  # fmt: skip
    assert "UnauthorizedOperation" in found["GBY-O005"][0].detail


def test_where_lightning_places_its_work_is_not_known() -> None:
    scene = looking_at("t2.medium", at=ec2(without=("t2.medium",)), control_plane=ControlPlane("lightning"))
    assert verdicts(results(scene, CHECKS))["GBY-O004"] == "warn"


def test_a_type_that_a_standing_cluster_has_already_only_warns() -> None:
    scene = looking_at("t2.medium", at=ec2(without=("t2.medium",)))
    assert verdicts(results(scene, CHECKS))["GBY-O004"] == "fail"
    has, lacks = (replace(cluster("ml"), instance_types=(InstanceType(name),)) for name in ("t2.medium", "t3.medium"))
    for there, verdict in ((has, "warn"), (cluster("ml"), "warn"), (lacks, "fail"), (cluster("other"), "fail")):
        standing = replace(scene, listing=Shared(lambda there=there: Listing((there,))))
        assert verdicts(results(standing, CHECKS))["GBY-O004"] == verdict


def test_an_endpoint_without_any_offering_proves_nothing() -> None:
    found = results(looking_at("t2.medium", at=Ec2((), {})), CHECKS)
    assert set(verdicts(found).values()) == {"unknown"}


def test_the_services_own_list_is_looked_at_where_a_cluster_names_no_types() -> None:
    found = results(looking_at(), CHECKS)
    assert verdicts(found) == {"GBY-O003": "warn"}
    assert "p2.xlarge" in found["GBY-O003"][0].facts["missing"]
    nothing = Ec2(("m8i.large",), {"us-west-1a": ("m8i.large",)}, TYPES)
    assert verdicts(results(looking_at(at=nothing), CHECKS)) == {"GBY-O003": "fail"}
    assert results(looking_at(control_plane=ControlPlane("lightning")), CHECKS) == {}


def test_without_a_stack_there_is_nothing_to_look_at() -> None:
    assert results(scene_of(None), CHECKS) == {}


FACTS = [likely_facts(name) for name in TYPES]


@given(st.permutations(FACTS), st.sampled_from(["p3.2xlarge", "m99.large", "g5.xlarge", "c5.large", "x"]))
def test_the_nearest_does_not_hang_on_the_order(shuffled: list[Any], name: str) -> None:
    assert nearest_type(likely_facts(name), shuffled) == nearest_type(likely_facts(name), FACTS)


@pytest.mark.parametrize(
    ("name", "vcpus", "gib", "gpus"),
    [
        ("t3.medium", 2, 4, 0),
        ("m6i.large", 2, 8, 0),
        ("c5.2xlarge", 8, 16, 0),
        ("r5.xlarge", 4, 32, 0),
        ("g4dn.xlarge", 4, 16, 1),
        ("g5.12xlarge", 48, 192, 4),
        ("p3.16xlarge", 64, 512, 8),
        ("p4d.24xlarge", 96, 768, 8),
    ],
)
def test_names_tell_the_size(name: str, vcpus: int, gib: int, gpus: int) -> None:
    facts = likely_facts(name)
    assert (facts.vcpus, facts.memory, facts.gpus) == (vcpus, gib * 1024, gpus)


def test_a_gpu_is_worth_more_than_a_size_and_its_maker_more_than_its_generation() -> None:
    offered = {name: likely_facts(name) for name in ("t3.2xlarge", "g4ad.2xlarge", "g6.2xlarge", "g6.48xlarge")}
    choose = Alternatives(lambda: offered, lambda names: {name: offered[name] for name in names})
    assert choose.to("g4dn.2xlarge") == "g6.2xlarge"
    assert choose.to("g6.2xlarge") == "g4ad.2xlarge"
    assert choose.to("g9.48xlarge") == "g6.48xlarge"


def test_in_the_place_of_a_family_without_a_quota_stands_an_ordinary_one() -> None:
    alike = [likely_facts("vt1.3xlarge"), likely_facts("m5.4xlarge")]
    assert nearest_type(likely_facts("mac1.metal"), alike) == "m5.4xlarge"


def test_where_nothing_is_near_nothing_is_named() -> None:
    assert Alternatives(tuple, lambda _names: {}).to("m5.large") is None
