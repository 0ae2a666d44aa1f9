"""The control plane looks at real roles in the local AWS: each thing that is missing has its own words."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests

from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.sandbox.api.role import RoleInspector
from gridbyoc.sandbox.api.spec import RoleGrant
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of
from tests.e2e.warm_python import warm_sandbox

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

ACCOUNT = "302180240179"
EXTERNAL_ID = "canary-ext-4711"
NINE = list(facts_of("grid").permissions.managed_policies)
OWN = {"Effect": "Allow", "Action": ["eks:*", "ecr:*", "events:*"], "Resource": "*"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with warm_sandbox(
        SandboxSettings(create_seconds=0, delete_seconds=0, member_accounts=("222222222222",))
    ) as running:
        yield running


@pytest.fixture(scope="module")
def iam(sandbox: Sandbox) -> IAMClient:
    client: IAMClient = boto3.Session("test", "test", region_name="us-east-1").client(
        "iam", endpoint_url=sandbox.aws_url
    )
    return client


def trust(**changes: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    return {"Version": "2012-10-17", "Statement": [statement | changes]}


def make_role(
    iam: IAMClient, trusts: dict[str, Any] | None = None, managed: list[str] = NINE, own: dict[str, Any] | None = OWN
) -> str:
    name = f"grid-{uuid.uuid4().hex[:8]}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trusts or trust()))["Role"]
    for policy in managed:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    if own:
        document = json.dumps({"Version": "2012-10-17", "Statement": [own]})
        made = iam.create_policy(PolicyName=f"{name}-own", PolicyDocument=document)["Policy"]
        iam.attach_role_policy(RoleName=name, PolicyArn=made["Arn"])
    return role["Arn"]


def outcome(sandbox: Sandbox, role_arn: str, name: str | None = None) -> tuple[str, str]:
    """Phase and reason of a new cluster with that role, over HTTP."""
    name = name or f"c-{uuid.uuid4().hex[:8]}"
    auth = (sandbox.env["GRID_USER_ID"], sandbox.env["GRID_API_KEY"])
    url = f"{sandbox.control_plane_url}/v1/core/clusters"
    aws = {"roleArn": role_arn, "externalId": EXTERNAL_ID, "region": "us-east-1"}
    body = {"name": name, "spec": {"driver": {"kubernetes": {"aws": aws}}}}
    assert requests.post(url, json=body, auth=auth, timeout=30).status_code == 200
    status = requests.get(f"{url}/{name}", auth=auth, timeout=30).json()["status"]
    return status["phase"].removeprefix("CLUSTER_STATE_"), status["reason"]


def test_a_role_with_everything_runs(sandbox: Sandbox, iam: IAMClient) -> None:
    assert outcome(sandbox, make_role(iam)) == ("RUNNING", "")


def test_an_inline_policy_counts_as_an_own_one(sandbox: Sandbox, iam: IAMClient) -> None:
    arn = make_role(iam, own=None)
    document = json.dumps({"Version": "2012-10-17", "Statement": OWN})
    iam.put_role_policy(RoleName=arn.rsplit("/", 1)[1], PolicyName="own", PolicyDocument=document)
    assert outcome(sandbox, arn) == ("RUNNING", "")


def test_a_role_that_is_not_there(sandbox: Sandbox) -> None:
    phase, reason = outcome(sandbox, "arn:aws:iam::123456789012:role/nobody")
    assert phase == "FAILED"
    assert "role arn:aws:iam::123456789012:role/nobody does not exist; create it" in reason


def test_a_role_of_that_name_at_another_path_is_another_role(sandbox: Sandbox, iam: IAMClient) -> None:
    arn = make_role(iam)
    phase, reason = outcome(sandbox, arn.replace(":role/", ":role/some/path/"))
    assert (phase, "does not exist" in reason) == ("FAILED", True)


@pytest.mark.parametrize(
    ("trusts", "said"),
    [
        (trust(Condition={}), "without any external id"),
        (trust(Condition={"StringLike": {"sts:ExternalId": "*"}}), "with any external id"),
        (
            trust(Condition={"StringEquals": {"sts:ExternalId": "another-one"}}),
            "external id that this cluster was given",
        ),
        (trust(Principal={"AWS": "arn:aws:iam::111111111111:root"}), f"does not let AWS account {ACCOUNT} assume it"),
    ],
)
def test_what_is_wrong_with_the_trust(sandbox: Sandbox, iam: IAMClient, trusts: dict[str, Any], said: str) -> None:
    phase, reason = outcome(sandbox, make_role(iam, trusts))
    assert phase == "FAILED"
    assert said in reason
    assert EXTERNAL_ID not in reason
    assert "update the cluster" in reason


@pytest.mark.parametrize("missing", NINE)
def test_each_managed_policy_that_is_missing_is_named(sandbox: Sandbox, iam: IAMClient, missing: str) -> None:
    phase, reason = outcome(sandbox, make_role(iam, managed=[each for each in NINE if each != missing]))
    assert phase == "FAILED"
    assert f"managed policies not attached: {missing}; attach them" in reason


@pytest.mark.parametrize(
    ("own", "lacking"),
    [
        (None, "eks:*, ecr:*, events:*"),
        (OWN | {"Action": ["eks:*", "ecr:*"]}, "events:*"),
        (OWN | {"Resource": "arn:aws:eks:us-east-1:123456789012:cluster/x"}, "eks:*, ecr:*, events:*"),
        (OWN | {"Effect": "Deny"}, "eks:*, ecr:*, events:*"),
        (OWN | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, "eks:*, ecr:*, events:*"),
    ],
)
def test_what_the_own_policy_lacks_is_named(
    sandbox: Sandbox, iam: IAMClient, own: dict[str, Any] | None, lacking: str
) -> None:
    phase, reason = outcome(sandbox, make_role(iam, own=own))
    assert phase == "FAILED"
    assert f"none of its other policies allows {lacking} on every resource" in reason


def test_everything_that_is_wrong_is_said_at_once(sandbox: Sandbox, iam: IAMClient) -> None:
    _, reason = outcome(sandbox, make_role(iam, trust(Condition={}), managed=NINE[:-2], own=None))
    for said in ("without any external id", "CloudWatchLogsFullAccess, IAMFullAccess", "eks:*"):
        assert said in reason


def test_a_mended_role_runs_after_an_update(sandbox: Sandbox, iam: IAMClient) -> None:
    arn = make_role(iam, managed=NINE[1:])
    assert outcome(sandbox, arn, "mended")[0] == "FAILED"
    iam.attach_role_policy(RoleName=arn.rsplit("/", 1)[1], PolicyArn=f"arn:aws:iam::aws:policy/{NINE[0]}")
    auth = (sandbox.env["GRID_USER_ID"], sandbox.env["GRID_API_KEY"])
    url = f"{sandbox.control_plane_url}/v1/core/clusters/mended"
    spec = requests.get(url, auth=auth, timeout=30).json()["spec"]
    assert requests.put(url, json={"name": "mended", "spec": spec}, auth=auth, timeout=30).status_code == 200
    assert requests.get(url, auth=auth, timeout=30).json()["status"]["phase"] == "CLUSTER_STATE_RUNNING"


def test_a_role_in_another_account_is_looked_at_there(sandbox: Sandbox) -> None:
    sts = boto3.Session("test", "test", region_name="us-east-1").client("sts", endpoint_url=sandbox.aws_url)
    arn = "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole"
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1")
    arn = make_role(session.client("iam", endpoint_url=sandbox.aws_url))
    assert ":222222222222:" in arn
    assert outcome(sandbox, arn) == ("RUNNING", "")


def test_an_aws_that_does_not_answer_is_a_reason_too() -> None:
    inspector = RoleInspector("http://127.0.0.1:9", ACCOUNT)
    said = inspector(RoleGrant("arn:aws:iam::123456789012:role/grid", Secret(EXTERNAL_ID)))
    assert "could not be inspected (EndpointConnectionError)" in said
