"""Rotations and new roles through bootstrap's front door: nobody is locked out, nothing wider is ever accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.events import StepFinished
from gridbyoc.show.report import report_json, report_lines, report_markdown
from gridbyoc.stack.model import OwnPolicy, Stack
from gridbyoc.stack.secret import Secret
from tests.unit.world import CREATES, FAST, World, a_stack, spec

UP = a_stack(spec(), spec("more"))
ROTATED = replace(UP, role=replace(UP.role, rotation="2026-11"))
GIVEN = replace(UP, role=replace(UP.role, external_id=Secret("external-id-given")))
ALONE = a_stack(spec(), rotation="2026-11")
NO_WAIT = replace(FAST, wait=False)
CLAIMED = "external-id-claimed-by-a-record"
TRUST = "UpdateAssumeRolePolicy"
NEW = {"new_role": True, "yes_destroy": True}
OLD_GOES = ["DetachRolePolicy", "DetachRolePolicy", "DeletePolicy", "DeleteRole"]


def accepted(world: World) -> list[set[str]]:
    """What each role accepts, the oldest role first."""
    return [world.iam.accepted(role["Arn"]) for role in world.iam.roles.values()]


def ids(world: World) -> set[str]:
    """What the clusters hold."""
    return {external_id for _, external_id in world.plane.held().values()}


@dataclass(frozen=True)
class Rotation:
    """A run that changes what is granted: its effects, how many ids are accepted at the end, the warning."""

    name: str
    stack: Stack
    effects: list[str]
    accepted: int
    says: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    arrange: Callable[[World], object] = lambda _world: None


def hides(world: World) -> None:
    world.plane.shows_ids = False


def somebody_claims(world: World) -> None:
    """A cluster on our role whose record holds an id that the role does not accept."""
    (role,) = world.iam.roles.values()
    world.plane.put(
        Cluster("claims", "claims", Phase.RUNNING, role_arn=role["Arn"], external_id=Secret(CLAIMED),
                desired_state=Phase.DELETED)
    )  # fmt: skip


def more_is_on_its_way_out(world: World) -> None:
    world.plane.delete_seconds = 1e9
    world.plane.delete(world.plane.live()["more"].id)


BOTH = ["PUT ml", "PUT more"]
ROTATIONS = [
    Rotation("a new id", ROTATED, [TRUST, *BOTH, TRUST], 1),
    Rotation("the user's own", GIVEN, [TRUST, *BOTH, TRUST], 1),
    Rotation("not waited for", ROTATED, [TRUST, *BOTH], 2, "The old grant is still accepted", {"choices": NO_WAIT}),
    Rotation("hidden ids", ROTATED, [TRUST], 2, "does not show which external id ml, more holds", arrange=hides),
    Rotation("a cluster less", ALONE, [TRUST, "PUT ml", "DELETE more", TRUST], 1, "", {"yes_destroy": True}),
    Rotation("a cluster on its way out", ALONE, [TRUST, "PUT ml"], 2, "more still holds it",
             arrange=more_is_on_its_way_out),
    Rotation("an id that a record claims", ROTATED, [TRUST, *BOTH, TRUST], 1, arrange=somebody_claims),
    Rotation("a new role", UP, [*CREATES, *BOTH, *OLD_GOES, TRUST], 1, "", NEW),
    Rotation("a new role, the old one's end not approved", UP, [*CREATES, *BOTH, TRUST, TRUST], 3,
             "The old role stays until its destruction is approved", {"new_role": True}),
    Rotation("a new role, not waited for", UP, [*CREATES, *BOTH], 3, "The old grant is still accepted",
             {**NEW, "choices": NO_WAIT}),
]  # fmt: skip


@pytest.mark.parametrize("rotation", ROTATIONS, ids=lambda rotation: rotation.name)
def test_a_rotation(world: World, rotation: Rotation) -> None:
    world.bring_up(UP)
    before = ids(world)
    rotation.arrange(world)
    world.locked_out.clear()
    report = world.bootstrap(rotation.stack, **rotation.options)
    assert world.effects == rotation.effects
    assert sum(map(len, accepted(world))) == rotation.accepted
    assert all(CLAIMED not in each for each in accepted(world))
    assert [each for each in world.locked_out if not each.startswith("claims")] == []
    assert bool(world.notes()) is bool(rotation.says)
    assert rotation.says in "".join(world.notes())
    dropped = world.detail("apply").endswith("the old grant is no longer accepted")
    assert dropped is (rotation.accepted == 1)
    assert before.isdisjoint(set().union(*accepted(world))) is dropped
    assert report.resources == applied(world)


@pytest.mark.parametrize("rotation", ROTATIONS, ids=lambda rotation: rotation.name)
def test_the_next_runs_come_to_the_end_of_it(world: World, rotation: Rotation) -> None:
    world.bring_up(UP)
    rotation.arrange(world)
    world.bootstrap(rotation.stack, **rotation.options)
    world.plane.shows_ids = True
    world.plane.clusters.pop("claims", None)
    world.time.sleep(2e9)
    world.converge(rotation.stack, yes_destroy=True)
    assert sum(map(len, accepted(world))) == 1
    assert accepted(world)[0] >= ids(world)


def applied(world: World) -> dict[str, int]:
    """What the run's applies say of themselves, one with the other."""
    details = [each.detail for each in world.events if isinstance(each, StepFinished) and each.step == "apply"]
    counts = [re.match(r"(\d+) added, (\d+) changed, (\d+) destroyed", detail) for detail in details]
    found = [list(map(int, each.groups())) for each in counts if each] or [[0, 0, 0]]
    return dict(zip(("add", "change", "destroy"), map(sum, zip(*found, strict=True)), strict=True))


