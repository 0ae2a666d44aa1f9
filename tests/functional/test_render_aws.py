"""The rendered root against an AWS on this machine: it converges, stays, rotates, and keeps its state in S3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from gridbyoc.render import render
from gridbyoc.stack.model import Aws, ControlPlane, Role, S3Backend, Stack, TerraformSettings
from tests.e2e.warm_python import warm_sandbox
from tests.functional.terraform_cli import TerraformCli

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
S3_STATE = S3Backend("state-bucket", "gridbyoc/${ml}.tfstate", "us-west-2")
ML = Stack(
    "ml",
    Aws("us-west-2", account_id="123456789012"),
    Role(tags={"team": "ml", "Managed-By": "us"}),
    (),
    ControlPlane(),
    TerraformSettings(S3_STATE),
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with warm_sandbox() as sandbox:
        yield sandbox.aws_url


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path, endpoint: str) -> TerraformCli:
    environ = CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint}
    return TerraformCli(tmp_path_factory.mktemp("home"), provider_mirror, environ)


def aws(service: str, endpoint: str) -> Any:
    return boto3.client(
        service, "us-west-2", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test"
    )


def accepted_ids(endpoint: str, name: str) -> list[str]:
    role = aws("iam", endpoint).get_role(RoleName=name)["Role"]
    return role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]


def test_a_role_is_made_stays_as_it_is_and_gets_a_new_external_id_when_asked(
    terraform: TerraformCli, real_provider_mirror: Path | None, endpoint: str, tmp_path: Path
) -> None:
    aws("s3", endpoint).create_bucket(
        Bucket=S3_STATE.bucket, CreateBucketConfiguration={"LocationConstraint": S3_STATE.region}
    )
    work_dir = render(ML, tmp_path / "w").work_dir
    terraform.init(work_dir)
    terraform.apply(work_dir)
    first = terraform.outputs(work_dir)

    role = aws("iam", endpoint).get_role(RoleName=first["role_name"])["Role"]
    assert role["Arn"] == first["role_arn"]
    assert role["RoleName"].startswith("grid-cloud-")
    assert role["MaxSessionDuration"] == 43200
    tags = {tag["Key"]: tag["Value"] for tag in role["Tags"]}
    assert tags == {"team": "ml", "Managed-By": "us", "gridbyoc:stack": "ml"}
    attached = aws("iam", endpoint).list_attached_role_policies(RoleName=first["role_name"])["AttachedPolicies"]
    assert len(attached) == 10
    assert first["role_name"] in {policy["PolicyName"] for policy in attached}
    assert accepted_ids(endpoint, first["role_name"]) == [first["external_id"]]
    states = aws("s3", endpoint).list_objects_v2(Bucket=S3_STATE.bucket)["Contents"]
    assert [state["Key"] for state in states] == [S3_STATE.key]

    # The provider that Terraform itself installs and starts finds what the shared one made as it should be.
    again = shutil.copytree(work_dir, tmp_path / "again", ignore=shutil.ignore_patterns(".terraform*"))
    installed = replace(terraform, home=tmp_path, mirror=real_provider_mirror)
    installed.init(again)
    installed.run(again, "plan", "-input=false", "-detailed-exitcode", ok=(0,))

    previous = {"previous_external_ids": [first["external_id"]]}
    (work_dir / "overlap.auto.tfvars.json").write_text(json.dumps(previous))
    rotated = render(replace(ML, role=replace(ML.role, rotation="2026-11")), work_dir)
    assert rotated.changed == ("terraform.tfvars.json",)
    shown = terraform.apply(work_dir).stdout
    second = terraform.outputs(work_dir)
    assert second["role_arn"] == first["role_arn"]
    assert second["external_id"] != first["external_id"]
    assert accepted_ids(endpoint, first["role_name"]) == [second["external_id"], first["external_id"]]
    assert first["external_id"] not in shown
    assert second["external_id"] not in shown

    destroyed = terraform.run(work_dir, "destroy", "-input=false", "-auto-approve", "-no-color").stdout
    assert second["external_id"] not in destroyed
    names = [each["RoleName"] for each in aws("iam", endpoint).list_roles()["Roles"]]
    assert first["role_name"] not in names
