"""``gridbyoc quotas`` as a user calls it, on accounts of the sandbox that are short of something."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from gridbyoc.sandbox import Sandbox, SandboxSettings
from tests.e2e import warm_python
from tests.functional.leftover_world import IMAGE

pytestmark = pytest.mark.usefixtures("measured")

STACK = """\
version: 1
name: demo
aws: {region: us-west-2}
clusters:
  - {name: demo, instance_types: [t2.medium, {name: g4dn.xlarge, overprovisioned_ondemand_count: 1}]}
"""
GPU, GPU_SPOT = "L-DB2E81BA", "L-3819A6DF"


@dataclass(frozen=True)
class Tool:
    """The command in a directory and a HOME of its own."""

    directory: Path
    sandbox: Sandbox

    def __call__(self, *args: str, status: int) -> tuple[str, str]:
        env = {**self.sandbox.environ(os.environ), "HOME": str(self.directory), "GRIDBYOC_POLL_INTERVAL": "0.1s"}
        done = warm_python.completed(args, self.directory, env)
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def json(self, *args: str, status: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*args, "--format", "json", status=status)[0])
        return found

    def client(self, service: str) -> Any:
        """The account, seen from outside."""
        return boto3.client(
            service, region_name="us-west-2", endpoint_url=self.sandbox.aws_url,
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def filed(self) -> list[dict[str, Any]]:
        """What AWS has been asked for."""
        return list(self.client("service-quotas").list_requested_service_quota_change_history()["RequestedQuotas"])


def tool_on(directory: Path, settings: SandboxSettings) -> Iterator[Tool]:
    (directory / "gridbyoc.yaml").write_text(STACK)
    with warm_python.warm_sandbox(settings) as running:
        yield Tool(directory, running)


@pytest.fixture
def new_account(tmp_path: Path) -> Iterator[Tool]:
    yield from tool_on(tmp_path, SandboxSettings(account="new", quota_seconds=3600))


@pytest.fixture
def quick_account(tmp_path: Path) -> Iterator[Tool]:
    yield from tool_on(tmp_path, SandboxSettings(account="new", quota_seconds=1))


@pytest.fixture(scope="module")
def denied_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    settings = SandboxSettings(quotas={f"ec2/{GPU}": 4}, quota_seconds=0.2, quota_outcome="denied")
    yield from tool_on(tmp_path_factory.mktemp("denied"), settings)


def test_what_is_short_is_named_asked_for_once_and_never_twice(new_account: Tool) -> None:
    tool = new_account
    out, _ = tool("quotas", status=4)
    assert "Account 123456789012, region us-west-2: 2 of 14 short." in out
    assert f"gridbyoc quotas request --code {GPU}" in out
    doctor = tool.json("doctor", "--only", "quotas", status=4)
    short = {f["facts"]["quota_code"]: f for f in doctor["findings"] if f["verdict"] == "fail"}
    assert set(short) == {GPU, GPU_SPOT}
    assert short[GPU]["read"] == "limit 0 vCPUs, 0 in use"
    assert short[GPU]["facts"]["needed"] == 8

    _, err = tool("quotas", "request", status=2)
    assert "--yes" in err
    assert tool.filed() == []
    asked = tool.json("quotas", "request", "--yes", status=0)
    assert [(r["quota_code"], r["desired"], r["result"]) for r in asked["requests"]] == [
        (GPU, 8, "filed"),
        (GPU_SPOT, 4, "filed"),
    ]
    assert len(tool.filed()) == 2
    out, err = tool("quotas", "request", "--wait", "--timeout", "0.3s", "--format", "json", status=6)
    error = json.loads(out)
    again = error["result"]
    assert again["type"] == "quota_requests"
    assert [(r["quota_code"], r["result"]) for r in again["requests"]] == [
        (GPU, "pending"),
        (GPU_SPOT, "pending"),
    ]
    assert error["exit_status"] == 6
    assert len(tool.filed()) == 2

    listed = tool.json("quotas", "status", status=0)
    assert listed["regions"] == ["us-west-2", "us-east-1"]
    assert {r["quota_code"]: r["desired"] for r in listed["requests"]} == {GPU: 8.0, GPU_SPOT: 4.0}


def test_waiting_ends_when_aws_has_decided_and_then_there_is_room(quick_account: Tool) -> None:
    _, err = quick_account("quotas", "--stack", "gridbyoc.yaml", "request", "--yes", "--wait", status=0)
    assert f"{GPU} Running On-Demand G and VT instances: APPROVED" in err
    out, _ = quick_account("quotas", "request", "--yes", status=0)
    assert out == "Account 123456789012, region us-west-2: nothing to ask for.\n"


def test_a_denial_ends_with_a_failure(denied_account: Tool) -> None:
    tool = denied_account
    out, err = tool("quotas", "request", "--code", GPU, "--yes", "--wait", status=1)
    assert "filed: DENIED" in out
    assert "GBY-A005" in err
    assert "ended as DENIED" in err
    _, err = tool("quotas", "request", "--code", "L-DB2E81BB", "--yes", status=2)
    assert f"Did you mean {GPU}?" in err


def test_what_is_in_use_is_counted(denied_account: Tool) -> None:
    ec2 = denied_account.client("ec2")
    first, second = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    for subnet in (first, first, second):
        address = ec2.allocate_address(Domain="vpc")
        ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"])
    spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
    ec2.run_instances(ImageId=IMAGE, InstanceType="m5.large", MinCount=3, MaxCount=3)
    ec2.run_instances(ImageId=IMAGE, InstanceType="g4dn.xlarge", MinCount=1, MaxCount=1, **spot)
    found = {quota["quota_code"]: quota for quota in denied_account.json("quotas", status=4)["quotas"]}
    in_use = {code: found[code]["in_use"] for code in ("L-0263D0A3", "L-FE5A380F", "L-1216C47A", GPU, GPU_SPOT)}
    assert in_use == {"L-0263D0A3": 3, "L-FE5A380F": 2, "L-1216C47A": 6, GPU: 0, GPU_SPOT: 4}
    assert found[GPU_SPOT]["needed"] == 8
