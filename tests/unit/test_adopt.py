"""Resources of an interrupted run: telling them from other people's, and restoring a state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gridbyoc.aws.orphans import OrphanQuery, policy_tags, stray_roles
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import AwsError, TerraformError
from gridbyoc.operations.import_orphans import cut_off_since
from gridbyoc.stack.model import Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform.state_recovery import restore_backup
from tests.unit.world import KilledError, World, a_stack

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def record(kind: str, effect: str, minute: int) -> dict[str, Any]:
    return {"type": kind, "effect": effect, "time": (NOON + timedelta(minutes=minute)).isoformat()}


BEGAN, ENDED = record("effect_started", "apply", 1), record("effect_done", "apply", 2)
AGAIN, GONE = record("effect_started", "apply", 3), record("effect_done", "destroy", 4)


@pytest.mark.parametrize(
    "records, minute",
    [
        ((), None),
        ((BEGAN,), 1),
        ((BEGAN, ENDED), None),
        ((BEGAN, AGAIN), 1),
        ((BEGAN, ENDED, AGAIN), 3),
        ((BEGAN, AGAIN, GONE), None),
        ((record("effect_started", "create", 1), {"type": "run_started"}), None),
        (({"type": "effect_started", "effect": "apply", "time": "yesterday"},), None),
    ],
)
def test_since_when_an_apply_was_cut_off(records: tuple[dict[str, Any], ...], minute: int | None) -> None:
    expected = None if minute is None else NOON + timedelta(minutes=minute)
    assert cut_off_since(records) == expected


def role(name: str, *, external_id: str = "another", minutes: int = 1) -> dict[str, Any]:
    condition = {"StringEquals": {"sts:ExternalId": external_id}}
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": condition}]}
    made = NOON + timedelta(minutes=minutes)
    return {"RoleName": name, "AssumeRolePolicyDocument": trust, "CreateDate": made}


@dataclass
class Iam:
    """As much of IAM as is asked."""

    roles: list[dict[str, Any]]
    tags: dict[str, str] = field(default_factory=lambda: {"gridbyoc:stack": "mine"})
    error: str = ""

    def iam(self) -> Iam:
        return self

    def get_paginator(self, _name: str) -> Iam:
        return self

    def paginate(self, **_how: object) -> Iterator[dict[str, Any]]:
        self._maybe_fail()
        yield {"Roles": self.roles}

    def get_role(self, RoleName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self._maybe_fail()
        return {"Role": next(each for each in self.roles if each["RoleName"] == RoleName)}

    def get_policy(self, PolicyArn: str) -> dict[str, Any]:  # noqa: N803
        self._maybe_fail()
        return {"Policy": {"Arn": PolicyArn, "Tags": self._listed()}}

    def list_role_tags(self, RoleName: str) -> dict[str, Any]:  # noqa: N803
        return {"Tags": self._listed()}

    def _listed(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def _maybe_fail(self) -> None:
        if self.error:
            raise ClientError({"Error": {"Code": self.error}}, "ListRoles")


SOUGHT = OrphanQuery("mine", "/", prefix="grid-", external_id=Secret("own"), since=NOON)


@pytest.mark.parametrize(
    "iam, sought, found",
    [
        (Iam([role("grid-a", external_id="own", minutes=-99)]), SOUGHT, ("grid-a",)),
        (Iam([role("grid-a", external_id="own"), role("grid-b")]), SOUGHT, ("grid-a",)),
        (Iam([role("grid-a", external_id="own")]), replace(SOUGHT, known=frozenset({"grid-a"})), ()),
        (Iam([role("other-a", external_id="own")]), SOUGHT, ()),
        (Iam([role("grid-a")]), SOUGHT, ("grid-a",)),
        (Iam([role("grid-a"), role("grid-b")]), SOUGHT, ("grid-a", "grid-b")),
        (Iam([role("grid-a")]), replace(SOUGHT, used=frozenset({"grid-a"})), ()),
        (Iam([role("grid-a")]), replace(SOUGHT, since=None), ()),
        (Iam([role("grid-a", minutes=-1)]), SOUGHT, ()),
        (Iam([role("grid-a")], tags={"gridbyoc:stack": "theirs"}), SOUGHT, ()),
        (Iam([role("grid-a")], tags={}), SOUGHT, ()),
        (Iam([role("grid-a"), role("fixed")]), replace(SOUGHT, name="fixed"), ("fixed",)),
        (Iam([], error="AccessDenied"), SOUGHT, ()),
        (Iam([], error="NoSuchEntity"), replace(SOUGHT, name="fixed"), ()),
    ],
)
def test_which_role_is_the_stacks(iam: Any, sought: OrphanQuery, found: tuple[str, ...]) -> None:
    assert stray_roles(iam, sought) == found


def test_a_policys_tags() -> None:
    session: Any = Iam([])
    assert policy_tags(session, "arn:aws:iam::123456789012:policy/a") == {"gridbyoc:stack": "mine"}
    missing: Any = Iam([], error="NoSuchEntity")
    assert policy_tags(missing, "arn:aws:iam::123456789012:policy/a") is None
    broken: Any = Iam([], error="ServiceFailure")
    with pytest.raises(AwsError):
        policy_tags(broken, "arn:aws:iam::123456789012:policy/a")
    with pytest.raises(AwsError):
        stray_roles(broken, SOUGHT)


STATE = json.dumps({"version": 4, "resources": [{"mode": "managed", "instances": [{}]}]})
EMPTY = json.dumps({"version": 4, "resources": []})


@pytest.mark.parametrize(
    "state, copy, put",
    [
        ("", STATE, True),
        (STATE[:20], STATE, True),
        (STATE, STATE, False),
        (EMPTY, STATE, False),
        ("", EMPTY, False),
        ("", STATE[:20], False),
        ("", None, False),
        (None, STATE, False),
    ],
)
def test_a_state_that_was_cut_off_is_put_back(tmp_path: Path, state: str | None, copy: str | None, put: bool) -> None:
    file = tmp_path / "terraform.tfstate"
    for path, text in ((file, state), (tmp_path / "terraform.tfstate.backup", copy)):
        if text is not None:
            path.write_text(text)
    assert restore_backup(file) is put
    if put:
        assert file.read_text() == STATE
        assert file.stat().st_mode & 0o777 == 0o600
    elif state is not None:
        assert file.read_text() == state


# --- through the front door: a bootstrap that is killed, and the one after it

UP = a_stack()
FIXED = a_stack(name="grid-fixed")
MODULE_ROLE = "module.gridbyoc.aws_iam_role.this"
MODULE_POLICY = "module.gridbyoc.aws_iam_policy.this[0]"


def killed_after(world: World, what: str, stack: Stack = UP) -> None:
    """A bootstrap that ends at the moment when AWS has carried this out, and before the state says so."""
    world.meanwhile[what] = lambda: setattr(world, "dies_at", world.instants)
    with pytest.raises(KilledError):
        world.bootstrap(stack)
    world.dies_at = None


def imported(world: World) -> list[str]:
    return [line.removeprefix("import ") for line in world.log if line.startswith("import ")]


@pytest.mark.parametrize(
    "stack, what, taken",
    [
        (UP, "CreateRole", [MODULE_ROLE]),
        (UP, "CreatePolicy", [MODULE_POLICY]),
        (FIXED, "CreateRole", [MODULE_ROLE]),
        (FIXED, "CreatePolicy", [MODULE_POLICY]),
        (UP, "AttachRolePolicy", []),
        (UP, "POST ml", []),
    ],
)
def test_what_a_killed_run_made_is_taken_into_the_state(
    world: World, stack: Stack, what: str, taken: list[str]
) -> None:
    killed_after(world, what, stack)
    role = next(iter(world.iam.roles))
    world.converge(stack)
    assert imported(world) == taken
    assert list(world.iam.roles) == [role]
    assert len(world.iam.policies) == 1
    assert [note for note in world.notes() if "imported into the state" in note] == [
        note for note in world.notes() if "was left by a run that was cut off" in note
    ]


def theirs(world: World, name: str, **fields: Any) -> None:
    """Somebody else's role in the account, made just now."""
    tags = [{"Key": "gridbyoc:stack", "Value": fields.pop("stack", "other")}]
    document = {"Version": "2012-10-17", "Statement": []}
    world.iam.create_role(
        name, f"arn:aws:iam::123456789012:role/{name}",
        Path="/", Description="", MaxSessionDuration=3600, PermissionsBoundary=None,
        AssumeRolePolicyDocument=document, Tags=tags,
    )  # fmt: skip