@dataclass(frozen=True)
class Ending:
    """What an earlier run left; the run that does nothing but end it."""

    name: str
    before: dict[str, Any]
    effects: list[str]
    says: str


ENDINGS = [
    Ending("a rotation", {"stack": ROTATED, "choices": NO_WAIT}, [TRUST], "0 added, 1 changed, 0 destroyed"),
    Ending("a replacement", {"stack": UP, **NEW, "choices": NO_WAIT}, [TRUST, TRUST, *OLD_GOES],
           "0 added, 0 changed, 6 destroyed; the old grant is no longer accepted"),
    Ending("a replacement whose end was not approved", {"stack": UP, "new_role": True}, OLD_GOES,
           "0 added, 0 changed, 6 destroyed; the old grant is no longer accepted"),
]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_what_the_end_of_a_rotation_or_a_replacement_changes_counts(world: World, ending: Ending) -> None:
    world.bring_up(UP)
    world.bootstrap(**ending.before)
    report = world.bootstrap(ending.before["stack"], yes_destroy=True)
    assert world.effects == ending.effects
    assert report.changed
    assert report.resources == applied(world)
    assert any(report.resources.values())
    assert (report_json(report)["changed"], report_json(report)["resources"]) == (True, report.resources)
    told = "\n".join((*report_lines(report), report_markdown(report)))
    assert "Nothing changed" not in told
    assert "IAM role  unchanged" not in told
    assert "AWS nothing changed" not in told
    assert [each for each in world.journal(UP) if each.get("step") == "apply"][-1]["detail"] == ending.says
    assert not world.bootstrap(ending.before["stack"]).changed


def test_at_no_instant_is_a_claimed_id_accepted(world: World) -> None:
    """Neither by the first apply of a rotation nor by the last, which goes by the clusters as they are then."""
    world.bring_up(UP)
    somebody_claims(world)
    seen: list[set[str]] = []
    world.on_instant = lambda: seen.extend(accepted(world))
    world.bootstrap(ROTATED)
    assert seen
    assert all(CLAIMED not in each for each in seen)


def test_an_id_that_is_claimed_while_the_clusters_are_waited_for_is_not_accepted(world: World) -> None:
    world.bring_up(UP)
    world.meanwhile["PUT more"] = lambda: somebody_claims(world)
    world.bootstrap(ROTATED)
    assert all(CLAIMED not in each for each in accepted(world))


def test_a_role_that_another_still_runs_through_stays(world: World) -> None:
    world.bring_up(UP)
    (old,) = (role["Arn"] for role in world.iam.roles.values())
    theirs = Cluster("theirs", "theirs", Phase.RUNNING, role_arn=old)
    world.meanwhile["PUT more"] = lambda: world.plane.put(theirs)
    world.bootstrap(UP, **NEW)
    assert world.effects == [*CREATES, *BOTH]
    assert old in {role["Arn"] for role in world.iam.roles.values()}
    assert any("theirs still runs through it" in each for each in world.notes())


def test_what_has_changed_meanwhile_is_not_destroyed_with_the_old_grant(world: World) -> None:
    """The end of a rotation is planned anew; a policy that the file's edit would take away was in no plan."""
    world.bring_up(UP)

    def detach() -> None:
        state = world.terraform_state(UP)
        state["resources"].append(
            {"module": "module.gridbyoc", "mode": "managed", "type": "aws_iam_policy", "name": "more",
             "instances": [{"attributes": {"arn": "arn:aws:iam::123456789012:policy/more"}, "dependencies": []}]}
        )  # fmt: skip
        world.iam.create_policy("arn:aws:iam::123456789012:policy/more", PolicyName="more", Path="/", Description="",
                                Document={}, Tags=[])  # fmt: skip
        world.put_state(UP, state)

    world.meanwhile["PUT more"] = detach
    with pytest.raises(GridbyocError, match="Dropping the old grant would now also destroy") as caught:
        world.bootstrap(ROTATED)
    assert int(caught.value.exit_status) == 2
    assert world.effects == [TRUST, *BOTH]
    assert len(accepted(world)[0]) == 2


