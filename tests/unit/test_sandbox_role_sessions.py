"""Who may assume a role in the sandbox, and until when its session lasts."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from gridbyoc.sandbox import SandboxSettings
from gridbyoc.sandbox.aws_extra.role_sessions import MEMBERS_ROLE, admits, make_member
from tests.unit.aws_kit import ACCOUNT, LocalAws, allow, policy

MEMBER = "111111111111"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ADA = f"arn:aws:iam::{ACCOUNT}:user/ada"
ID = {"StringEquals": {"sts:ExternalId": "the-id"}}
IN_MEMBER = f"arn:aws:iam::{MEMBER}:role/{MEMBERS_ROLE}"


def trust(principal: Any = ROOT, condition: Any = None, effect: str = "Allow", action: str = "sts:AssumeRole") -> Any:
    more = {"Condition": condition} if condition else {}
    return {"Effect": effect, "Action": action, "Principal": {"AWS": principal}, **more}


@pytest.mark.parametrize(
    ("statements", "external_id", "admitted"),
    [
        ([trust()], None, True),
        ([trust(ADA)], None, True),
        ([trust(ACCOUNT)], None, True),
        ([trust("*")], None, True),
        ([trust([f"arn:aws:iam::{MEMBER}:root", ADA])], None, True),
        ([trust(f"arn:aws:iam::{ACCOUNT}:user/bob")], None, False),
        ([trust(f"arn:aws:iam::{MEMBER}:root")], None, False),
        ([trust(action="sts:TagSession")], None, False),
        ([], None, False),
        ([trust(), trust(ADA, effect="Deny")], None, False),
        ([trust(condition=ID)], "the-id", True),
        ([trust(condition=ID)], "another", False),
        ([trust(condition=ID)], None, False),
        ([trust()], "any", True),
    ],
)
def test_the_trust_policy_decides(statements: list[Any], external_id: str | None, admitted: bool) -> None:
    context = {"sts:externalid": [external_id]} if external_id else {}
    assert admits({"Statement": statements}, ADA, context) is admitted


def refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_role_that_is_not_there_is_refused_as_one_that_does_not_admit_the_caller() -> None:
    aws = LocalAws()
    aws.client("iam").create_role(RoleName="mine", AssumeRolePolicyDocument=policy(trust(condition=ID)))
    sts = aws.client("sts")
    for name, more in (("none", {}), ("mine", {}), ("mine", {"ExternalId": "another"})):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        code, said = refused(sts.assume_role, RoleArn=arn, RoleSessionName="test", **more)
        assert code == "AccessDenied"
        assert said.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")
    for arn in ("arn:aws:iam::444444444444:role/x", "nonsense-that-is-no-arn-at-all"):
        assert refused(sts.assume_role, RoleArn=arn, RoleSessionName="test")[0] == "AccessDenied"
    sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/mine", RoleSessionName="test", ExternalId="the-id")


def test_a_session_may_not_last_longer_than_its_role_allows() -> None:
    aws = LocalAws()
    aws.client("iam").create_role(RoleName="long", AssumeRolePolicyDocument=policy(trust()), MaxSessionDuration=7200)
    arn = f"arn:aws:iam::{ACCOUNT}:role/long"
    given = {"RoleArn": arn, "RoleSessionName": "test"}
    keys = aws.client("sts").assume_role(**given, DurationSeconds=7200)["Credentials"]
    assert "MaxSessionDuration" in refused(aws.client("sts").assume_role, **given, DurationSeconds=7201)[1]
    chained = aws.client("sts", keys["AccessKeyId"], token=keys["SessionToken"])
    assert "role chaining" in refused(chained.assume_role, **given, DurationSeconds=7200)[1]
    chained.assume_role(**given)


def test_a_member_account_is_administered_by_its_own_role() -> None:
    aws = LocalAws(enforce_iam=True)
    make_member(MEMBER)
    keys = aws.client("sts").assume_role(RoleArn=IN_MEMBER, RoleSessionName="test")["Credentials"]
    there = aws.client("iam", keys["AccessKeyId"], token=keys["SessionToken"])
    made = there.create_role(RoleName="gridbyoc", AssumeRolePolicyDocument=policy(trust()))["Role"]
    assert made["Arn"] == f"arn:aws:iam::{MEMBER}:role/gridbyoc"
    here = {role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]}
    assert "gridbyoc" not in here
    key = aws.user("ada", allow("sts:AssumeRole", resource=made["Arn"]))
    sts = aws.client("sts", key)
    sts.assume_role(RoleArn=made["Arn"], RoleSessionName="test")
    assert "no identity-based policy allows" in refused(sts.assume_role, RoleArn=IN_MEMBER, RoleSessionName="ada")[1]


def test_a_session_that_has_ended_is_refused_everywhere() -> None:
    aws = LocalAws(session_seconds=-1)  # it has ended when it begins
    aws.client("iam").create_role(RoleName="brief", AssumeRolePolicyDocument=policy(trust()))
    arn = f"arn:aws:iam::{ACCOUNT}:role/brief"
    keys = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    pair = (keys["AccessKeyId"], "us-east-1", keys["SessionToken"])
    codes = {name: refused(getattr(aws.client(service, *pair), name))[0] for service, name in CALLS}
    assert codes == {
        "get_caller_identity": "ExpiredToken",
        "list_roles": "ExpiredToken",
        "list_buckets": "ExpiredToken",
        "describe_vpcs": "RequestExpired",
        "list_services": "ExpiredTokenException",
    }
    lasting = LocalAws(session_seconds=60)
    lasting.client("iam").create_role(RoleName="brief", AssumeRolePolicyDocument=policy(trust()))
    keys = lasting.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    lasting.client("iam", keys["AccessKeyId"], token=keys["SessionToken"]).list_roles()


CALLS = (
    ("sts", "get_caller_identity"),
    ("iam", "list_roles"),
    ("s3", "list_buckets"),
    ("ec2", "describe_vpcs"),
    ("service-quotas", "list_services"),
)


@pytest.mark.parametrize(
    "wrong", [{"member_accounts": ("12",)}, {"member_accounts": (ACCOUNT,)}, {"session_seconds": 0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"is not another account|must be 1 to 43200"):
        SandboxSettings(**wrong)
