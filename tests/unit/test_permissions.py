"""The action list and its policy: what is in it for which stack, and that it allows just that."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gridbyoc.aws.leftovers
from gridbyoc.aws import Caller
from gridbyoc.aws.permissions import (
    MANAGED_POLICY_LIMIT,
    MANDATORY,
    USES,
    Need,
    needs_of,
    phases_of,
    policy_document,
    policy_size,
    principal_of,
    split_document,
)
from gridbyoc.aws.permissions.model import example_of, literal
from gridbyoc.aws.permissions.needs import ROWS
from gridbyoc.aws.policy import ask, evaluate, parse_policy
from gridbyoc.render import data_dir
from gridbyoc.stack.defaults import NAME_PREFIX
from gridbyoc.stack.model import PolicyStatement, Role, S3Backend, Stack
from gridbyoc.vendors import facts_of
from tests.unit.preflight_kit import scene_of
from tests.unit.render_stacks import REGISTRY, S3, stack

MANAGED_POLICIES = facts_of("grid").permissions.managed_policies

OTHER = "210987654321"
ACCOUNT = "123456789012"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
FULL = stack(
    role=Role(name="grid-ml", path="/platform/", permissions_boundary=BOUNDARY, tags={"team": "ml"}),
    backend=replace(S3, kms_key_id="alias/state", dynamodb_table="locks"),
)

EVERYTHING = policy_document(needs_of(FULL, "aws-us-gov", ACCOUNT))


def actions(needs: tuple[Need, ...]) -> set[str]:
    return {need.action for need in needs}


def effect(document: dict[str, Any], action: str, resource: str, **context: str) -> str:
    policy = parse_policy(document, name="the policy", kind="identity")
    keys = {key.replace("_", ":"): value for key, value in context.items()}
    return evaluate((policy,), ask(action, resource=resource, context=keys)).effect


def stacks() -> Iterator[Stack | None]:
    yield None
    yield stack()
    yield FULL
    yield stack(role=Role(name_prefix="x-", statements=(), managed_policies=()))
    yield stack(role=Role(path="/we*ird/${aws:username}/?/"), backend=S3Backend("b", "a*/${x}?.tfstate", "us-west-2"))
    yield stack(module=REGISTRY)


@pytest.mark.parametrize("of", list(stacks()))
@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_the_policy_allows_each_need_and_no_more(of: Stack | None, partition: str) -> None:
    needs = needs_of(of, partition, ACCOUNT)
    document = policy_document(needs)
    policy = parse_policy(document, name="the policy", kind="identity")
    for need in needs:
        key = {need.condition[0]: example_of(need.condition[1])} if need.condition else {}
        assert evaluate((policy,), ask(need.action, resource=need.example, context=key)).effect == "allowed", need
    other = f"arn:{partition}:iam::{ACCOUNT}"
    for action, resource in (
        ("iam:CreateUser", f"{other}:user/x"),
        ("iam:CreateRole", f"{other}:role/somebody-elses"),
        ("iam:AttachRolePolicy", f"{other}:role/somebody-elses"),
        ("iam:UpdateAssumeRolePolicy", f"{other}:role/somebody-elses"),
        ("iam:PassRole", f"{other}:role/grid-ml"),
        ("sts:AssumeRole", f"{other}:role/x"),
    ):
        assert effect(document, action, resource) == "denied", action
    assert {statement["Sid"] for statement in document["Statement"]} != {""}
    assert len({statement["Sid"] for statement in document["Statement"]}) == len(document["Statement"])
    assert all(re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"]) for statement in document["Statement"])
    assert f"arn:{partition}:" in str(document)
    assert partition == "aws" or "arn:aws:" not in str(document).replace(BOUNDARY, "")


def test_only_the_stacks_policies_may_be_attached_and_only_with_its_boundary() -> None:
    document = policy_document(needs_of(FULL, "aws", ACCOUNT, phases=MANDATORY))
    role = f"arn:aws:iam::{ACCOUNT}:role/platform/grid-ml"
    admin, mine = "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    assert effect(document, "iam:AttachRolePolicy", role, iam_PolicyARN=mine) == "allowed"
    assert effect(document, "iam:AttachRolePolicy", role, iam_PolicyARN=admin) == "denied"
    assert effect(document, "iam:CreateRole", role, iam_PermissionsBoundary=BOUNDARY) == "allowed"
    assert effect(document, "iam:CreateRole", role, iam_PermissionsBoundary=f"{BOUNDARY}-2") == "denied"
    assert effect(document, "iam:CreateRole", role) == "denied"
    assert "iam:DeleteRolePermissionsBoundary" not in str(document)


def test_cleaning_up_ends_at_the_region() -> None:
    document = policy_document(needs_of(FULL, "aws", ACCOUNT, phases=["cleanup"]))
    vpc = f"arn:aws:ec2:us-west-2:{ACCOUNT}:vpc/vpc-1"
    assert effect(document, "ec2:DeleteVpc", vpc, aws_RequestedRegion="us-west-2") == "allowed"
    assert effect(document, "ec2:DeleteVpc", vpc, aws_RequestedRegion="eu-west-1") == "denied"


def test_what_a_stack_does_not_use_is_not_asked_for() -> None:
    bare = needs_of(stack(role=Role(statements=(), managed_policies=())), phases=MANDATORY)
    assert not {action for action in actions(bare) if "Policy" in action and action.startswith("iam:Create")}
    assert "iam:PutRolePermissionsBoundary" not in actions(bare)
    assert "iam:AttachRolePolicy" not in actions(bare)
    assert not {action for action in actions(bare) if not action.startswith("iam:")}
    exclusive = needs_of(stack(role=Role(exclusive=True)), phases=["apply"])
    assert {"iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:ListRolePolicies"} <= actions(exclusive)
    assert "iam:DeleteRolePolicy" not in actions(needs_of(stack(), phases=["apply"]))
    own = needs_of(stack(role=Role(statements=(PolicyStatement(("eks:*",)),))), phases=MANDATORY)
    assert "iam:CreatePolicyVersion" in actions(own)
    in_s3 = needs_of(stack(backend=S3), phases=MANDATORY)
    assert {action for action in actions(in_s3) if action.startswith("s3:")} == {
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
    }
    assert "s3:DeleteObject" not in actions(needs_of(stack(backend=S3), phases=["state"], native_lock=False))
    assert needs_of(stack(module=REGISTRY), phases=["plan", "apply", "destroy"]) == ()


def test_a_key_behind_an_alias_is_any_key_and_a_named_one_is_that_one() -> None:
    def keys(key: str) -> set[str]:
        found = needs_of(stack(backend=replace(S3, kms_key_id=key)), "aws", ACCOUNT, phases=["state"])
        return {need.resource for need in found if need.action == "kms:Decrypt"}

    arn = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert keys(arn) == {arn}
    for alias in (f"arn:aws:kms:eu-west-1:{OTHER}:alias/state", f"arn:aws-cn:kms:cn-north-1:{OTHER}:alias/a/b"):
        assert keys(alias) == {alias.partition("alias/")[0] + "key/*"}, "the alias's own account and region"
    assert keys("alias/state") == {f"arn:aws:kms:us-west-2:{ACCOUNT}:key/*"}
    assert keys("1234abcd") == {f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd"}


@pytest.mark.parametrize("use", [*USES, "all"])
def test_a_policy_for_one_stack_fits_into_a_managed_policy(use: str) -> None:
    size = policy_size(policy_document(needs_of(stack(), "aws-us-gov", ACCOUNT, phases=phases_of([use]))))
    assert size <= MANAGED_POLICY_LIMIT
    if use != "all":
        # The largest that a stack can ask for: split by command, every part fits.
        full = needs_of(FULL, "aws-us-gov", ACCOUNT, phases=phases_of([use]))
        assert policy_size(policy_document(full)) <= MANAGED_POLICY_LIMIT


@given(st.integers(min_value=200, max_value=6144))
def test_a_large_policy_is_split_and_loses_nothing(limit: int) -> None:
    parts = split_document(EVERYTHING, limit)
    assert [statement for part in parts for statement in part["Statement"]] == EVERYTHING["Statement"]
    assert all(part["Version"] == "2012-10-17" and part["Statement"] for part in parts)
    assert all(policy_size(part) <= limit or len(part["Statement"]) == 1 for part in parts)


def test_the_defaults_are_the_modules() -> None:
    text = (data_dir("modules") / "gridbyoc" / "variables.tf").read_text()
    policies = re.search(r'variable "managed_policies".*?default = \[(.*?)\]', text, re.DOTALL)
    assert policies
    assert tuple(re.findall(r'"([^"]+)"', policies[1])) == MANAGED_POLICIES
    assert f'default     = "{NAME_PREFIX}"' in text
    files = (data_dir("modules") / "gridbyoc" / "main.tf", data_dir("templates") / "main.tf.j2")
    made = {kind for file in files for kind in re.findall(r'^resource "(aws_\w+)"', file.read_text(), re.MULTILINE)}
    assert {row.type for row in ROWS} == made


OPERATION = re.compile(r'api\.(?:call|pages)\(\s*"([a-z0-9]+)",\s*"([a-z_]+)"')
ROW = re.compile(r'Row\("[^"]+", "(describe_[a-z_]+)"')
SIMPLE = re.compile(r'_simple\("([a-z_]+)"')
NAMED_OTHERWISE = {
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
"""Operations whose action has another name: the service authorization reference of S3."""


def test_every_call_that_looks_for_leftovers_is_in_the_list() -> None:
    """Read in the sources, so that a new kind cannot be forgotten."""
    sources = [path.read_text() for path in Path(str(gridbyoc.aws.leftovers.__file__)).parent.glob("*.py")]
    text = "\n".join(sources)
    called = set(OPERATION.findall(text)) | {
        ("ec2", name) for pattern in (ROW, SIMPLE) for name in pattern.findall(text)
    }
    assert len(called) > 60
    listed = actions(needs_of(stack(), phases=["leftovers", "cleanup"]))
    assert {action_of(*each) for each in called} - listed == set()


CREDENTIALS = {"access_key.py", "iam_user.py", "user_policies.py"}
"""``credentials create-user`` is an administrator's: what it calls must not be in the policy of who runs the rest."""
WORD = re.compile(r"\b(?:abort|create|delete|describe|get|head|list|put|request|simulate)_[a-z_]+")


