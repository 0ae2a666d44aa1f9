"""Entries of ``overprovisioning`` that a stack file has no word for stay as they are, and are not taken for ours."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gridbyoc.control_plane.changes import type_differences
from gridbyoc.control_plane.lightning import merged
from gridbyoc.control_plane.model import Cleaner
from gridbyoc.control_plane.parse import cluster
from gridbyoc.stack.model import ClusterSpec, InstanceType
from tests.unit.fakes import GRANT, ROLE

HERE = {"instanceType": "m5.large", "isSpot": False, "region": "us-east-1", "minimumCount": 2, "maximumCount": 3}
NOWHERE = {"instanceType": "m5.large", "minimumCount": 2}
SPOT = {"instanceType": "m5.large", "isSpot": True, "region": "us-east-1", "minimumCount": 7, "volumeSize": 9}
ELSEWHERE = {"instanceType": "m5.large", "isSpot": False, "region": "eu-west-1", "minimumCount": 5, "futureField": "x"}
OTHER = {"instanceType": "p3.2xlarge", "isSpot": True, "region": "us-east-1", "minimumCount": 1}


def spec_of(*entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "driver": "AWS",
        "awsV1": {"roleArn": ROLE, "externalId": "x", "primaryRegion": "us-east-1", "regions": ["us-east-1"]},
        "availableAccelerators": ["m5.large"],
        "overprovisioning": copy.deepcopy(list(entries)),
    }


@pytest.mark.parametrize(
    ("entries", "count"),
    [
        ((SPOT,), 0),
        ((ELSEWHERE,), 0),
        ((SPOT, ELSEWHERE), 0),
        ((HERE,), 2),
        ((NOWHERE,), 2),
        ((ELSEWHERE, HERE, SPOT), 2),
        ((HERE, ELSEWHERE), 2),
    ],
)
def test_what_is_kept_ready_on_demand_in_the_primary_region_is_the_stacks(
    entries: tuple[dict[str, Any], ...], count: int
) -> None:
    found = cluster({"id": "i", "name": "ml", "spec": spec_of(*entries)}, Cleaner())
    assert [each.overprovisioned_ondemand_count for each in found.instance_types] == [count]
    assert type_differences(found, ClusterSpec("ml", (InstanceType("m5.large", count),))) == ()


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ((SPOT,), InstanceType("m5.large"), (SPOT,)),
        ((ELSEWHERE,), InstanceType("m5.large"), (ELSEWHERE,)),
        ((ELSEWHERE, HERE, SPOT), InstanceType("m5.large", 4),
         (ELSEWHERE, HERE | {"minimumCount": 4, "maximumCount": 4}, SPOT)),
        ((HERE, ELSEWHERE), InstanceType("m5.large", 1), (HERE | {"minimumCount": 1}, ELSEWHERE)),
        (
            (SPOT,), InstanceType("m5.large", 1),
            (SPOT, HERE | {"minimumCount": 1, "maximumCount": 1}),
        ),
        ((HERE, OTHER), InstanceType("m5.large", 2), (HERE, OTHER)),
        ((HERE, OTHER, SPOT), InstanceType("t3.large"), (OTHER, SPOT)),
        ((HERE, HERE | {"futureField": "twin"}), InstanceType("m5.large", 3),
         (HERE | {"minimumCount": 3}, HERE | {"futureField": "twin"})),
    ],
)  # fmt: skip
def test_an_update_changes_that_entry_alone(
    before: tuple[dict[str, Any], ...], wanted: InstanceType, after: tuple[dict[str, Any], ...]
) -> None:
    kept = spec_of(*before)
    whole = merged(kept, ClusterSpec("ml", (wanted,)), GRANT)
    assert whole["overprovisioning"] == list(after)
    assert kept == spec_of(*before)
