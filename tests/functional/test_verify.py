"""``gridbyoc verify`` on a real role of a local AWS: it passes, and names what somebody edited out of band."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from gridbyoc.control_plane import connect
from gridbyoc.control_plane.model import Grant
from gridbyoc.sandbox import Sandbox
from gridbyoc.stack.model import ClusterSpec, ControlPlane
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of
from tests.e2e import warm_python

MANAGED_POLICIES = facts_of("grid").permissions.managed_policies


ID = "canary-7f3a9c1e5b2d4860"
OLD = "canary-0a1f4c7e9b3d5826"
GRID = "arn:aws:iam::302180240179:root"
OWN = {"Effect": "Allow", "Action": ["eks:*", "ecr:*", "events:*"], "Resource": "*"}
GUARDED = {"StringEquals": {"sts:ExternalId": [ID]}}


def admit(principal: str, condition: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}, **more}
    return {**statement, "Condition": condition} if condition else statement


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class Site:
    """A stack whose role and state are there, without a Terraform having made them."""

    box: Sandbox
    directory: Path
    role: str

    def iam(self) -> Any:
        return boto3.client(
            "iam",
            endpoint_url=self.box.aws_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def make_role(self) -> None:
        trust = document(admit(GRID, GUARDED))
        self.iam().create_role(RoleName=self.role, AssumeRolePolicyDocument=trust, MaxSessionDuration=43200)
        own = self.iam().create_policy(PolicyName=self.role, PolicyDocument=document(OWN))["Policy"]["Arn"]
        for arn in [own, *(f"arn:aws:iam::aws:policy/{name}" for name in MANAGED_POLICIES)]:
            self.iam().attach_role_policy(RoleName=self.role, PolicyArn=arn)

    def write(self, role: str = "{}", account: str = "123456789012") -> None:
        """The stack file, and a state that hands on the outputs."""
        clusters = "clusters: [{name: a, instance_types: [t2.medium]}]\n"
        stack = f"version: 1\nname: {self.role}\naws: {{region: us-east-1}}\nrole: {role}\n"
        Path(self.directory, "gridbyoc.yaml").write_text(stack + clusters)
        values = {
            "role_arn": {"value": f"arn:aws:iam::{account}:role/{self.role}", "type": "string"},
            "external_id": {"value": ID, "type": "string", "sensitive": True},
        }
        state = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "lineage": "a-lineage", "outputs": values}
        work_dir = self.directory / ".gridbyoc" / self.role
        work_dir.mkdir(parents=True, exist_ok=True)
        Path(work_dir, "terraform.tfstate").write_text(json.dumps({**state, "resources": []}))

    def trust(self, *statements: dict[str, Any]) -> None:
        self.iam().update_assume_role_policy(RoleName=self.role, PolicyDocument=document(*statements))

    def __call__(self, *args: str, status: int, **env: str) -> str:
        """Run it; the answer never holds the external id nor a traceback."""
        environ = {**self.box.environ(os.environ), "HOME": str(self.directory), **env}
        ran = warm_python.completed(("verify", *args), self.directory, environ)
        text = ran.stdout + ran.stderr
        assert ran.returncode == status, text
        assert ID not in text
        assert OLD not in text
        assert "Traceback" not in text
        return text if status not in (0, 4) or "--format" not in args else ran.stdout


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with warm_python.warm_sandbox() as running:
        yield running


@pytest.fixture
def site(box: Sandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    name = request.node.name.replace("_", "-")[:60].strip("-")
    made = Site(box, tmp_path, name)
    made.write()
    return made


def failed(text: str) -> dict[str, dict[str, Any]]:
    return {each["code"]: each for each in json.loads(text)["findings"] if each["verdict"] != "pass"}


def test_verify_proves_the_role(site: Site) -> None:
    site.make_role()
    text = site("--attestation", "proof.json", "--strict", status=0)
    lines = text.splitlines()
    assert "GBY-V001  control plane admitted" in text
    assert any(line.startswith("Proven: arn:aws:iam::123456789012:role/") and "22 pass" in line for line in lines)
    target = site.directory / "proof.json"
    assert target.stat().st_mode & 0o777 == 0o600
    filed = json.loads(target.read_text())
    assert ID not in target.read_text()
    assert filed["verdict"] == "pass"
    assert filed["external_id_checked"] is True
    assert len(filed["policies"]) == 10
    assert all(len(policy["sha256"]) == 64 and policy["version"] for policy in filed["policies"])
    again = site("--format", "json", "--attestation", "again.json", status=0)
    assert json.loads(again)["verdict"] == "pass"
    assert json.loads((site.directory / "again.json").read_text())["trust_policy"] == filed["trust_policy"]


def test_verify_names_the_statement_that_was_added(site: Site) -> None:
    site.make_role()
    site.trust(admit(GRID, GUARDED), admit("arn:aws:iam::666666666666:root", Sid="Backdoor"))
    found = failed(site("--format", "json", status=4))
    assert found["GBY-V006"]["statements"] == ["statement 2 (Sid Backdoor) of the trust policy"]
    assert "arn:aws:iam::666666666666:root" in found["GBY-V006"]["detail"]
    assert {each["verdict"] for each in found.values()} == {"fail"}
    shown = site(status=4)
    assert "statement 2 (Sid Backdoor) of the trust policy trusts arn:aws:iam::666666666666:root" in shown
    assert "The proof fails" in shown


def test_verify_names_the_condition_that_was_taken_out(site: Site) -> None:
    site.make_role()
    site.trust(admit(GRID))
    found = failed(site("--format", "json", status=4))
    assert found["GBY-V002"]["statements"] == ["statement 1 of the trust policy"]
    assert {"GBY-V002", "GBY-V003", "GBY-V004", "GBY-V009"} == set(found)


def test_verify_fails_on_a_further_external_id_unless_a_rotation_keeps_it(site: Site) -> None:
    site.make_role()
    both = {"StringEquals": {"sts:ExternalId": [ID, OLD]}}
    site.trust(admit(GRID, both))
    found = failed(site("--format", "json", status=4))
    assert {code: each["verdict"] for code, each in found.items()} == {"GBY-V003": "fail", "GBY-V011": "fail"}
    assert "no cluster of the stack holds it, and no render keeps it" in found["GBY-V011"]["detail"]

    registrar = connect(ControlPlane(), environ=site.box.environ(os.environ), home=site.directory)
    role_arn = f"arn:aws:iam::123456789012:role/{site.role}"
    made = registrar.create(ClusterSpec(site.role), Grant(role_arn, Secret(OLD), "us-east-1"))
    found = failed(site("--format", "json", status=0))
    assert {code: each["verdict"] for code, each in found.items()} == {"GBY-V011": "unknown"}
    assert "a cluster holds it, and the last render of this work_dir does not keep it" in found["GBY-V011"]["detail"]

    values = Path(site.directory, ".gridbyoc", site.role, "terraform.tfvars.json")
    values.write_text(json.dumps({"previous_external_ids": [OLD]}))
    found = failed(site("--format", "json", status=0))
    assert {code: each["verdict"] for code, each in found.items()} == {"GBY-V011": "warn"}
    assert "a rotation is under way" in found["GBY-V011"]["detail"]

    nowhere = {"GRID_URL": "http://127.0.0.1:9"}
    found = failed(site("--format", "json", status=0, **nowhere))
    assert {code: each["verdict"] for code, each in found.items()} == {"GBY-V011": "unknown"}
    assert "the control plane could not be asked" in found["GBY-V011"]["detail"]

    registrar.delete(made.cluster.id, force=True)


def test_verify_names_policies_that_were_taken_off_and_put_on(site: Site) -> None:
    site.make_role()
    site.iam().detach_role_policy(RoleName=site.role, PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess")
    deny = {"Effect": "Deny", "Action": "iam:PassRole", "Resource": "*", "Sid": "NoPass"}
    site.iam().put_role_policy(RoleName=site.role, PolicyName="brake", PolicyDocument=document(deny))
    found = failed(site("--format", "json", status=4))
    assert found["GBY-V020"]["detail"] == "not attached: arn:aws:iam::aws:policy/AmazonSQSFullAccess"
    assert "sqs:CreateQueue" in found["GBY-V021"]["detail"]
    assert found["GBY-V022"]["statements"] == ["statement 1 (Sid NoPass) of inline policy brake"]
    assert found["GBY-V025"]["detail"].endswith("the role has inline policy brake")


def test_verify_tells_policies_apart_by_arn_and_content(site: Site) -> None:
    """Each of them was taken for the stack file's own: by its name."""
    site.make_role()
    iam, everything = site.iam(), document({"Effect": "Allow", "Action": "*", "Resource": "*"})

    def policy(name: str, path: str = "/") -> str:
        return str(iam.create_policy(PolicyName=name, Path=path, PolicyDocument=everything)["Policy"]["Arn"])

    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    strangers = (admin, policy("AmazonS3FullAccess", "/x/"), policy(site.role, "/x/"))
    for arn in strangers:
        iam.attach_role_policy(RoleName=site.role, PolicyArn=arn)
        found = failed(site("--format", "json", status=4))
        assert set(found) == {"GBY-V025"}
        assert found["GBY-V025"]["detail"].endswith(f"the role has {arn}")
        site.write(f"{{known_policies: ['{arn}']}}")
        assert f"the stack file accepts {arn}" in site("--strict", status=0)
        site.write()
        iam.detach_role_policy(RoleName=site.role, PolicyArn=arn)
    aws_s3 = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    iam.detach_role_policy(RoleName=site.role, PolicyArn=aws_s3)
    iam.attach_role_policy(RoleName=site.role, PolicyArn=strangers[1])
    found = failed(site("--format", "json", status=4))
    assert {code: each["detail"].split()[-1] for code, each in found.items()} == {
        "GBY-V020": aws_s3, "GBY-V025": strangers[1],
    }  # fmt: skip
    iam.detach_role_policy(RoleName=site.role, PolicyArn=strangers[1])
    iam.attach_role_policy(RoleName=site.role, PolicyArn=aws_s3)
    own = f"arn:aws:iam::123456789012:policy/{site.role}"
    iam.create_policy_version(PolicyArn=own, PolicyDocument=everything, SetAsDefault=True)
    found = failed(site("--format", "json", status=4))
    assert set(found) == {"GBY-V027"}
    assert "version v2 has a statement that the stack file does not: Allow * on *" in found["GBY-V027"]["detail"]
    assert "lacks a statement of the stack file: Allow ecr:*, eks:*, events:* on *" in found["GBY-V027"]["detail"]
    iam.set_default_policy_version(PolicyArn=own, VersionId="v1")
    iam.put_role_policy(RoleName=site.role, PolicyName="by-hand", PolicyDocument=everything)
    assert "the role has inline policy by-hand" in site(status=4)
    site.write("{known_inline_policies: [by-hand]}")
    assert "the stack file accepts inline policy by-hand" in site("--strict", status=0)