def test_the_id_in_the_state_tells_our_role_from_one_with_the_same_tag(world: World) -> None:
    killed_after(world, "CreateRole")
    mine = next(iter(world.iam.roles))
    theirs(world, "grid-cloud-of-another-run", stack="demo")
    world.bootstrap(UP)
    assert imported(world) == [MODULE_ROLE]
    assert json.dumps(world.terraform_state(UP)).count(mine)
    assert world.iam.roles["grid-cloud-of-another-run"]["Attached"] == []


def test_without_the_id_two_that_may_be_ours_are_left_alone(world: World) -> None:
    killed_after(world, "CreateRole")
    (world.work_dir(UP) / "terraform.tfstate").unlink()
    theirs(world, "grid-cloud-of-another-run", stack="demo")
    world.bootstrap(UP)
    assert imported(world) == []
    assert any("none of them is imported" in note for note in world.notes())
    assert len(world.iam.roles) == 3


@pytest.mark.parametrize("tag", ["other", "demo2"])
def test_a_role_of_another_stack_is_never_taken(world: World, tag: str) -> None:
    killed_after(world, "before CreateRole")
    theirs(world, "grid-cloud-theirs", stack=tag)
    world.bootstrap(UP)
    assert imported(world) == []
    assert world.iam.roles["grid-cloud-theirs"]["Attached"] == []


