"""The whole tool, run by a user who has just the policy that ``gridbyoc policy`` prints, in an AWS that enforces it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbyoc.sandbox import Sandbox, SandboxSettings
from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.warm_python import warm_sandbox
from tests.functional.permission_world import Runner, new_runner


@pytest.fixture(scope="module")
def strict() -> Iterator[Sandbox]:
    with warm_sandbox(SandboxSettings(create_seconds=0.2, delete_seconds=0.2, enforce_iam=True)) as running:
        yield running


@pytest.fixture
def runner(strict: Sandbox, tmp_path: Path) -> Runner:
    return new_runner(strict, tmp_path.name[:40], tmp_path)


@pytest.fixture
def tool(strict: Sandbox, runner: Runner, tmp_path: Path, provider_mirror: Path) -> Tool:
    return tool_of(strict, runner, tmp_path, provider_mirror)


def tool_of(box: Sandbox, runner: Runner, home: Path, provider_mirror: Path) -> Tool:
    directory = home / "stack"
    directory.mkdir()
    env = {**box.environ(os.environ), **runner.environ(), "HOME": str(home), "GRIDBYOC_POLL_INTERVAL": "0.2s"}
    env["GRIDBYOC_PROVIDER_MIRROR"] = str(provider_mirror)
    return Tool(directory, env)


def test_the_printed_policy_is_enough_from_bootstrap_to_destroy(strict: Sandbox, runner: Runner, tool: Tool) -> None:
    tool.write(stack_text("ml"))
    runner.has(json.loads(tool("policy").out))
    assert tool("doctor", "--only", "permissions", "--strict").status == 0
    tool("bootstrap", "--yes")
    assert World(strict).cluster("ml") is not None
    tool("verify", status=None)
    tool("destroy", "--yes-destroy")
    assert World(strict).roles("grid-cloud") == []


def test_what_is_missing_is_named_before_terraform_starts(strict: Sandbox, runner: Runner, tool: Tool) -> None:
    tool.write(stack_text("other"))
    document = json.loads(tool("policy", "--for", "bootstrap").out)
    for statement in document["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != "iam:CreateRole"]
    runner.has(document)
    refused = tool("bootstrap", "--yes", status=4)
    assert "GBY-P002 permission: iam:CreateRole: no policy of the caller allows it" in refused.text
    assert "aws_iam_role: create" in refused.text
    assert World(strict).roles("grid-cloud") == []
    assert World(strict).clusters() == []


def test_what_an_organization_denies_is_shown_as_such_before_and_after(tmp_path: Path, provider_mirror: Path) -> None:
    """The simulator's word is no proof, so the run goes on; AWS's is."""
    with warm_sandbox(SandboxSettings(enforce_iam=True, denied_by_scp=("iam:CreateRole",))) as box:
        runner = new_runner(box, "member", tmp_path)
        tool = tool_of(box, runner, tmp_path, provider_mirror)
        tool.write(stack_text("member"))
        runner.has(json.loads(tool("policy").out))
        told = json.loads(tool("doctor", "--only", "permissions", "--format", "json").out)["findings"]
        tool("doctor", "--only", "permissions", "--strict", status=4)
        refused = tool("bootstrap", "--yes", status=1)
    (denied,) = [finding for finding in told if finding["verdict"] != "pass"]
    assert (denied["code"], denied["verdict"], denied["subject"]) == ("GBY-P004", "warn", "iam:CreateRole")
    assert denied["facts"]["denied_by"] == "scp"
    assert "a service control policy of the organization denies it" in denied["read"]
    assert "GBY-A111" in refused.text
    assert "iam:CreateRole" in refused.text
