"""``protect: true``: where it stands is named, and nothing but the file takes it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.errors import ControlPlaneError, ProtectedStackError
from gridbyoc.operations.protection import protection, refuse_if_protected
from gridbyoc.operations.run import Run
from gridbyoc.stack.load import read
from gridbyoc.stack.model import PolicyStatement, Stack
from gridbyoc.stack.secret import Secret
from tests.unit.fakes import Time
from tests.unit.test_run_parts import make_run
from tests.unit.world import HUGE, World, a_stack, spec

BODY = "version: 1\nname: a\nclusters: [{name: a}]\n"


def run_of(directory: Path, text: str) -> Run:
    file = directory / "gridbyoc.yaml"
    file.write_text(text)
    loaded = read(file.name, environ={}, cwd=directory)
    return replace(make_run(directory, [], Time()), stack=loaded.stack, origin=loaded.origin)


def test_the_refusal_names_file_and_line(tmp_path: Path) -> None:
    run = run_of(tmp_path, BODY + "protect: true\n")
    with pytest.raises(ProtectedStackError) as error:
        refuse_if_protected(run, "destroy the role")
    assert error.value.what == "The stack a is protected: this would destroy the role."
    assert error.value.why == "`protect: true` stands in gridbyoc.yaml:4."
    assert int(error.value.exit_status) == 4
    with pytest.raises(ProtectedStackError):
        refuse_if_protected(replace(run, origin=None), "destroy the role")


def test_a_base_protects_and_the_file_itself_may_say_otherwise(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("# company\nprotect: true\n")
    assert protection(run_of(tmp_path, BODY + "extends: base.yaml\n")) == "base.yaml:2"
    assert protection(run_of(tmp_path, BODY + "extends: base.yaml\nprotect: false\n")) == ""
    assert protection(run_of(tmp_path, BODY)) == ""


STACK, TWO = a_stack(), a_stack(spec(), spec("more"))
ID = a_stack(external_id=Secret("external-id-of-the-users"))


def guarded(stack: Stack) -> Stack:
    return replace(stack, protect=True)


@pytest.mark.parametrize(
    "before,after,says,options",
    [
        (STACK, a_stack(name="grid-by-name"), "aws_iam_role.this", {}),
        (STACK, a_stack(managed_policies=()), "AmazonS3FullAccess", {}),
        (STACK, a_stack(statements=()), "aws_iam_policy.this", {}),
        (TWO, STACK, "cluster more", {}),
        (TWO, a_stack(spec(kind=HUGE), spec("third")), "cluster more", {}),
        (TWO, STACK, "cluster more", {"yes": False, "answer": True}),
        (STACK, STACK, "replace its role", {"new_role": True}),
    ],
)
def test_what_would_destroy_or_replace_something_is_refused_whatever_is_approved(
    world: World, before: Stack, after: Stack, says: str, options: dict[str, Any]
) -> None:
    world.bring_up(before)
    with pytest.raises(ProtectedStackError, match=says):
        world.bootstrap(guarded(after), **{"yes_destroy": True, **options})
    assert world.effects == []
    assert world.asked == []
    world.converge(guarded(before))
    world.converge(after, **{"yes_destroy": True, "new_role": bool(options.get("new_role"))})


@pytest.mark.parametrize(
    "before,after",
    [
        (None, STACK),
        (STACK, TWO),
        (STACK, a_stack(spec(kind=HUGE))),
        (STACK, a_stack(statements=(PolicyStatement(("eks:*",)),))),
        (STACK, replace(STACK, role=replace(STACK.role, rotation="2026-11"))),
        (STACK, ID),
    ],
)
def test_creation_change_and_rotation_go_on(world: World, before: Stack | None, after: Stack) -> None:
    if before is not None:
        world.bring_up(before)
    world.bootstrap(guarded(after))
    assert world.effects != []
    world.converge(guarded(after))


def test_a_destruction_is_refused_before_anything_is_looked_at(world: World) -> None:
    world.bring_up(STACK)
    world.terraform.commands.clear()
    with pytest.raises(ProtectedStackError, match="destroy its clusters and its role"):
        world.destroy(guarded(STACK))
    assert (world.effects, world.doomed, world.terraform.commands, world.plane.calls) == ([], [], [], [])
    assert world.destroy(STACK).clusters == ("ml",)


def test_a_role_that_is_being_replaced_stays_as_long_as_the_stack_is_protected(world: World) -> None:
    world.bring_up(STACK)
    world.bootstrap(STACK, new_role=True)
    assert len(world.iam.roles) == 2
    world.bootstrap(guarded(STACK), yes_destroy=True)
    assert len(world.iam.roles) == 2
    assert any("The old role stays: the stack is protected" in note for note in world.notes())
    world.converge(STACK, yes_destroy=True)


def test_a_protected_run_takes_back_what_it_made_itself(world: World) -> None:
    world.plane.answers["POST"] = ["400"]
    with pytest.raises(ControlPlaneError):
        world.bootstrap(guarded(STACK), rollback=True)
    assert world.iam.roles == {}
    world.bootstrap(STACK)
    world.plane.answers["POST"] = ["400"]
    with pytest.raises(ControlPlaneError):
        world.bootstrap(guarded(TWO), rollback=True)
    assert len(world.iam.roles) == 1
    world.converge(guarded(TWO))
