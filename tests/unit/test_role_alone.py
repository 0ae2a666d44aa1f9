"""A stack without clusters: the role alone, with and without a key for the control plane."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.control_plane import connect
from gridbyoc.control_plane.model import WithoutKey
from gridbyoc.control_plane.registrar import refuse_unasked
from gridbyoc.errors import (
    ApprovalRequiredError,
    AuthenticationError,
    ClusterNotFoundError,
    GridbyocError,
    UnaskedControlPlaneError,
)
from gridbyoc.operations.events import Note
from gridbyoc.operations.run import Choices
from gridbyoc.show.report import report_lines
from gridbyoc.stack.model import ControlPlane
from tests.unit.world import FAST, World, a_stack

UP = a_stack()
ALONE = replace(UP, clusters=())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_role_is_made_and_nothing_is_registered(world: World) -> None:
    report = world.converge(ALONE)
    assert report.resources["add"] > 0
    assert not any(call.startswith("POST") for call in world.plane.calls)
    again = world.bootstrap(ALONE)
    assert not again.changed
    assert "Nothing changed: both sides were already as the stack file asks." in report_lines(again)


def test_a_cluster_comes_and_goes_with_the_same_role(world: World) -> None:
    role = world.converge(ALONE).role_arn
    assert world.converge(UP).role_arn == role
    with pytest.raises(ApprovalRequiredError):
        world.bootstrap(ALONE)
    assert [each.status for each in world.plane.live().values()] == ["running"]
    assert world.converge(ALONE, yes_destroy=True).role_arn == role


def test_without_a_key_what_the_control_plane_has_is_unknown(world: World) -> None:
    world.plane.unasked = "there is no key"
    report = world.bootstrap(ALONE)
    assert report.unasked == "there is no key"
    lines = "\n".join(report_lines(world.bootstrap(ALONE)))
    assert "the control plane's clusters are unknown: there is no key" in lines
    assert "Nothing changed: the role was already as the stack file asks." in lines
    assert "both sides" not in lines


def test_without_a_key_nothing_is_destroyed_rotated_or_replaced(world: World) -> None:
    role = world.converge(ALONE).role_arn
    world.plane.unasked = "there is no key"
    with pytest.raises(UnaskedControlPlaneError, match="destroy the role"):
        world.destroy(ALONE)
    rotated = replace(ALONE, role=replace(ALONE.role, rotation="2"))
    with pytest.raises(UnaskedControlPlaneError, match="rotate the grant"):
        world.bootstrap(rotated, needs_role=True)
    with pytest.raises(UnaskedControlPlaneError, match="rotate the grant"):
        world.bootstrap(ALONE, new_role=True, yes_destroy=True)
    renamed = replace(ALONE, role=replace(ALONE.role, path="/elsewhere/"))
    with pytest.raises(UnaskedControlPlaneError, match="destroy or replace"):
        world.bootstrap(renamed, yes_destroy=True)
    assert [each["Arn"] for each in world.iam.roles.values()] == [role]
    world.plane.unasked = ""
    world.destroy(ALONE)
    assert not world.iam.roles


def test_without_a_key_a_tainted_role_is_not_replaced(world: World) -> None:
    """Where nobody knows whether clusters run through it, it may be in use; where all is known, it is made again."""
    fixed = replace(ALONE, role=replace(ALONE.role, name="grid-fixed"))
    world.converge(fixed)
    world.taint(fixed)
    world.plane.unasked = "there is no key"
    for approved in (False, True):
        with pytest.raises(UnaskedControlPlaneError, match=r"destroy or replace module\.gridbyoc\.aws_iam_role\.this"):
            world.bootstrap(fixed, yes_destroy=approved)
    assert world.made_roles == 1
    world.plane.unasked = ""
    world.converge(fixed)
    assert world.made_roles == 2


def test_without_a_key_an_id_that_an_unknown_cluster_may_hold_stays_accepted(world: World) -> None:
    """A rotation by the file alone: nobody can say who still holds the old id."""
    world.converge(ALONE)
    (role,) = world.iam.roles.values()
    before = world.iam.accepted(role["Arn"])
    world.plane.unasked = "there is no key"
    world.bootstrap(replace(ALONE, role=replace(ALONE.role, rotation="2")))
    after = world.iam.accepted(role["Arn"])
    assert before < after
    assert any(isinstance(event, Note) and "still accepted" in event.message for event in world.events)
    world.plane.unasked = ""
    world.bootstrap(replace(ALONE, role=replace(ALONE.role, rotation="2")))
    assert world.iam.accepted(role["Arn"]) == after - before


@pytest.mark.parametrize(
    "environ,without_key,unasked",
    [({}, "unknown", "there is no key for the control plane"), ({}, "nothing", "")],
)
def test_a_client_without_a_key(environ: dict[str, str], without_key: WithoutKey, unasked: str, tmp_path: Path) -> None:
    client = connect(ControlPlane(), environ=environ, home=tmp_path, without_key=without_key)
    assert (client.unasked, client.list(), client.listing().default_id) == (unasked, (), None)
    with pytest.raises(AuthenticationError if unasked else ClusterNotFoundError):
        client.get("x")
    with pytest.raises(AuthenticationError):
        client.delete("x")
    if unasked:
        with pytest.raises(UnaskedControlPlaneError):
            refuse_unasked(client, "do it")
    else:
        refuse_unasked(client, "do it")


@pytest.mark.parametrize(
    "environ,without_key",
    [({}, "refused"), ({"GRID_API_KEY": "half"}, "unknown"), ({"GRID_USER_ID": "half"}, "nothing")],
)
def test_half_a_key_is_an_error(environ: dict[str, str], without_key: WithoutKey, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError):
        connect(ControlPlane(), environ=environ, home=tmp_path, without_key=without_key)


@pytest.mark.parametrize(
    "stack,choices,meaning",
    [
        (UP, FAST, "refused"),
        (UP, replace(FAST, no_control_plane=True), "refused"),
        (ALONE, FAST, "unknown"),
        (ALONE, replace(FAST, no_control_plane=True), "nothing"),
    ],
)
def test_only_a_stack_without_clusters_does_without_a_key(
    world: World, stack: object, choices: Choices, meaning: str
) -> None:
    with world.run(stack, "plan", choices) as run:  # type: ignore[arg-type]  # a Stack, from the row
        assert run.without_key == meaning


def test_leftovers_are_not_looked_for_where_nobody_says_what_lives(world: World) -> None:
    from gridbyoc.operations.leftovers import find_leftovers

    world.converge(ALONE)
    world.plane.unasked = "there is no key"
    with world.run(ALONE, "leftovers") as run:
        session, caller = run.account()
        with pytest.raises(GridbyocError, match="is unknown"):
            find_leftovers(run, session, caller, run.registrar())
