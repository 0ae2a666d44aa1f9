"""What the control plane refuses to create, and in which words."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridbyoc.sandbox.api.failures import ApiError
from gridbyoc.sandbox.api.spec import accepted, camel, check_external_id, check_instance_type, check_name, normalised
from gridbyoc.sandbox.settings import known_types
from tests.unit.sandbox_kit import Plane, direct_body, grid_body

ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789-"


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    return Plane(tmp_path)


def is_taken(name: object) -> bool:
    try:
        return check_name(name) == name
    except ApiError as error:
        return error.status != 400  # any other refusal is as wrong as taking it


@given(st.text(max_size=70) | st.text(alphabet=ALLOWED, max_size=70))
@example("a\n")
@example("a" * 63)
@example("a" * 64)
@example("1abc")
@example("a--b")
@example("é")
@example("a.b")
def test_names_are_those_of_the_clients_rule_without_the_line_feed_at_the_end(name: str) -> None:
    expected = bool(re.match(r"^(?!-)[a-z0-9-]{1,63}(?<!-)$", name)) and not name.endswith("\n")
    assert is_taken(name) == expected


@pytest.mark.parametrize("name", [None, 5, ["a"], {}, True, ""])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    assert not is_taken(name)


def test_every_type_that_is_offered_is_taken() -> None:
    assert len(known_types()) > 100
    for name in known_types():
        check_instance_type(name, "x")


@pytest.mark.parametrize(
    "name",
    [
        "a1.large",
        "t4g.small",
        "m6g.large",
        "m6gd.large",
        "c7gn.xlarge",
        "x2gd.medium",
        "g5g.xlarge",
        "im4gn.large",
        "is4gen.medium",
        "hpc7g.4xlarge",
        "r8g.metal-24xl",
    ],
)
def test_arm_types_are_refused(name: str) -> None:
    with pytest.raises(ApiError, match="Arm"):
        check_instance_type(name, "x")


@pytest.mark.parametrize(
    "name", ["g4dn.xlarge", "g6e.xlarge", "gr6.4xlarge", "m7i-flex.large", "u-6tb1.metal", "trn1.2xlarge"]
)
def test_names_with_a_g_that_are_not_arm_are_taken(name: str) -> None:
    check_instance_type(name, "x")


@pytest.mark.parametrize(
    "name", [" t3.large", "t3.large\n", "t3", "t3.", ".large", "T3.large", "t3 large", None, 3, ""]
)
def test_what_does_not_look_like_an_instance_type_is_refused(name: object) -> None:
    with pytest.raises(ApiError, match="not an instance type"):
        check_instance_type(name, "x")


def refusal(plane: Plane, body: Any) -> str:
    answer = plane.call("POST", "/v1/core/clusters", body)
    assert (answer.status_code, answer.json["code"], answer.json["details"]) == (400, 3, []), answer.text
    assert plane.get("/v1/core/clusters")["clusters"] == []
    return str(answer.json["message"])


@pytest.mark.parametrize(
    ("aws", "said"),
    [
        ({"roleArn": ""}, "roleArn is required"),
        ({"roleArn": None}, "roleArn is required"),
        ({"roleArn": "arn:aws:iam::12:role/x"}, "not the ARN of an IAM role"),
        ({"roleArn": "arn:aws:iam::123456789012:user/x"}, "not the ARN of an IAM role"),
        ({"roleArn": 7}, "roleArn must be a string"),
        ({"externalId": None}, "externalId is required"),
        ({"externalId": "x"}, "externalId is not valid"),
        ({"externalId": "with space"}, "externalId is not valid"),
        ({"region": None}, "region is required"),
        ({"region": "us-west-2a"}, "is a zone; its region is us-west-2"),
        ({"region": "mars-east-1"}, "is not an AWS region"),
        ({"region": "us-east-1\n"}, "is not an AWS region"),
        ({"instanceTypes": "t3.large"}, "instanceTypes must be a list"),
        ({"instanceTypes": ["t3.large"]}, "instanceTypes[0] must be an object"),
        ({"instanceTypes": [{}]}, "instanceTypes[0].name"),
        ({"instanceTypes": [{"name": "t3.large"}, {"name": " m5.large"}]}, "instanceTypes[1].name"),
        ({"instanceTypes": [{"name": "m6g.large"}]}, "Arm processor"),
        ({"instanceTypes": [{"name": "t3.large", "overprovisionedOndemandCount": -1}]}, "must be 0 or more"),
        ({"instanceTypes": [{"name": "t3.large", "rootVolumeSize": "big"}]}, "rootVolumeSize must be a whole number"),
        ({"instanceTypes": [{"name": "t3.large", "rootVolumeSize": True}]}, "rootVolumeSize must be a whole number"),
        ({"guarddutyIntegration": "yes"}, "guarddutyIntegration must be true or false"),
        ({"role_arn": "x"}, "given twice"),
    ],
)
def test_what_is_wrong_with_the_aws_section(plane: Plane, aws: dict[str, Any], said: str) -> None:
    assert said in refusal(plane, grid_body(**aws))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "spec is required"),
        ("text", "spec is required"),
        ({}, "spec.driver.kubernetes.aws is required"),
        ({"driver": {"kubernetes": {"azure": {}}}}, "run in AWS only"),
        ({"driver": {"kubernetes": []}}, "kubernetes must be an object"),
        ({"driver": 5}, "spec.driver must be an object or the provider's name"),
        ({"driver": "GCP", "awsV1": {}}, "'GCP' is not supported"),
        ({"driver": "AWS"}, "spec.awsV1 is required"),
        (grid_body()["spec"] | {"clusterType": "CLUSTER_TYPE_GLOBAL"}, "cannot be created here"),
        (grid_body()["spec"] | {"performanceProfile": "FAST"}, "performanceProfile"),
        (grid_body()["spec"] | {"desiredState": "CLUSTER_STATE_DELETED"}, "desiredState"),
    ],
)
def test_what_is_wrong_with_the_spec(plane: Plane, spec: Any, said: str) -> None:
    assert said in refusal(plane, {"name": "my-cluster", "spec": spec})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"awsV1": direct_body(primaryRegion="us-west-2b")["spec"]["awsV1"]}, "is a zone"),
        ({"awsV1": direct_body(primaryRegion=None)["spec"]["awsV1"]}, "primaryRegion is required"),
        ({"awsV1": direct_body(regions=["us-east-1", "x"])["spec"]["awsV1"]}, "regions[1]"),
        ({"awsV1": direct_body(roleArn=None)["spec"]["awsV1"]}, "roleArn is required"),
        ({"availableAccelerators": ["c7g.large"]}, "Arm"),
        ({"availableAccelerators": [5]}, "not an instance type or accelerator"),
        ({"overprovisioning": ["t3.large"]}, "must be an object"),
        ({"overprovisioning": [{"instanceType": "t3"}]}, "overprovisioning[0].instanceType"),
        ({"overprovisioning": [{"instanceType": "t3.large", "minimumCount": -1}]}, "0 or more"),
    ],
)
def test_what_is_wrong_with_todays_form(plane: Plane, change: dict[str, Any], said: str) -> None:
    body = direct_body()
    assert said in refusal(plane, body | {"spec": body["spec"] | change})


def test_an_external_id_is_never_in_a_message() -> None:
    with pytest.raises(ApiError) as caught:
        check_external_id("se cret", "externalId")
    assert "se cret" not in caught.value.message


def test_unspecified_values_become_the_defaults() -> None:
    spec = grid_body()["spec"] | {
        "clusterType": "CLUSTER_TYPE_UNSPECIFIED",
        "desiredState": "CLUSTER_STATE_UNSPECIFIED",
        "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_UNSPECIFIED",
    }
    kept = accepted(spec, "my-cluster", "u")
    assert (kept["clusterType"], kept["desiredState"]) == ("CLUSTER_TYPE_BYOC", "CLUSTER_STATE_RUNNING")
    assert kept["performanceProfile"] == "CLUSTER_PERFORMANCE_PROFILE_DEFAULT"


def test_numbers_come_in_quotes_too() -> None:
    spec = grid_body(instanceTypes=[{"name": "t3.large", "rootVolumeSize": "200", "maxCpu": 4.0}])["spec"]
    types = accepted(spec, "my-cluster", "u")["driver"]["kubernetes"]["aws"]["instanceTypes"]
    assert types == [{"name": "t3.large", "rootVolumeSize": 200, "maxCpu": 4}]


@pytest.mark.parametrize(
    "name", ["subnetCIDRPrefix", "awsV1", "s3proxyResources", "ec2CpuAmi", "xMultiAzCount", "roleArn"]
)
def test_each_known_name_has_one_snake_case_spelling(name: str) -> None:
    spelled = {
        "subnetCIDRPrefix": "subnet_cidr_prefix",
        "awsV1": "aws_v1",
        "s3proxyResources": "s3proxy_resources",
        "ec2CpuAmi": "ec2_cpu_ami",
        "xMultiAzCount": "x_multi_az_count",
        "roleArn": "role_arn",
    }
    value = {"awsV1": {}, "s3proxyResources": {}, "xMultiAzCount": 1}.get(name, "text")
    assert normalised({spelled[name]: value}) == {name: value}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["aws", "driver", "kubernetes", "region", "role_arn", "instanceTypes", "new"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_no_spec_is_more_than_refused(value: Any) -> None:
    with contextlib.suppress(ApiError):
        accepted(value, "my-cluster", "u")


@given(st.dictionaries(st.text(max_size=12), st.integers() | st.text(max_size=5), max_size=5))
def test_unknown_names_are_kept_as_they_are(fields: dict[str, Any]) -> None:
    unknown = {f"zz_{name}": value for name, value in fields.items()}
    assert normalised(unknown) == unknown


def test_query_names_in_snake_case() -> None:
    assert [camel(name) for name in ("phase_not_in", "phaseNotIn", "")] == ["phaseNotIn", "phaseNotIn", ""]
