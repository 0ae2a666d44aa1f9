"""``--rollback`` through bootstrap's front door: what this run created is taken back, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbyoc.errors import ControlPlaneError, GridbyocError
from tests.unit.world import CREATES, MANAGED, World, a_stack, spec

UP = a_stack()
TWO = a_stack(spec(), spec("more"))
WIDER = replace(TWO, role=replace(TWO.role, managed_policies=(*MANAGED, "AmazonSQSFullAccess")))
ROLE_GOES = ["DetachRolePolicy", "DetachRolePolicy", "DeletePolicy", "DeleteRole"]


def refuse(world: World, *answers: str) -> None:
    world.plane.answers["POST"] = list(answers)


def test_a_fresh_stack_is_taken_back_whole(world: World) -> None:
    refuse(world, "400")
    with pytest.raises(ControlPlaneError) as caught:
        world.bootstrap(UP, rollback=True)
    assert world.effects == [*CREATES, *ROLE_GOES]
    assert world.iam.roles == {}
    assert "destroyed again, and nothing else" in caught.value.rerun
    world.converge(UP)


def test_clusters_of_this_run_go_before_the_role(world: World) -> None:
    refuse(world, "", "422")
    with pytest.raises(ControlPlaneError):
        world.bootstrap(TWO, rollback=True)
    assert world.effects == [*CREATES, "POST ml", "DELETE ml", *ROLE_GOES]
    assert world.plane.held() == {}
    assert world.locked_out == []


@pytest.mark.parametrize("answer", ["408", "425", "429", "500", "503", "unreachable", "lost"])
def test_what_may_pass_takes_nothing_back(world: World, answer: str) -> None:
    refuse(world, *[answer] * 9)
    with pytest.raises(ControlPlaneError):
        world.bootstrap(UP, rollback=True)
    assert world.effects == CREATES
    assert len(world.iam.roles) == 1


def test_without_the_wish_the_role_stays_and_the_error_says_so(world: World) -> None:
    refuse(world, "400")
    with pytest.raises(ControlPlaneError) as caught:
        world.bootstrap(UP)
    (role,) = world.iam.roles.values()
    assert world.effects == CREATES
    assert caught.value.rerun.startswith(f"The role {role['Arn']} stays.")


def test_what_was_there_before_stays(world: World) -> None:
    world.bring_up(UP)
    refuse(world, "400")
    with pytest.raises(ControlPlaneError) as caught:
        world.bootstrap(TWO, rollback=True)
    assert world.effects == []
    assert world.plane.live().keys() == {"ml"}
    assert len(world.iam.roles) == 1
    assert "destroyed again, and nothing else" in caught.value.rerun


def test_of_a_role_that_was_there_only_what_is_new_goes(world: World) -> None:
    world.bring_up(UP)
    refuse(world, "400")
    with pytest.raises(ControlPlaneError):
        world.bootstrap(WIDER, rollback=True)
    assert world.effects == ["AttachRolePolicy", "DetachRolePolicy"]
    (role,) = world.iam.roles.values()
    assert len(role["Attached"]) == 2
    assert world.plane.live().keys() == {"ml"}
    world.converge(WIDER)


def test_what_was_made_anew_in_the_place_of_something_stays(world: World) -> None:
    """A replaced role was there before; taking it away would take the clusters' own."""
    world.bring_up(UP)
    refuse(world, "400")
    renamed = replace(TWO, role=replace(TWO.role, name="grid-by-name"))
    with pytest.raises(ControlPlaneError):
        world.bootstrap(renamed, rollback=True, yes_destroy=True)
    assert list(world.iam.roles) == ["grid-by-name"]
    assert world.plane.live().keys() == {"ml"}


def test_what_others_hang_on_stays(world: World) -> None:
    """Somebody took the external id out of the state: this run makes a new one, and the old role depends on it."""
    world.bring_up(UP)
    state = world.terraform_state(UP)
    state["resources"] = [each for each in state["resources"] if each["name"] != "this" or "data" not in each["type"]]
    world.put_state(UP, state)
    refuse(world, "400")
    with pytest.raises(ControlPlaneError) as caught:
        world.bootstrap(TWO, rollback=True)
    assert world.effects == ["UpdateAssumeRolePolicy", "PUT ml"]
    assert "would also destroy module.gridbyoc.aws_iam_" in caught.value.rerun
    assert world.steps()["destroy"] == "skipped"
    assert world.locked_out == []
    world.converge(TWO)


def test_a_rollback_that_fails_says_so(world: World) -> None:
    refuse(world, "400")
    world.module.refused["DeleteRole"] = "api error AccessDenied"
    with pytest.raises(GridbyocError) as caught:
        world.bootstrap(UP, rollback=True)
    assert type(caught.value).__name__ == "TerraformError"
    assert len(world.iam.roles) == 1
    world.converge(UP)


def test_an_apply_that_fails_is_no_registration(world: World) -> None:
    world.module.refused["CreatePolicy"] = "api error AccessDenied"
    with pytest.raises(GridbyocError):
        world.bootstrap(UP, rollback=True)
    assert world.effects == ["CreateRole", "AttachRolePolicy"]
