"""The short way through bootstrap's front door: taken only where nothing at all has moved since the last good run."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gridbyoc import __version__
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.bootstrap import prove_trust
from gridbyoc.operations.converged import _inputs, unchanged
from gridbyoc.operations.drift import find_drift
from gridbyoc.operations.fingerprint import FORMAT, RECORD
from gridbyoc.operations.prepare import current_grant, prepare
from gridbyoc.operations.run import Choices
from gridbyoc.render import KnownPolicies
from gridbyoc.stack.model import Stack
from tests.unit.memory_aws import ACCOUNT
from tests.unit.world import FAST, HUGE, World, a_stack, spec

UP = a_stack(spec(), spec("more"))
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def role(world: World) -> dict[str, Any]:
    (found,) = world.iam.roles.values()
    return found


def policy(world: World) -> dict[str, Any]:
    (found,) = world.iam.policies.values()
    return found


def edit(**fields: Any) -> Callable[[World], object]:
    return lambda world: role(world).update(fields)


def trusts_another(world: World) -> None:
    another = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    role(world)["AssumeRolePolicyDocument"]["Statement"].append(another)


def widened(world: World) -> None:
    policy(world)["Document"]["Statement"][0]["Action"] = ["*"]


def new_version(world: World) -> None:
    policy(world)["DefaultVersionId"] = "v2"


def state_edited(world: World) -> None:
    state = world.terraform_state(UP)
    state["resources"][0]["instances"][0]["attributes"]["id"] = "another"
    world.put_state(UP, state)


def state_gone_on(world: World) -> None:
    state = world.terraform_state(UP)
    world.put_state(UP, {**state, "serial": state["serial"] + 1})


def cluster_edited(world: World) -> None:
    ml = world.plane.live()["ml"]
    world.plane.put(replace(ml, raw={"spec": {"by": "hand"}}))


def cluster_failed(world: World) -> None:
    world.plane._since.clear()
    world.plane.put(replace(world.plane.live()["ml"], phase=Phase.FAILED))


def cluster_gone(world: World) -> None:
    world.plane.clusters.pop(world.plane.live()["more"].id)


def cluster_came(world: World) -> None:
    world.plane.put(Cluster("late", "late", Phase.RUNNING, role_arn=role(world)["Arn"]))


def leaves(name: str, text: str = "") -> Callable[[World], object]:
    return lambda world: (world.work_dir(UP) / name).write_text(text)


def record_with(**fields: Any) -> Callable[[World], object]:
    """With these fields; ``None`` takes one out."""

    def act(world: World) -> None:
        path = world.work_dir(UP) / RECORD
        found = {**json.loads(path.read_text()), **fields}
        path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))

    return act


@dataclass(frozen=True)
class Moved:
    """What has moved since the last good run; whether a run is done without Terraform; what it says it found."""

    name: str
    move: Callable[[World], object]
    says: str = ""
    stack: Stack = UP
    options: dict[str, Any] = field(default_factory=dict)
    short: bool = False
    raises: bool = False


def nothing(_world: World) -> None:
    """Nothing has moved."""


POLICIES = "the role or its policies have changed"
HIDDEN = "the role or its policies could not be read"
CLUSTER = "a cluster has changed"
MOVED = [
    Moved("nothing", nothing, "nothing has moved", short=True),
    Moved("the serial alone", state_gone_on, "nothing has moved", short=True),
    Moved("a role of another stack", lambda world: world.iam.create_role(
        "theirs", "arn:aws:iam::123456789012:role/theirs", Path="/", Tags=[]), "nothing has moved", short=True),
    Moved("somebody else's cluster", lambda world: world.plane.put(
        Cluster("x", "x", Phase.RUNNING, role_arn="arn:aws:iam::123456789012:role/x")), "nothing has moved",
        short=True),
    Moved("the file", nothing, "the stack file, the module or the tool has changed",
          a_stack(spec(), spec("more", HUGE))),
    Moved("the role in the file", nothing, "the stack file, the", replace(UP, role=replace(UP.role,
          max_session_hours=2))),
    Moved("a cluster less in the file", nothing, "the stack file, the", a_stack(spec()), {"yes_destroy": True}),
    Moved("the environment", lambda world: world.environ.update({"TF_AWS_DEFAULT_TAGS_x": "y"}), "the stack file, the"),
    Moved("whom the role trusts", trusts_another, POLICIES),
    Moved("a policy was attached", lambda world: role(world)["Attached"].append(ADMIN), POLICIES),
    Moved("a policy was detached", lambda world: role(world)["Attached"].remove(S3_FULL), POLICIES),
    Moved("an inline policy", lambda world: role(world)["Inline"].update({"by-hand": {"Statement": []}}), POLICIES),
    Moved("the own policy's document", widened, POLICIES),
    Moved("the own policy's version", new_version, POLICIES),
    Moved("the boundary", edit(PermissionsBoundary={"PermissionsBoundaryArn": ADMIN}), POLICIES),
    Moved("the longest session", edit(MaxSessionDuration=3600), POLICIES),
    Moved("the description", edit(Description="by hand"), POLICIES),
    Moved("a tag", edit(Tags=[{"Key": "by", "Value": "hand"}]), POLICIES),
    Moved("the role is another of the same name", edit(RoleId="AROAANOTHER"), POLICIES),
    Moved("the state", state_edited, "the state has changed"),
    Moved("the state's lineage", lambda world: world.put_state(UP, {**world.terraform_state(UP), "lineage": "x"}),
          "the state has changed"),
    Moved("a cluster's spec", cluster_edited, CLUSTER),
    Moved("a cluster has failed", cluster_failed, "a cluster does not run", raises=True),
    Moved("a cluster has gone", cluster_gone, CLUSTER),
    Moved("a cluster has come", cluster_came, CLUSTER, options={"yes_destroy": True}),
    Moved("the role may not be read", lambda world: world.iam.refused.update({"GetRole": "AccessDenied"}), HIDDEN),
    Moved("a policy may not be read", lambda world: world.iam.refused.update({"GetPolicy": "AccessDenied"}), HIDDEN),
    Moved("what is attached may not be read",
          lambda world: world.iam.refused.update({"ListAttachedRolePolicies": "AccessDenied"}), HIDDEN),
    Moved("no record", lambda world: (world.work_dir(UP) / RECORD).unlink()),
    Moved("a damaged record", leaves(RECORD, "{")),
    Moved("a record of another kind", leaves(RECORD, "[]")),
    Moved("a record without a key", record_with(key=None)),
    Moved("a record of another format", record_with(format=FORMAT + 1)),
    Moved("a record without a format", record_with(format=None)),
    Moved("a record of no account", record_with(account_id=1)),
    Moved("a record of no role", record_with(role_arn="arn:aws:iam::123456789012:user/grid")),
    Moved("a file of others that Terraform reads", leaves("by-hand.tf", "# mine\n")),
    Moved("a lock that a Terraform left", leaves(".terraform.tfstate.lock.info", "{}")),
    Moved("Terraform is asked for", nothing, options={"choices": replace(FAST, refresh=True)}),
    Moved("somebody wants to hear of the approval", nothing, options={"on_approved": lambda: None}),
    Moved("a role is asked for", nothing, options={"needs_role": True}),
]  # fmt: skip


@pytest.mark.parametrize("moved", MOVED, ids=lambda moved: moved.name)
def test_what_has_moved_is_terraforms_to_judge(world: World, moved: Moved) -> None:
    world.bring_up(UP)
    moved.move(world)
    world.terraform.commands.clear()
    with pytest.raises(GridbyocError) if moved.raises else nullcontext():
        world.bootstrap(moved.stack, **moved.options)
    assert ("plan" not in {command[0] for command in world.terraform.commands}) is moved.short
    assert (world.terraform.commands == []) is moved.short
    assert world.effects == [] or not moved.short
    if moved.says:
        assert moved.says in world.details("compare")[0]
    else:
        assert "compare" not in world.steps()


NOT_OF_DRIFT = ("somebody wants to hear of the approval", "a role is asked for")


@pytest.mark.parametrize(
    "moved", [each for each in MOVED if each.name not in NOT_OF_DRIFT], ids=lambda moved: moved.name
)
def test_drift_starts_terraform_unless_nothing_has_moved(world: World, moved: Moved) -> None:
    world.bring_up(UP)
    moved.move(world)
    world.terraform.commands.clear()
    with world.run(moved.stack, "drift", moved.options.get("choices", FAST)) as run:
        found = find_drift(run)
    assert found.by_record is moved.short
    assert (world.terraform.commands == []) is moved.short
    assert found.none or not moved.short
    assert world.effects == []


def test_drift_by_the_record_tells_what_the_long_way_tells(world: World) -> None:
    accepts = replace(UP, role=replace(UP.role, known_policies=(ADMIN,)))
    world.bring_up(UP)
    role(world)["Attached"].append(ADMIN)
    world.bootstrap(accepts)
    found = {}
    for refresh in (False, True):
        with world.run(accepts, "drift", replace(FAST, refresh=refresh)) as run:
            found[refresh] = find_drift(run)
    assert [each.by_record for each in found.values()] == [True, False]
    assert found[False].remarks == found[True].remarks != []
    assert found[False].none
    assert found[True].none


def test_no_record_is_kept_of_a_role_whose_trust_is_not_proven(world: World) -> None:
    world.bring_up(UP)
    unclear = {"ArnLike": {"aws:PrincipalArn": "*"}}
    role(world)["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] |= unclear
    assert (world.work_dir(UP) / RECORD).exists()
    with world.run(UP, "bootstrap", FAST) as run:
        site = prepare(run)
        grant = current_grant(run, site)
        assert grant is not None
        assert prove_trust(run, site, grant) is False


@pytest.mark.parametrize(
    "move",
    [
        lambda world: world.plane.answers.update({"LIST": ["unreachable"] * 2}),
        lambda world: setattr(world.aws, "account", "999999999999"),
        lambda world: (world.work_dir(UP) / "errored.tfstate").write_text("{}"),
    ],
    ids=["the control plane is away", "another account", "a state that could not be saved"],
)
def test_what_stops_a_run_stops_the_short_way(world: World, move: Callable[[World], object]) -> None:
    world.bring_up(UP)
    move(world)
    with pytest.raises(GridbyocError):
        world.bootstrap(UP)
    assert world.effects == []


def test_what_the_stack_file_accepts_no_more_is_no_reason_to_change_nothing(world: World) -> None:
    """A policy that is merely accepted is no input of Terraform: the file alone says whether it may be there."""
    accepts = replace(UP, role=replace(UP.role, known_policies=(ADMIN,)))
    world.bring_up(UP)
    role(world)["Attached"].append(ADMIN)
    world.bootstrap(accepts)
    world.terraform.commands.clear()
    world.bootstrap(accepts)
    assert world.terraform.commands == []
    report = world.bootstrap(UP)
    assert world.terraform.commands
    assert world.detail("compare") == "the role has policies that the stack file does not list"
    assert report.remarks
    assert not (world.work_dir(UP) / RECORD).exists()


@pytest.mark.parametrize("listed", ["Attached", "Inline"])
def test_policies_that_the_stack_file_does_not_list_are_never_remembered(world: World, listed: str) -> None:
    """Also if they were there while the record was written, as it was in the record's first format."""
    world.bring_up(UP)
    before = copy.deepcopy(role(world)[listed])
    if listed == "Attached":
        role(world)["Attached"].append(ADMIN)
    else:
        role(world)["Inline"]["by-hand"] = {"Statement": []}
    world.bootstrap(UP)
    assert not (world.work_dir(UP) / RECORD).exists()
    role(world)[listed] = before
    world.bootstrap(UP)
    assert (world.work_dir(UP) / RECORD).exists()


