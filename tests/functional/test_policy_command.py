"""``gridbyoc policy`` as a user calls it: real Terraform takes what it prints, and it prints what it says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws.policy import ask, evaluate, parse_policy
from tests.e2e import warm_python
from tests.functional.terraform_cli import TerraformCli
from tests.functional.terraform_kit import environment

pytestmark = pytest.mark.usefixtures("measured")

STACK = """
version: 1
name: ml-prod
aws: {region: us-gov-west-1, account_id: "123456789012"}
role:
  path: "/pl${x}/"
  permissions_boundary: arn:aws-us-gov:iam::123456789012:policy/boundary
terraform: {backend: {s3: {bucket: acme-tf-state, key: "a/${b}\\"%{c}.tfstate", region: us-gov-west-1}}}
clusters: [{name: ml-prod}]
"""
BRANCH = 'fix/ä"%{x}${y}'
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*args: str, stdin: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
        ran = warm_python.completed(("policy", *args), tmp_path, environment(HOME=str(tmp_path)), stdin=stdin)
        assert ran.returncode == status, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran

    return run


def test_terraform_takes_it_as_it_is(command: Command, tmp_path: Path, provider_mirror: Path) -> None:
    """One root calls all of them, so that one init does; a name of a branch is the worst that Git allows."""
    jobs = ("--as", "github", "--repository", "acme/platform.infra", "--branch", BRANCH)
    texts = {
        "general": command("--as", "terraform").stdout,
        "stack": command("-", "--as", "terraform", stdin=STACK).stdout,
        "github": command("-", *jobs, "--environment", "prod: ${eu}", "--branch", "main", stdin=STACK).stdout,
        "new": command(*jobs, "--new-provider", "--for", "bootstrap").stdout,
    }
    calls = []
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.tf").write_text(text)
        calls.append(f'module "{name}" {{\n  source = "./{name}"\n}}\n')
    (tmp_path / "main.tf").write_text("\n".join(calls))
    terraform = TerraformCli(tmp_path, provider_mirror, {})
    terraform.init(tmp_path)
    assert terraform.run(tmp_path, "fmt", "-check", "-recursive", "-diff").stdout == ""
    assert "valid" in terraform.run(tmp_path, "validate", "-no-color").stdout
    console = f"jsonencode({subjects(texts['github'])})"
    (tmp_path / "empty").mkdir()
    shown = subprocess.run(
        ["terraform", "console"], cwd=tmp_path / "empty", input=console, capture_output=True, text=True, timeout=60
    ).stdout
    assert json.loads(json.loads(shown)) == [
        'repo:acme/platform.infra:ref:refs/heads/fix/ä"%{x}${$}{y}',
        "repo:acme/platform.infra:ref:refs/heads/main",
        "repo:acme/platform.infra:environment:prod%3A ${$}{eu}",
    ]


def subjects(text: str) -> str:
    """The list of the trust's subjects, as it stands."""
    return text.split(':sub" = ', 1)[1].split("]", 1)[0].replace("\n", " ") + "]"


def test_the_json_is_a_policy_that_allows_what_it_is_for(command: Command) -> None:
    document = json.loads(command("-", "--for", "bootstrap", stdin=STACK).stdout)
    policy = parse_policy(document, name="the policy", kind="identity")
    role = "arn:aws-us-gov:iam::123456789012:role/pl${x}/grid-cloud-20260101000000000000000001"

    def effect(action: str, resource: str, **context: str) -> str:
        keys = {key.replace("_", ":"): value for key, value in context.items()}
        return evaluate((policy,), ask(action, resource=resource, context=keys)).effect

    assert effect("iam:GetRole", role) == "allowed"
    boundary = "arn:aws-us-gov:iam::123456789012:policy/boundary"
    assert effect("iam:CreateRole", role, iam_PermissionsBoundary=boundary) == "allowed"
    assert effect("s3:PutObject", 'arn:aws-us-gov:s3:::acme-tf-state/a/${b}"%{c}.tfstate.tflock') == "allowed"
    assert effect("s3:PutObject", "arn:aws-us-gov:s3:::acme-tf-state/other") == "denied"
    assert effect("iam:DeleteRole", role.replace("grid-cloud", "other")) == "denied"
    assert effect("ec2:TerminateInstances", "*") == "denied"


def test_without_a_stack_it_is_for_any_with_the_modules_names(command: Command) -> None:
    text = command("--account-id", "210987654321", "--partition", "aws-cn").stdout
    assert "arn:aws-cn:iam::210987654321:role/grid-cloud-*" in text
    assert "arn:aws:" not in text
    audience = command("--as", "github", "--repository", "a/b", "--branch", "m", "--partition", "aws-cn").stdout
    assert '"sts.amazonaws.com.cn",' in audience


def test_json_says_what_needs_each_action(command: Command) -> None:
    told: dict[str, Any] = json.loads(command("--for", "plan", "--format", "json").stdout)
    assert told["type"] == "policy"
    assert {need["phase"] for need in told["needs"]} == {"plan", "preflight", "quotas", "resume"}
    assert all(need["purpose"] for need in told["needs"])


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--account-id", "12"), "--account-id"),
        (("--as", "github"), "--repository"),
        (("--as", "github", "--repository", "a/b"), "every pull request"),
        (("--as", "github", "--repository", 'a/b"', "--branch", "main"), "--repository"),
        (("--as", "github", "--repository", "a/b", "--branch", "*"), "--branch"),
        (("--as", "github", "--repository", "a/b", "--environment", "*"), "--environment"),
        (("--name", "a b"), "--name"),
    ],
)
def test_a_name_that_cannot_be_trusted_is_refused(command: Command, args: tuple[str, ...], word: str) -> None:
    refused = command(*args, status=2)
    assert word in refused.stderr
    assert refused.stdout == ""