def test_verify_writes_sarif_that_names_the_line_of_the_stack_file(site: Site) -> None:
    site.make_role()
    site.trust(admit(GRID, GUARDED), admit("arn:aws:iam::666666666666:root", Sid="Backdoor"))
    site.write("{max_session_hours: 1}")
    log = json.loads(site("--format", "sarif", status=4))
    schema = json.loads((Path(__file__).parent.parent / "data" / "sarif-2.1.0.json").read_text())
    Draft202012Validator(schema).validate(log)
    (run,) = log["runs"]
    results = {each["ruleId"]: each for each in run["results"]}
    assert {code: each["level"] for code, each in results.items()} == {
        "GBY-V006": "error", "GBY-V007": "error", "GBY-V009": "error", "GBY-V026": "warning",
    }  # fmt: skip
    (place,) = results["GBY-V006"]["locations"]
    assert place["physicalLocation"] == {"artifactLocation": {"uri": "gridbyoc.yaml"}, "region": {"startLine": 4}}
    assert place["logicalLocations"][0]["fullyQualifiedName"] == f"arn:aws:iam::123456789012:role/{site.role}"
    assert len(run["tool"]["driver"]["rules"]) == 22


def test_verify_reads_the_boundary(site: Site) -> None:
    site.make_role()
    narrow = document({"Effect": "Allow", "NotAction": "eks:*", "Resource": "*"})
    arn = site.iam().create_policy(PolicyName=f"{site.role}-b", PolicyDocument=narrow)["Policy"]["Arn"]
    site.iam().put_role_permissions_boundary(RoleName=site.role, PermissionsBoundary=arn)
    site.write(f"{{permissions_boundary: '{arn}'}}")
    found = failed(site("--format", "json", status=4))
    assert set(found) == {"GBY-V023"}
    assert "eks:CreateCluster" in found["GBY-V023"]["detail"]


