"""A role that was made by hand comes into a stack without a change, and no id shows; a stack of the role alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.vendors import facts_of
from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.fast_stack import s3_of
from tests.e2e.warm_python import warm_sandbox

CANARY = "canary-external-id-of-a-role-made-by-hand"
GRID = facts_of("grid")
READING = ("Get", "List", "Describe", "Simulate")


@dataclass(frozen=True)
class Place:
    """A sandbox that logs each call to AWS."""

    sandbox: Sandbox
    log: Path

    def written(self, since: int) -> list[str]:
        """The calls since line ``since`` of the log that change anything, but for the state's own objects."""
        calls = [json.loads(line)["action"] for line in self.log.read_text().splitlines()[since:]]
        return [call for call in calls if not call.split(":")[1].startswith(READING) and not call.startswith("s3:")]

    def lines(self) -> int:
        return len(self.log.read_text().splitlines())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    log = tmp_path_factory.mktemp("log") / "aws.jsonl"
    with warm_sandbox(SandboxSettings(create_seconds=0.0, delete_seconds=0.0, aws_log=log)) as sandbox:
        yield Place(sandbox, log)


@pytest.fixture
def sandbox(place: Place) -> Sandbox:
    return place.sandbox


def by_hand(world: World, name: str, **changed: Any) -> str:
    """A role as the guide's own module makes it, with boto3; its ARN."""
    iam = world.iam()
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{GRID.trusted_account.account_id}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": CANARY}},
    }
    trust = {"Version": "2012-10-17", "Statement": [{**statement, **changed}]}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=43200)
    for policy in GRID.permissions.managed_policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    document = {"Effect": "Allow", "Action": ["eks:*", "ecr:*", "events:*"], "Resource": "*"}
    body = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    own = iam.create_policy(PolicyName=name, PolicyDocument=body)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=own)
    return str(made["Role"]["Arn"])


def cluster_by_http(sandbox: Sandbox, name: str, role_arn: str) -> None:
    aws = {"externalId": CANARY, "instanceTypes": [{"name": "t2.medium"}], "region": "us-east-1", "roleArn": role_arn}
    spec = {
        "clusterType": "CLUSTER_TYPE_BYOC",
        "driver": {"kubernetes": {"aws": aws}},
        "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING",
    }
    auth = (sandbox.env["GRID_USER_ID"], sandbox.env["GRID_API_KEY"])
    address = f"{sandbox.control_plane_url}/v1/core/clusters"
    requests.post(address, json={"name": name, "spec": spec}, auth=auth, timeout=10).raise_for_status()


def as_it_is(world: World, name: str) -> dict[str, Any]:
    """The role, what is attached to it, and its cluster."""
    found = world.iam().get_role(RoleName=name)["Role"]
    kept = {key: found.get(key) for key in ("Arn", "RoleId", "AssumeRolePolicyDocument", "Tags", "MaxSessionDuration")}
    cluster = world.cluster(name)
    return {**kept, "attached": world.attached(name), "cluster": cluster and (cluster["id"], cluster["spec"])}


def holders(directory: Path) -> set[str]:
    """The names of the files that hold the external id."""
    files = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.name for path in files if CANARY.encode() in path.read_bytes()}


def test_a_role_and_its_cluster_are_adopted_unchanged(place: Place, tool: Tool, world: World) -> None:
    arn = by_hand(world, "by-hand")
    cluster_by_http(place.sandbox, "by-hand", arn)
    before, since = as_it_is(world, "by-hand"), place.lines()

    refused = tool("adopt", arn, status=2)
    assert "import module.gridbyoc.aws_iam_role.this <- by-hand" in refused.err
    assert "cluster by-hand (running) stays unchanged" in refused.err
    done = tool("adopt", arn, "--yes")
    assert "Nothing changed" in done.out
    assert "Adopted: 12 resources imported" in done.out
    again = tool("bootstrap", "--yes")
    assert "nothing has moved since the last run" in again.err
    assert "No drift" in tool("drift").out
    assert place.written(since) == []
    assert as_it_is(world, "by-hand") == before

    assert CANARY not in refused.text + done.text + again.text
    assert holders(tool.directory) == {"terraform.tfstate", "terraform.tfvars.json"}
    tool("adopt", arn, "--yes")
    assert place.written(since) == []

    tool("rotate", "--yes")
    now = as_it_is(world, "by-hand")
    assert CANARY not in json.dumps(now["AssumeRolePolicyDocument"])
    assert (now["RoleId"], now["cluster"][0]) == (before["RoleId"], before["cluster"][0])
    assert "No drift" in tool("drift").out


