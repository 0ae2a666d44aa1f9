"""The whole tool as a user calls it: its own process, its own HOME, a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from gridbyoc.sandbox import Sandbox, SandboxSettings
from tests.e2e import warm_python
from tests.json_outputs import check_outputs
from tests.unit.command_lines import named_in, values_of

MEMBERS = ("111111111111", "222222222222", "333333333333")
"""Accounts besides the sandbox's own, each with the role ``OrganizationAccountAccessRole``."""
Started = warm_python.Command | subprocess.Popen[str]


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def check_next_commands(text: str, directory: Path) -> None:
    """Each command named after a success can be typed in ``directory``, and its stack file is there."""
    for line in text.splitlines():
        for command in named_in(line) if line.startswith("Next: ") else ():
            named = values_of(command).get("stack_file")
            assert named is None or named == "gridbyoc.yaml" or (directory / str(named)).exists(), command


@dataclass(frozen=True)
class Tool:
    """gridbyoc, in a directory of its own."""

    directory: Path
    env: dict[str, str]

    def __call__(self, *args: str, stdin: str = "", status: int | None = 0, **env: str | None) -> Done:
        """Run it; ``status`` ``None`` takes any. No command ever shows a traceback, whatever it is given."""
        merged = {name: value for name, value in {**self.env, **env}.items() if value is not None}
        done = Done(*warm_python.run(args, self.directory, merged, stdin=stdin, timeout=170))
        if "--debug" not in args:
            assert "Traceback" not in done.text, done.text
        check_next_commands(done.err, self.directory)
        check_outputs(args, done.out)
        assert status is None or done.status == status, f"{args}: {done.status}\n{done.text}"
        return done

    @staticmethod
    def argv(*args: str) -> list[str]:
        return [sys.executable, "-m", "gridbyoc", *args]

    def start(self, *args: str, **env: str) -> Started:
        """Start it as a shell starts a foreground job: in a process group (here: a session) of its own."""
        return warm_python.start(args, self.directory, {**self.env, **env})

    def write(self, text: str, name: str = "gridbyoc.yaml") -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class World:
    """Both sides, looked at from outside the tool."""

    sandbox: Sandbox

    def iam(self) -> Any:
        return iam_at(self.sandbox.aws_url)

    def roles(self, prefix: str = "grid") -> list[dict[str, Any]]:
        return [role for role in self.iam().list_roles()["Roles"] if role["RoleName"].startswith(prefix)]

    def attached(self, role_name: str) -> set[str]:
        found = self.iam().list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]
        return {policy["PolicyArn"] for policy in found}

    def clusters(self) -> list[dict[str, Any]]:
        env = self.sandbox.env
        answer = requests.get(
            f"{self.sandbox.control_plane_url}/v1/core/clusters?phaseNotIn=CLUSTER_STATE_DELETED",
            auth=(env["GRID_USER_ID"], env["GRID_API_KEY"]), timeout=10,
        )  # fmt: skip
        return answer.json().get("clusters") or []

    def put_external_id(self, name: str, external_id: str) -> None:
        """Change a cluster's record behind the tool's back."""
        found = self.cluster(name)
        assert found is not None
        found["spec"]["driver"]["kubernetes"]["aws"]["externalId"] = external_id
        env = self.sandbox.env
        answer = requests.put(
            f"{self.sandbox.control_plane_url}/v1/core/clusters/{found['id']}",
            json={"name": found["id"], "spec": found["spec"]},
            auth=(env["GRID_USER_ID"], env["GRID_API_KEY"]), timeout=10,
        )  # fmt: skip
        answer.raise_for_status()

    def forget(self, name: str) -> None:
        """Take a cluster out of the control plane's book, as its own `--force` does."""
        env = self.sandbox.env
        answer = requests.delete(
            f"{self.sandbox.control_plane_url}/v1/core/clusters/{name}?force=True",
            auth=(env["GRID_USER_ID"], env["GRID_API_KEY"]), timeout=10,
        )  # fmt: skip
        answer.raise_for_status()

    def cluster(self, name: str) -> dict[str, Any] | None:
        return next((cluster for cluster in self.clusters() if cluster["name"] == name), None)


@cache
def iam_at(url: str) -> Any:
    return boto3.client(
        "iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(create_seconds=0.5, delete_seconds=0.3, member_accounts=MEMBERS)
    with warm_python.warm_sandbox(settings) as running:
        yield running


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return World(sandbox)


@pytest.fixture
def tool(sandbox: Sandbox, tmp_path: Path, provider_mirror: Path) -> Tool:
    """gridbyoc with the sandbox's environment, a HOME of its own and quick polling.

    Without the preflight's checks, which are not what most tests are about: ``GRIDBYOC_SKIP_PREFLIGHT=""`` brings them.
    """
    home = tmp_path / "home"
    home.mkdir()
    directory = tmp_path / "stack"
    directory.mkdir()
    env = {**sandbox.environ(os.environ), "HOME": str(home), "GRIDBYOC_POLL_INTERVAL": "0.2s"}
    env["GRIDBYOC_SKIP_PREFLIGHT"] = "1"
    env["GRIDBYOC_PROVIDER_MIRROR"] = str(provider_mirror)
    env["GOMAXPROCS"] = "1"  # more make Terraform wait in vain, for a tenth of its CPU time
    return Tool(directory, env)


def stack_text(name: str, *, types: str = "[t2.medium]", role: str = "{}", extra: str = "") -> str:
    """A stack file with one cluster of the stack's name."""
    return (
        f"version: 1\nname: {name}\naws: {{region: us-east-1}}\nrole: {role}\n"
        f"clusters:\n  - name: {name}\n    performance_profile: cost-saving\n    instance_types: {types}\n{extra}"
    )
