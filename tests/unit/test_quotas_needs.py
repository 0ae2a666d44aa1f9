"""What new clusters need, and whether there is room for it: only a proven shortage fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbyoc.aws.quotas import AccountQuotas, Limit, QuotaReading, Use
from gridbyoc.operations.quotas.review import (
    FIXED,
    NOTHING,
    QuotaNeed,
    QuotaRow,
    fix_words,
    fixed_needs,
    needed_words,
    per_role_need,
    quotas_of,
    read_words,
    review,
    types_of,
    vcpu_needs,
)
from gridbyoc.stack.model import ClusterSpec, InstanceType, PolicyStatement, Role
from gridbyoc.stack.service_quotas import quota_by_code
from gridbyoc.vendors import facts_of
from tests.unit.quota_fakes import VCPUS

GRID_TYPES = facts_of("grid").default_instance_types

STANDARD, GPU, GPU_SPOT = "L-1216C47A", "L-DB2E81BA", "L-3819A6DF"
SMALL = ClusterSpec("a", (InstanceType("t2.medium"), InstanceType("t2.2xlarge"), InstanceType("m5.large")))
KEPT = ClusterSpec("b", (InstanceType("g4dn.xlarge", 3), InstanceType("t2.medium", 1)))


def headrooms(*clusters: ClusterSpec, vcpus: Mapping[str, int] | None = VCPUS) -> dict[str, int]:
    return {code: need.headroom for code, need in vcpu_needs(clusters, "grid", vcpus).items()}


def test_the_largest_type_of_a_family_group_must_fit_on_both_markets() -> None:
    assert headrooms(SMALL) == {STANDARD: 8, "L-34B43A08": 8}


def test_what_is_kept_running_comes_on_top_and_only_on_demand() -> None:
    assert headrooms(KEPT) == {GPU: 4 + 3 * 4, STANDARD: 2 + 2, GPU_SPOT: 4, "L-34B43A08": 2}
    assert vcpu_needs((KEPT,), "grid", VCPUS)[GPU].words == "g4dn.xlarge 4, 3 g4dn.xlarge kept running"


def test_two_new_clusters_need_both() -> None:
    assert headrooms(SMALL, KEPT)[STANDARD] == 8 + 4


def test_clusters_that_stand_need_nothing() -> None:
    assert vcpu_needs((), "grid", VCPUS) == {}
    assert fixed_needs((), "grid", True) == {}


def test_without_named_types_the_control_planes_own_list_counts() -> None:
    empty = ClusterSpec("c")
    assert tuple(item.name for item in types_of(empty, "grid")) == GRID_TYPES
    assert types_of(empty, "lightning") == ()
    needs = headrooms(empty, vcpus={**VCPUS, "p3.2xlarge": 8})
    assert needs["L-417A185B"] == 8
    assert needs[GPU] == 96


def test_only_what_clusters_name_is_proof_of_a_shortage() -> None:
    needs = vcpu_needs((ClusterSpec("c"), KEPT), "grid", {**VCPUS, "p3.2xlarge": 8})
    assert (needs["L-417A185B"].headroom, needs["L-417A185B"].soft) == (8, True)
    assert (needs[GPU].headroom, needs[GPU].soft) == (4 + 3 * 4, False)
    assert needs["L-417A185B"].words == "p3.2xlarge 8, of the control plane's own list; a cluster works without it"
    assert row(needs["L-417A185B"], limit=0).verdict == "warn"
    assert fixed_needs((SMALL,), "grid", True)["L-CDE20ADC"].soft  # so many groups are assumed


def test_without_vcpus_one_is_the_least_there_can_be() -> None:
    need = vcpu_needs((KEPT,), "grid", None, "denied")[GPU]
    assert need == QuotaNeed(1, "g4dn.xlarge", unsure="The vCPUs of g4dn.xlarge could not be read: denied")


def test_a_type_that_the_region_lacks_is_passed_over_beside_one_that_it_has() -> None:
    gone = InstanceType("t99.large", 5)
    assert headrooms(ClusterSpec("a", (gone, InstanceType("t2.medium"))))[STANDARD] == 2
    alone = vcpu_needs((ClusterSpec("a", (gone,)),), "grid", VCPUS)[STANDARD]
    assert (alone.headroom, alone.unsure) == (0, "The region does not offer t99.large.")
    assert "--only offerings" in fix_words(row(alone))


def test_what_every_new_cluster_needs_of_the_fixed_quotas() -> None:
    needs = {code: need.headroom for code, need in fixed_needs((SMALL, KEPT), "grid", True).items()}
    assert needs == {
        "L-CDE20ADC": (3 + 2) * 2, "L-FE177D64": 30, "L-E95E4862": 30, "L-F678F1CE": 2, "L-0263D0A3": 2,
        "L-FE5A380F": 2, "L-1194D53C": 2, "L-DC2B2D3D": 2,
    }  # fmt: skip
    assert set(needs) <= set(FIXED)


def test_where_only_the_role_is_missing_one_role_and_one_policy_are_needed() -> None:
    assert fixed_needs((), "grid", False) == {
        "L-FE177D64": QuotaNeed(1, "the stack's role"),
        "L-E95E4862": QuotaNeed(1, "the stack's role"),
    }
    unsure = fixed_needs((), "grid", None)
    assert [need.soft for need in unsure.values()] == [True, True]
    assert fixed_needs((SMALL,), "grid", None)["L-FE177D64"].headroom == 15


@pytest.mark.parametrize(
    ("role", "count"),
    [
        (Role(), 10),
        (Role(managed_policies=("AmazonS3FullAccess",)), 2),
        (Role(managed_policies=(), statements=()), 0),
        (Role(statements=(PolicyStatement(("s3:*",)),)), 10),
    ],
)
def test_policies_that_the_role_is_given(role: Role, count: int) -> None:
    assert per_role_need(role, False).headroom == count
    assert per_role_need(role, True) == NOTHING
    assert per_role_need(role, None).soft


def test_the_quotas_to_look_at_are_the_fixed_ones_and_those_of_the_types() -> None:
    found = [quota.code for quota in quotas_of(["t2.medium", "m5.large", "p6-b200.48xlarge"])]
    assert found == [*FIXED, STANDARD, "L-417A185B", "L-34B43A08"]


def row(
    need: QuotaNeed = NOTHING, limit: float | None = 10, use: Use | None = None, code: str = GPU, **more: Any
) -> QuotaRow:
    quota = quota_by_code(code)
    found = Limit(limit, **{"name": quota.name, "why": "" if limit is not None else "denied", **more})
    reading = QuotaReading(quota, "us-west-2", found, use or Use(2))
    (made,) = review(AccountQuotas({code: reading}, {}), {code: need})
    return made


@pytest.mark.parametrize(
    ("need", "limit", "use", "verdict"),
    [
        (QuotaNeed(8), 10, Use(2), "pass"),
        (QuotaNeed(9), 10, Use(2), "fail"),
        (QuotaNeed(9, soft=True), 10, Use(2), "warn"),
        (QuotaNeed(8), None, Use(2), "unknown"),
        (QuotaNeed(8), 10, Use(None, why="denied"), "unknown"),
        (QuotaNeed(11), 10, Use(None, why="denied"), "fail"),  # it does not fit, whatever is in use
        (QuotaNeed(1), 0, Use(None, why="denied"), "fail"),
        (NOTHING, None, Use(None), "pass"),
        (NOTHING, 0, Use(5), "pass"),
        (QuotaNeed(0, unsure="The region does not offer it."), 10, Use(2), "unknown"),
        (QuotaNeed(1, unsure="could not be read"), 10, Use(2), "unknown"),
        (QuotaNeed(1, unsure="could not be read"), 0, Use(0), "fail"),
        (QuotaNeed(1), 5, Use(5, least=0), "warn"),
        (QuotaNeed(1), 5, Use(5, least=5), "fail"),
        (QuotaNeed(1), 5, Use(4, least=0), "pass"),
        (QuotaNeed(1), 5.5, Use(4), "pass"),
    ],
)
def test_only_a_proven_shortage_fails(need: QuotaNeed, limit: float | None, use: Use, verdict: str) -> None:
    assert row(need, limit, use).verdict == verdict


@given(
    st.integers(0, 3000),
    st.none() | st.integers(0, 3000),
    st.none() | st.integers(0, 3000),
    st.booleans(),
    st.sampled_from(["", "unread"]),
)
def test_a_failure_is_always_proven_and_a_pass_always_has_room(
    headroom: int, limit: int | None, use: int | None, soft: bool, unsure: str
) -> None:
    verdict = row(
        QuotaNeed(headroom, soft=soft, unsure=unsure), limit, Use(use, why="" if use is not None else "no")
    ).verdict
    if verdict == "fail":
        assert limit is not None
        assert (use or 0) + headroom > limit
        assert not soft
    if verdict == "pass" and headroom:
        assert limit is not None
        assert use is not None
        assert use + headroom <= limit
        assert not unsure


def test_a_quota_that_aws_calls_otherwise_is_worth_a_warning_and_no_more() -> None:
    found = row(QuotaNeed(1), name="Something else")
    assert found.verdict == "warn"
    assert "'Something else'" in found.why
    assert fix_words(found) == f"Check at {found.console} whether it still counts the same."
    assert row(QuotaNeed(1), name="running on-demand g and vt INSTANCES").verdict == "pass"
    short = row(QuotaNeed(99), name="Something else")
    assert short.verdict == "fail"
    assert "'Something else'" in read_words(short)


def test_a_shortage_in_words() -> None:
    found = row(QuotaNeed(8, "g4dn.xlarge 4, 1 g4dn.xlarge kept running"), 5, Use(0))
    assert read_words(found) == "limit 5 vCPUs, 0 in use"
    assert needed_words(found) == "8 vCPUs (g4dn.xlarge 4, 1 g4dn.xlarge kept running); the guide recommends 1000"
    assert "`gridbyoc quotas request --code L-DB2E81BA`" in fix_words(found)
    assert (
        "`aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA "
        "--desired-value 8 --region us-west-2`"
    ) in fix_words(found)
    assert "https://us-west-2.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/L-DB2E81BA" in fix_words(
        found
    )


def test_a_quota_that_cannot_be_raised_says_so() -> None:
    found = row(QuotaNeed(9), adjustable=False)
    assert "does not raise this quota" in fix_words(found)
    assert "request" not in fix_words(found)


def test_what_is_not_known_in_words() -> None:
    found = row(QuotaNeed(8, "g4dn.2xlarge 8"), None, Use(None, why="denied"))
    assert read_words(found) == "limit unknown, use unknown. denied"
    assert needed_words(found) == "at least 8 vCPUs free (g4dn.2xlarge 8); the guide recommends 1000"


@pytest.mark.parametrize(
    ("code", "use", "expected"),
    [("L-F678F1CE", 3, 8), ("L-CDE20ADC", 3, 800), (GPU, 3, 1000), ("L-1194D53C", 3, None), ("L-F678F1CE", None, None)],
)
def test_the_guides_advice_is_shown_and_never_required(code: str, use: int | None, expected: int | None) -> None:
    found = row(QuotaNeed(1), 10, Use(use), code)
    assert found.recommended == expected
    assert found.verdict != "fail"
