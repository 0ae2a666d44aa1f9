"""Three stacks in three accounts, as ``examples/accounts`` has them: one caller, and a role in each account."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import s3_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "accounts"
CALLER = "arn:aws:iam::123456789012:root"
EXTERNAL_ID = "canary-yx8Kq2Vw7Zc4Tn6L"
SESSION = boto3.Session()
"""One for all: it keeps the models that it has read."""
ACCOUNTS = {"production": "333333333333", "research": "111111111111", "staging": "222222222222"}


def iam_of(world: World, account: str) -> Any:
    """IAM of a member account, as its administrator."""
    return _iam_at(world.sandbox.aws_url, account)


@cache
def _iam_at(url: str, account: str) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    sts = SESSION.client("sts", endpoint_url=url, region_name="us-east-1", **keys)
    role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    made = sts.assume_role(RoleArn=role, RoleSessionName="admin")["Credentials"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    token = made["SessionToken"]
    return SESSION.client("iam", endpoint_url=url, region_name="us-east-1", **keys, aws_session_token=token)


def make_roles(world: World) -> None:
    """The roles that the stack files name; production's demands an external id."""
    for name, account in ACCOUNTS.items():
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": CALLER}}
        if name == "production":
            trust["Condition"] = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        path = "/platform/" if name == "production" else "/"
        iam_of(world, account).create_role(RoleName="gridbyoc", Path=path, AssumeRolePolicyDocument=document)


@pytest.mark.timeout(300)
def test_one_fleet_makes_a_role_in_each_account(tool: Tool, world: World) -> None:
    shutil.copytree(EXAMPLE, tool.directory, dirs_exist_ok=True)
    s3_of(world).create_bucket(Bucket="acme-tf-state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    make_roles(world)
    tool.env["PRODUCTION_EXTERNAL_ID"] = EXTERNAL_ID
    fleet = ("fleet", "bootstrap", ".", "--yes", "--skip-preflight", "--format", "json")
    wrong = tool(
        "bootstrap", "production.yaml", "--yes", "--skip-preflight", status=None, PRODUCTION_EXTERNAL_ID="wrong-one"
    )
    assert wrong.status == 1
    assert "role/platform/gridbyoc cannot be assumed" in wrong.err
    shown = json.loads(tool("credentials", "show", "--stack", "production.yaml", "--format", "json").out)
    assert shown["account_id"] == ACCOUNTS["production"]
    assert shown["assumed"]["caller_account_id"] == "123456789012"
    done = tool(*fleet)
    reports = {each["stack"]: each["document"] for each in json.loads(done.out)["stacks"]}
    assert {name: report["account_id"] for name, report in reports.items()} == ACCOUNTS
    for name, account in ACCOUNTS.items():
        roles = [role["RoleName"] for role in iam_of(world, account).list_roles()["Roles"]]
        assert [each for each in roles if each.startswith("grid-")] == [f"grid-{name}"]
    assert not [role for role in world.roles() if role["RoleName"] in {f"grid-{name}" for name in ACCOUNTS}]
    keys = {each["Key"] for each in s3_of(world).list_objects_v2(Bucket="acme-tf-state")["Contents"]}
    assert {f"gridbyoc/{name}.tfstate" for name in ACCOUNTS} <= keys
    written = [path for path in tool.directory.rglob("*") if path.is_file() and "/providers/" not in str(path)]
    assert not [path for path in written if EXTERNAL_ID.encode() in path.read_bytes()]
    assert EXTERNAL_ID not in done.text + wrong.text
