"""The action list against a local AWS that holds everybody to their policies: what Terraform calls, what is missed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest

from gridbyoc.aws import AwsSession
from gridbyoc.aws.permissions import MANDATORY, Need, needs_of, phases_of, policy_document
from gridbyoc.aws.permissions.model import example_of
from gridbyoc.operations.preflight.examine import blocks
from gridbyoc.operations.preflight.permissions import LOOKED_AT
from gridbyoc.render import render
from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.stack.model import PolicyStatement, Role, S3Backend, Stack
from tests.e2e.warm_python import warm_sandbox
from tests.functional.permission_world import (
    ACCOUNT,
    REGION,
    Runner,
    admin,
    named,
    new_runner,
    permissions,
    scene_as,
)
from tests.functional.terraform_cli import TerraformCli
from tests.unit.render_stacks import stack

BOUNDARIES = tuple(f"arn:aws:iam::{ACCOUNT}:policy/boundary-{which}" for which in "ab")
STATE = S3Backend("acme-tf-state", "gridbyoc/${ml}.tfstate", REGION, dynamodb_table="locks")
ML = stack(
    role=Role(
        name="grid-ml",
        path="/platform/",
        permissions_boundary=BOUNDARIES[0],
        managed_policies=("AmazonS3FullAccess", "AmazonSQSFullAccess"),
        tags={"team": "ml", "old": "yes"},
    ),
    backend=replace(STATE, kms_key_id="1234abcd-12ab-44cd-96ef-1234567890ab"),
)
NEW = replace(
    ML, terraform=replace(ML.terraform, backend=replace(STATE, key="gridbyoc/new.tfstate", kms_key_id="1234"))
)
"""One that nothing has been made of yet: it has no state."""
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "aws.jsonl"


@pytest.fixture(scope="module")
def box(log: Path) -> Iterator[Sandbox]:
    with warm_sandbox(SandboxSettings(enforce_iam=True, aws_log=log)) as running:
        for arn in BOUNDARIES:
            document = json.dumps(ANYTHING)
            admin(running, "iam").create_policy(PolicyName=arn.rsplit("/", 1)[-1], PolicyDocument=document)
        admin(running, "s3").create_bucket(
            Bucket=STATE.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        admin(running, "dynamodb").create_table(
            TableName="locks",
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield running


@pytest.fixture
def runner(box: Sandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Runner:
    return new_runner(box, request.node.name[:40].strip("_"), tmp_path)


def needs(of: Stack, runner: Runner, **options: Any) -> tuple[Need, ...]:
    return needs_of(of, "aws", ACCOUNT, principal=runner.arn, **options)


def calls(log: Path, runner: Runner) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["principal"] == runner.arn and line["action"] != "sts:GetCallerIdentity"]


def touch_by_hand(box: Sandbox) -> None:
    """What somebody does to a role beside Terraform, so that even the rare calls are made."""
    iam = admin(box, "iam")
    iam.put_role_policy(RoleName="grid-ml", PolicyName="by-hand", PolicyDocument=json.dumps(ANYTHING))
    iam.create_instance_profile(InstanceProfileName="by-hand")
    iam.add_role_to_instance_profile(InstanceProfileName="by-hand", RoleName="grid-ml")


def test_terraform_calls_what_the_list_says_and_nothing_else(
    box: Sandbox, log: Path, runner: Runner, tmp_path: Path, provider_mirror: Path
) -> None:
    """A whole life of the role, carried out by a user who has the mandatory needs' policy and not a letter more."""
    first = replace(ML, terraform=replace(ML.terraform, backend=STATE))
    second = replace(
        first,
        role=replace(
            first.role,
            permissions_boundary=BOUNDARIES[1],
            max_session_hours=2,
            trusted_account_id="111122223333",
            managed_policies=("AmazonS3FullAccess",),
            statements=(PolicyStatement(("eks:*",)),),
            tags={"team": "other"},
        ),
    )
    terraform = TerraformCli(tmp_path, provider_mirror, runner.environ())
    before, after = (needs(of, runner, phases=MANDATORY) for of in (first, second))
    work_dir = render(first, tmp_path / "w").work_dir
    runner.may(before)
    terraform.init(work_dir)
    terraform.apply(work_dir)
    touch_by_hand(box)
    render(second, work_dir)
    runner.may(after)
    terraform.apply(work_dir)
    terraform.run(work_dir, "destroy", "-input=false", "-auto-approve", "-no-color")

    seen = calls(log, runner)
    listed = {*before, *after}
    assert [line for line in seen if line["status"] == 403] == []
    recorded = {line["action"] for line in seen}
    assert recorded - {need.action for need in listed} == set(), "Terraform calls what is not in the list"
    unexplained = {need.action for need in listed if not need.unseen} - recorded
    assert unexplained == set(), "the list has what Terraform does not call, without saying why"
    strays = [line for line in seen if not any(covers(need, line) for need in listed)]
    assert strays == [], "a call is on another resource than the list says"
    told(f"{len(seen)} calls of {len(recorded)} actions recorded, {len({need.action for need in listed})} in the list")