def test_what_somebody_did_to_the_role_during_the_wait_is_undone_by_the_next_run(world: World) -> None:
    role_edited_meanwhile(world)
    world.bootstrap(UP)
    assert role(world)["MaxSessionDuration"] == 3600
    assert not (world.work_dir(UP) / RECORD).exists()
    world.bootstrap(UP)
    assert role(world)["MaxSessionDuration"] != 3600
    assert (world.work_dir(UP) / RECORD).exists()


def attached_meanwhile(world: World) -> None:
    world.meanwhile["sleep"] = lambda: role(world)["Attached"].append(ADMIN)


def role_edited_meanwhile(world: World) -> None:
    world.meanwhile["sleep"] = lambda: edit(MaxSessionDuration=3600)(world)


def others_file(world: World) -> None:
    """Terraform reads it, whatever it comes to be."""
    world.work_dir(UP).mkdir(parents=True)
    leaves("by-hand.tf", "# mine\n")(world)


def late_cluster_meanwhile(world: World) -> None:
    world.meanwhile["sleep"] = lambda: cluster_came(world)


def edited_meanwhile(world: World) -> None:
    world.meanwhile["sleep"] = lambda: cluster_edited_types(world)


def cluster_edited_types(world: World) -> None:
    world.plane.put(replace(world.plane.live()["ml"], instance_types=(HUGE,)))


