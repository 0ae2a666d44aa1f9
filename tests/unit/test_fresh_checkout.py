"""The fingerprint beside a state in S3: a run with an empty work_dir believes it exactly where it would its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws.live_role import read_live_role
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.converged import facts_of, unchanged
from gridbyoc.operations.drift import DriftFound, find_drift
from gridbyoc.operations.fingerprint import FORMAT, RECORD, keyed_digest
from gridbyoc.operations.run import Choices
from gridbyoc.operations.state_migrate import migrate
from gridbyoc.stack.model import Aws, LocalBackend, S3Backend, Stack
from tests.unit.memory_aws import Objects, refusal
from tests.unit.test_converged import (
    ADMIN,
    MOVED,
    NOT_OF_DRIFT,
    Moved,
    denied,
    edit,
    role,
    trusts_another,
    widened,
)
from tests.unit.world import FAST, World, a_stack, spec

S3 = S3Backend("acme-state", "demo.tfstate", "us-east-1")
STATE, FINGERPRINT = (S3.bucket, S3.key), (S3.bucket, f"{S3.key}.converged.json")
NEVER = (
    "the state", "the state's lineage", "the serial alone", "no record", "a damaged record", "a record of another kind",
    "a record without a key", "a record of another format", "a record without a format", "a record of no account",
    "a record of no role",
)  # fmt: skip
"""Cases of a file in the work_dir. Those of an object are below."""


def in_s3(stack: Stack, backend: S3Backend | LocalBackend = S3) -> Stack:
    return replace(stack, terraform=replace(stack.terraform, backend=backend))


UP = in_s3(a_stack(spec(), spec("more")))


def clone(world: World) -> None:
    """As in a fresh checkout: nothing is in the work_dir."""
    shutil.rmtree(world.work_dir(UP))
    world.work_dir(UP).mkdir()
    world.terraform.commands.clear()


def drift(world: World, stack: Stack = UP, choices: Choices = FAST) -> DriftFound:
    with world.run(stack, "drift", choices) as run:
        return find_drift(run)


def document(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.objects[FINGERPRINT])
    return found


def edit_object(place: tuple[str, str], **fields: Any) -> Callable[[World], object]:
    """With these fields; ``None`` takes one out."""

    def act(world: World) -> None:
        found = {**json.loads(world.objects[place]), **fields}
        world.objects[place] = json.dumps({name: value for name, value in found.items() if value is not None})

    return act


def state_edited(world: World) -> None:
    state = json.loads(world.objects[STATE])
    state["resources"][0]["instances"][0]["attributes"]["id"] = "another"
    world.objects[STATE] = json.dumps(state)


def another_lock_file(world: World) -> None:
    (world.work_dir(UP) / ".terraform.lock.hcl").write_text('provider "aws" {\n  version = "9.9.9"\n}\n')


def record_of_another_place(world: World) -> None:
    note = {"type": "s3", "config": {"bucket": "acme-state", "key": "elsewhere"}}
    (world.work_dir(UP) / ".gridbyoc-state.json").write_text(json.dumps(note))


CASES = [
    *(each for each in MOVED if each.name not in (*NEVER, *NOT_OF_DRIFT)),
    Moved("the state", state_edited, "the state has changed"),
    Moved("the state's lineage", edit_object(STATE, lineage="x"), "the state has changed"),
    Moved("the serial alone", edit_object(STATE, serial=99), "nothing has moved", short=True),
    Moved("the state is encrypted", edit_object(STATE, resources=None, outputs=None), "the state has changed"),
    Moved("no fingerprint", lambda world: world.objects.pop(FINGERPRINT)),
    Moved("a damaged one", lambda world: world.objects.update({FINGERPRINT: "{"})),
    Moved("one of another kind", lambda world: world.objects.update({FINGERPRINT: "[]"})),
    Moved("one without a key", edit_object(FINGERPRINT, key=None)),
    Moved("one of another format", edit_object(FINGERPRINT, format=FORMAT + 1)),
    Moved("one of no account", edit_object(FINGERPRINT, account_id=1)),
    Moved("one of another account", edit_object(FINGERPRINT, account_id="999999999999"), "the stack file, the"),
    Moved("one of no role", edit_object(FINGERPRINT, role_arn="arn:aws:iam::123456789012:user/grid")),
    Moved("one with an odd list", edit_object(FINGERPRINT, known=[1])),
    Moved("the lock file selects another provider", another_lock_file, "the stack file, the"),
    Moved("the account", lambda world: setattr(world.aws, "account", "999999999999"), "belong to another", raises=True),
    Moved(
        "the account, which the file names",
        lambda world: setattr(world.aws, "account", "999999999999"),
        stack=replace(UP, aws=Aws("us-east-1", account_id="123456789012")),
        raises=True,
    ),
]


@pytest.mark.parametrize("moved", CASES, ids=lambda moved: moved.name)
def test_drift_from_a_fresh_checkout(world: World, moved: Moved) -> None:
    world.bring_up(UP)
    clone(world)
    moved.move(world)
    choices = moved.options.get("choices", FAST)
    with world.run(in_s3(moved.stack), "drift", choices) as run:
        try:
            found = find_drift(run)
        except GridbyocError:
            assert moved.raises or world.terraform.commands  # the state cannot be read: the long way says so
            return
    assert found.by_record is moved.short
    assert (world.terraform.commands == []) is moved.short
    assert found.none or not moved.short
    assert moved.says in world.detail("compare") if moved.says else "compare" not in world.steps()


@pytest.mark.parametrize("move", [trusts_another, widened, edit(MaxSessionDuration=3600)])
def test_bootstrap_from_a_fresh_checkout_puts_it_right(world: World, move: Callable[[World], object]) -> None:
    world.bring_up(UP)
    clone(world)
    move(world)
    assert world.bootstrap(UP).changed
    clone(world)
    assert not world.bootstrap(UP).changed
    assert (world.terraform.commands, world.effects) == ([], [])


def test_it_reveals_nothing_and_names_no_place(world: World) -> None:
    world.bring_up(UP)
    text = world.objects[FINGERPRINT]
    (external_id,) = world.iam.accepted(role(world)["Arn"])
    for secret in (external_id, str(world.directory), world.directory.name, "terraform", "AKIAMEMORY"):
        assert secret not in text
    assert text == (world.work_dir(UP) / RECORD).read_text()


@pytest.mark.parametrize(
    "stack, choices",
    [
        (replace(UP, control_plane=replace(UP.control_plane, ca_bundle=Path("/home/ada/ca.pem"))), FAST),
        (replace(UP, terraform=replace(UP.terraform, provider_mirror=Path("/home/ada/mirror"))), FAST),
        (replace(UP, aws=replace(UP.aws, profile="ada")), FAST),
        (replace(UP, file=Path("/home/ada/gridbyoc.yaml"), work_root=Path("/var/work")), FAST),
        (in_s3(UP, replace(S3, profile="ada", encrypt=False, kms_key_id="k", dynamodb_table="locks")), FAST),
        (UP, replace(FAST, terraform_bin="/home/ada/bin/tofu")),
    ],
    ids=["CA bundle", "provider mirror", "profile", "paths", "the state's settings", "binary"],
)
def test_another_machine_and_user_see_the_same(world: World, stack: Stack, choices: Choices) -> None:
    world.bring_up(UP)
    clone(world)
    world.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://[fd00:ec2::254]"
    with world.run(stack, "drift", choices) as run:
        assert unchanged(run) is not None


def test_an_exclusive_role_with_policies_of_others(world: World) -> None:
    stack = replace(
        UP, role=replace(UP.role, exclusive=True, known_policies=(ADMIN,), known_inline_policies=("audit",))
    )
    world.bring_up(UP)
    role(world)["Attached"].append(ADMIN)
    role(world)["Inline"]["audit"] = {"Statement": []}
    world.bootstrap(stack)
    clone(world)
    assert drift(world, stack).by_record
    role(world)["Attached"].remove(ADMIN)
    assert not drift(world, stack).by_record


# --- what may go wrong with the object


def test_a_denied_write_does_not_fail_the_run(world: World) -> None:
    world.aws.answers["s3.put_object"] = refusal("AccessDenied", "PutObject")
    assert world.bootstrap(UP).changed
    (note,) = [each for each in world.notes("info") if "fingerprint" in each]
    assert "s3://acme-state/demo.tfstate.converged.json was not written: AccessDenied" in note
    assert "gridbyoc policy" in note
    assert FINGERPRINT not in world.objects
    world.terraform.commands.clear()
    assert not world.bootstrap(UP).changed
    assert world.terraform.commands == [], "the work_dir has its own"
    clone(world)
    found = drift(world)
    assert (found.none, found.by_record) == (True, False)


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "KMS.DisabledException"])
def test_a_denied_read_takes_the_long_way(world: World, code: str) -> None:
    world.bring_up(UP)
    clone(world)
    read = Objects(world.objects)

    def get_object(**asked: str) -> Any:
        return refusal(code, "GetObject") if asked["Key"] == FINGERPRINT[1] else read.get_object(**asked)

    world.aws.answers["s3.get_object"] = get_object
    found = drift(world)
    assert (found.none, found.by_record) == (True, False)
    assert not world.bootstrap(UP).changed


@pytest.mark.parametrize(
    "backend, settings",
    [
        (S3, {"ServerSideEncryption": "AES256"}),
        (replace(S3, encrypt=False, kms_key_id="alias/state"), {}),
        (replace(S3, kms_key_id="alias/state"), {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/state"}),
    ],
)
def test_it_is_encrypted_as_the_state_is(world: World, backend: S3Backend, settings: dict[str, str]) -> None:
    written: list[dict[str, Any]] = []
    world.aws.answers["s3.put_object"] = lambda **asked: written.append(asked) or {}
    world.bootstrap(in_s3(UP, backend))
    (asked,) = written
    encryption = {name: value for name, value in asked.items() if name in ("ServerSideEncryption", "SSEKMSKeyId")}
    assert encryption == settings
    assert (asked["Bucket"], asked["Key"], asked["IfNoneMatch"]) == (*FINGERPRINT, "*")


def test_the_same_is_not_written_again(world: World) -> None:
    world.bring_up(UP)
    before = world.objects[FINGERPRINT]
    world.bootstrap(UP, choices=replace(FAST, refresh=True))
    assert world.objects[FINGERPRINT] == before
    world.bootstrap(replace(UP, role=replace(UP.role, max_session_hours=2)))
    assert world.objects[FINGERPRINT] != before


def test_what_another_run_has_written_meanwhile_stays(world: World) -> None:
    world.aws.on_call["s3.put_object"] = lambda: world.objects.update({FINGERPRINT: "newer"})
    world.bootstrap(UP)
    assert world.objects[FINGERPRINT] == "newer"
    assert [each for each in world.notes("info") if "fingerprint" in each] == []
    world.aws.on_call["s3.put_object"] = lambda: world.objects.pop(FINGERPRINT)
    world.bootstrap(UP, choices=replace(FAST, refresh=True))
    assert FINGERPRINT not in world.objects


def test_a_run_that_proves_less_takes_it_away(world: World) -> None:
    world.bring_up(UP)
    denied("GetRole")(world)
    world.bootstrap(UP)
    assert FINGERPRINT not in world.objects
    world.aws.calls.clear()
    world.bootstrap(UP)
    assert "s3.delete_object" not in world.aws.calls, "each would add a delete marker"


def test_whoever_writes_it_without_the_state_hides_no_change_of_the_role(world: World) -> None:
    world.bring_up(UP)
    clone(world)
    edit(MaxSessionDuration=3600)(world)
    facts = facts_of(read_live_role(world.open_session("us-east-1", None), role(world)["Arn"], every_document=False))
    forged = document(world)
    edit_object(FINGERPRINT, live=keyed_digest(bytes.fromhex(forged["key"]), facts))(world)
    found = drift(world)
    assert world.detail("compare") == "the role or its policies are not as in the state"
    assert not found.by_record
    assert not found.none


def test_nor_does_one_that_names_another_role(world: World) -> None:
    world.bring_up(UP)
    clone(world)
    theirs = "arn:aws:iam::123456789012:role/theirs"
    twin = {**role(world), "Arn": theirs, "RoleName": "theirs"}
    world.iam.roles["theirs"] = twin
    facts = facts_of(read_live_role(world.open_session("us-east-1", None), theirs, every_document=False))
    key = bytes.fromhex(document(world)["key"])
    edit_object(FINGERPRINT, role_arn=theirs, live=keyed_digest(key, facts))(world)
    assert not drift(world).by_record


# --- two runs at once


def another_run_applies(world: World) -> None:
    """A run elsewhere, of a stack file with another session length: the role and the state change together."""
    edit(MaxSessionDuration=7200)(world)
    state = json.loads(world.objects[STATE])
    (found,) = (each for each in state["resources"] if each["type"] == "aws_iam_role")
    found["instances"][0]["attributes"]["max_session_duration"] = 7200
    world.objects[STATE] = json.dumps({**state, "serial": state["serial"] + 1})


@pytest.mark.parametrize("first", [True, False])
def test_what_another_run_applies_during_the_wait_is_not_taken_for_ours(world: World, first: bool) -> None:
    """Role and state agree, and the clusters are as the file asks: only the serial tells that the state is not ours."""
    if not first:
        world.bring_up(UP)
        edit(MaxSessionDuration=3600)(world)  # putting it right leaves the state as it is, and its serial
        world.plane.put(replace(world.plane.live()["ml"], instance_types=()))
    world.meanwhile["sleep" if first else "PUT ml"] = lambda: another_run_applies(world)
    world.bootstrap(UP)
    assert world.meanwhile == {}
    assert FINGERPRINT not in world.objects
    assert not (world.work_dir(UP) / RECORD).exists()
    clone(world)
    assert not drift(world).none


def planned(world: World) -> int:
    return [command[0] for command in world.terraform.commands].count("plan")


def test_a_plan_proves_the_state_after_an_apply_that_may_not_have_been_alone(world: World) -> None:
    world.meanwhile["sleep"] = lambda: edit_object(STATE, serial=2)(world)
    world.bootstrap(UP)
    assert (planned(world), world.detail("compare")) == (2, "Terraform plans nothing more")
    clone(world)
    assert drift(world).by_record
    longer = replace(UP, role=replace(UP.role, max_session_hours=2))
    world.bootstrap(longer)
    assert planned(world) == 2
    clone(world)
    assert drift(world, longer).by_record


def test_a_state_with_other_outputs_than_this_run_read_is_not_ours(world: World) -> None:
    """Two runs without a lock make two states with the same serial."""

    def other_output(world: World) -> None:
        outputs = json.loads(world.objects[STATE])["outputs"]
        edit_object(STATE, outputs={**outputs, "external_id": {"value": "external-id-theirs", "type": "string"}})(world)

    world.meanwhile["sleep"] = lambda: other_output(world)
    world.bootstrap(UP)
    assert FINGERPRINT not in world.objects


def test_a_first_apply_and_one_that_changes_nothing_need_no_such_plan(world: World) -> None:
    world.bootstrap(UP)
    world.bootstrap(UP, choices=replace(FAST, refresh=True))
    assert planned(world) == 2
    assert FINGERPRINT in world.objects


def test_what_is_applied_during_that_plan_is_not_taken_for_ours(world: World) -> None:
    world.bring_up(UP)
    longer = replace(UP, role=replace(UP.role, max_session_hours=2))
    reads: list[str] = []

    def get_object(**asked: str) -> Any:
        reads.append(asked["Key"])
        if reads.count(STATE[1]) == 3:
            another_run_applies(world)
        return Objects(world.objects).get_object(**asked)

    world.aws.answers["s3.get_object"] = get_object
    world.bootstrap(longer)
    assert world.detail("compare") == "another run has written the state meanwhile"
    assert FINGERPRINT not in world.objects


def test_an_older_run_of_this_work_dir_is_followed_by_one_elsewhere(world: World, tmp_path: Path) -> None:
    world.bring_up(UP)
    mine = (world.work_dir(UP) / RECORD).read_text()
    longer = replace(UP, role=replace(UP.role, max_session_hours=2))
    clone(world)
    world.bootstrap(longer)
    (world.work_dir(UP) / RECORD).write_text(mine)
    assert drift(world, longer).by_record, "the newer one lies beside the state"
    assert not drift(world, UP).by_record


def test_a_work_dir_whose_state_is_elsewhere_takes_the_long_way(world: World) -> None:
    world.bring_up(UP)
    clone(world)
    record_of_another_place(world)
    with world.run(UP, "drift") as run:
        assert unchanged(run) is None


# --- with the state


def move(world: World, stack: Stack, backend: S3Backend | LocalBackend) -> None:
    with world.run(stack, "state migrate") as run:
        migrate(run, backend, approve=lambda _move: True, now=world.now)


def test_it_moves_with_the_state(world: World) -> None:
    local = in_s3(UP, LocalBackend())
    elsewhere = replace(S3, key="elsewhere.tfstate")
    world.bring_up(local)
    move(world, local, S3)
    clone(world)
    assert drift(world).by_record
    world.bootstrap(UP, choices=replace(FAST, refresh=True))
    move(world, UP, elsewhere)
    assert FINGERPRINT not in world.objects
    clone(world)
    assert drift(world, in_s3(UP, elsewhere)).by_record
    world.bootstrap(in_s3(UP, elsewhere), choices=replace(FAST, refresh=True))
    move(world, in_s3(UP, elsewhere), LocalBackend())
    assert (S3.bucket, "elsewhere.tfstate.converged.json") not in world.objects
    world.terraform.commands.clear()
    assert drift(world, local).by_record


def test_one_of_another_state_does_not_move(world: World) -> None:
    world.bring_up(UP)
    state_edited(world)
    move(world, UP, replace(S3, key="elsewhere.tfstate"))
    assert (S3.bucket, "elsewhere.tfstate.converged.json") not in world.objects


def test_a_move_is_done_where_the_fingerprint_may_not_be_written(world: World) -> None:
    world.bring_up(in_s3(UP, LocalBackend()))
    world.aws.answers["s3.put_object"] = refusal("AccessDenied", "PutObject")
    move(world, in_s3(UP, LocalBackend()), S3)
    assert STATE in world.objects
    assert any("was not written: AccessDenied" in each for each in world.notes("info"))


def test_a_destroyed_stack_leaves_none(world: World) -> None:
    world.bring_up(UP)
    world.destroy(UP)
    assert STATE in world.objects
    assert FINGERPRINT not in world.objects


def test_nor_does_a_destroy_fail_that_may_not_remove_it(world: World) -> None:
    world.bring_up(UP)
    world.aws.answers["s3.delete_object"] = refusal("AccessDenied", "DeleteObject")
    world.destroy(UP)
    assert world.iam.roles == {}


def test_a_local_state_has_none_beside_it(world: World) -> None:
    world.bring_up(in_s3(UP, LocalBackend()))
    assert world.objects == {}
    assert [each for each in world.aws.calls if each.startswith("s3.")] == []
