"""A run with ``--cluster`` through the front doors: the named clusters, and a role that nobody else uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.cli.bootstrap import bootstrap
from gridbyoc.cli.plan import plan
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import ControlPlaneError, InterruptedRunError, SharedRoleError, StalePlanError, UsageError
from gridbyoc.operations.bootstrap import bootstrap as carry_out
from gridbyoc.operations.bundle.file import BUNDLE
from gridbyoc.operations.bundle.make import make_bundle, read_bundle
from gridbyoc.operations.fingerprint import RECORD
from gridbyoc.operations.lock import SAVED_PLAN
from gridbyoc.operations.options import Approval
from gridbyoc.operations.page import past_runs
from gridbyoc.operations.partial import named_clusters
from gridbyoc.operations.plan import make_plan
from gridbyoc.operations.prepare import prepare
from gridbyoc.operations.report import Report
from gridbyoc.operations.review.review import Review, review_of
from gridbyoc.show.bundle import bundle_json, bundle_lines
from gridbyoc.show.plan import plan_json, plan_lines, review_markdown
from gridbyoc.show.report import report_json, report_lines, report_markdown
from gridbyoc.show.status import status_json, status_lines
from gridbyoc.stack.model import PolicyStatement, Stack
from gridbyoc.stack.secret import Secret
from tests.unit.preflight_kit import scene_of
from tests.unit.test_apply_bundle import apply
from tests.unit.test_apply_bundle import plan as bundled
from tests.unit.test_stack_commands import Outside
from tests.unit.test_status import look
from tests.unit.world import CREATES, FAST, HUGE, KilledError, World, a_stack, spec

THREE = a_stack(spec("a"), spec("b"), spec("c"))
EDITED = replace(THREE, clusters=tuple(spec(name, HUGE) for name in "abc"))


def partial(world: World, stack: Stack, *names: str, **options: Any) -> Report:
    choices = replace(options.pop("choices", FAST), clusters=names)
    return world.bootstrap(stack, choices=choices, **options)


def with_role(stack: Stack, **fields: Any) -> Stack:
    return replace(stack, role=replace(stack.role, **fields))


def used_by(world: World, name: str, **fields: Any) -> None:
    """A cluster that somebody registered through the stack's role."""
    (role,) = world.iam.roles.values()
    (accepted,) = world.iam.accepted(role["Arn"])
    world.plane.put(
        Cluster(f"id-{name}", name, Phase.RUNNING, role_arn=role["Arn"], external_id=Secret(accepted), **fields)
    )


# --- what it does


def test_the_first_run_makes_the_role_and_only_the_named_cluster(world: World) -> None:
    report = partial(world, THREE, "b")
    assert world.effects == [*CREATES, "POST b"]
    assert [each.name for each in report.clusters] == ["b"]
    assert report_json(report)["partial"] is True
    assert report_json(report)["left_out"] == ["a", "c"]
    assert not (world.work_dir(THREE) / RECORD).exists()
    status = look(world, THREE)
    assert "(cluster a, cluster c)" in status.next_step
    assert status.last_run is not None
    assert status.last_run.only == ("b",)
    world.converge(THREE)
    assert world.effects == ["POST a", "POST c"]


def test_only_the_named_clusters_are_changed_and_none_is_deleted(world: World) -> None:
    world.bring_up(THREE)
    fewer = replace(EDITED, clusters=EDITED.clusters[:2])
    report = partial(world, fewer, "b")
    assert world.effects == ["PUT b"]
    assert set(world.plane.live()) == {"a", "b", "c"}
    assert report.actions == {"b": "update"}
    partial(world, EDITED, "c", "a", "c")
    assert world.effects == ["PUT a", "PUT c"]


def test_other_clusters_are_not_waited_for(world: World) -> None:
    world.bring_up(THREE)
    world.plane.put(replace(world.plane.live()["c"], id="c-2", name="c", phase=Phase.FAILED))
    world.plane.clusters = {i: each for i, each in world.plane.clusters.items() if each.name != "c" or i == "c-2"}
    assert [each.status for each in partial(world, EDITED, "a").clusters] == ["running"]
    assert world.effects == ["PUT a"]


