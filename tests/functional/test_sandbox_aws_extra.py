"""The sandbox's AWS as a process: settings reach it, real boto3 asks it, and its control plane still sees the roles."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from gridbyoc.sandbox import Sandbox, SandboxSettings
from tests.e2e.warm_python import warm_sandbox
from tests.sandbox_users import add_user, administrator

STANDARD = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
GPUS = {"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aws") / "aws.log"


@pytest.fixture(scope="module")
def sandbox(log: Path) -> Iterator[Sandbox]:
    settings = SandboxSettings(
        account="new", quotas={"ec2/L-DB2E81BA": 16}, quota_names={"ec2/L-1216C47A": "Renamed"}, quota_seconds=0,
        enforce_iam=True, denied_by_scp=("iam:DeleteRole",), aws_log=log,
    )  # fmt: skip
    with warm_sandbox(settings) as running:
        yield running


def as_user(sandbox: Sandbox, keys: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=sandbox.aws_url,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )


def test_the_accounts_settings_reach_the_server(sandbox: Sandbox) -> None:
    quotas = administrator(sandbox, "service-quotas")
    quota = quotas.get_service_quota(**STANDARD)["Quota"]
    assert (quota["Value"], quota["QuotaName"]) == (5, "Renamed")
    assert quotas.get_service_quota(**GPUS)["Quota"]["Value"] == 16
    filed = quotas.request_service_quota_increase(**GPUS, DesiredValue=32)["RequestedQuota"]
    assert filed["Status"] == "APPROVED"
    assert quotas.get_service_quota(**GPUS)["Quota"]["Value"] == 32
    limits = administrator(sandbox, "autoscaling").describe_account_limits()
    assert limits["MaxNumberOfAutoScalingGroups"] == 500


def test_a_user_may_do_what_its_policies_allow_and_the_log_says_what_it_did(sandbox: Sandbox, log: Path) -> None:
    keys = add_user(sandbox, "ada", {"Effect": "Allow", "Action": ["iam:List*", "iam:DeleteRole"], "Resource": "*"})
    iam = as_user(sandbox, keys, "iam")
    assert "Roles" in iam.list_roles()
    with pytest.raises(ClientError, match="because no identity-based policy allows the iam:GetRole action"):
        iam.get_role(RoleName="x")
    with pytest.raises(ClientError, match="with an explicit deny in a service control policy"):
        iam.delete_role(RoleName="x")
    last = [json.loads(line) for line in log.read_text().splitlines()][-3:]
    assert [(line["action"], line["status"]) for line in last] == [
        ("iam:ListRoles", 200), ("iam:GetRole", 403), ("iam:DeleteRole", 403),
    ]  # fmt: skip
    assert {line["principal"] for line in last} == {"arn:aws:iam::123456789012:user/ada"}
    assert log.stat().st_mode & 0o077 == 0


def test_a_boundary_holds_a_user_back(sandbox: Sandbox) -> None:
    limit = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}
    keys = add_user(sandbox, "eve", {"Effect": "Allow", "Action": "*", "Resource": "*"}, boundary=limit)
    assert as_user(sandbox, keys, "sts").get_caller_identity()["Arn"].endswith(":user/eve")
    with pytest.raises(ClientError, match="because no permissions boundary allows the ec2:DescribeVpcs action"):
        as_user(sandbox, keys, "ec2").describe_vpcs()


def test_objects_for_s3_pass_through_unread(sandbox: Sandbox) -> None:
    s3 = administrator(sandbox, "s3")
    s3.create_bucket(Bucket="state")
    body = bytes(range(256)) * 4096
    s3.put_object(Bucket="state", Key="a/b", Body=body, ContentType="application/octet-stream")
    s3.put_object(Bucket="state", Key="json", Body=b'{"serial": 1}', ContentType="application/json")
    assert s3.get_object(Bucket="state", Key="a/b")["Body"].read() == body
    assert s3.get_object(Bucket="state", Key="json")["Body"].read() == b'{"serial": 1}'
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="state", Key="a/b", Body=b"x", IfNoneMatch="*")


def test_simulation_says_who_may_what(sandbox: Sandbox) -> None:
    add_user(sandbox, "bob", {"Effect": "Allow", "Action": "iam:CreateRole", "Resource": "arn:aws:iam::*:role/grid-*"})
    answer = administrator(sandbox, "iam").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::123456789012:user/bob",
        ActionNames=["iam:CreateRole", "iam:DeleteRole"],
        ResourceArns=["arn:aws:iam::123456789012:role/grid-x"],
    )
    found = {each["EvalActionName"]: each for each in answer["EvaluationResults"]}
    assert found["iam:CreateRole"]["EvalDecision"] == "allowed"
    assert found["iam:DeleteRole"]["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}


def test_every_partition_has_the_policies_of_aws_from_the_first_request_on() -> None:
    """Those of the partitions that are seldom asked for are read last."""
    with warm_sandbox() as fresh:
        for region, partition in (("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-west-1", "aws")):
            iam = boto3.client(
                "iam", region, endpoint_url=fresh.aws_url, aws_access_key_id="test", aws_secret_access_key="test"
            )
            arn = f"arn:{partition}:iam::aws:policy/AmazonEC2FullAccess"
            assert iam.get_policy(PolicyArn=arn)["Policy"]["Arn"] == arn


def test_whoever_asks_whether_to_send_is_told_at_once(sandbox: Sandbox) -> None:
    """``Expect: 100-continue``, as SDKs have it for objects: without an answer they wait a second for one."""
    url = urlsplit(sandbox.aws_url)
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10) as connection:
        connection.sendall(
            b"PUT /nobodys-bucket/key HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n"
            b"Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, Signature=0\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")


def test_an_answer_comes_in_one_piece(sandbox: Sandbox) -> None:
    """Go's HTTP client may hang up between a head and a body that come apart, and what was asked is done twice."""
    url = urlsplit(sandbox.aws_url)
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    head = (
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, "
        f"Signature=0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10) as connection:
            connection.sendall(head.encode() + body)
            answered, _, rest = connection.recv(65536).partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", answered)
        assert length is not None
        assert (answered[:12], len(rest)) == (b"HTTP/1.1 200", int(length[1]))