@pytest.mark.parametrize("instant", ['"effect_started", "effect": "adopt"', '"effect_done", "effect": "adopt"'])
def test_killed_half_way_it_is_finished_by_the_same_command(
    place: Place, tool: Tool, world: World, instant: str
) -> None:
    name = f"killed-{'done' in instant:d}"
    arn = by_hand(world, name)
    before, since = as_it_is(world, name), place.lines()
    running = tool.start("adopt", arn, "--yes")
    journal = tool.directory / ".gridbyoc" / name / "journal.jsonl"
    until = time.monotonic() + 100
    while not journal.exists() or instant not in journal.read_text().replace('"type": ', ""):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert "Nothing changed" in tool("adopt", arn, "--yes", "--lock-timeout", "30s").out
    assert place.written(since) == []
    assert as_it_is(world, name) == before
    assert "clusters: []" in (tool.directory / "gridbyoc.yaml").read_text()


def test_a_stack_file_that_says_something_else_is_refused(place: Place, tool: Tool, world: World) -> None:
    arn = by_hand(world, "other")
    tool.write(
        "version: 1\nname: other\nrole: {name: other, force_detach_policies: false, description: '', "
        "max_session_hours: 1, policy: {description: ''}}\naws: {default_tags: false}\nclusters: []\n"
    )
    since = place.lines()
    refused = tool("adopt", arn, "--yes", status=4)
    assert "aws_iam_role.this: update (max_session_duration)" in refused.err
    assert place.written(since) == []
    assert not (tool.directory / ".gridbyoc" / "other" / "imports.tf").exists()
    tool.write((tool.directory / "gridbyoc.yaml").read_text().replace("max_session_hours: 1, ", ""))
    tool("adopt", arn, "--yes")
    assert place.written(since) == []


def test_what_cannot_be_adopted_is_explained_before_anything_is_written(tool: Tool, world: World) -> None:
    statement = {"Condition": {"StringEquals": {"sts:ExternalId": [CANARY, "another-id"]}}, "Sid": "Grid"}
    arn = by_hand(world, "many", **statement)
    late = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    world.iam().put_role_policy(RoleName="many", PolicyName="late", PolicyDocument=json.dumps(late))
    refused = tool("adopt", arn, "--yes", status=4)
    for words in ("has a Sid", "2 external ids", "inline policy late", "--accept late"):
        assert words in refused.err
    assert CANARY not in refused.text
    assert list(tool.directory.iterdir()) == []
    assert "is not the ARN of an IAM role" in tool("adopt", "many", status=2).err
    other = arn.replace("123456789012", "210987654321")
    assert "The role is in account 210987654321" in tool("adopt", other, status=4).err
    assert "does not exist" in tool("adopt", arn + "x", status=1).err


def test_state_in_s3_goes_on_from_a_fresh_clone(place: Place, tool: Tool, world: World, tmp_path: Path) -> None:
    arn = by_hand(world, "in-s3")
    s3_of(world).create_bucket(Bucket="adopted-states")
    since = place.lines()
    tool("adopt", arn, "--yes", "--state", "s3://adopted-states/in-s3/state")
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "gridbyoc.yaml").write_text((tool.directory / "gridbyoc.yaml").read_text())
    done = Tool(clone, tool.env)("bootstrap", "--yes")
    assert "Nothing changed" in done.out
    assert place.written(since) == []
    assert holders(tool.directory) <= {"terraform.tfvars.json"}