def test_a_name_that_another_cluster_of_the_stack_cannot_have_is_no_hindrance(world: World) -> None:
    world.plane.put(Cluster("x", "a", Phase.RUNNING, role_arn="arn:aws:iam::123456789012:role/another"))
    partial(world, THREE, "b")
    assert world.effects == [*CREATES, "POST b"]


def test_nothing_to_do_is_known_without_terraform_and_said_of_the_named_only(world: World) -> None:
    world.bring_up(THREE)
    world.terraform.commands.clear()
    report = partial(world, THREE, "b")
    assert world.terraform.commands == []
    assert (report.only, report.left_out) == (("b",), ("a", "c"))
    assert set(report.actions) == {"b"}
    assert "Nothing changed: the role and b were already as the stack file asks." in report_lines(report)


def test_a_partial_run_claims_nothing_of_the_whole_stack(world: World) -> None:
    """Its fingerprint would let the next run end early although the other clusters differ."""
    world.bring_up(THREE)
    partial(world, EDITED, "b", choices=replace(FAST, refresh=True))
    world.bootstrap(EDITED)
    assert world.effects == ["PUT a", "PUT c"]
    (world.work_dir(THREE) / RECORD).unlink()
    partial(world, EDITED, "a", "b", "c")
    assert not (world.work_dir(THREE) / RECORD).exists()


# --- the role