def denied(operation: str) -> Callable[[World], object]:
    return lambda world: world.iam.refused.update({operation: "AccessDenied"})


@pytest.mark.parametrize(
    "arrange, options",
    [
        (attached_meanwhile, {}),
        (role_edited_meanwhile, {}),
        (edited_meanwhile, {}),
        (late_cluster_meanwhile, {}),
        (others_file, {}),
        (denied("GetRole"), {}),
        (denied("ListAttachedRolePolicies"), {}),
        (denied("ListRolePolicies"), {}),
        (denied("GetPolicyVersion"), {}),
    ],
    ids=["a policy was attached meanwhile", "the role was edited meanwhile",
         "a cluster was edited meanwhile", "a cluster came meanwhile", "a file of others", "the role is hidden",
         "what is attached is hidden", "inline policies are hidden", "a policy is hidden"],
)  # fmt: skip
def test_no_record_is_kept_of_what_is_not_proven(
    world: World, arrange: Callable[[World], object], options: dict[str, Any]
) -> None:
    arrange(world)
    world.bootstrap(UP, **options)
    assert not (world.work_dir(UP) / RECORD).exists()


def test_while_an_old_grant_is_accepted_no_record_is_kept(world: World) -> None:
    world.bring_up(UP)
    world.plane.shows_ids = False
    world.bootstrap(replace(UP, role=replace(UP.role, rotation="2026-11")))
    assert not (world.work_dir(UP) / RECORD).exists()