def test_released_it_is_terraforms_until_it_is_adopted_again(place: Place, tool: Tool, world: World) -> None:
    backend = "terraform: {backend: {s3: {bucket: released-states, key: state, region: us-east-1}}}\n"
    tool.write(stack_text("released", extra=backend, role="{name: released}"))
    s3_of(world).create_bucket(Bucket="released-states")
    tool("bootstrap", "--yes")
    before, since = as_it_is(world, "released"), place.lines()
    arn = before["Arn"]

    assert "--yes" in tool("release", status=2).err
    done = json.loads(tool("release", "--yes", "--format", "json").out)
    assert (done["role_arn"], done["left"]["by_hand"]["pending"]) == (arn, "")
    assert [each["name"] for each in done["left"]["clusters"]] == ["released"]
    by_hand = done["left"]["by_hand"]
    planned = by_shell(tool, f"{by_hand['plan']} -detailed-exitcode -no-color")
    assert "No changes" in planned
    external_id = by_shell(tool, by_hand["external_id"])
    assert external_id in json.dumps(before["AssumeRolePolicyDocument"])

    for line in ("bootstrap --yes", "destroy --yes-destroy"):
        refused = tool(*line.split(), status=4)
        assert "error[GBY-R006]" in refused.err
        assert f"gridbyoc adopt {arn} " in refused.err
    assert f"The stack was released: `gridbyoc adopt {arn}` takes it back." in tool("status").out
    assert "already been released" in tool("release").out

    back = tool("adopt", arn, "gridbyoc.yaml", "--yes")
    assert "Nothing changed" in back.out
    assert "Taken back" in back.out
    assert "nothing has moved since the last run" in tool("bootstrap", "--yes").err
    assert place.written(since) == []
    assert as_it_is(world, "released") == before
    assert external_id not in repr(done) + back.text


def by_shell(tool: Tool, line: str) -> str:
    """What a person's shell prints for it; it must end well."""
    done = subprocess.run(["/bin/sh", "-c", line], env=tool.env, capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


def test_the_role_alone_needs_no_key(place: Place, tool: Tool, world: World) -> None:
    text = "version: 1\nname: alone\nrole: {name: alone}\nclusters: "
    tool.write(text + "[]\n")
    keyless = Tool(tool.directory, {k: v for k, v in tool.env.items() if k not in ("GRID_USER_ID", "GRID_API_KEY")})
    unknown = "the control plane's clusters are unknown: there is no key for the control plane"
    assert unknown in keyless("bootstrap", "--yes").out
    again = keyless("bootstrap", "--yes")
    assert "Nothing changed: the role was already as the stack file asks." in again.out
    report = json.loads(keyless("bootstrap", "--yes", "--format", "json").out)
    assert report["unasked"] == "there is no key for the control plane"
    assert "Proven" in keyless("verify", "--strict").out
    assert "no drift of the role; the control plane's clusters are unknown" in keyless("fleet", "drift").out
    drift = keyless("drift").out
    assert "No drift of the role" in drift
    assert "control plane are as" not in drift
    assert "cluster   unknown: there is no key" in keyless("status").out
    for refused in (("destroy", "--yes-destroy"), ("rotate", "--yes"), ("leftovers",)):
        assert "GBY-C011" in keyless(*refused, status=4).err
    role = as_it_is(world, "alone")

    tool.write(text + "[{name: alone, performance_profile: cost-saving, instance_types: [t2.medium]}]\n")
    assert "There are no credentials" in keyless("plan", status=1).err
    tool("bootstrap", "--yes")
    tool.write(text + "[]\n")
    assert "is not in the stack file" in tool("drift", status=3).out
    assert "This would destroy: cluster alone" in tool("bootstrap", "--yes", status=2).err
    tool("bootstrap", "--yes", "--yes-destroy")
    assert as_it_is(world, "alone") == role
    keyless("rotate", "--yes", "--no-control-plane")
    keyless("destroy", "--yes-destroy", "--no-control-plane")
    assert world.roles("alone") == []