def test_everything_else_that_we_call_is_in_the_list() -> None:
    services = ("autoscaling", "dynamodb", "ec2", "eks", "iam", "s3", "service-quotas", "sts")
    by_name = {snake: (service, snake) for service in services for snake in map(snake_case, operations(service))}
    root = Path(str(gridbyoc.aws.leftovers.__file__)).parent.parent
    files = [path for path in root.rglob("*.py") if path.name not in CREDENTIALS and path.parent.name != "leftovers"]
    words = {word for path in files for word in WORD.findall(path.read_text())}
    called = {action_of(*by_name[word]) for word in words & set(by_name)}
    assert len(called) > 30
    listed = actions(needs_of(FULL, principal=f"arn:aws:iam::{ACCOUNT}:role/x"))
    assert called - listed - {"sts:GetCallerIdentity"} == set()


def snake_case(operation: str) -> str:
    return botocore.xform_name(operation)


@functools.cache
def botocore_session() -> botocore.session.Session:
    return botocore.session.get_session()


@functools.cache
def operations(service: str) -> tuple[str, ...]:
    return tuple(botocore_session().get_service_model(service).operation_names)


def action_of(service: str, operation: str) -> str:
    prefix = {
        "service-quotas": "servicequotas",
        "elb": "elasticloadbalancing",
        "elbv2": "elasticloadbalancing",
        "resourcegroupstaggingapi": "tag",
    }
    words = operation.replace("_", "").lower()
    name = next(each for each in operations(service) if each.lower() == words)
    action = f"{prefix.get(service, service)}:{name}"
    return NAMED_OTHERWISE.get(action, action)


@given(st.text())
def test_literal_text_means_itself(text: str) -> None:
    assert example_of(literal(text)) == text or "${" in text
    assert not re.search(r"(?<!\$\{)[*?]", literal(text))


@pytest.mark.parametrize(
    ("arn", "kind", "simulated"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/people/ada", "user", f"arn:aws:iam::{ACCOUNT}:user/people/ada"),
        (f"arn:aws:iam::{ACCOUNT}:root", "root", None),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/ada", "federated user", None),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ada", "role", f"arn:aws:iam::{ACCOUNT}:role/ci/deploy"),
    ],
)
def test_whose_policies_decide(arn: str, kind: str, simulated: str | None) -> None:
    class Iam:
        def get_role(self, RoleName: str) -> Any:  # noqa: N803 - boto3's name
            return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/ci/{RoleName}"}}

    found = principal_of(scene_of(stack(), iam=Iam()).session(), Caller(ACCOUNT, arn))
    assert (found.kind, found.arn) == (kind, simulated)
