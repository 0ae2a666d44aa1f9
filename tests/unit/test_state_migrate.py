"""A state is moved whole or not at all: what is looked at before, while and after it is copied."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import ApprovalRequiredError, GridbyocError, StateConflictError
from gridbyoc.operations.state_migrate import Move, Moved, migrate
from gridbyoc.stack.model import Aws, LocalBackend, S3Backend, TerraformSettings
from tests.unit.world import World, a_stack

STACK = a_stack()
S3 = S3Backend("acme-state", "demo.tfstate", "us-east-1")
REMOTE = replace(STACK, terraform=TerraformSettings(backend=S3))
PLACE = (S3.bucket, S3.key)
OTHERS = {"version": 4, "lineage": "another", "serial": 1, "outputs": {"a": {"value": "b", "type": "string"}}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A stack with local state, up."""
    world = World(tmp_path)
    world.bring_up(STACK)
    return world


def move(world: World, backend: LocalBackend | S3Backend = S3, *, approve: bool = True, stack: Any = STACK) -> Moved:
    asked: list[Move] = []

    def ask(found: Move) -> bool:
        asked.append(found)
        return approve

    with world.run(stack, "state migrate") as run:
        return migrate(run, backend, approve=ask, now=world.now)


def content(state: Any) -> Any:
    return [state[name] for name in ("lineage", "outputs", "resources")]


def there(world: World) -> Any:
    return json.loads(world.objects[PLACE])


def put(world: World, state: Any, **changes: Any) -> None:
    world.objects[PLACE] = json.dumps({**state, **changes})


def test_it_is_copied_and_the_old_file_is_put_aside(world: World) -> None:
    before = world.terraform_state(STACK)
    moved = move(world)
    assert (moved.moved, moved.lineage, moved.target) == (True, before["lineage"], "s3://acme-state/demo.tfstate")
    assert content(there(world)) == content(before)
    assert moved.aside is not None
    assert json.loads(moved.aside.read_text()) == before
    assert moved.aside.stat().st_mode & 0o777 == 0o600
    assert not (world.work_dir(STACK) / "terraform.tfstate").exists()
    assert not world.bootstrap(REMOTE).changed
    back = move(world, LocalBackend(), stack=REMOTE)
    assert (back.moved, back.left) == (True, "s3://acme-state/demo.tfstate")
    assert content(world.terraform_state(STACK)) == content(before)


def test_a_copy_of_an_earlier_move_is_written_over(world: World) -> None:
    state = world.terraform_state(STACK)
    put(world, state, serial=state["serial"] - 1, outputs={})
    move(world)
    assert content(there(world)) == content(state)


@pytest.mark.parametrize(
    "found,what",
    [
        (lambda _state: OTHERS, "holds another state; nothing was moved"),
        (lambda state: {**state, "lineage": "another", "outputs": {}}, "holds another state; nothing was moved"),
        (
            lambda state: {**state, "serial": state["serial"] + 1, "outputs": {}},
            "holds a newer state; nothing was moved",
        ),
    ],
)
def test_another_state_and_a_newer_one_are_not_written_over(
    world: World, found: Callable[[Any], Any], what: str
) -> None:
    put(world, found(world.terraform_state(STACK)))
    refused(world, what)


def test_a_place_on_our_machine_that_holds_another_state_is_left(world: World) -> None:
    """The stack's state lies in S3, and a file of another lineage lies where the local one would."""
    move(world)
    world.put_state(STACK, OTHERS)
    elsewhere = replace(S3, key="elsewhere.tfstate")
    with pytest.raises(StateConflictError, match="holds a state that is not the stack's"):
        move(world, elsewhere, stack=REMOTE)
    assert world.terraform_state(STACK) == OTHERS
    assert not world.bootstrap(REMOTE).changed


def test_nothing_is_moved_without_approval(world: World) -> None:
    refused(world, "was not approved", ApprovalRequiredError, approve=False)
    assert world.objects == {}


def test_a_state_that_could_not_be_saved_goes_first(world: World) -> None:
    (world.work_dir(STACK) / "errored.tfstate").write_text("{}")
    refused(world, "could not save", GridbyocError)
    assert world.objects == {}


def test_another_account_is_refused_before_anything_is_asked(world: World) -> None:
    guarded = replace(STACK, aws=Aws("us-east-1", account_id="999999999999"))
    world.terraform.commands.clear()
    refused(world, "the stack is for 999999999999", GridbyocError, stack=guarded)
    assert world.terraform.commands == []


def test_a_run_that_changes_the_state_meanwhile_is_noticed(world: World) -> None:
    state = world.terraform_state(STACK)
    world.meanwhile[f"push {state['serial']}"] = lambda: world.put_state(
        STACK, {**state, "serial": state["serial"] + 1}
    )
    with pytest.raises(StateConflictError, match="Another run has changed the state"):
        move(world)
    assert not world.bootstrap(STACK).changed


@pytest.mark.parametrize("change", [{"outputs": {}}, {"lineage": "another"}, {"serial": 0}, {"resources": []}])
def test_a_copy_that_is_not_what_was_copied_is_not_gone_on_with(world: World, change: dict[str, Any]) -> None:
    state = world.terraform_state(STACK)
    world.meanwhile[f"push {state['serial']}"] = lambda: put(world, state, **change)
    with pytest.raises(StateConflictError, match="differs from the original"):
        move(world)
    assert world.terraform_state(STACK) == state
    assert not world.bootstrap(STACK).changed


def refused(world: World, what: str, kind: type[GridbyocError] = StateConflictError, **options: Any) -> None:
    """It is refused with these words, and both places are as they were."""
    state, objects = world.terraform_state(STACK), dict(world.objects)
    with pytest.raises(kind, match=what):
        move(world, **options)
    assert world.terraform_state(STACK) == state
    assert world.objects == objects
