"""``gridbyoc verify --role`` on roles of a local AWS that no stack has made: the trust policies of vendors' guides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from gridbyoc.sandbox import Sandbox
from tests.e2e import warm_python

ID = "canary-7f3a9c1e5b2d4860"
OLD = "canary-0a1f4c7e9b3d5826"
HOME = "123456789012"
LANGSMITH = "arn:aws:iam::808407022534:role/LangSmithCrossPlaneRole"
STREAMNATIVE = (
    "arn:aws:iam::311022431024:role/cloud-manager",
    "arn:aws:iam::311022431024:role/cloud-support-general",
)
CUBE = "arn:aws:iam::307491255751:root"
HASURA = "arn:aws:iam::760537944023:role/PulumiDDNCli"
ESTUARY = "arn:aws:iam::770785070253:user/data-plane-ops"
COCKROACH = "arn:aws:iam::541263489771:role/crl-byoc"


def admit(who: Any, ids: Any = ID, operator: str = "StringEquals", **more: Any) -> dict[str, Any]:
    condition = {} if ids is None else {"Condition": {operator: {"sts:ExternalId": ids}}}
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": who}, **condition, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with warm_python.warm_sandbox() as running:
        yield running


class Tool:
    """The command, and the account's IAM."""

    def __init__(self, box: Sandbox, directory: Path) -> None:
        self.box, self.directory = box, directory
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.iam: Any = boto3.client("iam", endpoint_url=box.aws_url, region_name="us-east-1", **keys)

    def role(self, name: str, *statements: dict[str, Any]) -> str:
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(*statements))
        return str(made["Role"]["Arn"])

    def __call__(self, *args: str, status: int, **env: str) -> tuple[str, str]:
        """Standard output and error, in neither of which the external id or a traceback stands."""
        environ = {**self.box.environ(os.environ), "HOME": str(self.directory), **env}
        ran = warm_python.completed(("verify", *args), self.directory, environ)
        text = ran.stdout + ran.stderr
        assert ran.returncode == status, text
        for secret in (ID, OLD, "Traceback"):
            assert secret not in text
        return ran.stdout, ran.stderr


@pytest.fixture
def tool(box: Sandbox, tmp_path: Path) -> Tool:
    return Tool(box, tmp_path)


def open_findings(text: str) -> dict[str, str]:
    return {each["code"]: each["verdict"] for each in json.loads(text)["findings"] if each["verdict"] != "pass"}


@pytest.mark.parametrize(
    "name, statements, principals, status, strict, codes",
    [
        ("sound", [admit(LANGSMITH)], [LANGSMITH], 0, 0, {}),
        ("forall", [admit(STREAMNATIVE, ["o-1a2b3"], "ForAllValues:StringEquals")], STREAMNATIVE, 4, 4,
         {"GBY-V002": "fail", "GBY-V004": "fail", "GBY-V009": "fail", "GBY-V014": "warn"}),
        ("nothing", [admit(STREAMNATIVE, None)], STREAMNATIVE, 4, 4,
         {**dict.fromkeys(("GBY-V002", "GBY-V003", "GBY-V004", "GBY-V009"), "fail"), "GBY-V014": "unknown"}),
        ("cube", [admit(CUBE, "cube-cloud-byoc")], ["307491255751"], 0, 4, {"GBY-V014": "warn"}),
        ("hasura", [admit(HASURA, "hasura-cloud")], [HASURA], 0, 4, {"GBY-V014": "warn"}),
        ("estuary", [admit(ESTUARY)], [ESTUARY], 0, 4, {"GBY-V013": "warn"}),
        ("cockroach", [admit(COCKROACH, None)], [COCKROACH], 4, 4,
         {**dict.fromkeys(("GBY-V002", "GBY-V003", "GBY-V004", "GBY-V009"), "fail"), "GBY-V014": "unknown"}),
        ("pattern", [admit(LANGSMITH, "*", "StringLike")], [LANGSMITH], 4, 4,
         {"GBY-V003": "fail", "GBY-V004": "unknown", "GBY-V008": "fail", "GBY-V009": "fail",
          "GBY-V014": "unknown"}),
    ],
)  # fmt: skip
def test_what_it_says_of_vendors_trust_policies(
    tool: Tool, name: str, statements: list[Any], principals: list[str], status: int, strict: int, codes: dict[str, str]
) -> None:
    args = ["--role", tool.role(f"vendor-{name}", *statements), *(f"--principal={each}" for each in principals)]
    out, _ = tool(*args, "--format", "json", status=status)
    assert open_findings(out) == codes
    tool(*args, "--strict", status=strict)


def test_the_external_id_stays_out_of_every_format(tool: Tool) -> None:
    arn = tool.role("every-format", admit(LANGSMITH, ID, Sid=ID))
    buckets = document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    tool.iam.put_role_policy(RoleName="every-format", PolicyName=ID, PolicyDocument=buckets)
    Path(tool.directory, "id").write_text(f"{ID}\n")
    args = ("--role", arn, "--principal", LANGSMITH)
    for given in (("--external-id-env", "VENDOR_ID"), ("--external-id-file", "id"), ()):
        for form in ("text", "json", "jsonl", "sarif"):
            out, err = tool(*args, *given, "--format", form, "--attestation", "a.json", status=0, VENDOR_ID=ID)
            assert out
            assert err.strip() == "The attestation is in a.json."
            filed = Path(tool.directory, "a.json").read_text()
            assert ID not in filed
            assert json.loads(filed)["external_id_checked"] is bool(given)
            if form in ("json", "jsonl"):
                assert json.loads(out)["external_id_given"] is bool(given)
    assert sorted(each.name for each in tool.directory.iterdir()) == ["a.json", "id"]
    out, _ = tool(*args, "--external-id-env", "VENDOR_ID", "--format", "json", status=4, VENDOR_ID=OLD)
    assert open_findings(out) == dict.fromkeys(("GBY-V001", "GBY-V003", "GBY-V011"), "fail")


def test_a_role_that_cannot_be_read_is_said_to_be_so(tool: Tool) -> None:
    _, err = tool("--role", f"arn:aws:iam::{HOME}:role/nowhere", "--principal", CUBE, status=1)
    assert f"The role arn:aws:iam::{HOME}:role/nowhere does not exist." in err
    _, err = tool("--role", "arn:aws:iam::999999999999:role/x", "--principal", CUBE, status=4)
    assert "the role is in 999999999999" in err
    assert "let somebody who has them run this command" in err
    cn = f"arn:aws-cn:iam::{HOME}:role/x"
    _, err = tool("--role", cn, "--principal", "307491255751", "--region", "us-east-1", status=4)
    assert "the role is in aws-cn" in err


def test_a_profile_and_a_region_work_as_elsewhere(tool: Tool) -> None:
    arn = tool.role("by-profile", admit(LANGSMITH))
    keys = tool.directory / "credentials"
    keys.write_text("[audit]\naws_access_key_id = test\naws_secret_access_key = test\n")
    args = ("--role", arn, "--principal", LANGSMITH)
    tool(*args, "--profile", "audit", "--region", "eu-west-1", status=0, AWS_SHARED_CREDENTIALS_FILE=str(keys))
    _, err = tool(*args, "--profile", "nobody", status=1)
    assert "nobody" in err
    _, err = tool(*args, "--region", "eu-west-1a", status=2)
    assert "is a zone, not a region" in err
