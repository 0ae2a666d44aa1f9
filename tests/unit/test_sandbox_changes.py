"""Updates and deletions in the control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.sandbox_kit import (
    GRID_AGENT,
    LIGHTNING_AGENT,
    NOT_DELETED,
    ROLE_ARN,
    Plane,
    direct_body,
    grid_body,
)

CLUSTER = "/v1/core/clusters/my-cluster"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def running(plane: Plane, body: Any = None) -> dict[str, Any]:
    plane.create(body=body)
    plane.now += 20
    cluster: dict[str, Any] = plane.get(CLUSTER)
    assert cluster["status"]["phase"] == "CLUSTER_STATE_RUNNING"
    return cluster


def aws_of(spec: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = spec["driver"]["kubernetes"]["aws"]
    return section


def listed(plane: Plane, query: str = "", agent: str = GRID_AGENT) -> list[tuple[str, str]]:
    answer = plane.get(f"/v1/core/clusters{query}", agent=agent)
    return [(each["id"], each["status"]["phase"].removeprefix("CLUSTER_STATE_")) for each in answer["clusters"]]


def test_the_recorded_edit_stores_the_whole_spec_and_keeps_the_cluster_running(plane: Plane) -> None:
    spec = running(plane)["spec"]
    aws_of(spec)["instanceTypes"] = [
        {"name": "t3.large", "overprovisionedOndemandCount": 1, "rootVolumeSize": 200},
        {"name": "m5.large"},
    ]
    answer = plane.call("PUT", CLUSTER, {"name": "my-cluster", "spec": spec})
    assert answer.status_code == 200
    assert answer.json["spec"] == spec == plane.get(CLUSTER)["spec"]
    assert plane.phase() == "RUNNING"
    assert len(plane.looked) == 1


def test_what_is_left_out_of_an_update_is_gone_but_for_what_the_server_sets(plane: Plane) -> None:
    body = grid_body()
    body["spec"]["pauseAutomation"] = True
    before = running(plane, body)["spec"]
    answer = plane.call("PUT", CLUSTER, {"spec": grid_body()["spec"]}).json["spec"]
    assert "pauseAutomation" not in answer
    assert aws_of(answer)["bucketName"] == aws_of(before)["bucketName"]
    assert answer["userId"] == before["userId"]


@pytest.mark.parametrize(
    ("field", "value"), [("region", "us-west-2"), ("bucketName", "another-bucket")], ids=["region", "bucket"]
)
def test_region_and_bucket_cannot_be_changed(plane: Plane, field: str, value: str) -> None:
    spec = running(plane)["spec"]
    aws_of(spec)[field] = value
    answer = plane.call("PUT", CLUSTER, {"spec": spec})
    assert answer.status_code == 400
    assert f"{field} cannot be changed" in answer.json["message"]
    assert aws_of(plane.get(CLUSTER)["spec"])[field] != value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "other-name"}, "renamed"),
        ({"spec": None}, "spec is required"),
        ({"spec": direct_body()["spec"]}, "form of spec.driver"),
        ({"spec": grid_body()["spec"] | {"clusterType": "CLUSTER_TYPE_GLOBAL"}}, "clusterType"),
        ({"spec": grid_body()["spec"] | {"desiredState": "CLUSTER_STATE_DELETED"}}, "use DELETE"),
        ({"spec": grid_body(instanceTypes=[{"name": "m7g.large"}])["spec"]}, "Arm"),
    ],
)
def test_what_an_update_refuses(plane: Plane, change: dict[str, Any], said: str) -> None:
    spec = running(plane)["spec"]
    answer = plane.call("PUT", CLUSTER, {"name": "my-cluster", "spec": spec} | change)
    assert answer.status_code == 400
    assert said in answer.json["message"]
    assert plane.get(CLUSTER)["spec"] == spec


def test_a_rotated_external_id_is_looked_at_while_the_cluster_runs_on(plane: Plane) -> None:
    spec = running(plane)["spec"]
    aws_of(spec)["externalId"] = "the-next-one"
    assert plane.call("PUT", CLUSTER, {"spec": spec}).status_code == 200
    assert plane.phase() == "RUNNING"
    assert [grant.external_id.reveal() for grant in plane.looked] == ["canary-ext-4711", "the-next-one"]


def test_a_role_that_does_not_admit_the_control_plane_ends_a_running_cluster(plane: Plane) -> None:
    plane.verdicts[OTHER_ROLE] = "role other does not exist"
    spec = running(plane)["spec"]
    aws_of(spec)["roleArn"] = OTHER_ROLE
    plane.call("PUT", CLUSTER, {"spec": spec})
    assert plane.phase() == "FAILED"


def test_a_failed_cluster_begins_again_when_it_is_updated(plane: Plane) -> None:
    plane.verdicts[ROLE_ARN] = "something is missing"
    plane.create()
    plane.now += 20
    spec = plane.get(CLUSTER)["spec"]
    assert plane.phase() == "FAILED"
    plane.verdicts.clear()
    plane.call("PUT", CLUSTER, {"spec": spec})
    assert plane.phase() == "QUEUED"
    plane.now += 11
    assert plane.phase() == "RUNNING"


def test_a_look_at_an_older_spec_does_not_overrule_a_newer_one(plane: Plane) -> None:
    plane.create()
    plane.now += 3
    stale = plane.service.cluster("my-cluster").record
    spec = plane.get(CLUSTER)["spec"]
    aws_of(spec)["roleArn"] = OTHER_ROLE
    plane.call("PUT", CLUSTER, {"spec": spec})
    plane.service._store.judge(stale, "an old verdict")
    assert plane.phase() == "PENDING"


def test_a_deletion_is_seen_as_terminating_and_then_as_deleted(plane: Plane) -> None:
    running(plane)
    answer = plane.client.delete(f"{CLUSTER}?force=False", json={}, headers={"Authorization": _basic()})
    assert (answer.status_code, answer.json) == (200, {})
    cluster = plane.get(CLUSTER)
    assert (cluster["spec"]["desiredState"], cluster["status"]["phase"]) == (
        "CLUSTER_STATE_DELETED",
        "CLUSTER_STATE_PENDING",
    )
    assert listed(plane, f"?{NOT_DELETED}") == [("my-cluster", "PENDING")]
    plane.now += 5
    assert plane.phase() == "DELETED"
    assert listed(plane, f"?{NOT_DELETED}") == []
    assert listed(plane) == [("my-cluster", "DELETED")]


def test_the_deletion_of_a_failed_cluster_does_not_look_like_a_failed_deletion(plane: Plane) -> None:
    plane.verdicts[ROLE_ARN] = "bad"
    plane.create()
    plane.now += 20
    assert plane.phase() == "FAILED"
    plane.call("DELETE", CLUSTER)
    assert plane.phase() == "PENDING"
    plane.now += 5
    assert plane.phase() == "DELETED"


def test_a_second_deletion_does_not_begin_anew_and_an_update_is_refused(plane: Plane) -> None:
    spec = running(plane)["spec"]
    plane.call("DELETE", CLUSTER)
    plane.now += 4
    assert plane.call("DELETE", CLUSTER).status_code == 200
    answer = plane.call("PUT", CLUSTER, {"spec": spec})
    assert (answer.status_code, answer.json["code"]) == (400, 9)
    plane.now += 1
    assert plane.phase() == "DELETED"


def test_force_forgets_the_cluster_at_once(plane: Plane) -> None:
    running(plane)
    assert plane.call("DELETE", f"{CLUSTER}?force=True").json == {}
    assert plane.call("GET", CLUSTER).status_code == 404
    assert listed(plane) == []


def test_the_name_is_free_again_only_when_the_deletion_is_done(plane: Plane) -> None:
    running(plane)
    plane.call("DELETE", CLUSTER)
    assert plane.call("POST", "/v1/core/clusters", grid_body()).status_code == 409
    plane.now += 5
    plane.create()
    assert listed(plane) == [("my-cluster", "QUEUED")]


@pytest.mark.parametrize("query", ["?orgId=o", "?projectId=p", "?includeConfiguringState=true", ""])
def test_clients_that_have_no_filters_left_are_not_shown_deleted_clusters(plane: Plane, query: str) -> None:
    running(plane)
    plane.call("DELETE", CLUSTER)
    plane.now += 5
    assert listed(plane, query, agent=LIGHTNING_AGENT) == []
    assert listed(plane, "?phaseIn=CLUSTER_STATE_DELETED", agent=LIGHTNING_AGENT) == [("my-cluster", "DELETED")]


def test_what_happened_survives_a_restart(tmp_path: Path) -> None:
    before = Plane(tmp_path)
    running(before)
    after = Plane(tmp_path)
    after.now = before.now
    assert listed(after) == [("my-cluster", "RUNNING")]
    assert after.looked == []
    assert (tmp_path / "plane.sqlite").stat().st_mode & 0o077 == 0


def test_clusters_that_run_at_once(tmp_path: Path) -> None:
    plane = Plane(tmp_path, create_seconds=0, delete_seconds=0)
    plane.create()
    assert plane.phase() == "RUNNING"
    plane.call("DELETE", CLUSTER)
    assert plane.phase() == "DELETED"


def _basic() -> str:
    from tests.unit.sandbox_kit import BASIC

    return BASIC