@pytest.mark.parametrize(
    "protect,options,says",
    [
        (False, {}, r"would now also destroy: module\.gridbyoc\.aws_iam_role\.this\."),
        (True, {"yes_destroy": True}, r"is protected: this would destroy module\.gridbyoc\.aws_iam_role\.this\."),
    ],
)
def test_a_role_that_was_tainted_meanwhile_is_not_replaced_with_the_old_grant(
    world: World, protect: bool, options: dict[str, Any], says: str
) -> None:
    fixed = replace(UP, role=replace(UP.role, name="grid-fixed"))
    world.bring_up(fixed)
    world.meanwhile["PUT more"] = lambda: world.taint(fixed)
    rotated = replace(fixed, role=replace(fixed.role, rotation="2026-11"), protect=protect)
    with pytest.raises(GridbyocError, match=says):
        world.bootstrap(rotated, **options)
    assert world.effects == [TRUST, *BOTH]
    assert world.made_roles == 1


@pytest.mark.parametrize(
    "stack, says",
    [
        (a_stack(name="grid-fixed"), "cannot be named grid-fixed"),
        (a_stack(policy=OwnPolicy("by-hand")), "own policy cannot be named by-hand"),
        (a_stack(), ""),
    ],
)
def test_a_new_role_needs_a_name_of_its_own(world: World, stack: Stack, says: str) -> None:
    world.bring_up(stack)
    if not says:
        world.bootstrap(stack, **NEW)
        return
    with pytest.raises(GridbyocError, match=says):
        world.bootstrap(stack, **NEW)
    assert world.effects == []


def test_the_old_roles_own_policy_keeps_its_name_while_it_is_replaced(world: World) -> None:
    """An adopted role's own policy has a name and a path of its own, which the stack file names no more by then."""
    world.bring_up(a_stack(name="by-hand", policy=OwnPolicy("by-hand-policy", "/own/")))
    (before,) = world.iam.policies
    world.bootstrap(UP, **NEW)
    assert world.log.count("DeletePolicy") == 1
    assert world.log.index("PUT ml") < world.log.index("DeletePolicy")
    assert before not in world.iam.policies
    assert len(world.iam.policies) == 1
    assert len(world.iam.roles) == 1


def test_a_new_role_where_there_is_none_is_refused(world: World) -> None:
    with pytest.raises(GridbyocError, match="There is no role of the gridbyoc module to replace"):
        world.bootstrap(UP, **NEW)
    assert world.effects == []


def half_replaced(world: World) -> str:
    """A new role stands, and the control plane refused to give it to the first cluster; the old role's ARN."""
    world.bring_up(UP)
    (old,) = (role["Arn"] for role in world.iam.roles.values())
    world.plane.answers["PUT"] = ["403"]
    with pytest.raises(GridbyocError):
        world.bootstrap(UP, **NEW)
    return old


@pytest.mark.parametrize("wishes", [{}, {"new_role": True}], ids=["a bootstrap", "the same command"])
def test_a_replacement_that_was_broken_off_is_gone_on_with(world: World, wishes: dict[str, Any]) -> None:
    half_replaced(world)
    world.bootstrap(UP, yes_destroy=True, **wishes)
    assert world.effects == [TRUST, *BOTH, *OLD_GOES, TRUST]
    assert world.made_roles == 2
    world.converge(UP)


def test_protection_keeps_the_old_role_of_one_that_was_broken_off(world: World) -> None:
    old = half_replaced(world)
    world.bootstrap(replace(UP, protect=True), yes_destroy=True)
    assert old in {role["Arn"] for role in world.iam.roles.values()}
    assert world.effects == [TRUST, *BOTH, TRUST]
    assert any("The old role stays: the stack is protected" in each for each in world.notes())
    with pytest.raises(GridbyocError) as caught:
        world.bootstrap(replace(UP, protect=True), **NEW)
    assert int(caught.value.exit_status) == 4


def test_an_old_role_that_is_gone_from_aws_is_not_made_again(world: World) -> None:
    old = half_replaced(world)
    del world.iam.roles[old.rsplit("/", 1)[-1]]
    world.locked_out.clear()
    world.bootstrap(UP, yes_destroy=True)
    assert world.made_roles == 2
    assert old not in {role["Arn"] for role in world.iam.roles.values()}
    world.converge(UP)