def told(text: str) -> None:
    """For whoever runs the test with ``-s``."""
    sys.stdout.write(f"\n{text}\n")


def covers(need: Need, line: dict[str, Any]) -> bool:
    """Whether the call is what the need is for. A deleted role is logged without its path: it is gone by then."""
    pattern = need.resource if "*" in need.resource else example_of(need.resource)
    if need.action == "iam:DeleteRole":
        pattern = pattern.replace("/platform/", "/")
    return need.action == line["action"] and fnmatchcase(line["resource"], pattern)


FIRST_RUN = {
    "iam:AttachRolePolicy", "iam:CreatePolicy", "iam:CreateRole", "iam:TagPolicy", "iam:TagRole",
    "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
    "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject",
}  # fmt: skip
"""What a run that makes the role calls for certain, beside what a key's or a table's own policy may allow as well; all
else is named, and does not block."""


ALONE = {"iam:CreateRole", "iam:ListPolicies", "s3:GetObject", "s3:ListBucket"}
"""Without one of these the check knows less of the others: whether the role stands, which boundaries there are."""
AT_ONCE = 6


def test_every_action_that_is_taken_away_is_named_before_terraform_starts(box: Sandbox, runner: Runner) -> None:
    """Some at a time, far apart in the list: each is named, none that is left, and each blocks or not by itself."""
    everything = needs(NEW, runner, phases=LOOKED_AT)
    scene = scene_as(runner.session(), NEW)
    runner.may(everything)
    assert named(permissions(scene)) == set()
    tried = sorted({need.action for need in everything} - {"iam:SimulatePrincipalPolicy"})
    together = [action for action in tried if action not in ALONE]
    apart = -(-len(together) // AT_ONCE)
    missed: list[tuple[set[str], set[str], set[str]]] = []
    for less in [*({action} for action in sorted(ALONE & {*tried})), *(set(together[n::apart]) for n in range(apart))]:
        runner.may(need for need in everything if need.action not in less)
        found = permissions(scene)
        blocking = {action for finding in found if blocks([finding]) for action in named([finding])}
        if named(found) != less or blocking != less & FIRST_RUN:
            missed.append((less, named(found), blocking))
    told(f"{len(tried)} taken away")
    assert missed == []


def test_without_the_simulator_nothing_is_told_and_nothing_blocks(box: Sandbox, runner: Runner) -> None:
    everything = needs(ML, runner)
    runner.may(need for need in everything if need.action != "iam:SimulatePrincipalPolicy")
    found = permissions(scene_as(runner.session(), ML))
    assert [(finding.code, finding.verdict) for finding in found] == [("GBY-P001", "unknown")]
    assert "may not call iam:SimulatePrincipalPolicy" in found[0].detail
    assert not blocks(found)


def test_a_plan_needs_less_than_what_comes_after_it(box: Sandbox, runner: Runner) -> None:
    runner.may(needs(NEW, runner, phases=phases_of(["plan"])))
    scene = scene_as(runner.session(), NEW)
    found = [finding for finding in permissions(replace(scene, reads_only=True)) if finding.code == "GBY-P002"]
    assert "iam:CreateRole" in named(found)
    assert {finding.verdict for finding in found} == {"warn"}
    assert blocks(permissions(scene))
    runner.may(needs(NEW, runner, phases=phases_of(["bootstrap"])))
    assert not blocks(permissions(scene))


def test_what_denies_is_told_apart(box: Sandbox, runner: Runner) -> None:
    everything = needs(ML, runner)
    document = policy_document(everything)
    no = {"Sid": "NoRoles", "Effect": "Deny", "Action": "iam:DeleteRole", "Resource": "*"}
    runner.has({**document, "Statement": [*document["Statement"], no]})
    iam = admin(box, "iam")
    allowed = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    bound = [*allowed, {"Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*"}]
    boundary = iam.create_policy(
        PolicyName="of-the-runner", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": bound})
    )["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=runner.name, PermissionsBoundary=boundary)

    found = {finding.subject: finding for finding in permissions(scene_as(runner.session(), ML)) if finding.subject}

    assert set(found) == {"iam:CreateRole", "iam:DeleteRole", "cleanup"}
    assert found["iam:DeleteRole"].facts["denied_by"] == "explicit"
    assert found["iam:DeleteRole"].facts["policies"] == ["runs-gridbyoc"]
    assert "runs-gridbyoc" in found["iam:DeleteRole"].detail
    assert found["iam:DeleteRole"].facts["resources"] == [f"arn:aws:iam::{ACCOUNT}:role/platform/grid-ml"]
    assert found["iam:DeleteRole"].facts["needed_by"] == ["aws_iam_role: delete, replace"]
    assert found["iam:CreateRole"].facts["denied_by"] == "boundary"
    assert found["cleanup"].verdict == "warn"
    assert found["cleanup"].facts["actions"] == ["iam:DeleteRole"]


def test_a_house_rule_names_the_boundary_that_it_demands(box: Sandbox, runner: Runner) -> None:
    document = policy_document(needs(NEW, runner))
    unless = {"ArnNotEquals": {"iam:PermissionsBoundary": BOUNDARIES[1]}}
    rule = {"Sid": "Bounded", "Effect": "Deny", "Action": "iam:CreateRole", "Resource": "*", "Condition": unless}
    anyhow = {"Effect": "Allow", "Action": "iam:CreateRole", "Resource": "*"}
    runner.has({**document, "Statement": [*document["Statement"], rule, anyhow]})
    for boundary, denied_by in ((None, "no boundary"), (BOUNDARIES[0], "other boundary"), (BOUNDARIES[1], "")):
        bounded = replace(NEW, role=replace(NEW.role, permissions_boundary=boundary))
        told = permissions(scene_as(runner.session(), bounded))
        found = [finding for finding in told if finding.subject == "iam:CreateRole"]
        assert blocks(found) == bool(denied_by)
        assert [finding.facts["denied_by"] for finding in found] == ([denied_by] if denied_by else [])
        assert all(f"to the boundary that the rule accepts: {BOUNDARIES[1]}." in finding.fix for finding in found)


def test_a_session_is_looked_up_as_its_role_with_the_path(box: Sandbox, runner: Runner) -> None:
    iam = admin(box, "iam")
    name = "AWSReservedSSO_Platform_0123456789abcdef"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    role = iam.create_role(
        RoleName=name,
        Path="/aws-reserved/sso.amazonaws.com/eu-west-1/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    everything = needs_of(ML, "aws", ACCOUNT, principal=role)
    iam.put_role_policy(RoleName=name, PolicyName="x", PolicyDocument=json.dumps(policy_document(everything)))
    got = admin(box, "sts").assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    base = runner.session()
    boto = boto3.session.Session(
        got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"], botocore_session=base.boto._session
    )

    found = permissions(scene_as(AwsSession(boto, REGION), ML))

    assert [finding.verdict for finding in found] == ["pass", "pass", "pass"]
    assert role in found[0].detail
    assert "actions on" in found[1].detail
