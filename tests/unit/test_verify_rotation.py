"""``verify`` before, during and after a rotation: what it says of the second external id, and whom it asks for that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.operations.accepted_ids import Rotation
from gridbyoc.operations.finding import Finding
from gridbyoc.operations.verify import prove
from gridbyoc.stack.model import S3Backend, Stack, TerraformSettings
from gridbyoc.stack.secret import Secret
from tests.unit.world import SECRET_MARK, World, a_stack, spec

UP = a_stack(spec(), spec("more"))
ROTATED = replace(UP, role=replace(UP.role, rotation="2026-11"))
REMOTE = a_stack(terraform=TerraformSettings(S3Backend("acme-state", "demo.tfstate", "us-east-1")))


def proven(world: World, stack: Stack) -> dict[str, Finding]:
    """The findings by code, of a run that holds no lock."""
    with world.run(stack, "verify") as run:
        pass
    found = prove(run, now=world.now).findings
    assert SECRET_MARK not in repr(found)
    return {finding.code: finding for finding in found}


def asks_the_control_plane(world: World, stack: Stack) -> bool:
    world.plane.answers["LIST"] = ["unreachable"]
    proven(world, stack)
    return not world.plane.answers.pop("LIST")


def only_role(world: World) -> tuple[str, set[str]]:
    """Its ARN, and the external ids that it accepts."""
    (role,) = world.iam.roles.values()
    return role["Arn"], world.iam.accepted(role["Arn"])


def test_a_proof_needs_no_control_plane_where_one_id_is_accepted(world: World) -> None:
    world.bring_up(UP)
    assert proven(world, UP)["GBY-V011"].verdict == "pass"
    assert not asks_the_control_plane(world, UP)
    _, accepted = only_role(world)
    accept(world, *accepted, "1234-by-hand")
    assert asks_the_control_plane(world, UP)


def accept(world: World, *ids: str) -> None:
    """Edit the live trust policy, as somebody by hand."""
    (role,) = world.iam.roles.values()
    role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"] = list(ids)


def test_an_id_put_there_by_hand_fails_until_a_bootstrap_takes_it_out(world: World) -> None:
    world.bring_up(UP)
    _, accepted = only_role(world)
    accept(world, *accepted, "1234-by-hand")
    found = proven(world, UP)
    assert (found["GBY-V003"].verdict, found["GBY-V011"].verdict) == ("fail", "fail")
    assert "no cluster of the stack holds it, and no render keeps it" in found["GBY-V011"].detail
    world.bootstrap(UP)
    assert only_role(world)[1] == accepted
    assert proven(world, UP)["GBY-V011"].verdict == "pass"


def test_a_record_of_the_control_plane_alone_is_no_rotation(world: World) -> None:
    world.bring_up(UP)
    _, accepted = only_role(world)
    accept(world, *accepted, "1234-by-hand")
    ident, held = next(iter(world.plane.clusters.items()))
    world.plane.clusters[ident] = replace(held, external_id=Secret("1234-by-hand"))
    found = proven(world, UP)["GBY-V011"]
    assert found.verdict == "unknown"
    assert "a cluster holds it, and the last render of this work_dir does not keep it" in found.detail


def test_what_a_cluster_of_another_role_holds_is_no_rotation_of_this_one(world: World) -> None:
    world.bring_up(UP)
    arn, accepted = only_role(world)
    accept(world, *accepted, "1234-by-hand")
    other = Cluster("id-else", "else", Phase.RUNNING, role_arn=f"{arn}-else", external_id=Secret("1234-by-hand"))
    world.plane.put(other)
    found = proven(world, UP)["GBY-V011"]
    assert found.verdict == "fail"
    assert "no cluster of the stack holds it" in found.detail


OLD, NOBODYS = frozenset({Secret("old")}), frozenset[Secret]()


@pytest.mark.parametrize(
    "rotation,under_way",
    [
        (Rotation(OLD, OLD), True),
        (Rotation(OLD, NOBODYS), None),
        (Rotation(OLD, NOBODYS, holder="another run"), None),
        (Rotation(NOBODYS, OLD), False),
        (Rotation(NOBODYS, OLD, hidden=("ml",)), None),
        (Rotation(NOBODYS, OLD, changing=("ml",)), None),
        (Rotation(NOBODYS, OLD, holder="another run"), None),
        (Rotation(None, OLD, unread="no answer"), None),
        (Rotation(None, NOBODYS, unread="no answer"), False),
        (Rotation(NOBODYS, NOBODYS), False),
        (Rotation(NOBODYS, NOBODYS, hidden=("ml",), changing=("ml",)), False),
        (Rotation(NOBODYS, NOBODYS, holder="another run"), None),
    ],
)
def test_an_id_belongs_to_a_rotation_where_both_sides_say_so(rotation: Rotation, under_way: bool | None) -> None:
    assert rotation.under_way(Secret("old")) is under_way
    assert under_way or rotation.doubt(Secret("old"))


def test_a_rotation_that_is_killed_at_any_instant(world: World) -> None:
    world.bring_up(UP)
    seen = set()
    for one in world.killed_everywhere(lambda run: run.bootstrap(ROTATED)):
        arn, accepted = only_role(one)
        own = one.terraform_state(ROTATED)["outputs"]["external_id"]["value"]
        values = json.loads((one.work_dir(ROTATED) / "terraform.tfvars.json").read_text())
        kept = values.get("previous_external_ids", ())  # none before the first render
        held = {external_id for role, external_id in one.plane.held().values() if role == arn}
        further = accepted - {own}
        found = proven(one, ROTATED)
        seen.add(found["GBY-V011"].verdict)
        if not further:
            assert found["GBY-V011"].verdict == "pass"
        elif further <= held & {*kept}:
            assert (found["GBY-V003"].verdict, found["GBY-V011"].verdict) == ("pass", "warn")
        else:
            assert found["GBY-V011"].verdict in ("fail", "unknown")
        if one.log[-1:] == ["PUT more"]:
            assert "the last render keeps it, no cluster of the stack holds it any more" in found["GBY-V011"].detail
            changing, one.plane.story = one.plane.story, ((0.0, Phase.CONFIGURING, ""),)
            unsure = proven(one, ROTATED)["GBY-V011"]
            assert unsure.verdict == "unknown"
            assert "holds it any more, and ml, more does not run yet" in unsure.detail
            one.plane.story = changing
        one.converge(ROTATED)
        assert proven(one, ROTATED)["GBY-V011"].verdict == "pass"
    assert seen == {"pass", "warn", "fail"}


def test_a_fresh_checkout_with_remote_state_is_proven(world: World, tmp_path: Path) -> None:
    world.bring_up(REMOTE)
    world.directory = tmp_path
    assert proven(world, REMOTE)["GBY-V001"].verdict == "pass"
