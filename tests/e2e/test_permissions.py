"""The whole tool, run by a user who has just the policy that ``gridbyoc policy`` prints, in an AWS that enforces it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbyoc.sandbox import Sandbox, SandboxSettings, running_sandbox
from tests.e2e.conftest import Tool, World, stack_text
from tests.functional.permission_world import Runner, new_runner


@pytest.fixture(scope="module")
def strict() -> Iterator[Sandbox]:
    with running_sandbox(SandboxSettings(create_seconds=0.2, delete_seconds=0.2, enforce_iam=True)) as running:
        yield running


@pytest.fixture
def runner(strict: Sandbox, tmp_path: Path) -> Runner:
    return new_runner(strict, tmp_path.name[:40], tmp_path)


@pytest.fixture
def tool(strict: Sandbox, runner: Runner, tmp_path: Path, provider_mirror: Path | None) -> Tool:
    directory = tmp_path / "stack"
    directory.mkdir()
    env = {**strict.environ(os.environ), **runner.environ(), "HOME": str(tmp_path), "GRIDBYOC_POLL_INTERVAL": "0.2s"}
    if provider_mirror:
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
