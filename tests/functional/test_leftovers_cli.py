"""``gridbyoc leftovers`` as a user calls it: status 7 while anything is left, then 0."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane import connect
from gridbyoc.control_plane.model import Cluster, Grant, Phase
from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.stack.model import ClusterSpec, ControlPlane, InstanceType
from gridbyoc.stack.secret import Secret
from tests.e2e import warm_python
from tests.functional.leftover_world import ACCOUNT, World


@dataclass(frozen=True)
class Tool:
    """The command in a directory and a HOME of its own."""

    directory: Path
    sandbox: Sandbox

    def __call__(self, *args: str, status: int) -> str:
        env = {**self.sandbox.environ(os.environ), "HOME": str(self.directory), "GRIDBYOC_POLL_INTERVAL": "0.1s"}
        done = warm_python.completed(("leftovers", *args), self.directory, env)
        text = done.stdout + done.stderr
        assert done.returncode == status, f"{done.returncode}\n{text}"
        assert "Traceback" not in text
        return done.stdout if "json" in args else text

    def listed(self, *args: str, status: int) -> dict[str, Any]:
        """The document of ``--format json``."""
        found: dict[str, Any] = json.loads(self(*args, "--format", "json", status=status))
        assert found["type"] == "leftovers"
        return found

    def stack(self, name: str, *clusters: str) -> None:
        specs = "".join(f"  - {{name: {cluster}, instance_types: [t2.medium]}}\n" for cluster in clusters)
        text = f"version: 1\nname: {name}\naws: {{region: us-east-1, account_id: '{ACCOUNT}'}}\nclusters:\n{specs}"
        (self.directory / "gridbyoc.yaml").write_text(text)

    def journal(self, stack: str, **record: str) -> None:
        path = self.directory / ".gridbyoc" / stack / "journal.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(json.dumps({"type": "effect_done", "step": "register", **record}) + "\n")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with warm_python.warm_sandbox(SandboxSettings(create_seconds=0.1, delete_seconds=0.1)) as running:
        yield running


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> World:
    return World(sandbox.aws_url)


@pytest.fixture
def tool(sandbox: Sandbox, tmp_path: Path) -> Tool:
    return Tool(tmp_path, sandbox)


@pytest.fixture
def registrar(sandbox: Sandbox, tmp_path: Path) -> Any:
    return connect(ControlPlane(), environ=sandbox.environ({}), home=tmp_path)


def register(registrar: Any, name: str) -> Cluster:
    spec = ClusterSpec(name, (InstanceType("t2.medium"),), "default")
    grant = Grant(f"arn:aws:iam::{ACCOUNT}:role/grid", Secret("any-external-id"), "us-east-1")
    found: Cluster = registrar.create(spec, grant).cluster
    return found


def end(registrar: Any, cluster: Cluster) -> None:
    registrar.delete(cluster.id)
    for _ in range(100):
        if cluster.name not in {one.name for one in registrar.list() if one.phase is not Phase.DELETED}:
            return
        time.sleep(0.1)
    raise AssertionError(f"{cluster.name} does not go")


def test_seven_until_nothing_is_left(tool: Tool, world: World, registrar: Any) -> None:
    past = register(registrar, "past-1")
    assert past.bucket_name
    end(registrar, past)
    tool.stack("ml", "past-2")
    tool.journal("ml", cluster="past-1", id=past.id)
    ours = world.network("past-2", {"eks:cluster-name": "past-2"})
    world.s3.create_bucket(Bucket=past.bucket_name)
    world.s3.put_object(Bucket=past.bucket_name, Key="data", Body=b"kept")

    listed = tool.listed(status=7)
    assert listed["clusters"] == ["past-2", "past-1"]
    by_kind = {one["kind"]: one for one in listed["leftovers"]}
    assert by_kind["VPC"]["arn"] == f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/{ours['VPC']}"
    assert by_kind["bucket"]["evidence"] == "the cluster's bucket at the control plane"
    assert by_kind["bucket"]["holds_data"] is True
    assert by_kind["NAT gateway"]["costs_money"] is True
    assert listed["clear"] is False

    refused = tool("--delete", status=2)
    assert "--yes-destroy" in refused
    assert ours["VPC"] in refused
    shown = tool("--delete", "--yes-destroy", status=7)
    assert f"arn:aws:s3:::{past.bucket_name}" in shown
    assert "1 left over, 1 of them at a cost." in shown
    gone = tool("--delete", "--yes-destroy", "--delete-data", status=0)
    assert "Nothing is left." in gone
    assert tool.listed(status=0)["leftovers"] == []
    records = [json.loads(line) for line in (tool.directory / ".gridbyoc/ml/journal.jsonl").read_text().splitlines()]
    arn = by_kind["VPC"]["arn"]
    assert [one["type"] for one in records if one.get("resource") == arn] == ["effect_started", "effect_done"]


def test_what_a_live_cluster_uses_is_no_leftover(tool: Tool, world: World, registrar: Any) -> None:
    live = register(registrar, "live-1")
    tool.stack("busy", "live-1")
    world.network("live-1", {"eks:cluster-name": "live-1"})

    listed = tool.listed(status=0)
    assert listed["leftovers"] == []
    assert listed["live"] == ["live-1"]
    assert "The cluster live-1 is not deleted: the resources that it uses are not leftovers." in tool(status=0)
    for name in ("live-1", live.id):
        assert "The cluster live-1 is not deleted" in tool("--cluster", name, "--delete", status=2)
    end(registrar, live)
    assert tool.listed(status=7)["live"] == []


def test_a_command_line_that_proves_nothing_is_refused(tool: Tool) -> None:
    tool.stack("ml", "past-3")
    for args in (
        ["--tag", " "],
        ["--tag", "=x"],
        ["--tag", "kubernetes.io/cluster/past-3=shared"],
        ["--cluster", " "],
        ["--delete-data"],
        ["--yes-destroy"],
    ):
        tool(*args, status=2)