def test_a_role_that_stood_before_the_run_is_never_taken(world: World) -> None:
    theirs(world, "grid-cloud-older", stack="demo")
    world.time.sleep(3600)
    killed_after(world, "before CreateRole")
    world.bootstrap(UP)
    assert imported(world) == []


def test_a_role_that_a_cluster_runs_through_is_never_taken(world: World) -> None:
    killed_after(world, "before CreateRole")
    theirs(world, "grid-cloud-used", stack="demo")
    role_arn = world.iam.roles["grid-cloud-used"]["Arn"]
    world.plane.put(Cluster("theirs", "theirs", Phase.RUNNING, role_arn=role_arn))
    world.bootstrap(UP)
    assert imported(world) == []
    assert world.plane.live()["theirs"].role_arn == role_arn


def test_a_run_that_came_to_its_end_leaves_nothing_to_look_for(world: World) -> None:
    world.bring_up(UP)
    theirs(world, "grid-cloud-like-ours", stack="demo")
    world.bootstrap(a_stack(statements=()), yes_destroy=True)
    assert imported(world) == []
    assert "iam.list_roles" not in world.aws.calls


def test_a_policy_of_that_name_with_another_tag_is_not_taken(world: World) -> None:
    """It belongs to another stack; Terraform says that the name is taken."""
    killed_after(world, "CreateRole", FIXED)
    world.iam.create_policy(
        "arn:aws:iam::123456789012:policy/grid-fixed", PolicyName="grid-fixed", Path="/", Description="",
        Document={}, Tags=[{"Key": "gridbyoc:stack", "Value": "other"}],
    )  # fmt: skip
    with pytest.raises(TerraformError, match="EntityAlreadyExists"):
        world.bootstrap(FIXED)
    assert imported(world) == [MODULE_ROLE]


def test_an_import_that_another_terraform_did_is_no_failure(world: World) -> None:
    """The Terraform of the killed run lives on for a moment, and writes the role into the state itself."""
    killed_after(world, "CreateRole")
    late = world.fork(world.directory / "late")
    late.bootstrap(UP)
    state = late.terraform_state(UP)
    world.aws.on_call["iam.list_roles"] = lambda: world.put_state(UP, state)
    world.bootstrap(UP)
    assert imported(world) == []
    assert world.made_roles == 1


def test_an_import_that_fails_stops_the_run_before_anything_is_made(world: World) -> None:
    killed_after(world, "CreateRole")
    world.terraform.faults.errors["import"] = ["Something broke"]
    with pytest.raises(TerraformError, match="Something broke"):
        world.bootstrap(UP)
    assert world.effects == []
    world.converge(UP)
    assert world.made_roles == 1


# --- a first apply that was killed before the state held anything

FRESH = a_stack()


def cut_off(world: World) -> dict[str, Any]:
    """The role that a first apply made, which was killed before the state held anything of it, or an external id."""
    world.dies_at = 1
    while True:
        with pytest.raises(KilledError):
            world.bootstrap(FRESH)
        if world.iam.roles:
            break
        world.dies_at += 1
    world.dies_at = None
    (world.work_dir(FRESH) / "terraform.tfstate").unlink(missing_ok=True)
    (found,) = world.iam.roles.values()
    return found


def test_a_role_of_a_run_that_was_cut_off_is_taken_up(world: World) -> None:
    made = cut_off(world)
    assert world.bootstrap(FRESH).role_arn == made["Arn"]
    assert len(world.iam.roles) == 1


@pytest.mark.parametrize("minutes,taken", [(4, True), (6, False)])
def test_our_clock_may_be_ahead_of_awss_as_far_as_signed_requests_bear(world: World, minutes: int, taken: bool) -> None:
    made = cut_off(world)
    made["CreateDate"] -= timedelta(minutes=minutes)
    assert (world.bootstrap(FRESH).role_arn == made["Arn"]) is taken


def test_of_two_that_may_be_it_none_is_taken(world: World) -> None:
    made = cut_off(world)
    name = f"{made['RoleName'][:-1]}x"
    world.iam.roles[name] = {**made, "RoleName": name, "Arn": made["Arn"].replace(made["RoleName"], name)}
    report = world.bootstrap(FRESH)
    assert report.role_arn not in {made["Arn"], world.iam.roles[name]["Arn"]}
    assert any("none of them is imported" in note for note in world.notes())


def test_a_policy_of_its_name_that_is_anothers_is_not_taken(world: World) -> None:
    """A policy with a fixed name that does not carry the stack's tag: Terraform refuses to make a second one."""
    named = a_stack(name="grid-fixed")
    arn = "arn:aws:iam::123456789012:policy/grid-fixed"
    world.iam.create_policy(arn, Tags=[{"Key": "gridbyoc:stack", "Value": "theirs"}], Document={"Statement": []})
    with pytest.raises(TerraformError):
        world.bootstrap(named)
    with pytest.raises(TerraformError):
        world.bootstrap(named)
    assert not any(line.startswith("import") for line in world.log)
