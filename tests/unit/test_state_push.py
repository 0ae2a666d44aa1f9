"""A state that could not be saved is pushed back, unless the one that is there has another history."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import StateConflictError
from gridbyoc.operations.state_migrate import Pushed, push_errored
from tests.unit.world import World, a_stack

STACK = a_stack()
KEPT = {"output": {"value": "of the run that could not save it", "type": "string"}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.bring_up(STACK)
    return world


def errored(world: World, **changes: Any) -> dict[str, Any]:
    """What the last run could not save: newer than what is there, with an output more."""
    state = world.terraform_state(STACK)
    document = {**state, "serial": state["serial"] + 1, "outputs": {**state["outputs"], **KEPT}, **changes}
    (world.work_dir(STACK) / "errored.tfstate").write_text(json.dumps(document))
    return document


def push(world: World) -> Pushed | None:
    with world.run(STACK, "state push") as run:
        return push_errored(run, now=world.now)


def test_it_is_saved_and_put_aside(world: World) -> None:
    document = errored(world)
    pushed = push(world)
    assert pushed is not None
    assert not pushed.already
    assert world.terraform_state(STACK)["outputs"] == document["outputs"]
    assert json.loads(pushed.aside.read_text()) == document
    assert push(world) is None


def test_one_that_is_there_already_is_put_aside_alone(world: World) -> None:
    world.put_state(STACK, errored(world))
    pushed = push(world)
    assert pushed is not None
    assert pushed.already
    assert not any(line.startswith("push") for line in world.log)


def test_where_nothing_is_there_it_is_pushed_whatever_its_lineage(world: World) -> None:
    document = errored(world)
    (world.work_dir(STACK) / "terraform.tfstate").unlink()
    push(world)
    assert world.terraform_state(STACK)["outputs"] == document["outputs"]


@pytest.mark.parametrize(
    "changes,what",
    [
        (lambda state: {"lineage": "another"}, "holds another state"),
        (lambda state: {"lineage": "another", "serial": state["serial"] + 5}, "holds another state"),
        (lambda state: {"serial": state["serial"]}, "has changed since"),
        (lambda state: {"serial": state["serial"] - 1}, "has changed since"),
    ],
)
def test_another_history_and_a_newer_state_are_not_written_over(
    world: World, changes: Callable[[Any], dict[str, Any]], what: str
) -> None:
    before = world.terraform_state(STACK)
    errored(world, **changes(before))
    with pytest.raises(StateConflictError, match=what):
        push(world)
    assert world.terraform_state(STACK) == before
    assert (world.work_dir(STACK) / "errored.tfstate").exists()


def test_what_came_of_it_is_compared(world: World) -> None:
    before, document = world.terraform_state(STACK), errored(world)
    world.meanwhile[f"push {document['serial']}"] = lambda: world.put_state(STACK, before)
    with pytest.raises(StateConflictError, match="differs from"):
        push(world)
    assert (world.work_dir(STACK) / "errored.tfstate").exists()
