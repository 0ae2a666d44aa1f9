"""The control plane's cluster routes, asked in the words of each client that was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.sandbox_kit import (
    EXTERNAL_ID,
    GRID_AGENT,
    LIGHTNING_AGENT,
    NOT_DELETED,
    ROLE_ARN,
    Plane,
    direct_body,
    grid_body,
    lightning_2022_body,
)

CLUSTERS = "/v1/core/clusters"
FIVE_PHASES = {f"CLUSTER_STATE_{name}" for name in ("QUEUED", "PENDING", "RUNNING", "FAILED", "DELETED")}


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def names(answer: Any) -> list[str]:
    return [cluster["id"] for cluster in answer["clusters"]]


def test_a_cluster_goes_through_its_phases_as_time_passes(plane: Plane) -> None:
    created = plane.create()
    assert created["status"]["phase"] == "CLUSTER_STATE_QUEUED"
    seen = []
    for _ in range(13):
        seen.append(plane.phase())
        plane.now += 1
    assert list(dict.fromkeys(seen)) == ["QUEUED", "PENDING", "RUNNING"]
    assert [grant.role_arn for grant in plane.looked] == [ROLE_ARN]


def test_the_answer_to_a_create_holds_what_the_server_sets(plane: Plane) -> None:
    created = plane.create()
    assert (created["id"], created["name"], created["createdAt"]) == (
        "my-cluster",
        "my-cluster",
        "2023-11-14T22:13:20.000000Z",
    )
    assert created["spec"]["desiredState"] == "CLUSTER_STATE_RUNNING"
    assert created["spec"]["userId"] == "user-ada-0001"
    aws = created["spec"]["driver"]["kubernetes"]["aws"]
    assert aws["externalId"] == EXTERNAL_ID
    assert aws["bucketName"].startswith("grid-my-cluster-")
    assert len(aws["bucketName"]) <= 63


def test_a_cluster_made_without_instance_types_gets_the_default_ones_so_that_the_grid_cli_can_edit_it(
    plane: Plane,
) -> None:
    created = plane.create(body=lightning_2022_body(), agent=LIGHTNING_AGENT)
    types = created["spec"]["driver"]["kubernetes"]["aws"]["instanceTypes"]
    assert (len(types), types[0], types[-1]) == (27, {"name": "g2.8xlarge"}, {"name": "t3.2xlarge"})
    assert created["spec"]["performanceProfile"] == "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING"


def test_a_cluster_is_listed_from_the_moment_it_was_created(plane: Plane) -> None:
    plane.create()
    assert names(plane.get(f"{CLUSTERS}?{NOT_DELETED}")) == ["my-cluster"]


def test_an_empty_list_is_a_list_and_there_is_a_default_cluster(plane: Plane) -> None:
    assert plane.get(f"{CLUSTERS}?{NOT_DELETED}") == {"clusters": [], "defaultCluster": "grid-cloud"}


def test_the_login_list_asks_by_type_and_gets_the_services_own_cluster_too(plane: Plane) -> None:
    plane.create()
    query = f"{NOT_DELETED}&clusterTypeIn=CLUSTER_TYPE_GLOBAL&clusterTypeIn=CLUSTER_TYPE_BYOC"
    assert names(plane.get(f"{CLUSTERS}?{query}")) == ["grid-cloud", "my-cluster"]
    assert names(plane.get(f"{CLUSTERS}?clusterTypeNotIn=CLUSTER_TYPE_BYOC")) == []


def test_filters_take_both_spellings_and_repeat(plane: Plane) -> None:
    plane.create("old")
    plane.now += 20
    plane.create("new")
    running_or_failed = "phaseIn=CLUSTER_STATE_RUNNING&phaseIn=CLUSTER_STATE_FAILED"
    assert names(plane.get(f"{CLUSTERS}?{running_or_failed}")) == ["old"]
    assert names(plane.get(f"{CLUSTERS}?phase_not_in=CLUSTER_STATE_RUNNING")) == ["new"]
    assert names(plane.get(f"{CLUSTERS}?cluster_type_in=CLUSTER_TYPE_SLURM")) == []


@pytest.mark.parametrize(
    "query",
    [
        "phaseIn=RUNNING",
        "phaseNotIn=CLUSTER_STATE_X",
        "clusterTypeIn=CLUSTER_STATE_FAILED",
        "includeConfiguringState=maybe",
    ],
)
def test_a_filter_that_means_nothing_is_refused(plane: Plane, query: str) -> None:
    answer = plane.call("GET", f"{CLUSTERS}?{query}")
    assert (answer.status_code, answer.json["code"], answer.json["details"]) == (400, 3, [])


@pytest.mark.parametrize("agent", [GRID_AGENT, LIGHTNING_AGENT])
def test_old_clients_see_five_phases_only(plane: Plane, agent: str) -> None:
    plane.create(body=direct_body(), agent=agent)
    for _ in range(15):
        listed = plane.get(f"{CLUSTERS}?{NOT_DELETED}", agent=agent)["clusters"]
        assert {cluster["status"]["phase"] for cluster in listed} <= FIVE_PHASES
        assert plane.phase() != "CONFIGURING"
        plane.now += 1


def test_todays_client_is_told_configuring_where_it_asks(plane: Plane) -> None:
    plane.create(body=direct_body(), agent=LIGHTNING_AGENT)
    plane.now += 7
    plane.phase()
    listed = plane.get(f"{CLUSTERS}?includeConfiguringState=true", agent=LIGHTNING_AGENT)["clusters"]
    assert listed[0]["status"]["phase"] == "CLUSTER_STATE_CONFIGURING"
    assert listed[0]["status"]["awsV1RegionStatus"] == [
        {"region": "us-east-1", "state": "REGION_STATE_PENDING", "reason": ""}
    ]


def test_todays_form_of_a_spec_is_kept_as_it_is(plane: Plane) -> None:
    sent = direct_body()
    created = plane.create(body=sent, agent=LIGHTNING_AGENT)
    spec = created["spec"]
    assert spec["driver"] == "AWS"
    assert spec["overprovisioning"] == sent["spec"]["overprovisioning"]
    assert spec["taggingOptions"] == sent["spec"]["taggingOptions"]
    assert "performanceProfile" not in spec
    assert spec["awsV1"] == sent["spec"]["awsV1"] | {"bucketName": spec["awsV1"]["bucketName"]}
    plane.now += 20
    status = plane.get(f"{CLUSTERS}/my-cluster")["status"]
    assert status["awsV1RegionStatus"][0]["state"] == "REGION_STATE_COMPLETED"


def test_snake_case_is_taken_and_answered_in_camel_case(plane: Plane) -> None:
    body = grid_body(instanceTypes=[{"name": "t3.large", "overprovisioned_ondemand_count": 1, "root_volume_size": 200}])
    body["spec"]["driver"]["kubernetes"]["gridletResources"] = {"cpu_limits": "500m", "memory_limits": "512Mi"}
    kubernetes = plane.create(body=body)["spec"]["driver"]["kubernetes"]
    assert kubernetes["gridletResources"] == {"cpuLimits": "500m", "memoryLimits": "512Mi"}
    assert kubernetes["aws"]["instanceTypes"] == [
        {"name": "t3.large", "overprovisionedOndemandCount": 1, "rootVolumeSize": 200}
    ]


def test_a_whole_snake_case_request_is_the_same_as_a_camel_case_one(plane: Plane) -> None:
    aws = {
        "role_arn": ROLE_ARN,
        "external_id": EXTERNAL_ID,
        "region": "us-east-1",
        "instance_types": [{"name": "t3.large"}],
    }
    spec = {"cluster_type": "CLUSTER_TYPE_BYOC", "driver": {"kubernetes": {"aws": aws}}, "cost_factor": None}
    created = plane.create(body={"name": "my-cluster", "spec": spec})
    assert created["spec"]["driver"]["kubernetes"]["aws"]["roleArn"] == ROLE_ARN
    assert "costFactor" not in created["spec"]


def test_unknown_fields_survive_create_and_update(plane: Plane) -> None:
    body = grid_body()
    body["spec"]["futureThing"] = {"snake_inside": 1}
    body["spec"]["driver"]["kubernetes"]["extraGridletEnvVar"] = {"MY_VAR": "1", "max_cpu": "2"}
    created = plane.create(body=body)
    answer = plane.call("PUT", f"{CLUSTERS}/my-cluster", {"name": "my-cluster", "spec": created["spec"]})
    for spec in (created["spec"], answer.json["spec"]):
        assert spec["futureThing"] == {"snake_inside": 1}
        assert spec["driver"]["kubernetes"]["extraGridletEnvVar"] == {"MY_VAR": "1", "max_cpu": "2"}


def test_a_name_in_use_is_409_for_the_grid_cli_and_400_for_those_who_would_repeat_a_409_for_ever(plane: Plane) -> None:
    plane.create()
    message = {"code": 6, "message": "a cluster named my-cluster exists already", "details": []}
    for body, agent, status in (
        (grid_body(), GRID_AGENT, 409),
        (grid_body(), "curl/8", 409),
        (lightning_2022_body(), LIGHTNING_AGENT, 400),
        (direct_body(), LIGHTNING_AGENT, 400),
        (direct_body(), "python-requests/2", 400),
    ):
        answer = plane.call("POST", CLUSTERS, body, agent=agent)
        assert (answer.status_code, answer.json) == (status, message)


def test_the_name_can_be_asked_for_first(plane: Plane) -> None:
    ask = "/v1/core/cluster-name-available"
    assert plane.call("POST", ask, {"name": "my-cluster"}).json == {"available": True}
    plane.create()
    assert plane.call("POST", ask, {"name": "my-cluster"}).json == {"available": False}
    assert plane.call("POST", ask, {"name": "grid-cloud"}).json == {"available": False}
    assert plane.call("POST", ask, {"name": "No"}).status_code == 400


def test_a_failed_cluster_says_why_in_a_string_and_running_ones_have_an_empty_one(plane: Plane) -> None:
    plane.verdicts[ROLE_ARN] = "role grid does not exist"
    created = plane.create()
    assert created["status"]["reason"] == ""
    plane.now += 2
    status = plane.get(f"{CLUSTERS}/my-cluster")["status"]
    assert (status["phase"], status["reason"]) == ("CLUSTER_STATE_FAILED", "role grid does not exist")
    plane.verdicts.clear()
    plane.now += 100
    assert plane.phase() == "FAILED"
    assert len(plane.looked) == 1


def test_running_clusters_show_certificates_in_base64(plane: Plane) -> None:
    import base64

    plane.create()
    plane.now += 20
    kubernetes = plane.get(f"{CLUSTERS}/my-cluster")["status"]["driverStatus"]["kubernetes"]
    for field in ("ingressCaCert", "monitoringClientCert", "monitoringClientKey"):
        assert base64.b64decode(kubernetes[field], validate=True)


def test_what_is_not_there_is_404_with_empty_details(plane: Plane) -> None:
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/instance-types"), ("GET", "/accelerators"),
                         ("GET", "/health"), ("GET", "/cloud-provider-id")):  # fmt: skip
        answer = plane.call(method, f"{CLUSTERS}/nope{path}", {})
        assert (answer.status_code, answer.json) == (
            404,
            {"code": 5, "message": "cluster nope not found", "details": []},
        )


def test_instance_types_come_on_demand_and_spot_with_prices(plane: Plane) -> None:
    plane.create(
        body=grid_body(instanceTypes=[{"name": "t3.large", "overprovisionedOndemandCount": 2}, {"name": "x9.large"}])
    )
    rows = plane.get(f"{CLUSTERS}/my-cluster/instance-types")["instanceTypes"]
    assert rows[0] == {
        "name": "t3.large", "availability": "AVAILABILITY_AVAILABLE", "cpu": "2", "gpu": "0", "memory": "8Gi",
        "spot": False, "overprovisionedOndemandCount": 2, "hourlyCost": 0.0832,
    }  # fmt: skip
    assert (rows[1]["spot"], rows[1]["hourlyCost"] < rows[0]["hourlyCost"]) == (True, True)
    assert [row["name"] for row in rows] == ["t3.large", "t3.large", "x9.large", "x9.large"]
    assert "hourlyCost" not in rows[2]


def test_accelerators_health_and_the_account_that_assumes_the_role(plane: Plane) -> None:
    plane.create(body=direct_body())
    found = plane.get(f"{CLUSTERS}/my-cluster/accelerators?enabledOnly=true")["accelerator"]
    assert [(each["slug"], each["acceleratorType"], each["resources"]["gpu"]) for each in found] == [
        ("g4dn.xlarge", "GPU", 1)
    ]
    assert plane.get(f"{CLUSTERS}/my-cluster/health") == {"ok": False, "dependencyServiceHealth": []}
    assert plane.get(f"{CLUSTERS}/my-cluster/cloud-provider-id") == {"accountId": "302180240179"}


def test_the_services_own_cluster_can_be_read_but_not_changed(plane: Plane) -> None:
    assert len(plane.get(f"{CLUSTERS}/grid-cloud/instance-types")["instanceTypes"]) > 100
    for method in ("PUT", "DELETE"):
        assert plane.call(method, f"{CLUSTERS}/grid-cloud", {}).status_code == 403
    assert plane.call("POST", CLUSTERS, grid_body("grid-cloud")).status_code == 409


def test_the_twins_below_a_project_are_the_same_clusters(plane: Plane) -> None:
    project = plane.get("/v1/memberships")["memberships"][0]["projectId"]
    base = f"/v1/projects/{project}/clusters"
    assert plane.call("POST", base, direct_body()).status_code == 200
    assert names(plane.get(base)) == ["my-cluster"]
    spec = plane.get(f"{base}/my-cluster")["spec"]
    assert plane.call("PUT", f"{base}/my-cluster", {"spec": spec}).status_code == 200
    assert plane.get(f"{base}/my-cluster/accelerators")["accelerator"]
    assert plane.call("DELETE", f"{base}/my-cluster").json == {}
    assert plane.call("GET", "/v1/projects/other/clusters").status_code == 404