TRUST = "UpdateAssumeRolePolicy"
CHANGES: dict[str, Callable[[Stack], Stack]] = {
    "permissions": lambda stack: with_role(stack, statements=(PolicyStatement(("eks:*",)),)),
    "a rotation": lambda stack: with_role(stack, rotation="2026-11"),
    "another external id": lambda stack: with_role(stack, external_id=Secret("external-id-given")),
    "another name": lambda stack: with_role(stack, name="grid-other"),
    "tags": lambda stack: with_role(stack, tags={"team": "ml"}),
    "a policy less": lambda stack: with_role(stack, managed_policies=()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_role_that_others_use_is_refused_before_anything_is_made(world: World, change: str) -> None:
    world.bring_up(THREE)
    with pytest.raises(SharedRoleError) as found:
        partial(world, CHANGES[change](EDITED), "b", yes_destroy=True)
    assert world.effects == []
    assert (found.value.code, int(found.value.exit_status)) == ("GBY-R007", 4)
    assert found.value.what == "This would change the role, which a, c use, too."
    assert "module.gridbyoc." in found.value.why
    assert "without --cluster" in found.value.fix
    with (
        world.run(CHANGES[change](EDITED), "plan", replace(FAST, clusters=("b",))) as run,
        pytest.raises(SharedRoleError),
    ):
        make_plan(run, prepare(run))
    assert not (world.work_dir(THREE) / SAVED_PLAN).exists()
    assert world.effects == []


def test_the_next_step_after_a_refusal_is_not_the_same_run(world: World) -> None:
    world.bring_up(THREE)
    with pytest.raises(SharedRoleError):
        partial(world, CHANGES["tags"](THREE), "b")
    step = look(world, with_role(EDITED, tags={"team": "ml"})).next_step
    assert "Run `gridbyoc plan`, then `gridbyoc bootstrap`." in step
    assert "--cluster" not in step


@pytest.mark.parametrize("change", CHANGES)
def test_a_role_that_only_the_named_clusters_use_is_changed(world: World, change: str) -> None:
    partial(world, THREE, "b")
    partial(world, CHANGES[change](THREE), "b", yes_destroy=True)
    assert world.effects
    assert {line for line in world.effects if line.split()[0] in ("POST", "PUT", "DELETE")} <= {"PUT b"}
    assert change != "a rotation" or world.effects == [TRUST, "PUT b"]
    assert world.locked_out == [] or change == "another name"  # replaces the role, with --yes-destroy


def test_a_cluster_that_no_stack_file_lists_or_that_is_being_deleted_uses_the_role_too(world: World) -> None:
    partial(world, THREE, "b")
    used_by(world, "by-handoff")
    with pytest.raises(SharedRoleError, match="by-handoff"):
        partial(world, CHANGES["permissions"](THREE), "b")
    world.plane.clusters.pop("id-by-handoff")
    used_by(world, "leaving", desired_state=Phase.DELETED)
    with pytest.raises(SharedRoleError, match="leaving"):
        partial(world, CHANGES["permissions"](THREE), "b")
    assert world.effects == []


def test_a_role_that_is_gone_is_not_made_again_for_one_cluster_of_several(world: World) -> None:
    world.bring_up(THREE)
    world.iam.roles.clear()
    with pytest.raises(SharedRoleError, match="a, c"):
        partial(world, THREE, "b")
    assert world.effects == []


def test_who_uses_the_role_is_asked_again_before_it_is_changed(world: World) -> None:
    partial(world, THREE, "b")

    def answer(_review: Review) -> bool:
        used_by(world, "meanwhile")
        return True

    asked = CHANGES["permissions"](THREE)
    with (
        world.run(asked, "bootstrap", replace(FAST, clusters=("b",))) as run,
        pytest.raises(SharedRoleError, match="meanwhile"),
    ):
        carry_out(run, Approval(False, False, answer))
    assert world.effects == []


def test_the_end_of_a_rotation_is_left_to_a_run_of_the_whole_stack(world: World) -> None:
    world.bring_up(THREE)
    world.plane.shows_ids = False  # so that the old id stays in the plan
    rotated = CHANGES["a rotation"](THREE)
    world.bootstrap(rotated)
    (role,) = world.iam.roles.values()
    before = world.iam.accepted(role["Arn"])
    assert len(before) == 2
    report = partial(world, replace(rotated, clusters=EDITED.clusters), "b")
    assert world.effects == ["PUT b"]
    assert world.iam.accepted(role["Arn"]) == before
    assert report_json(report)["unfinished"] is True


# --- plan, bundle, journal


def test_a_plan_says_that_it_is_partial(world: World) -> None:
    world.bring_up(THREE)
    found = {}
    for names in ((), ("b",)):
        for stack in (THREE, EDITED):
            with world.run(stack, "plan", replace(FAST, clusters=names)) as run:
                site = prepare(run)
                made = make_plan(run, site)
                found[names, stack is EDITED] = review_of(run, site, made)
                assert made.saved is not None
                made.saved.unlink()
    one, whole = found[("b",), True], found[(), True]
    assert plan_json(one)["partial"] is True
    assert plan_json(one)["left_out"] == ["a", "c"]
    assert [each["name"] for each in plan_json(one)["clusters"]] == ["b"]
    said = "only b (a, c left out; nothing is deleted)"
    assert f"Partial: {said}." in plan_lines(one)
    assert said in review_markdown(one)
    assert (plan_json(whole)["partial"], plan_json(whole)["left_out"]) == (False, [])
    assert "Partial" not in "".join(plan_lines(whole)) + review_markdown(whole)
    assert "No changes: the role and b are as the stack file asks." in plan_lines(found[("b",), False])


def with_file(world: World, stack: Stack) -> Stack:
    file = world.directory / "gridbyoc.yaml"
    file.write_text("version: 1\n")
    return replace(stack, file=file)


def limited_bundle(world: World, stack: Stack) -> tuple[bytes, Any]:
    """A bundle of a plan with ``--cluster b``, as it is written and as ``apply`` reads it."""
    with world.run(stack, "plan", replace(FAST, clusters=("b",))) as run:
        site = prepare(run)
        made = make_plan(run, site)
        data = make_bundle(run, site, made, overrides=(), key=None)
        assert made.saved is not None
        made.saved.unlink()
    return data, read_bundle(data, None)


def test_a_partial_bundle_applies_to_its_clusters_only(world: World) -> None:
    stack = with_file(world, EDITED)
    world.bring_up(replace(THREE, file=None))
    data, bundle = limited_bundle(world, stack)
    header = BUNDLE.read_header(data)
    assert bundle_json(header)["partial"] is True
    assert bundle_json(header)["only"] == ["b"]
    assert "partial    only b" in bundle_lines(header)
    report = apply(world, stack, bundle)
    assert world.effects == ["PUT b"]
    assert report_json(report)["left_out"] == ["a", "c"]
    assert "**Partial:** only b" in report_markdown(report)
    status = look(world, stack)
    assert status.last_run is not None
    assert (status.last_run.verb, status.last_run.only) == ("apply", ("b",))
    whole = bundled(world, stack)
    assert whole.only == ()
    apply(world, stack, whole)
    assert world.effects == ["PUT a", "PUT c"]


def test_a_partial_bundle_is_stale_if_another_cluster_uses_the_role_by_then(world: World) -> None:
    stack = with_file(world, CHANGES["permissions"](THREE))
    partial(world, replace(THREE, file=None), "b")
    _, bundle = limited_bundle(world, stack)
    used_by(world, "meanwhile")
    with pytest.raises(StalePlanError):
        apply(world, stack, bundle)
    assert world.effects == []


def test_a_bundle_whose_cluster_is_no_longer_in_the_file_is_stale(world: World) -> None:
    stack = with_file(world, THREE)
    _, bundle = limited_bundle(world, stack)
    (world.directory / "gridbyoc.yaml").write_text("version: 1 # edited\n")
    with pytest.raises(StalePlanError):
        apply(world, replace(stack, clusters=stack.clusters[:1]), bundle)
    assert world.effects == []


def test_a_partial_run_that_was_cut_off_is_continued_for_the_same_clusters(world: World) -> None:
    world.bring_up(THREE)
    world.dies_at = 2
    with pytest.raises(KilledError):
        partial(world, EDITED, "b", "c")
    world.dies_at = None
    status = look(world, EDITED)
    assert "Run `gridbyoc bootstrap --cluster b --cluster c`" in status.next_step
    assert status_lines(status, world.now())[0].startswith("last run  bootstrap --cluster b --cluster c at ")
    last = status_json(status)["last_run"]
    assert last is not None
    assert last["only"] == ("b", "c")
    newest = past_runs(world.journal(THREE))[0]
    assert (newest.verb, newest.words) == ("bootstrap", "bootstrap --cluster b --cluster c")


def test_an_interrupted_wait_names_the_command_that_continues(world: World) -> None:
    world.plane.story = ((0.0, Phase.PENDING, ""),)

    def interrupt() -> None:
        raise KeyboardInterrupt

    world.meanwhile["sleep"] = interrupt
    with pytest.raises(InterruptedRunError) as found:
        partial(world, THREE, "b")
    assert "`gridbyoc bootstrap --cluster b`" in found.value.fix


def test_a_registration_that_is_refused_is_not_answered_with_a_destruction_of_the_stack(world: World) -> None:
    world.bring_up(THREE)
    more = replace(THREE, clusters=(*THREE.clusters, spec("d")))
    for rollback in (False, True):
        world.plane.answers["POST"] = ["400"]
        with pytest.raises(ControlPlaneError) as found:
            partial(world, more, "d", rollback=rollback)
        assert "destroy`" not in found.value.rerun
        assert set(world.plane.live()) == {"a", "b", "c"}
        assert len(world.iam.roles) == 1
        assert rollback or "run `gridbyoc bootstrap --cluster d` again" in found.value.rerun


# --- the command line


HEAD = "version: 1\nname: demo\naws: {region: us-east-1}\nclusters:\n"


def test_an_unknown_name_is_refused_with_those_of_the_file_before_anything_is_made(tmp_path: Path) -> None:
    outside = Outside(tmp_path)
    types = "instance_types: [t2.medium]"
    (tmp_path / "gridbyoc.yaml").write_text(f"{HEAD}  - {{name: ml-a, {types}}}\n  - {{name: ml-b, {types}}}\n")
    for command in (bootstrap, plan):
        error = outside.run(command, "--cluster", "ml-a", "--cluster", "ml-bb").exception
        assert isinstance(error, UsageError)
        assert "has no cluster named 'ml-bb'" in error.what
        assert "lists `ml-a` or `ml-b`" in error.why
        assert error.fix.startswith("Did you mean")
        assert "ml-b" in error.fix
    assert [path.name for path in tmp_path.iterdir()] == ["gridbyoc.yaml"]


def test_names_are_taken_once_and_in_the_files_order() -> None:
    assert named_clusters(THREE, ("c", "a", "c")) == ("a", "c")
    assert named_clusters(THREE, ()) == ()


def test_the_preflight_looks_at_the_named_clusters_with_their_own_place_in_the_file() -> None:
    scene = replace(scene_of(THREE), only=("b", "c"))
    assert [(number, each.name) for number, each in scene.numbered] == [(1, "b"), (2, "c")]
    assert [each.name for each in scene.wanted] == ["b", "c"]
    assert scene_of(None).wanted == ()
