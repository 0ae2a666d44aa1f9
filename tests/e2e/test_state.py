"""The state's bucket, moving there and back, what a dead run leaves, and what is refused so that nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gridbyoc.operations.state_unlock import working_in
from gridbyoc.sandbox import Sandbox
from tests.e2e.conftest import Started, Tool, World
from tests.e2e.fast_stack import FastStack, fast_stack, keys_of, s3_of, without_aws_provider

pytestmark = pytest.mark.usefixtures("measured")

BUCKET = "gridbyoc-state-123456789012-us-east-1"


@pytest.fixture(scope="module", autouse=True)
def states(sandbox: Sandbox) -> None:
    s3_of(World(sandbox)).create_bucket(Bucket="states")


@pytest.fixture
def tool(tool: Tool) -> Tool:
    return without_aws_provider(tool)


def in_s3(key: str) -> str:
    return f"s3: {{bucket: states, key: {key}, region: us-east-1}}"


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def state_in_s3(world: World, bucket: str, key: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(s3_of(world).get_object(Bucket=bucket, Key=key)["Body"].read())
    return found


def last_object(out: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(out.splitlines()[-1])
    return found


def test_from_local_to_the_bucket_and_back(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "moving")
    tool("bootstrap", str(stack.file), "--yes")
    before = stack.state()

    assert "--yes" in tool("state", "init", str(stack.file), status=2).err
    assert "s3:" not in stack.file.read_text()
    made = tool("state", "init", str(stack.file), "--yes")
    assert "created" in made.out
    assert "gridbyoc state migrate" in made.err
    assert "# kept" in stack.file.read_text()
    assert "# where the state lies" in stack.file.read_text()
    again = json.loads(tool("state", "init", str(stack.file), "--format", "json").out)
    assert not again["made"]
    assert not any(setting["changed"] for setting in again["settings"])

    # commands that only read say the same, and do not show the old place
    assert f"state migrate {stack.file.relative_to(tool.directory)}`" in tool("status", str(stack.file)).out
    assert "state migrate" in tool("outputs", str(stack.file), status=1).err

    # the danger: going on with an empty state would make everything a second time
    refused = tool("bootstrap", str(stack.file), "--yes", status=1)
    assert f"gridbyoc state migrate {stack.file}" in refused.err
    assert keys_of(world, BUCKET) == []

    tool("state", "migrate", str(stack.file), "--yes")
    there = state_in_s3(world, BUCKET, "gridbyoc/moving.tfstate")
    assert (there["lineage"], there["resources"]) == (before["lineage"], before["resources"])
    assert not (stack.work_dir / "terraform.tfstate").exists()
    (aside,) = stack.work_dir.glob("terraform.tfstate.migrated-*")
    assert aside.stat().st_mode & 0o777 == 0o600
    assert json.loads(aside.read_text()) == before
    # another setting of the same place needs no move
    unencrypted = ("--set", "terraform.backend.s3.encrypt=false")
    assert "Nothing changed" in tool("bootstrap", str(stack.file), "--yes", *unencrypted).out

    back = last_object(tool("state", "migrate", str(stack.file), "--to", "local", "--yes", "--format", "json").out)
    assert back["left"] == f"s3://{BUCKET}/gridbyoc/moving.tfstate"
    assert "# kept" in stack.file.read_text()
    assert "s3:" not in stack.file.read_text()
    assert (stack.state()["lineage"], stack.state()["resources"]) == (before["lineage"], before["resources"])
    assert tool("plan", str(stack.file), "--exit-code").status == 0
    assert stack.made == 1


def test_from_s3_to_local_by_hand_is_refused_even_without_terraforms_record(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "back", backend=in_s3("back"))
    before = stack.put_state()
    assert "terraform.tfstate" in tool("bootstrap", str(stack.file), "--yes", status=1).err
    tool("state", "migrate", str(stack.file), "--yes")
    stack.file.write_text(stack.file.read_text().replace(in_s3("back"), "local: {}"))
    shutil.rmtree(stack.work_dir / ".terraform")
    assert "s3://states/back" in tool("drift", str(stack.file), status=1).err
    for _ in range(2):  # the first one has rendered the new backend meanwhile
        refused = tool("bootstrap", str(stack.file), "--yes", status=1)
        assert "s3://states/back" in refused.err
    moved = tool("state", "migrate", str(stack.file), "--yes")
    assert "s3://states/back was left" in moved.out
    assert stack.state()["lineage"] == before["lineage"]
    assert "already" in tool("state", "migrate", str(stack.file)).out
    assert stack.made == 0


def test_a_place_that_holds_another_state_is_refused(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "comes-later", backend=in_s3("taken"))
    theirs = stack.put_state("f1e2d3c4-0000-0000-0000-000000000002")
    theirs["resources"][0]["name"] = "theirs"
    s3_of(world).put_object(Bucket="states", Key="taken", Body=json.dumps(theirs).encode())
    mine = stack.put_state()
    refused = tool("state", "migrate", str(stack.file), "--yes", status=1)
    assert "holds another state; nothing was moved" in refused.err
    assert theirs["lineage"] in refused.err
    newer = {**theirs, "lineage": mine["lineage"], "serial": 9}
    s3_of(world).put_object(Bucket="states", Key="taken", Body=json.dumps(newer).encode())
    assert "a newer state" in tool("state", "migrate", str(stack.file), "--yes", status=1).err
    assert state_in_s3(world, "states", "taken") == newer
    assert stack.state() == mine


@pytest.mark.parametrize("word", ["state push", "init"])
def test_killed_while_it_moves_a_second_run_goes_on(tool: Tool, world: World, word: str) -> None:
    name = f"killed-{word.replace(' ', '-')}"
    stack = fast_stack(tool, world, name, backend=in_s3(name))
    before = stack.put_state()
    # dies, with the tool, as soon as Terraform has carried out the command: the first push, or the work_dir's init
    where = f'"{stack.work_dir}"' if word == "init" else "*"
    deadly = tool.write(
        f'#!/bin/sh\nterraform "$@"\ncode=$?\n'
        f'case "$*" in "{word} "*) case "$PWD" in {where}) kill -9 $PPID;; esac;; esac\nexit $code\n',
        "deadly",
    )
    deadly.chmod(0o755)
    killed = tool("state", "migrate", str(stack.file), "--yes", status=None, GRIDBYOC_TERRAFORM_BIN=str(deadly))
    assert killed.status == -signal.SIGKILL
    tool("state", "migrate", str(stack.file), "--yes")
    there = state_in_s3(world, "states", name)
    for instance in there["resources"][0]["instances"]:
        instance.pop("identity_schema_version", None)  # Terraform 1.12 adds it to each
    assert (there["lineage"], there["resources"]) == (before["lineage"], before["resources"])
    assert not (stack.work_dir / "terraform.tfstate").exists()
    assert len(list(stack.work_dir.glob("terraform.tfstate.migrated-*"))) == 1
    assert not list(stack.work_dir.glob(".gridbyoc-*/")), "a directory with a copy of the state was left"


def test_a_copy_that_is_not_what_was_copied_is_not_gone_on_with(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "garbled", backend=in_s3("garbled"))
    before = stack.put_state()
    garbling = 'case "$*" in "state push "*) sed -i s/of-garbled/of-nobody/ pushed.json;; esac'
    garbles = tool.write(f'#!/bin/sh\n{garbling}\nexec terraform "$@"\n', "garbles")
    garbles.chmod(0o755)
    bad = tool("state", "migrate", str(stack.file), "--yes", status=1, GRIDBYOC_TERRAFORM_BIN=str(garbles))
    assert "differs from the original" in bad.err
    assert stack.state() == before
    assert str(stack.work_dir / "terraform.tfstate") in tool("bootstrap", str(stack.file), "--yes", status=1).err


def test_two_states_and_an_old_place_out_of_reach_are_not_passed_over(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "two-states")
    note = {"type": "s3", "config": {"bucket": "nowhere", "key": "k", "region": "us-east-1"}}
    mine = stack.put_state()
    (stack.work_dir / "terraform.tfstate").unlink()
    (stack.work_dir / ".gridbyoc-state.json").write_text(json.dumps(note))
    refused = tool("bootstrap", str(stack.file), "--yes", status=1)
    assert "s3://nowhere/k, which cannot be read" in refused.err

    theirs = {**mine, "lineage": "f1e2d3c4-0000-0000-0000-000000000002", "outputs": {}}
    s3_of(world).put_object(Bucket="states", Key="two-states", Body=json.dumps(theirs).encode())
    note["config"] |= {"bucket": "states", "key": "two-states"}
    (stack.work_dir / ".gridbyoc-state.json").write_text(json.dumps(note))
    stack.file.write_text(stack.file.read_text().replace("local: {}", in_s3("two-states")))
    stack.put_state()
    assert "holds a state that is not the stack's" in tool("state", "migrate", str(stack.file), "--yes", status=1).err
    assert stack.state() == mine


def test_a_state_that_could_not_be_saved_is_pushed_back(tool: Tool, world: World) -> None:
    s3_of(world).create_bucket(Bucket="vanishing")
    gone, stay = (f"{tool.directory}/{name}" for name in ("gone", "stay"))
    script = f"touch {gone}; while ! test -e {stay}; do sleep 0.05; done"
    backend = "s3: {bucket: vanishing, key: k, region: us-east-1}"
    stack = fast_stack(tool, world, "errored", backend=backend, script=script)
    process = tool.start("bootstrap", str(stack.file), "--yes")
    until(lambda: Path(gone).exists())
    for item in s3_of(world).list_objects_v2(Bucket="vanishing")["Contents"]:
        s3_of(world).delete_object(Bucket="vanishing", Key=item["Key"])
    s3_of(world).delete_bucket(Bucket="vanishing")
    Path(stay).touch()
    _out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "gridbyoc state push" in err
    errored = json.loads((stack.work_dir / "errored.tfstate").read_text())

    s3_of(world).create_bucket(Bucket="vanishing")
    for verb in (["bootstrap", "--yes"], ["state", "migrate", "--to", "local", "--yes"]):
        assert "gridbyoc state push" in tool(*verb, str(stack.file), status=1).err
    assert "gridbyoc state push" in tool("status", str(stack.file), status=None).text
    pushed = tool("state", "push", str(stack.file))
    assert "now holds it" in pushed.out
    assert state_in_s3(world, "vanishing", "k")["resources"] == errored["resources"]
    (aside,) = stack.work_dir.glob("errored.tfstate.pushed-*")
    tool("bootstrap", str(stack.file), "--yes")
    assert stack.made == 1
    assert "nothing to push" in tool("state", "push", str(stack.file)).out

    # killed before the file went aside: what is there already is not pushed again
    aside.rename(stack.work_dir / "errored.tfstate")
    pushed = tool("state", "push", str(stack.file), "--format", "json")
    assert '"already": true' in pushed.out

    (stack.work_dir / "errored.tfstate").write_text(json.dumps({**errored, "lineage": "other", "outputs": {}}))
    refused = tool("state", "push", str(stack.file), status=1)
    assert "holds another state" in refused.err
    assert (stack.work_dir / "errored.tfstate").exists()


def kill_all_of(process: Started, directory: Path) -> None:
    """Kill the tool, its Terraform, and what watches over it."""
    for pid in (*_children(process.pid), process.pid):
        with suppress(ProcessLookupError):  # a short-lived one of theirs
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=30)
    until(lambda: working_in(directory) == ())


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found] + [leaf for child in found for leaf in _children(int(child))]


def test_a_lock_left_by_a_dead_run_is_explained_and_broken_on_word_only(tool: Tool, world: World) -> None:
    go = tool.directory / "go"
    stack = fast_stack(tool, world, "deadlock", backend=in_s3("deadlock"), script=f"test -e {go} || sleep 60")
    process = tool.start("bootstrap", str(stack.file), "--yes")
    until(lambda: stack.made == 1)
    kill_all_of(process, stack.work_dir)
    go.touch()
    assert "deadlock.tflock" in keys_of(world, "states")
    blocked = tool("bootstrap", str(stack.file), "--yes", "--lock-timeout", "0s", status=8)
    assert "gridbyoc state unlock" in blocked.err

    # another directory with the same state cannot know whether the holder lives
    other = fast_stack(tool, world, "deadlock", place="other", backend=in_s3("deadlock"))
    unsure = tool("state", "unlock", str(other.file), "--yes", "--format", "json", status=8)
    lock = json.loads(unsure.out)["result"]["lock"]
    assert lock["verdict"] == "unknown"
    assert f"--force {lock['id']}" in unsure.err
    assert "not wrong-id" in tool("state", "unlock", str(other.file), "--force", "wrong-id", status=2).err

    told = tool("state", "unlock", str(stack.file), status=8)
    assert "the holder: dead" in told.out
    assert f"force-unlock {lock['id']}" in told.out
    assert "deadlock.tflock" in keys_of(world, "states")
    assert "The lock was broken" in tool("state", "unlock", str(stack.file), "--yes").out
    assert "deadlock.tflock" not in keys_of(world, "states")
    assert "not locked" in tool("state", "unlock", str(stack.file)).out
    tool("bootstrap", str(stack.file), "--yes")
    assert len([cluster for cluster in world.clusters() if cluster["name"] == "deadlock"]) == 1


@contextmanager
def by_hand(tool: Tool, stack: FastStack, backend: str) -> Iterator[subprocess.Popen[bytes]]:
    """A terraform that somebody runs in the work_dir, in the middle of an apply that ends on request."""
    begun, go = stack.directory / "begun", stack.directory / "go"
    stack.write_root(backend, f"touch {begun}; while ! test -e {go}; do sleep 0.05; done")
    subprocess.run(["terraform", "init"], cwd=stack.work_dir, env=tool.env, check=True, capture_output=True)
    apply = ["terraform", "apply", "-auto-approve"]
    with subprocess.Popen(apply, cwd=stack.work_dir, env=tool.env, stdout=subprocess.DEVNULL) as process:
        until(begun.exists)
        yield process
        go.touch()


def test_the_lock_of_a_live_terraform_is_never_broken(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "livelock", backend=in_s3("livelock"))
    settings = 'bucket = "states"\n key = "livelock"\n region = "us-east-1"\n use_lockfile = true'
    with by_hand(tool, stack, f'backend "s3" {{\n {settings}\n}}') as process:
        note = s3_of(world).get_object(Bucket="states", Key="livelock.tflock")["Body"].read()
        refused = tool("state", "unlock", str(stack.file), "--force", json.loads(note)["ID"], status=8)
        assert "is alive: processes in the work_dir" in refused.err
        assert f"(process {process.pid})" in refused.err
        assert "livelock.tflock" in keys_of(world, "states")
    assert "not locked" in tool("state", "unlock", str(stack.file)).out


def test_a_local_lock_ends_with_its_holder(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "local-lock")
    with by_hand(tool, stack, 'backend "local" {}') as process:
        assert "is alive: a process holds the lock" in tool("state", "unlock", str(stack.file), "--yes", status=8).err
        process.kill()
    told = tool("state", "unlock", str(stack.file))
    assert "not locked" in told.out
    assert "the next run can start" in told.out
    again = ["terraform", "apply", "-auto-approve"]
    subprocess.run(again, cwd=stack.work_dir, env=tool.env, check=True, capture_output=True)
    assert "The state is not locked." in tool("state", "unlock", str(stack.file)).out


def kept(world: World, bucket: str) -> list[tuple[str, str]]:
    """Key and id of every version and delete marker."""
    found = s3_of(world).list_object_versions(Bucket=bucket)
    each = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
    return sorted((one["Key"], one["VersionId"]) for one in each)


def test_a_destroyed_stacks_state_goes_with_all_its_versions(tool: Tool, world: World) -> None:
    s3, bucket = s3_of(world), "versioned-states"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("going2", "going.tflock2"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"theirs")
    theirs = kept(world, bucket)
    stack = fast_stack(tool, world, "going", backend=f"s3: {{bucket: {bucket}, key: going, region: us-east-1}}")
    tool("bootstrap", str(stack.file), "--yes")

    destroy = ("destroy", str(stack.file), "--yes-destroy")
    assert "--with-state" in tool(*destroy, "--yes-with-state", status=2).err
    asked = tool(*destroy, "--with-state", status=2)
    assert f"removes s3://{bucket}/going with its lock and fingerprint" in asked.err
    assert "--yes-with-state" in asked.err
    assert world.cluster("going") is not None
    tool(*destroy)
    assert len(kept(world, bucket)) > len(theirs) + 2, "the state stays without the option"

    done = tool(*destroy, "--with-state", "--yes-with-state")
    assert "Nothing to destroy" in done.out
    assert "The state was deleted from S3" in done.out
    assert kept(world, bucket) == theirs
    again = json.loads(tool(*destroy, "--with-state", "--yes-with-state", "--format", "json").out)
    assert again["state_versions_removed"] == 0
    assert kept(world, bucket) == theirs


def test_standard_input_is_told_what_to_paste(tool: Tool, world: World) -> None:
    text = "version: 1\nname: piped-state\nclusters: [{name: piped-state}]\n"
    done = tool("state", "init", "-", "--bucket", "states", "--yes", stdin=text)
    assert "bucket: states" in done.out
    assert "No bucket" not in done.text
    refused = tool("state", "migrate", "-", "--to", "s3", "--yes", stdin=text, status=2)
    assert "gridbyoc state init" in refused.err
    for options in (["--bucket", "Not_A_Bucket"], ["--key", "/k"], ["--region", "mars"], ["--kms-key-id", "x y"]):
        assert options[0] in tool("state", "init", "-", *options, "--yes", stdin=text, status=2).err
    guarded = text + 'aws: {account_id: "999999999999"}\n'
    assert "999999999999" in tool("state", "init", "-", "--yes", stdin=guarded, status=4).err
