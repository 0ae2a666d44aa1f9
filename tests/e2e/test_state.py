"""The state's bucket, moving there and back, what a dead run leaves, and what is refused so that nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import FastStack, fast_stack, keys_of, s3_of

BUCKET = "gridbyoc-state-123456789012-us-east-1"


@pytest.fixture(scope="module", autouse=True)
def bucket(sandbox: object) -> Iterator[None]:
    s3_of(World(sandbox)).create_bucket(Bucket="states")  # type: ignore[arg-type]  # the sandbox's own fixture
    yield


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


def test_from_local_to_the_bucket_and_back(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "moving")
    tool("bootstrap", str(stack.file), "--yes")
    before = stack.state()

    assert "--yes" in tool("state", "init", str(stack.file), status=2).err
    assert "bucket" not in stack.file.read_text()
    made = tool("state", "init", str(stack.file), "--yes")
    assert "made" in made.out
    assert "gridbyoc state migrate" in made.err
    assert "# kept" in stack.file.read_text()
    assert "# where the state lies" in stack.file.read_text()
    again = json.loads(tool("state", "init", str(stack.file), "--format", "json").out)
    assert not again["made"]
    assert not any(setting["changed"] for setting in again["settings"])

    # the danger: going on with an empty state would make everything a second time
    refused = tool("bootstrap", str(stack.file), "--yes", status=1)
    assert f"gridbyoc state migrate {stack.file}" in refused.err
    assert stack.made == 1
    assert keys_of(world, BUCKET) == []
    shutil.rmtree(stack.work_dir / ".terraform")
    assert "gridbyoc state migrate" in tool("bootstrap", str(stack.file), "--yes", status=1).err

    tool("state", "migrate", str(stack.file), "--yes")
    there = state_in_s3(world, BUCKET, "gridbyoc/moving.tfstate")
    assert (there["lineage"], there["resources"]) == (before["lineage"], before["resources"])
    assert not (stack.work_dir / "terraform.tfstate").exists()
    (aside,) = stack.work_dir.glob("terraform.tfstate.migrated-*")
    assert aside.stat().st_mode & 0o777 == 0o600
    assert json.loads(aside.read_text()) == before
    assert "Nothing changed" in tool("bootstrap", str(stack.file), "--yes").out

    back = json.loads(tool("state", "migrate", str(stack.file), "--to", "local", "--yes", "--format", "json").out.splitlines()[-1])  # fmt: skip  # noqa: E501
    assert back["left"] == f"s3://{BUCKET}/gridbyoc/moving.tfstate"
    assert "# kept" in stack.file.read_text()
    assert "bucket" not in stack.file.read_text()
    assert stack.state()["lineage"] == before["lineage"]
    assert "Nothing changed" in tool("bootstrap", str(stack.file), "--yes").out
    assert stack.made == 1


def test_from_s3_to_local_by_hand_is_refused_even_without_terraforms_record(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "back", backend=in_s3("back"))
    tool("bootstrap", str(stack.file), "--yes")
    stack.file.write_text(stack.file.read_text().replace(in_s3("back"), "local: {}"))
    shutil.rmtree(stack.work_dir / ".terraform")
    for _ in range(2):  # the first one has rendered the new backend meanwhile
        refused = tool("bootstrap", str(stack.file), "--yes", status=1)
        assert "s3://states/back" in refused.err
    moved = tool("state", "migrate", str(stack.file), "--yes")
    assert "s3://states/back was left" in moved.out
    assert "Nothing changed" in tool("bootstrap", str(stack.file), "--yes").out
    assert stack.made == 1


def test_a_place_that_holds_another_state_is_refused(tool: Tool, world: World) -> None:
    taken = fast_stack(tool, world, "taken-place", place="taken", backend=in_s3("taken-place"))
    tool("bootstrap", str(taken.file), "--yes")
    theirs = state_in_s3(world, "states", "taken-place")
    stack = fast_stack(tool, world, "comes-later")
    tool("bootstrap", str(stack.file), "--yes")
    stack.file.write_text(stack.file.read_text().replace("local: {}", in_s3("taken-place")))
    refused = tool("state", "migrate", str(stack.file), "--yes", status=1)
    assert "holds another state already" in refused.err
    assert str(theirs["lineage"]) in refused.err
    assert state_in_s3(world, "states", "taken-place") == theirs
    assert stack.state()["resources"]


@pytest.mark.parametrize("word", ["state push", "init"])
def test_killed_while_it_moves_a_second_run_goes_on(tool: Tool, world: World, word: str) -> None:
    name = f"killed-{word.replace(' ', '-')}"
    stack = fast_stack(tool, world, name)
    tool("bootstrap", str(stack.file), "--yes")
    before = stack.state()
    stack.file.write_text(stack.file.read_text().replace("local: {}", in_s3(name)))
    # dies, with the tool, right after Terraform has carried out the command: in the work_dir itself for the last init
    where = f'"{stack.work_dir}"' if word == "init" else "*"
    deadly = tool.write(
        f'#!/bin/sh\nterraform "$@"\ncode=$?\n'
        f'case "$*" in "{word} "*) case "$PWD" in {where}) kill -9 $PPID;; esac;; esac\nexit $code\n',
        "deadly",
    )
    deadly.chmod(0o755)
    killed = tool("state", "migrate", str(stack.file), "--yes", status=None, GRIDBYOC_TERRAFORM_BIN=str(deadly))
    assert killed.status == -signal.SIGKILL
    assert tool("bootstrap", str(stack.file), "--yes", status=None).status in {0, 1}
    assert stack.made == 1
    tool("state", "migrate", str(stack.file), "--yes")
    there = state_in_s3(world, "states", name)
    assert (there["lineage"], there["resources"]) == (before["lineage"], before["resources"])
    assert not (stack.work_dir / "terraform.tfstate").exists()
    assert "Nothing changed" in tool("bootstrap", str(stack.file), "--yes").out
    assert stack.made == 1


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
    assert "holds it now" in pushed.out
    assert state_in_s3(world, "vanishing", "k")["resources"] == errored["resources"]
    (aside,) = stack.work_dir.glob("errored.tfstate.pushed-*")
    tool("bootstrap", str(stack.file), "--yes")
    assert stack.made == 1
    assert "nothing to push" in tool("state", "push", str(stack.file)).out

    # killed before the file went aside: what is there already is not pushed again
    aside.rename(stack.work_dir / "errored.tfstate")
    told = json.loads(tool("state", "push", str(stack.file), "--format", "json").out.splitlines()[-1])
    assert told["pushed"]["already"]

    (stack.work_dir / "errored.tfstate").write_text(json.dumps({**errored, "lineage": "other", "outputs": {}}))
    refused = tool("state", "push", str(stack.file), status=1)
    assert "holds another state" in refused.err
    assert (stack.work_dir / "errored.tfstate").exists()


def kill_in_apply(tool: Tool, stack: FastStack) -> None:
    """Kill the tool and its Terraform in the middle of an apply, and what watches over them."""
    process = tool.start("bootstrap", str(stack.file), "--yes")
    until(lambda: stack.made == 1)
    victims = [process.pid, *_in(stack.work_dir)]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=30)
    until(lambda: not _in(stack.work_dir))


def _in(directory: Path) -> list[int]:
    found = subprocess.run(["pgrep", "-x", "terraform"], capture_output=True, text=True).stdout.split()
    here = [int(pid) for pid in found if os.path.realpath(f"/proc/{pid}/cwd") == str(directory)]
    return here + [child for pid in here for child in _children(pid)]


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found] + [leaf for child in found for leaf in _children(int(child))]


def test_a_lock_left_by_a_dead_run_is_explained_and_broken_on_word_only(tool: Tool, world: World) -> None:
    go = tool.directory / "go"
    stack = fast_stack(tool, world, "deadlock", backend=in_s3("deadlock"), script=f"test -e {go} || sleep 60")
    assert "not locked" in tool("state", "unlock", str(stack.file)).out
    kill_in_apply(tool, stack)
    go.touch()
    assert "deadlock.tflock" in keys_of(world, "states")
    blocked = tool("bootstrap", str(stack.file), "--yes", "--lock-timeout", "0s", status=8)
    assert "gridbyoc state unlock" in blocked.err

    # another directory with the same state cannot know whether the holder lives
    other = fast_stack(tool, world, "deadlock", place="other", backend=in_s3("deadlock"))
    unsure = tool("state", "unlock", str(other.file), "--yes", status=8)
    assert "may be alive" in unsure.err
    lock_id = json.loads(tool("state", "unlock", str(other.file), "--format", "json", status=8).out.splitlines()[0])["lock"]["id"]  # fmt: skip  # noqa: E501
    assert f"--force {lock_id}" in unsure.err
    assert "not wrong-id" in tool("state", "unlock", str(other.file), "--force", "wrong-id", status=2).err
    assert "deadlock.tflock" in keys_of(world, "states")

    told = tool("state", "unlock", str(stack.file), status=8)
    assert "the holder: dead" in told.out
    assert "force-unlock" in told.out
    assert "deadlock.tflock" in keys_of(world, "states")
    assert "The lock is gone" in tool("state", "unlock", str(stack.file), "--yes").out
    assert "deadlock.tflock" not in keys_of(world, "states")
    tool("bootstrap", str(stack.file), "--yes")
    assert len([cluster for cluster in world.clusters() if cluster["name"] == "deadlock"]) == 1


def test_the_lock_of_a_live_terraform_is_never_broken(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "livelock", backend=in_s3("livelock"), script="sleep 6")
    process = tool.start("bootstrap", str(stack.file), "--yes")
    until(lambda: stack.made == 1)
    process.kill()  # Terraform lives on for a while, on its leash
    process.communicate(timeout=30)
    lock = s3_of(world).get_object(Bucket="states", Key="livelock.tflock")["Body"].read()
    lock_id = json.loads(lock)["ID"]
    refused = tool("state", "unlock", str(stack.file), "--force", lock_id, status=8)
    assert "is alive: at work in the work_dir: terraform (process" in refused.err
    until(lambda: "livelock.tflock" not in keys_of(world, "states"))


def test_a_local_lock_ends_with_its_holder(tool: Tool, world: World) -> None:
    go = tool.directory / "go"
    stack = fast_stack(tool, world, "local-lock", script=f"test -e {go} || sleep 60")
    kill_in_apply(tool, stack)
    go.touch()
    told = tool("state", "unlock", str(stack.file))
    assert "not locked" in told.out
    assert "the next run just works" in told.out
    tool("bootstrap", str(stack.file), "--yes")
    assert "The state is not locked." in tool("state", "unlock", str(stack.file)).out


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
