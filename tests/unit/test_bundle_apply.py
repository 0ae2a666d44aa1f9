"""A bundle is applied exactly as it was planned, or refused with what has moved since, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import StalePlanError
from gridbyoc.operations.bundle.apply import apply_bundle
from gridbyoc.operations.bundle.make import make_bundle, read_bundle
from gridbyoc.operations.plan import make_plan
from gridbyoc.operations.prepare import prepare
from gridbyoc.operations.report import Report
from gridbyoc.stack.files import remove
from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from tests.unit.world import HUGE, World, a_stack, spec

UP = a_stack(external_id=Secret("external-id-given"))
WIDER = replace(UP, role=replace(UP.role, max_session_hours=2), clusters=(spec(kind=HUGE),))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "here")
    world.bring_up(UP)
    return world


def plan(world: World, stack: Stack = WIDER) -> bytes:
    with world.run(stack, "plan") as run:
        site = prepare(run)
        made = make_plan(run, site)
        assert made.saved is not None
        try:
            return make_bundle(run, site, made, overrides=(), key=None)
        finally:
            remove(made.saved)


def apply(world: World, bundle: bytes, stack: Stack = WIDER) -> Report:
    with world.run(stack, "apply") as run:
        return apply_bundle(run, read_bundle(bundle, None), world.approval(yes=True, yes_destroy=False, answer=None))


def test_what_was_planned_is_done(world: World) -> None:
    apply(world, plan(world))
    assert world.effects == ["UpdateAssumeRolePolicy", "PUT ml"]
    assert not world.bootstrap(WIDER).changed


def somebody_changes_the_cluster(world: World) -> None:
    cluster = world.plane.live()["ml"]
    world.plane.put(replace(cluster, raw={**cluster.raw, "spec": {"changed": "by hand"}}))


def somebody_asks_another_state_of_the_cluster(world: World) -> None:
    world.plane.put(replace(world.plane.live()["ml"], desired_state=Phase.PENDING))


def somebody_runs_a_cluster_through_the_role(world: World) -> None:
    cluster = world.plane.live()["ml"]
    world.plane.put(Cluster("id-more", "more", Phase.RUNNING, role_arn=cluster.role_arn))


def the_account_is_another(world: World) -> None:
    world.aws.account = "999999999999"


def the_checkout_is_another(world: World) -> None:
    world.directory = world.directory.parent / "elsewhere"


@dataclass(frozen=True)
class Move:
    """What is another thing when a bundle is applied, and the line that says so."""

    line: str
    arrange: Callable[[World], object] = lambda _world: None
    stack: Stack = WIDER
    environ: dict[str, str] = field(default_factory=dict)


GIVEN = replace(WIDER.role, external_id=Secret("external-id-another"))
MOVES = [
    Move("the environment sets other default tags", environ={"TF_AWS_DEFAULT_TAGS_team": "ml"}),
    Move("the state is local, but", the_checkout_is_another),
    Move("the AWS account is 999999999999, but the plan was made in 123456789012", the_account_is_another),
    Move("the cluster ml (cluster-1) was changed", somebody_changes_the_cluster),
    Move("the cluster ml (cluster-1) was changed", somebody_asks_another_state_of_the_cluster),
    Move("the cluster more (id-more) is new", somebody_runs_a_cluster_through_the_role),
    Move("the rendered root module differs", stack=replace(WIDER, role=GIVEN)),
    Move("the cluster ml no longer needs what was planned: update", stack=replace(WIDER, clusters=UP.clusters)),
    Move("the cluster new needs a change that was not planned: create",
         stack=replace(WIDER, clusters=(*WIDER.clusters, spec("new")))),
]  # fmt: skip


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.line)
def test_what_has_moved_is_named_and_nothing_is_done(world: World, move: Move) -> None:
    bundle = plan(world)
    move.arrange(world)
    world.environ |= move.environ
    with pytest.raises(StalePlanError) as caught:
        apply(world, bundle, move.stack)
    assert any(move.line in line for line in caught.value.diagnostics), caught.value.diagnostics
    assert int(caught.value.exit_status) == 9
    assert world.effects == []


def test_a_bundle_of_another_stack(world: World) -> None:
    bundle, other = plan(world), replace(WIDER, name="other")
    with pytest.raises(StalePlanError) as caught:
        apply(world, bundle, other)
    assert "the stack is other, but the bundle is for demo" in caught.value.diagnostics
    assert world.effects == []


def test_a_state_that_is_at_another_serial(world: World) -> None:
    bundle: Any = plan(world)
    world.bootstrap(replace(UP, role=replace(UP.role, max_session_hours=3)))
    with pytest.raises(StalePlanError) as caught:
        apply(world, bundle)
    assert any("the state changed from serial" in line for line in caught.value.diagnostics)
    assert world.effects == []
