"""Two runs at once: on one machine in one work_dir, and from two work_dirs on one state in S3.

GRIDBYOC_RACE_ROUNDS says how many rounds of each; 20 take about six minutes on two cores.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from gridbyoc.sandbox import Sandbox
from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.fast_stack import EXTERNAL_ID, FastStack, fast_stack, keys_of, s3_of, without_aws_provider

ROUNDS = int(os.environ.get("GRIDBYOC_RACE_ROUNDS", "1"))
REAL_ROUNDS = max(1, ROUNDS // 10)
BUCKET = "race-states"


@pytest.fixture(scope="module", autouse=True)
def states(sandbox: Sandbox) -> None:
    s3_of(World(sandbox)).create_bucket(Bucket=BUCKET)


@pytest.fixture
def tool(tool: Tool) -> Tool:
    return without_aws_provider(tool)


def both(tool: Tool, one: Path, other: Path, *options: str) -> tuple[Done, Done]:
    """Start both at the same moment and wait for both."""
    started = [tool.start("bootstrap", str(file), "--yes", *options) for file in (one, other)]
    ended = []
    for process in started:
        out, err = process.communicate(timeout=150)
        assert "Traceback" not in out + err
        ended.append(Done(process.returncode, out, err))
    return ended[0], ended[1]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def one_won(done: tuple[Done, Done], holder: str) -> int:
    """One did it all; the other did too, after it, or ended with status 8 and said who holds the lock: how many did.

    A lock in S3 may be gone by the time Terraform looks whose it was (NoSuchKey): then nobody can be named.
    """
    statuses = sorted(each.status for each in done)
    assert statuses in ([0, 0], [0, 8]), "\n".join(each.text for each in done)
    for each in done:
        assert each.status == 0 or holder in each.err or "NoSuchKey" in each.err, each.text
    return statuses.count(0)


def one_role_one_cluster(world: World, stack: FastStack) -> None:
    assert stack.made == 1
    found = [cluster for cluster in world.clusters() if cluster["name"] == stack.name]
    assert len(found) == 1
    aws = found[0]["spec"]["driver"]["kubernetes"]["aws"]
    assert aws["externalId"] == EXTERNAL_ID
    assert found[0]["status"]["phase"] == "CLUSTER_STATE_RUNNING"


def test_on_one_machine(tool: Tool, world: World) -> None:
    began, second = time.monotonic(), 0
    for number in range(ROUNDS):
        stack = fast_stack(tool, world, f"race-one-{number}")
        second += one_won(both(tool, stack.file, stack.file), "gridbyoc bootstrap") - 1
        one_role_one_cluster(world, stack)
        assert len(stack.state()["resources"]) == 1
    say(f"one work_dir: {ROUNDS} rounds, {ROUNDS - second} times status 8, {time.monotonic() - began:.0f} s")


def test_from_two_work_dirs_on_one_state(tool: Tool, world: World) -> None:
    began, second = time.monotonic(), 0
    for number in range(ROUNDS):
        name = f"race-two-{number}"
        backend = f"s3: {{bucket: {BUCKET}, key: {name}, region: us-east-1}}"
        one, other = (fast_stack(tool, world, name, place=place, backend=backend) for place in ("one", "other"))
        patience = () if number % 2 else ("--lock-timeout", "0s")
        second += one_won(both(tool, one.file, other.file, *patience), "root@" if os.geteuid() == 0 else "@") - 1
        one_role_one_cluster(world, one)
        state = json.loads(s3_of(world).get_object(Bucket=BUCKET, Key=name)["Body"].read())
        assert len(state["resources"]) == 1
        assert f"{name}.tflock" not in keys_of(world, BUCKET)
    say(f"two work_dirs: {ROUNDS} rounds, {ROUNDS - second} times status 8, {time.monotonic() - began:.0f} s")
    assert "Nothing changed" in tool("bootstrap", str(other.file), "--yes").out


def test_from_two_work_dirs_with_a_real_role(tool: Tool, world: World) -> None:
    began, second = time.monotonic(), 0
    for number in range(REAL_ROUNDS):
        name = f"race-real-{number}"
        files = []
        for place in ("one", "other"):
            (tool.directory / place).mkdir(exist_ok=True)
            backend = f"terraform: {{backend: {{s3: {{bucket: {BUCKET}, key: {name}, region: us-east-1}}}}}}\n"
            text = stack_text(name, role=f"{{name_prefix: grid-{name}-}}", extra=backend)
            files.append(tool.write(text, f"{place}/gridbyoc.yaml"))
        second += one_won(both(tool, *files), "@") - 1
        assert len(world.roles(f"grid-{name}-")) == 1
        assert len(world.attached(world.roles(f"grid-{name}-")[0]["RoleName"])) == 10
        assert len([cluster for cluster in world.clusters() if cluster["name"] == name]) == 1
        assert f"{name}.tflock" not in keys_of(world, BUCKET)
    say(f"a real role: {REAL_ROUNDS} rounds, {REAL_ROUNDS - second} times status 8, {time.monotonic() - began:.0f} s")
