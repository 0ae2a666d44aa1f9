"""A bundle through ``apply_bundle``: exactly what was planned, or nothing and a line for each thing that has moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError, StalePlanError
from gridbyoc.operations.bundle.apply import apply_bundle
from gridbyoc.operations.bundle.file import Bundle
from gridbyoc.operations.bundle.make import make_bundle, read_bundle
from gridbyoc.operations.plan import make_plan
from gridbyoc.operations.prepare import prepare
from gridbyoc.operations.report import Report
from gridbyoc.stack.model import PolicyStatement, S3Backend, Stack, TerraformSettings
from gridbyoc.terraform import Binary
from tests.unit.world import CREATES, HUGE, KilledError, World, a_stack, spec

TRUST = "UpdateAssumeRolePolicy"
REMOTE = TerraformSettings(S3Backend("acme-state", "demo.tfstate", "us-east-1"))


def up(world: World, **fields: Any) -> Stack:
    """The stack, with a file that bundles are made of."""
    file = world.directory / "gridbyoc.yaml"
    if not file.exists():
        file.write_text("version: 1\n")
    return replace(a_stack(), **{"file": file, **fields})


def narrower(stack: Stack) -> Stack:
    return replace(stack, role=replace(stack.role, statements=(PolicyStatement(("eks:*",)),)))


def plan(world: World, stack: Stack) -> Bundle:
    """As ``plan --out`` makes one, and ``apply`` reads it."""
    with world.run(stack, "plan") as run:
        site = prepare(run)
        made = make_plan(run, site)
        data = make_bundle(run, site, made, overrides=(), key=None)
        assert made.saved is not None
        made.saved.unlink()
    return read_bundle(data, None)


def apply(world: World, stack: Stack, bundle: Bundle, *, yes: bool = True, yes_destroy: bool = False) -> Report:
    with world.run(stack, "apply") as run:
        return apply_bundle(run, bundle, world.approval(yes, yes_destroy, None))


@dataclass(frozen=True)
class Way:
    """A bundle on a stack that may be up: what its application changes."""

    name: str
    before: bool
    change: Callable[[Stack], Stack]
    effects: list[str]
    yes_destroy: bool = False


def same(stack: Stack) -> Stack:
    return stack


WAYS = [
    Way("fresh", False, same, [*CREATES, "POST ml"]),
    Way("nothing", True, same, []),
    Way("another policy", True, narrower, ["CreatePolicyVersion"]),
    Way("another instance type", True, lambda stack: replace(stack, clusters=(spec(kind=HUGE),)), ["PUT ml"]),
    Way("one cluster more", True, lambda stack: replace(stack, clusters=(spec(), spec("more"))), ["POST more"]),
    Way("one cluster less", True, lambda stack: replace(stack, clusters=(spec("new"),)), ["POST new", "DELETE ml"],
        True),
    # the end of a rotation is in no plan that was shown
    Way("a rotation", True, lambda stack: replace(stack, role=replace(stack.role, rotation="2026-11")),
        [TRUST, "PUT ml"]),
]  # fmt: skip


@pytest.mark.parametrize("terraform", [TerraformSettings(), REMOTE], ids=["local", "remote"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_it_does_what_was_planned_and_nothing_else(world: World, way: Way, terraform: TerraformSettings) -> None:
    stack = up(world, terraform=terraform)
    if way.before:
        world.bring_up(replace(stack, file=None))
    asked = way.change(stack)
    bundle = plan(world, asked)
    world.terraform.commands.clear()
    apply(world, asked, bundle, yes_destroy=way.yes_destroy)
    assert world.effects == way.effects
    commands = [command[0] for command in world.terraform.commands]
    assert "plan" not in (commands[: commands.index("apply")] if "apply" in commands else commands)
    assert world.locked_out == []
    world.converge(asked)


def test_a_rotation_by_bundle_leaves_the_old_id_to_the_next_plan(world: World) -> None:
    stack = up(world)
    world.bootstrap(stack)
    rotated = replace(stack, role=replace(stack.role, rotation="2026-11"))
    apply(world, rotated, plan(world, rotated))
    assert any("The old grant is still accepted" in each for each in world.notes())
    (role,) = world.iam.roles.values()
    assert len(world.iam.accepted(role["Arn"])) == 2
    apply(world, rotated, plan(world, rotated))
    assert world.effects == [TRUST]
    assert len(world.iam.accepted(role["Arn"])) == 1


def test_a_fresh_checkout_applies_it(world: World, tmp_path: Path) -> None:
    stack = up(world, terraform=REMOTE)
    bundle = plan(world, stack)
    world.directory = tmp_path
    elsewhere = up(world, terraform=REMOTE)
    apply(world, elsewhere, bundle)
    assert world.effects == [*CREATES, "POST ml"]


# --- what has moved


@dataclass(frozen=True)
class Moved:
    """What moves between plan and apply, and the line for it; ``stack`` is what the apply is given."""

    name: str
    move: Callable[[World, Stack], object]
    line: str
    stack: Callable[[Stack], Stack] = same


def serial(world: World, stack: Stack) -> None:
    state = world.terraform_state(stack)
    world.put_state(stack, {**state, "serial": state["serial"] + 1})


def lineage(world: World, stack: Stack) -> None:
    world.put_state(stack, {**world.terraform_state(stack), "lineage": "another"})


def gone(world: World, stack: Stack) -> None:
    (world.work_dir(stack) / "terraform.tfstate").unlink()


def file_changed(_world: World, stack: Stack) -> None:
    assert stack.file is not None
    stack.file.write_text("version: 1\n# edited\n")


def account(world: World, _stack: Stack) -> None:
    world.aws.account = "999999999999"


def binary(world: World, _stack: Stack) -> None:
    world.binary = Binary(("terraform",), "terraform", (1, 12, 0), "/usr/bin/terraform")


def default_tags(world: World, _stack: Stack) -> None:
    world.environ["TF_AWS_DEFAULT_TAGS_team"] = "ml"


def plane_moved(world: World, _stack: Stack) -> None:
    world.plane.url = "https://another.test"


def cluster_changed(world: World, _stack: Stack) -> None:
    ml = world.plane.live()["ml"]
    world.plane.put(replace(ml, raw={"spec": "edited"}))


def cluster_gone(world: World, _stack: Stack) -> None:
    world.plane.clusters.pop(world.plane.live()["ml"].id)


def cluster_came(world: World, _stack: Stack) -> None:
    (role,) = world.iam.roles.values()
    world.plane.put(Cluster("late", "late", Phase.RUNNING, role_arn=role["Arn"]))


def another_journal(world: World, stack: Stack) -> None:
    (world.work_dir(stack) / "journal.jsonl").write_text("")


MOVED = [
    Moved("the serial", serial, "the state changed from serial"),
    Moved("the lineage", lineage, "the state is a different one"),
    Moved("the state is gone", gone, "there is no state any more"),
    Moved("the stack file", file_changed, "the stack file gridbyoc.yaml was changed"),
    Moved("the stack's name", lambda _world, _stack: None, "the stack is other, but the bundle is for demo",
          lambda stack: replace(stack, name="other")),
    Moved("the account", account, "the AWS account is 999999999999"),
    Moved("Terraform", binary, "Terraform is terraform 1.12.0, but was terraform 1.11.4"),
    Moved("the environment", default_tags, "the environment sets other default tags"),
    Moved("the control plane", plane_moved, "the control plane is https://another.test"),
    Moved("a cluster was changed", cluster_changed, "the cluster ml (cluster-1) was changed"),
    Moved("a cluster has vanished", cluster_gone, "the cluster ml (cluster-1) was deleted"),
    Moved("a cluster has appeared", cluster_came, "the cluster late (late) is new"),
    Moved("another work_dir", another_journal, "the plan was not made in"),
    Moved("the region", lambda _world, _stack: None, "the region is eu-west-1, but was us-east-1",
          lambda stack: replace(stack, aws=replace(stack.aws, region="eu-west-1"))),
    Moved("the rendered root", lambda _world, _stack: None, "the rendered root module differs",
          lambda stack: replace(stack, role=replace(stack.role, tags={"team": "ml"}))),
    Moved("what a cluster needs", lambda _world, _stack: None, "the cluster ml no longer needs what was planned: none",
          lambda stack: replace(stack, clusters=(spec(kind=HUGE),))),
    Moved("a cluster that was not planned", lambda _world, _stack: None,
          "the cluster more needs a change that was not planned: create",
          lambda stack: replace(stack, clusters=(spec(), spec("more")))),
]  # fmt: skip


@pytest.mark.parametrize("moved", MOVED, ids=lambda moved: moved.name)
def test_what_has_moved_is_named_and_nothing_is_done(world: World, moved: Moved) -> None:
    stack = up(world)
    world.bring_up(replace(stack, file=None))
    asked = narrower(stack)
    bundle = plan(world, asked)
    moved.move(world, stack)
    roles, clusters = str(world.iam.roles), world.plane.clusters.copy()
    with pytest.raises(StalePlanError) as caught:
        apply(world, moved.stack(asked), bundle)
    assert int(caught.value.exit_status) == 9
    assert any(moved.line in each for each in caught.value.diagnostics), caught.value.diagnostics
    assert world.effects == []
    assert (str(world.iam.roles), world.plane.clusters) == (roles, clusters)


def test_a_bundle_is_applied_once(world: World) -> None:
    stack = up(world)
    bundle = plan(world, stack)
    apply(world, stack, bundle)
    with pytest.raises(StalePlanError) as caught:
        apply(world, stack, bundle)
    assert any("this bundle was applied already" in each for each in caught.value.diagnostics)
    assert world.effects == []


def test_a_bundle_does_not_outlive_a_destruction(world: World) -> None:
    stack = up(world)
    bundle = plan(world, stack)
    apply(world, stack, bundle)
    world.destroy(stack)
    with pytest.raises(StalePlanError) as caught:
        apply(world, stack, bundle)
    assert any("the stack was destroyed after the plan was made" in each for each in caught.value.diagnostics)
    assert world.effects == []


def test_terraforms_own_last_look_counts(world: World) -> None:
    """The state moves between our look and Terraform's, which is taken under the state's lock."""
    stack = up(world)
    world.bring_up(replace(stack, file=None))
    asked = narrower(stack)
    bundle = plan(world, asked)
    # the role is read right before the plan is put in its place
    world.aws.on_call["iam.get_role"] = lambda: serial(world, stack)
    with pytest.raises(StalePlanError):
        apply(world, asked, bundle)
    assert world.effects == []


def test_a_destruction_needs_its_own_yes(world: World) -> None:
    stack = up(world)
    world.bring_up(replace(stack, file=None))
    asked = replace(stack, clusters=(spec("new"),))
    bundle = plan(world, asked)
    with pytest.raises(GridbyocError, match="This would destroy: cluster ml"):
        apply(world, asked, bundle)
    assert world.effects == []


def test_what_a_killed_run_left_is_taken_in_and_planned_anew(world: World) -> None:
    stack = up(world)
    bundle = plan(world, stack)
    world.meanwhile["CreateRole"] = lambda: setattr(world, "dies_at", world.instants)
    with pytest.raises(KilledError):
        apply(world, stack, bundle)
    world.dies_at = None
    with pytest.raises(StalePlanError):
        apply(world, stack, bundle)
    assert world.effects == []
    again = plan(world, stack)
    with pytest.raises(StalePlanError) as caught:
        apply(world, stack, again)
    assert any("they have been imported now" in each for each in caught.value.diagnostics)
    assert world.made_roles == 1
    apply(world, stack, plan(world, stack))
    world.converge(stack)
    assert world.made_roles == 1
