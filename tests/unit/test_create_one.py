"""One cluster of a stack through ``create_cluster``: with the role that is there, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError, UsageError
from gridbyoc.operations.register import spec_named
from gridbyoc.stack.model import Stack
from tests.unit.world import FAST, HUGE, World, a_stack, phases, spec

UP = a_stack()
TWO = a_stack(spec(), spec("more"))
OTHERS = "arn:aws:iam::123456789012:role/somebody-else"


def test_it_is_created_through_the_standing_role(world: World) -> None:
    world.bring_up(UP)
    world.terraform.commands.clear()
    found = world.create(TWO, "more")
    assert found.created
    assert found.cluster.status == "running"
    assert world.effects == ["POST more"]
    assert not {command[0] for command in world.terraform.commands} & {"plan", "apply", "import"}


def test_one_that_is_there_is_left_as_it_is_and_what_differs_is_told(world: World) -> None:
    world.bring_up(UP)
    found = world.create(a_stack(spec(kind=HUGE)), "ml")
    assert not found.created
    assert world.effects == []
    assert any("`gridbyoc bootstrap` would change instance_types[m5.large]" in each for each in world.notes())


def test_others_of_the_file_are_not_looked_after(world: World) -> None:
    """Neither created, nor changed, nor deleted."""
    world.bring_up(TWO)
    world.create(a_stack(spec("ml", HUGE), spec("third"), spec("fourth")), "third")
    assert world.effects == ["POST third"]
    assert world.plane.live().keys() == {"ml", "more", "third"}


@dataclass(frozen=True)
class Failure:
    """What goes wrong; the error; the requests by then."""

    name: str
    arrange: Callable[[World], object]
    error: str
    status: int
    calls: list[str]
    stack: Stack = TWO
    cluster: str = "more"
    up: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def answers(method: str, *texts: str) -> Callable[[World], object]:
    return lambda world: world.plane.answers.update({method: list(texts)})


def somebodys(world: World) -> None:
    world.plane.put(Cluster("theirs", "more", Phase.RUNNING, role_arn=OTHERS))


def on_its_way_out(world: World) -> None:
    world.plane.delete_seconds = 1e9
    world.create(TWO, "more")
    world.plane.delete(world.plane.live()["more"].id)


def distrusts(world: World) -> None:
    """Somebody has taken the control plane out of the trust policy."""
    (role,) = world.iam.roles.values()
    role["AssumeRolePolicyDocument"] = {"Version": "2012-10-17", "Statement": []}


def tells(*story: Any) -> Callable[[World], object]:
    return lambda world: setattr(world.plane, "story", phases(*story))


FAILURES = [
    Failure("a name that the file has not", lambda _world: None, "UsageError", 2, [], cluster="mor"),
    Failure("before the first apply", lambda _world: None, "OutputMissingError", 1, [], up=False),
    Failure("the trust is broken", distrusts, "TrustError", 1, []),
    Failure("somebody else's", somebodys, "ClusterConflictError", 1, []),
    Failure("on its way out", on_its_way_out, "ClusterConflictError", 1, []),
    Failure("refused", answers("POST", "400"), "ControlPlaneError", 1, ["POST more"]),
    Failure("unclear", answers("POST", "500", "500", "500"), "UnclearAnswerError", 1, ["POST more"] * 3),
    Failure("it fails", tells((0.0, Phase.FAILED, "no quota")), "ClusterFailedError", 5, ["POST more"]),
    Failure("it never runs", tells((0.0, Phase.PENDING)), "WaitTimedOutError", 6, ["POST more"]),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_a_failure_stops_there_and_a_bootstrap_goes_on(world: World, failure: Failure) -> None:
    if failure.up:
        world.bring_up(UP)
    failure.arrange(world)
    world.terraform.commands.clear()
    with pytest.raises(GridbyocError) as caught:
        world.create(failure.stack, failure.cluster, **failure.options)
    assert type(caught.value).__name__ == failure.error
    assert int(caught.value.exit_status) == failure.status
    assert world.plane.calls == failure.calls
    assert not {command[0] for command in world.terraform.commands} & {"plan", "apply", "import"}
    world.plane.story = phases((0.0, Phase.RUNNING))
    world.plane.clusters = {k: v for k, v in world.plane.clusters.items() if v.name != "more"}
    world.converge(TWO)


def test_an_answer_that_was_lost_makes_no_second_cluster(world: World) -> None:
    world.bring_up(UP)
    world.plane.answers["POST"] = ["kept, then lost"]
    found = world.create(TWO, "more")
    assert found.created
    assert world.plane.calls == ["POST more"]
    assert len(world.plane.held()) == 2


def test_it_is_not_waited_for_where_that_is_not_asked(world: World) -> None:
    world.bring_up(UP)
    found = world.create(TWO, "more", choices=replace(FAST, wait=False))
    assert found.cluster.status == "pending"


def test_a_stack_without_clusters_has_no_name_to_suggest() -> None:
    with pytest.raises(UsageError, match="no cluster named 'ml'") as caught:
        spec_named(replace(a_stack(), clusters=()), "ml")
    assert "lists none" in caught.value.why
