"""Real Terraform, a real provider and real backends, refused as AWS refuses: each failure comes with its card."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gridbyoc.errors import ExitStatus, StalePlanError, StateLockedError, TerraformError
from gridbyoc.terraform import Binary, find_binary
from tests.functional.aws_refusals import ACCOUNT, CALLER, Refusal, refusing_aws
from tests.functional.terraform_kit import drive, environment, make_runner, root, thing

PROVIDER = """
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}
provider "aws" {
  region = "us-west-2"
}
"""
ROLE = f"arn:aws:iam::{ACCOUNT}:role/grid-ml"
RESOURCES = """
resource "aws_iam_role" "this" {
  name               = "grid-ml"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [] })
}
resource "aws_iam_role" "denied" {
  name               = "denied"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [] })
}
resource "aws_iam_policy" "this" {
  name   = "grid-ml"
  policy = jsonencode({ Version = "2012-10-17", Statement = [] })
}
resource "aws_iam_role_policy_attachment" "managed" {
  role       = "grid-ml"
  policy_arn = "arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess"
}
"""
BACKEND = """
terraform {
  backend "s3" {
    bucket = "states"
    key    = "k"
    region = "us-west-2"
  }
}
"""
DENIED = Refusal(
    403,
    "AccessDenied",
    f"User: {CALLER} is not authorized to perform: iam:CreateRole on resource: {ROLE} because no identity-based policy "
    "allows the iam:CreateRole action",
)
POLICY_EXISTS = Refusal(
    409, "EntityAlreadyExists", "A policy called grid-ml already exists. Duplicate names are not allowed."
)
ROLE_EXISTS = Refusal(409, "EntityAlreadyExists", "Role with name grid-ml already exists.")
RETIRED = Refusal(
    404,
    "NoSuchEntity",
    "Policy arn:aws:iam::aws:policy/AmazonGuardDutyFullAccess does not exist or is not attachable.",
)


@pytest.fixture(scope="module", params=["terraform", "embedded"])
def binary(request: pytest.FixtureRequest) -> Binary:
    return find_binary(request.param, environment())


@pytest.fixture(scope="module")
def terraform() -> Binary:
    return find_binary("terraform", environment())


def mirror() -> Path | None:
    named = os.environ.get("GRIDBYOC_PROVIDER_MIRROR")
    return Path(named) if named else None


def raised(run: Callable[[], object]) -> TerraformError:
    with pytest.raises(TerraformError) as caught:
        run()
    return caught.value


def test_each_refusal_of_one_apply_is_explained(terraform: Binary, tmp_path: Path) -> None:
    refusals = {"CreateRole denied": DENIED, "CreateRole": ROLE_EXISTS, "CreatePolicy": POLICY_EXISTS}
    with refusing_aws({**refusals, "AttachRolePolicy": RETIRED}) as environ:
        runner = make_runner(
            terraform,
            root(tmp_path / "w", PROVIDER, RESOURCES),
            environ=environment(**environ),
            provider_mirror=mirror(),
        )
        runner.init()
        error = raised(runner.apply)
    assert error.code in {"GBY-A118", "GBY-A120", "GBY-A121", "GBY-A122"}  # the first that came back
    assert error.exit_status is ExitStatus.FAILED
    assert f"Allow iam:CreateRole to {CALLER}" in error.fix
    assert "`gridbyoc policy`" in error.fix
    assert f"-chdir={tmp_path / 'w'} import aws_iam_role.this grid-ml`" in error.fix
    assert f"-chdir={tmp_path / 'w'} import aws_iam_policy.this POLICY_ARN`" in error.fix
    assert "AmazonGuardDutyFullAccess_v2" in error.fix
    assert len(error.diagnostics) == 4
    assert DENIED.message in "".join(error.diagnostics)
    assert "continues" in error.rerun


@pytest.mark.parametrize(
    "refusal, code, fact",
    [
        (Refusal(404, "NoSuchBucket", "The specified bucket does not exist"), "GBY-T130", "Create the S3 bucket"),
        (Refusal(403, "AccessDenied", "Access Denied"), "GBY-T134", "s3:PutObject"),
        (Refusal(400, "ExpiredToken", "The provided token has expired."), "GBY-A103", "aws sso login"),
        (
            Refusal(
                400,
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed; the region 'us-west-2' is wrong; expecting 'eu-west-1'",
            ),
            "GBY-T131",
            "terraform.backend.s3.region to eu-west-1",
        ),
        (
            Refusal(400, "KMS.DisabledException", "arn:aws:kms:us-west-2:1:key/2 is disabled."),
            "GBY-T132",
            "--key-id arn:aws:kms:us-west-2:1:key/2",
        ),
    ],
    ids=lambda value: value.code if isinstance(value, Refusal) else "",
)
def test_a_backend_that_refuses(binary: Binary, tmp_path: Path, refusal: Refusal, code: str, fact: str) -> None:
    with refusing_aws({"S3": refusal}) as environ:
        environ = environment(**environ, AWS_SESSION_TOKEN="canary")
        error = raised(make_runner(binary, root(tmp_path / "w", BACKEND, thing()), environ=environ).init)
    assert error.code == code
    assert fact in error.fix
    assert "Nothing was created" in error.rerun
    assert "canary" not in f"{error.why}{error.fix}{error.diagnostics}"
    assert refusal.code in "".join(error.diagnostics) or "Forbidden" in "".join(error.diagnostics)


def test_a_provider_that_cannot_be_fetched(binary: Binary, tmp_path: Path) -> None:
    config = tmp_path / "terraform.rc"
    config.write_text('provider_installation {\n  network_mirror {\n    url = "https://127.0.0.1:9/"\n  }\n}\n')
    environ = environment(TF_CLI_CONFIG_FILE=str(config), NO_PROXY="127.0.0.1")
    error = raised(make_runner(binary, root(tmp_path / "w", PROVIDER), environ=environ).init)
    assert error.code == "GBY-T101"
    assert "GRIDBYOC_PROVIDER_MIRROR" in error.fix
    assert "127.0.0.1:9" in error.why


def test_a_lock_file_of_another_package(binary: Binary, tmp_path: Path) -> None:
    packages = tmp_path / "mirror" / "registry.example" / "hashicorp" / "aws" / "5.0.0"
    for platform in ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"):
        (packages / platform).mkdir(parents=True)
        (packages / platform / "terraform-provider-aws_v5.0.0").write_text("no program")
    work_dir = root(tmp_path / "w", PROVIDER.replace("hashicorp/aws", "registry.example/hashicorp/aws"))
    (work_dir / ".terraform.lock.hcl").write_text(
        'provider "registry.example/hashicorp/aws" {\n  version = "5.0.0"\n  hashes  = ["h1:' + "A" * 43 + '="]\n}\n'
    )
    error = raised(make_runner(binary, work_dir, provider_mirror=tmp_path / "mirror").init)
    assert error.code == "GBY-T104"
    assert ".terraform.lock.hcl" in error.fix


def test_a_state_of_a_newer_terraform(binary: Binary, tmp_path: Path) -> None:
    work_dir = root(tmp_path / "w", thing())
    (work_dir / "terraform.tfstate").write_text('{"version": 5, "terraform_version": "9.9.9", "serial": 1}')
    error = raised(make_runner(binary, work_dir).init)
    assert error.code == "GBY-T135"
    assert "9.9.9" in error.why


def test_a_local_lock_and_a_stale_plan_have_their_cards(terraform: Binary, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    work_dir = root(tmp_path / "w", thing(script=f"echo at work; until test -e {flag}; do sleep 0.1; done"))
    runner = make_runner(terraform, work_dir, lock_timeout="0s")
    runner.init()
    runner.plan(out=work_dir / "saved.tfplan")
    holder = drive(terraform, work_dir, "apply")
    holder.until("at work")
    locked = raised(runner.plan)
    flag.touch()
    holder.end()
    assert isinstance(locked, StateLockedError)
    assert (locked.code, locked.exit_status) == ("GBY-T122", ExitStatus.LOCKED)
    assert "Lock Info" in "".join(locked.diagnostics)
    stale = raised(lambda: runner.apply(work_dir / "saved.tfplan"))
    assert isinstance(stale, StalePlanError)
    assert stale.code == "GBY-T137"
    assert "makes a new plan" in stale.fix