def test_a_record_is_of_one_version_alone(world: World) -> None:
    world.bring_up(UP)
    with world.run(UP, "test") as run:
        assert ["tool", __version__] in list(_inputs(run, ACCOUNT, KnownPolicies()))


def test_an_earlier_record_does_not_outlive_a_run_that_proves_less(world: World) -> None:
    world.bring_up(UP)
    assert (world.work_dir(UP) / RECORD).exists()
    denied("GetRole")(world)
    world.bootstrap(UP)
    assert not (world.work_dir(UP) / RECORD).exists()


def test_the_record_tells_nothing_of_the_external_id(world: World) -> None:
    world.bring_up(UP)
    text = (world.work_dir(UP) / RECORD).read_text()
    (external_id,) = world.iam.accepted(role(world)["Arn"])
    assert external_id not in text
    assert (world.work_dir(UP) / RECORD).stat().st_mode & 0o777 == 0o600


def test_what_was_not_waited_for_is_finished_without_terraform_once_it_runs(world: World) -> None:
    no_wait = replace(FAST, wait=False)
    first = world.bootstrap(UP, choices=no_wait)
    assert {cluster.status for cluster in first.clusters} == {"pending"}
    again = world.bootstrap(UP, choices=no_wait)
    assert (again.changed, world.log) == (False, [])
    with world.run(UP, "bootstrap", FAST) as run:
        assert unchanged(run) is None  # who waits does not take a cluster on its way for one that runs
    world.time.now += 120
    assert {cluster.status for cluster in world.bootstrap(UP).clusters} == {"running"}
    assert world.log == []


@pytest.mark.parametrize("choices", [FAST, replace(FAST, wait=False)], ids=["waits", "does not wait"])
def test_a_cluster_that_failed_meanwhile_is_for_the_long_way(world: World, choices: Choices) -> None:
    world.bootstrap(UP, choices=replace(FAST, wait=False))
    cluster_failed(world)
    with world.run(UP, "bootstrap", choices) as run:
        assert unchanged(run) is None


def test_a_role_that_aws_changed_more_than_asked_is_not_remembered(world: World) -> None:
    """State and role agree after the apply; only a further plan tells that neither is as the stack file asks."""
    world.bring_up(UP)
    longer = replace(UP, role=replace(UP.role, max_session_hours=2))
    world.plane.put(replace(world.plane.live()["ml"], instance_types=()))

    def without_description() -> None:
        edit(Description="")(world)
        state = world.terraform_state(longer)
        (kept,) = [each for each in state["resources"] if each["type"] == "aws_iam_role"]
        kept["instances"][0]["attributes"]["description"] = ""
        world.put_state(longer, state)

    world.meanwhile["PUT ml"] = without_description
    world.bootstrap(longer)
    assert world.meanwhile == {}
    assert world.detail("compare") == "Terraform plans further changes"
    assert not (world.work_dir(UP) / RECORD).exists()
    with world.run(longer, "drift", FAST) as run:
        assert not find_drift(run).none
