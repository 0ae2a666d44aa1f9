"""Stacks of the revision b86028e (0.1.0) go on: state, work_dir, journal, fingerprint, bundle, a rotation half done."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Done, Tool, World
from tests.e2e.fast_stack import s3_of
from tests.e2e.scene import accepted
from tests.past import BUCKET, BUNDLE_KEY, BY_HAND
from tests.past.open import LOCK_FILE, past_sandbox, put_stacks
from tests.shared_provider import installed_provider

READS = ("Get", "List", "Head", "Describe", "Simulate")
SHORT_WAY = "nothing has moved since the last run"
BESIDE = (".tflock", ".converged.json")


@dataclass(frozen=True)
class Past:
    """The old stacks, opened."""

    tool: Tool
    world: World
    aws_log: Path

    def __call__(self, *args: str, status: int = 0) -> Done:
        return self.tool(*args, status=status)

    def work_dir(self, stack: str) -> Path:
        return self.tool.directory / ".gridbyoc" / stack

    def aws_writes(self) -> list[str]:
        """What AWS was asked to change so far, without the state's lock and the fingerprint beside the state."""
        calls = [json.loads(line) for line in self.aws_log.read_text().splitlines()]
        writes = [call for call in calls if not call["operation"].startswith(READS)]
        return [f"{call['action']} {call['resource']}" for call in writes if not call["resource"].endswith(BESIDE)]

    def writes(self) -> list[str]:
        """What either side was asked to change so far."""
        asked = [f"{each['method']} {each['path']}" for each in self.world.sandbox.requests()]
        return self.aws_writes() + [each for each in asked if not each.startswith("GET ")]

    def state(self, stack: str) -> Any:
        """What of the stack's state says something: an apply that changes nothing moves its serial and checks."""
        if stack == "past-s3":
            text = s3_of(self.world).get_object(Bucket=BUCKET, Key="gridbyoc/past-s3.tfstate")["Body"].read()
        else:
            text = (self.work_dir(stack) / "terraform.tfstate").read_bytes()
        found = json.loads(text)
        return [found[name] for name in ("lineage", "outputs", "resources")]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, real_provider_mirror: Path | None) -> Iterator[Past]:
    place = tmp_path_factory.mktemp("past")
    stacks, home = place / "stacks", place / "home"
    home.mkdir()
    put_stacks(stacks, real_provider_mirror)
    with past_sandbox(place, place / "aws.log") as sandbox:
        env = {**sandbox.environ(os.environ), "HOME": str(home), "GRIDBYOC_POLL_INTERVAL": "0.2s"}
        env |= {"GRIDBYOC_SKIP_PREFLIGHT": "1", "GRIDBYOC_BUNDLE_KEY": BUNDLE_KEY}
        if real_provider_mirror:
            env["GRIDBYOC_PROVIDER_MIRROR"] = str(real_provider_mirror)
        yield Past(Tool(stacks, env), World(sandbox), place / "aws.log")


@pytest.fixture(scope="module")
def quick(past: Past, tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path) -> Past:
    """The same with the provider that starts at once, whose hash the lock files know, too."""
    directory = tmp_path_factory.mktemp("lock")
    installed_provider(provider_mirror, directory)
    (known,) = re.findall('"h1:.+"', (directory / LOCK_FILE).read_text())
    for path in past.tool.directory.glob(f".gridbyoc/*/{LOCK_FILE}"):
        path.write_text(path.read_text().replace("hashes = [", f"hashes = [{known},"))
    return replace(
        past, tool=replace(past.tool, env={**past.tool.env, "GRIDBYOC_PROVIDER_MIRROR": str(provider_mirror)})
    )


def goes_on(past: Past, stack: str, elsewhere: Path | None = None) -> None:
    """A stack that was up is up: everything says so, nothing is changed, and it can be taken down.

    ``elsewhere``: a fresh checkout is made there, which knows by the fingerprint beside the state.
    """
    file, state, before = f"{stack}.yaml", past.state(stack), past.writes()
    done = past("bootstrap", file, "--yes")
    assert "Nothing changed" in done.out
    assert SHORT_WAY not in done.err
    assert "plan: done" in done.err
    assert SHORT_WAY in past("bootstrap", file, "--yes").err
    if elsewhere:
        shutil.copy(past.tool.directory / file, elsewhere)
        assert SHORT_WAY in replace(past.tool, directory=elsewhere)("drift", file).err
    assert "Nothing: the stack is up" in past("status", file).out
    assert "Proven" in past("verify", file).out
    outputs = json.loads(past("outputs", file, "--format", "json", "--reveal").out)
    assert outputs.pop("type") == "outputs"
    assert outputs.pop("stack") == stack
    assert outputs.pop("roles") == {}  # of a module that makes several
    assert outputs == {name: each["value"] for name, each in state[1].items()}
    stale = past("apply", f"{stack}.bundle", file, "--yes", status=9)
    assert "gridbyoc is " in stale.err
    assert "but was 0.1.0" in stale.err
    assert past.state(stack) == state
    assert past.writes() == before
    past("destroy", file, "--yes-destroy")
    assert not past.world.roles(outputs["role_name"])


def test_a_stack_with_local_state_has_not_drifted(past: Past) -> None:
    """With a provider that is installed as its lock file says."""
    before = past.writes()
    assert "No drift" in past("drift", "past-local.yaml").out
    assert past.writes() == before


def test_a_stack_with_local_state_goes_on(quick: Past) -> None:
    goes_on(quick, "past-local")


def test_a_stack_with_state_in_s3_goes_on(quick: Past, tmp_path: Path) -> None:
    before = quick.writes()
    assert "No drift" in quick("drift", "past-s3.yaml").out
    assert quick.writes() == before
    goes_on(quick, "past-s3", tmp_path)


def test_a_fingerprint_that_was_written_beside_a_policy_of_nobody_is_not_believed(quick: Past) -> None:
    assert f"arn:aws:iam::aws:policy/{BY_HAND}" in quick.world.attached("grid-past-granted")
    for _ in range(2):
        done = quick("bootstrap", "past-granted.yaml", "--yes")
        assert SHORT_WAY not in done.err
        assert BY_HAND in done.err


def test_a_rotation_that_was_cut_off_comes_to_its_end(quick: Past) -> None:
    stack, role = "past-rotating", "arn:aws:iam::123456789012:role/grid-past-rotating"
    old, new = _held(quick, stack), quick.state(stack)[1]["external_id"]["value"]
    assert set(accepted(quick.world.iam(), role)) == {old, new}
    quick("bootstrap", f"{stack}.yaml", "--yes")
    assert accepted(quick.world.iam(), role) == [new]
    assert _held(quick, stack) == new
    assert SHORT_WAY in quick("bootstrap", f"{stack}.yaml", "--yes").err


def test_a_replacement_of_the_role_comes_to_its_end(quick: Past) -> None:
    file, before = "past-replacing.yaml", quick.writes()
    assert "old role stays" in quick("bootstrap", file, "--yes").err
    assert quick.writes() == before
    quick("bootstrap", file, "--yes", "--yes-destroy")
    assert [role["RoleName"] for role in quick.world.roles("grid-past-replacing")] == ["grid-past-replacing-b"]
    assert "Nothing changed" in quick("bootstrap", file, "--yes").out


def _held(past: Past, cluster: str) -> str:
    found = past.world.cluster(cluster)
    assert found is not None
    return str(found["spec"]["driver"]["kubernetes"]["aws"]["externalId"])
