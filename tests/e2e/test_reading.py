"""status and drift: they tell where a stack stands and change nothing, also while another run holds it."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.fast_stack import s3_of
from tests.e2e.test_interrupts import end, read_until


def test_status_and_drift_before_during_and_after(tool: Tool, world: World) -> None:
    tool.write(stack_text("seen", role="{name: grid-seen}"))
    fresh = tool("status")
    assert "role      none" in fresh.out
    assert "gridbyoc bootstrap" in fresh.out
    assert "nothing has been applied yet" in tool("drift", status=3).out

    process = tool.start("bootstrap", "--yes", "--poll-interval", "60s")
    read_until(process, "cluster seen:")
    held = tool("status")
    assert f"process {process.pid}" in held.out
    assert "No drift" in tool("drift").out
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130

    tool("bootstrap", "--yes")
    after = json.loads(tool("status", "--format", "json").out)
    assert after["last_run"]["code"] is None
    assert after["last_run"]["open_effects"] == []
    assert after["next"].startswith("Nothing")
    assert [c["status"] for c in after["clusters"]] == ["running"]


def test_drift_names_each_side(tool: Tool, world: World) -> None:
    tool.write(stack_text("drifted", role="{name: grid-drifted}"))
    tool("bootstrap", "--yes")
    before = (tool.directory / ".gridbyoc" / "drifted" / "terraform.tfstate").read_bytes()
    iam = world.iam()
    iam.detach_role_policy(RoleName="grid-drifted", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess")
    trust = iam.get_role(RoleName="grid-drifted")["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": "another"}}
    iam.update_assume_role_policy(RoleName="grid-drifted", PolicyDocument=json.dumps(trust))
    tool.write(stack_text("drifted", role="{name: grid-drifted}", types="[t2.medium, t2.large]"))
    found = tool("drift", "--format", "json", status=3).objects[-1]["drift"]
    assert {drift["side"] for drift in found} == {"terraform", "role", "control plane"}
    attributes = {each["name"]: each for drift in found for each in drift["attributes"]}
    assert attributes["instance_types[t2.large]"]["before"] == "(absent)"
    assert attributes["assume_role_policy"]["after"] == "(sensitive)"
    text = tool("drift", "--format", "markdown", status=3).out
    assert "+ instance_types[t2.large]: offered" in text
    assert "another" not in text + json.dumps(found)
    subjects = " ".join(drift["subject"] for drift in found)
    assert "AmazonSQSFullAccess" in subjects
    assert "aws_iam_role.this" in subjects
    assert "cluster drifted" in subjects
    assert (tool.directory / ".gridbyoc" / "drifted" / "terraform.tfstate").read_bytes() == before
    assert list((tool.directory / ".gridbyoc" / "drifted").glob(".reading-*")) == []
    tool("bootstrap", "--yes")
    assert "No drift" in tool("drift").out


Snapshot = dict[str, tuple[int, int, int]]


def snapshot(*directories: Path) -> Snapshot:
    """Path → mode, size, time of change, of all that lies there and of the directories themselves."""
    found = {}
    for directory in directories:
        for path in [directory, *directory.rglob("*")]:
            status = path.lstat()
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


READING = (
    ["validate"], ["status"], ["drift"], ["verify"], ["outputs"], ["doctor", "--only", "control-plane"], ["quotas"],
    ["report", "--out", "../page.html", "--no-checks"], ["leftovers"],
    ["fleet", "validate", "."], ["fleet", "status", "."], ["fleet", "drift", "."],
)  # fmt: skip
"""Every verb that only reads, each with what it needs to be quick."""
FEW = (["status"], ["verify"])


def read(here: Tool, verbs: tuple[list[str], ...], *, status: int | None) -> None:
    """Each verb, with a look at every file of the user's before and after it."""
    places = (here.directory, Path(here.env["HOME"]))
    before = snapshot(*places)
    for verb in verbs:
        here(*verb, status=status)
        assert snapshot(*places) == before, verb


def test_what_only_reads_writes_nothing_in_the_users_directories(tool: Tool, world: World) -> None:
    (here := replace(tool, directory=tool.directory / "local")).directory.mkdir()
    here.write(stack_text("read", role="{name: grid-read}"))
    read(here, READING[:9], status=None)
    assert not (here.directory / ".gridbyoc").exists()
    here("bootstrap", "--yes")
    read(here, READING, status=0)


def test_a_remote_state_is_read_without_a_trace_before_and_after(tool: Tool, world: World) -> None:
    s3_of(world).create_bucket(Bucket="read-only")
    backend = "terraform: {backend: {s3: {bucket: read-only, key: k, region: us-east-1}}}\n"
    (here := replace(tool, directory=tool.directory / "remote")).directory.mkdir()
    here.write(stack_text("far", role="{name: grid-far}", extra=backend))
    here("bootstrap", "--yes")
    read(here, FEW, status=0)
    (fresh := replace(tool, directory=tool.directory / "fresh")).directory.mkdir()
    fresh.write((here.directory / "gridbyoc.yaml").read_text())
    read(fresh, FEW, status=0)
    here("destroy", "--yes-destroy")
    read(here, FEW, status=None)