def test_verify_warns_and_strict_fails(site: Site) -> None:
    site.make_role()
    site.iam().update_role(RoleName=site.role, MaxSessionDuration=3600)
    assert "GBY-V026" in site(status=0)
    assert "Proven, with remarks" in site("--strict", status=4)


def test_verify_says_that_a_role_is_missing(site: Site) -> None:
    text = site(status=1)
    assert f"role/{site.role} does not exist." in text
    assert "gridbyoc bootstrap" in text


def test_verify_needs_outputs_and_the_right_account(site: Site) -> None:
    site.write(account="999999999999")
    assert "the role is in 999999999999" in site(status=4)
    Path(site.directory, ".gridbyoc", site.role, "terraform.tfstate").unlink()
    assert "Run `gridbyoc bootstrap` first." in site(status=1)


def test_verify_cannot_write_its_attestation(site: Site) -> None:
    site.make_role()
    assert "Cannot write" in site("--attestation", "nowhere/proof.json", status=1)


def test_what_may_not_be_read_is_unknown(site: Site) -> None:
    site.make_role()
    site.iam().create_user(UserName="auditor")
    key = site.iam().create_access_key(UserName="auditor")["AccessKey"]
    rights = document({"Effect": "Allow", "Action": ["iam:GetRole", "sts:*"], "Resource": "*"})
    site.iam().put_user_policy(UserName="auditor", PolicyName="little", PolicyDocument=rights)
    who = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    enforce_rights(site.box, "0")
    try:
        found = failed(site("--format", "json", status=0, **who))
        site("--strict", status=4, **who)
    finally:
        enforce_rights(site.box, "inf")
    assert {each["verdict"] for each in found.values()} == {"unknown"}
    assert set(found) == {"GBY-V020", "GBY-V021", "GBY-V022", "GBY-V025", "GBY-V027"}
    assert "the caller may not call iam:ListAttachedRolePolicies" in found["GBY-V020"]["detail"]


def enforce_rights(box: Sandbox, after: str) -> None:
    """From how many calls on the local AWS asks for rights (moto's own switch)."""
    url = f"{box.aws_url}/moto-api/reset-auth"
    request = urllib.request.Request(url, after.encode(), {"Content-Type": "text/plain"}, method="POST")
    urllib.request.urlopen(request, timeout=30).read()
