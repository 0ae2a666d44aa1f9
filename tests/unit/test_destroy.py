"""Destroy through its front door: clusters, then what they left, then the role; and what it never takes away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError, StalePlanError
from gridbyoc.operations.journal import JOURNAL
from gridbyoc.operations.run import Choices
from gridbyoc.stack.model import Aws, S3Backend, Stack, TerraformSettings
from tests.unit.memory_aws import refusal
from tests.unit.world import FAST, KilledError, World, a_stack, phases, spec

UP = a_stack(spec(), spec("more"))
OTHERS = "arn:aws:iam::123456789012:role/somebody-else"
ROLE_GOES = ["DetachRolePolicy", "DetachRolePolicy", "DeletePolicy", "DeleteRole"]
BOTH = ["DELETE ml", "DELETE more"]
OWNED = [{"Key": "kubernetes.io/cluster/ml", "Value": "owned"}]


@dataclass
class Volumes:
    """EBS volumes that the cluster left behind; ``stuck`` ones are refused."""

    ids: list[str]
    stuck: bool = False

    def describe(self, **asked: Any) -> dict[str, Any]:
        wanted = asked.get("VolumeIds", self.ids)
        found = [{"VolumeId": each, "Size": 1, "Tags": OWNED} for each in self.ids if each in wanted]
        return {"Volumes": found}

    def delete(self, *, VolumeId: str) -> Any:  # noqa: N803 - AWS's name
        if self.stuck:
            return refusal("UnauthorizedOperation", "DeleteVolume")
        self.ids.remove(VolumeId)
        return {}

    def put_into(self, world: World) -> None:
        world.aws.answers |= {"ec2.describe_volumes": self.describe, "ec2.delete_volume": self.delete}


def role_of(world: World) -> str:
    (role,) = world.iam.roles.values()
    return str(role["Arn"])


# --- the order of things


def test_clusters_then_leftovers_then_the_role_then_the_files(world: World) -> None:
    world.bring_up(UP)
    Volumes(["vol-1"]).put_into(world)
    seen: list[bool] = []
    world.on_instant = lambda: seen.append(bool(world.iam.roles) or not world.plane.held())
    done = world.destroy(UP, delete_data=True)
    assert world.effects == [*BOTH, "ec2.delete_volume", *ROLE_GOES]
    assert all(seen), "a cluster was there without its role"
    assert (done.clusters, done.resources, done.left.ledger.clear) == (("ml", "more"), 6, True)
    assert world.iam.roles == {}
    left = {path.name for path in world.work_dir(UP).iterdir()}
    assert left == {JOURNAL, "run.lock"}
    done_records = [record for record in world.journal(UP) if record["type"] == "effect_done"]
    assert [record.get("effect") for record in done_records[-4:]] == ["delete", "delete", None, "destroy"]
    assert done_records[-2]["resource"].endswith("vol-1")


def test_everything_is_shown_before_the_question(world: World) -> None:
    world.bring_up(UP)
    Volumes(["vol-1"]).put_into(world)
    world.destroy(UP)
    (doomed,) = world.doomed
    assert [each.name for each in doomed.clusters] == ["ml", "more"]
    assert doomed.role_arn is not None
    assert doomed.has_resources
    assert not doomed.nothing


def test_nothing_is_asked_where_there_is_nothing(world: World) -> None:
    done = world.destroy(UP, yes=False)
    assert world.doomed == []
    assert world.effects == []
    assert (done.clusters, done.resources, done.role_arn) == ((), 0, None)


def test_a_second_destroy_finds_nothing(world: World) -> None:
    world.bring_up(UP)
    world.destroy(UP)
    world.destroy(UP, yes=False)
    assert world.effects == []


def test_a_bootstrap_after_it_begins_anew(world: World) -> None:
    world.bring_up(UP)
    world.destroy(UP)
    world.converge(UP)
    assert world.made_roles == 2


# --- failures


@dataclass(frozen=True)
class Failure:
    """What goes wrong on a stack that is up; the error; what was taken away by then."""

    name: str
    arrange: Callable[[World], object]
    error: str
    status: int
    effects: list[str]
    mend: Callable[[World], object] = lambda _world: None
    stack: Stack = UP
    options: dict[str, Any] = field(default_factory=dict)


def answers(method: str, *texts: str) -> Callable[[World], object]:
    return lambda world: world.plane.answers.update({method: list(texts)})


def refuses(operation: str) -> Callable[[World], object]:
    return lambda world: world.module.refused.update({operation: "api error AccessDenied"})


def breaks(command: str) -> Callable[[World], object]:
    return lambda world: world.terraform.faults.errors.update({command: ["Something broke"]})


def never_gone(world: World) -> None:
    world.plane.delete_seconds = 1e9


def gone_at_once(world: World) -> None:
    world.plane.delete_seconds = 0.0


def fails_to_delete(world: World) -> None:
    world.plane.delete_seconds = 1e9
    world.plane.story = phases((0.0, Phase.FAILED, "a load balancer is in the way"))


def interrupts(world: World) -> None:
    def act() -> None:
        raise KeyboardInterrupt

    world.meanwhile["sleep"] = act


def another_comes_up(world: World) -> None:
    """While the clusters are being deleted, somebody creates one on our role."""
    late = Cluster("late", "late", Phase.RUNNING, role_arn=role_of(world))
    world.meanwhile["DELETE more"] = lambda: world.plane.put(late)


def it_goes(world: World) -> None:
    world.plane.clusters.pop("late")


def errored(world: World) -> None:
    (world.work_dir(UP) / "errored.tfstate").write_text("{}")


def no_longer_errored(world: World) -> None:
    (world.work_dir(UP) / "errored.tfstate").unlink()


def held(world: World) -> None:
    world.terraform.faults.holder = "ada@laptop"


def released(world: World) -> None:
    world.terraform.faults.holder = ""


FAILURES = [
    Failure("not approved", lambda _world: None, "ApprovalRequiredError", 2, [], options={"yes": False}),
    Failure("protected", lambda _world: None, "ProtectedStackError", 4, [], stack=replace(UP, protect=True)),
    Failure("another account", lambda world: setattr(world.aws, "account", "999999999999"), "AccountMismatchError", 4,
            [], lambda world: setattr(world.aws, "account", "123456789012"),
            replace(UP, aws=Aws("us-east-1", account_id="123456789012"))),
    Failure("a state that could not be saved", errored, "TerraformError", 1, [], no_longer_errored),
    Failure("the control plane is away", answers("LIST", "unreachable"), "ControlPlaneUnreachableError", 1, []),
    Failure("the deletion is refused", answers("DELETE", "403"), "ControlPlaneError", 1, []),
    Failure("the second deletion is refused", answers("DELETE", "", "403"), "ControlPlaneError", 1, ["DELETE ml"]),
    Failure("the deletion's answer is lost", answers("DELETE", "kept, then lost"), "LostAnswerError", 1,
            ["DELETE ml"]),
    Failure("a cluster never goes", never_gone, "WaitTimedOutError", 6, BOTH, gone_at_once),
    Failure("a cluster cannot be deleted", fails_to_delete, "ClusterFailedError", 5, BOTH, gone_at_once),
    Failure("interrupted", interrupts, "InterruptedRunError", 130, BOTH),
    Failure("another cluster comes up", another_comes_up, "ClusterConflictError", 1, BOTH, it_goes),
    Failure("the state is locked", held, "StateLockedError", 8, BOTH, released),
    Failure("Terraform breaks", breaks("destroy"), "TerraformError", 1, BOTH),
    Failure("Terraform is interrupted", lambda world: world.terraform.faults.interrupt.update({"destroy": ""}),
            "TerraformInterruptedError", 130, BOTH),
    Failure("the role is refused", refuses("DeleteRole"), "TerraformError", 1, [*BOTH, *ROLE_GOES[:3]]),
    Failure("the policy is refused", refuses("DeletePolicy"), "TerraformError", 1,
            [*BOTH, "DetachRolePolicy", "DetachRolePolicy", "DeleteRole"]),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_a_failure_stops_there_and_the_next_run_takes_the_rest(world: World, failure: Failure) -> None:
    world.bring_up(UP)
    failure.arrange(world)
    with pytest.raises(GridbyocError) as caught:
        world.destroy(failure.stack, **failure.options)
    assert type(caught.value).__name__ == failure.error
    assert int(caught.value.exit_status) == failure.status
    assert world.effects == failure.effects
    assert (world.work_dir(UP) / "terraform.tfstate").exists()
    failure.mend(world)
    world.destroy(UP)
    assert (world.iam.roles, world.iam.policies, world.plane.held()) == ({}, {}, {})


def test_a_cluster_on_its_way_out_is_waited_for_and_not_deleted_twice(world: World) -> None:
    world.bring_up(UP)
    world.plane.delete(world.plane.live()["more"].id)
    world.destroy(UP)
    assert world.effects == ["DELETE ml", *ROLE_GOES]


# --- what is never taken away


@pytest.mark.parametrize("name", ["ml", "theirs"])
def test_clusters_of_other_roles_are_left_alone(world: World, name: str) -> None:
    world.bring_up(UP)
    if name == "ml":
        world.plane.clusters.pop(world.plane.live()["ml"].id)
    theirs = world.plane.put(Cluster("other", name, Phase.RUNNING, role_arn=OTHERS))
    world.destroy(UP)
    assert world.plane.live() == {name: theirs}
    assert "DELETE theirs" not in world.plane.calls
    assert any("runs through another role: it is left alone" in each for each in world.notes()) is (name == "ml")


def test_data_stays_without_the_word_for_it_and_so_do_the_files(world: World) -> None:
    world.bring_up(UP)
    volumes = Volumes(["vol-1"])
    volumes.put_into(world)
    done = world.destroy(UP)
    assert world.effects == [*BOTH, *ROLE_GOES]
    assert [each.id for each in done.left.ledger.leftovers] == ["vol-1"]
    assert not done.left.ledger.clear
    assert (world.work_dir(UP) / "terraform.tfstate").exists()
    assert world.iam.roles == {}
    world.destroy(UP, delete_data=True)
    assert world.effects == ["ec2.delete_volume"]
    assert not (world.work_dir(UP) / "terraform.tfstate").exists()


def test_what_cannot_be_deleted_stays_and_is_told(world: World) -> None:
    world.bring_up(UP)
    Volumes(["vol-1"], stuck=True).put_into(world)
    done = world.destroy(UP, delete_data=True)
    assert [each.id for each in done.left.ledger.leftovers] == ["vol-1"]
    assert any("vol-1 stays" in each for each in world.notes())
    assert (world.work_dir(UP) / "terraform.tfstate").exists()


def test_what_cannot_be_looked_at_is_not_called_clear(world: World) -> None:
    world.bring_up(UP)
    world.aws.answers["ec2.describe_volumes"] = refusal("UnauthorizedOperation", "DescribeVolumes")
    done = world.destroy(UP)
    assert not done.left.ledger.clear
    assert [each.kind for each in done.left.ledger.unknown] == ["volume"]
    assert (world.work_dir(UP) / "terraform.tfstate").exists()


def test_files_of_others_in_the_work_dir_stay(world: World) -> None:
    world.bring_up(UP)
    (world.work_dir(UP) / "notes.txt").write_text("mine")
    world.destroy(UP)
    assert (world.work_dir(UP) / "notes.txt").read_text() == "mine"
    assert any("notes.txt was not made by gridbyoc: it stays" in each for each in world.notes("info"))


# --- what only the state knows


def test_a_role_without_outputs_is_destroyed_with_its_clusters(world: World) -> None:
    world.bring_up(UP)
    world.put_state(UP, {**world.terraform_state(UP), "outputs": {}})
    world.destroy(UP)
    assert world.effects == [*BOTH, *ROLE_GOES]


def test_a_role_that_is_being_replaced_goes_as_well_and_its_clusters_first(world: World) -> None:
    world.bring_up(UP)
    world.meanwhile["PUT ml"] = lambda: world.plane.answers.update({"PUT": ["500"] * 9})
    with pytest.raises(GridbyocError):
        world.bootstrap(UP, new_role=True, yes_destroy=True)
    assert len(world.iam.roles) == 2
    world.plane.answers.clear()
    done = world.destroy(UP)
    assert world.effects[:2] == BOTH
    assert done.clusters == ("ml", "more")
    assert world.iam.roles == {}


def test_what_a_killed_bootstrap_left_is_taken_too(world: World) -> None:
    world.meanwhile["CreateRole"] = lambda: setattr(world, "dies_at", world.instants)
    with pytest.raises(KilledError):
        world.bootstrap(UP)
    world.dies_at = None
    assert len(world.iam.roles) == 1
    world.destroy(UP)
    assert world.iam.roles == {}
    assert any("was left by a run that was cut off" in each for each in world.notes())


def test_remote_state_goes_as_well(world: World) -> None:
    stack = replace(UP, terraform=TerraformSettings(S3Backend("acme-state", "demo.tfstate", "us-east-1")))
    world.bring_up(stack)
    world.destroy(stack)
    assert world.iam.roles == {}
    assert '"resources": []' in world.objects["acme-state", "demo.tfstate"]


@pytest.mark.parametrize("cluster_seconds", [0.0, 300.0])
def test_killed_at_every_instant(world: World, cluster_seconds: float) -> None:
    world.bring_up(UP)
    world.plane.delete_seconds = cluster_seconds
    for one in world.killed_everywhere(lambda run: run.destroy(UP)):
        one.destroy(UP, choices=FAST)
        assert (one.iam.roles, one.iam.policies, one.plane.held()) == ({}, {}, {})
        assert one.locked_out == []
        assert len(one.plane.clusters) == 2


def test_without_waiting_the_deletion_is_asked_for_and_the_next_destroy_finishes(world: World) -> None:
    world.bootstrap(UP)
    asked = world.destroy(UP, choices=replace(FAST, wait=False))
    assert [cluster.name for cluster in asked.deleting] == ["ml", "more"]
    assert world.log == BOTH
    assert (asked.resources, asked.clusters) == (0, ())
    again = world.destroy(UP, choices=replace(FAST, wait=False))
    assert [cluster.name for cluster in again.deleting] == ["ml", "more"]
    assert world.log == []
    world.time.now += 120
    done = world.destroy(UP)
    assert done.left.ledger.clear
    assert not world.iam.roles


@pytest.mark.parametrize("state", [None, Phase.DELETED], ids=["deleted here", "being deleted already"])
def test_what_a_cluster_leaves_is_looked_for_once_nobody_knows_the_cluster_any_more(
    world: World, state: Phase | None
) -> None:
    world.bring_up(UP)
    born = datetime(2026, 11, 1, tzinfo=timezone.utc)
    theirs = world.plane.put(
        Cluster("id-9", "theirs", Phase.RUNNING, role_arn=role_of(world), desired_state=state or Phase.RUNNING,
                bucket_name="their-bucket", created_at=born)
    )  # fmt: skip
    asked = world.destroy(UP, choices=replace(FAST, wait=False))
    assert "theirs" in [cluster.name for cluster in asked.deleting]
    del world.plane.clusters[theirs.id]
    world.time.now += 120
    found = {one.name: one for one in world.destroy(UP).left.search.clusters}["theirs"]
    assert (found.ids, found.bucket_names, found.created_at) == (("id-9",), ("their-bucket",), born)


@pytest.mark.parametrize("verb", ["destroy", "bootstrap"])
@pytest.mark.parametrize("leaves", [False, True], ids=["a new cluster", "one on its way out"])
def test_the_second_part_of_a_run_requests_no_deletion_that_nobody_approved(
    world: World, verb: str, leaves: bool
) -> None:
    """A fleet's: between the parts, while the clusters were deleted, somebody created one more with the role."""
    world.bring_up(UP)
    one = a_stack(spec())

    def run(choices: Choices) -> object:
        if verb == "destroy":
            return world.destroy(UP, choices=choices)
        return world.bootstrap(one, yes_destroy=True, choices=choices)

    run(replace(FAST, wait=False))
    world.time.now += 120
    world.plane.put(Cluster("id-9", "theirs", Phase.RUNNING, role_arn=role_of(world)))
    finish = replace(FAST, finishing=True)
    if leaves:
        world.plane.delete("id-9")
        run(finish)
        return
    with pytest.raises(StalePlanError, match="This would now also delete: theirs"):
        run(finish)
    assert world.log == []
    run(FAST)
    assert "theirs" not in world.plane.live()
