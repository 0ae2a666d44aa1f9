"""The walk through a stack's life in Git, as the documentation shows it, run as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import warm_python
from tests.e2e.conftest import Tool, World

pytestmark = pytest.mark.usefixtures("measured")

SCRIPT = Path(__file__).parents[2] / "examples" / "gitops" / "walkthrough.sh"


@pytest.mark.timeout(500)
def test_the_walk_through_git(tool: Tool, world: World) -> None:
    program = tool.directory / "gridbyoc"
    warm_python.write_program(program)
    path = os.pathsep.join((str(tool.directory), tool.env["PATH"]))
    env = {**tool.env, "PATH": path, "PYTHON": sys.executable, "TMPDIR": str(tool.directory)}
    ran = subprocess.run([SCRIPT], cwd=tool.directory, env=env, capture_output=True, text=True, timeout=450)
    out = ran.stdout + ran.stderr
    assert ran.returncode == 0, out
    assert "Traceback" not in out
    for line in (
        "**Plan: AWS 14 to add, 0 to change, 0 to destroy; clusters 1 to create, 0 to update, 0 to delete.**",
        "may now be assumed by `any principal of account 302180240179` (with the external id)",
        "encrypted  AES-256-GCM",
        "this bundle was applied already",
        'module.gridbyoc.aws_iam_role_policy_attachment.managed["AmazonSQSFullAccess"]',
        "gets 1 policy of AWS attached: `AmazonSQSFullAccess`",
    ):
        assert line in out, out
    assert out.count("Nothing changed: both sides") == 2
    cluster = world.cluster("walk")
    assert cluster is not None
    assert cluster["spec"]["driver"]["kubernetes"]["aws"]["externalId"] not in out


def test_it_touches_no_real_account(tool: Tool) -> None:
    real = replace(tool, env={name: value for name, value in tool.env.items() if name != "AWS_ENDPOINT_URL"})
    ran = subprocess.run([SCRIPT], cwd=real.directory, env=real.env, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "sandbox run" in ran.stderr
