"""Nothing is asked of an account that is not the stack's, and nothing is done in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws import Caller, StateBucket, guard_account, look_at_bucket, make_bucket
from gridbyoc.aws.state_bucket import FINGERPRINT_SUFFIX
from gridbyoc.errors import AccountMismatchError
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_migrate import BucketRequest, init_state
from gridbyoc.operations.state_unlock import find_lock
from gridbyoc.operations.verify import prove
from gridbyoc.operations.verify_role import prove_role
from gridbyoc.stack.model import Aws, S3Backend, TerraformSettings
from tests.unit.memory_aws import ACCOUNT
from tests.unit.world import World, a_stack

OTHER = "999999999999"
S3 = S3Backend("acme-state", "demo.tfstate", "us-east-1")
STACK = a_stack(terraform=TerraformSettings(backend=S3))
GUARDED = replace(STACK, aws=Aws("us-east-1", account_id=ACCOUNT))
ASKS = {"sts.get_caller_identity", "sts.get_access_key_info"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A stack that is up, without a fingerprint: a comparison with that asks for all at once."""
    world = World(tmp_path)
    world.bring_up(STACK)
    (world.work_dir(STACK) / "converged.json").unlink()
    del world.aws.objects[S3.bucket, f"{S3.key}{FINGERPRINT_SUFFIX}"]
    world.aws.calls.clear()
    return world


def test_the_guard_compares_whole_ids() -> None:
    caller = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada")
    guard_account(caller, None)
    guard_account(caller, ACCOUNT)
    for other in (OTHER, ACCOUNT[:-1], "", f"{ACCOUNT}0"):
        with pytest.raises(AccountMismatchError, match=f"account {ACCOUNT}, but the stack is for {other}"):
            guard_account(caller, other)


def do(operation: Callable[[Run], object]) -> Callable[[World], object]:
    """A run of the guarded stack that does this."""

    def in_run(world: World) -> object:
        with world.run(GUARDED, "test") as run:
            return operation(run)

    return in_run


OPERATIONS: dict[str, Callable[[World], object]] = {
    "verify": do(prove),
    "leftovers": do(Run.account),
    "state unlock": do(find_lock),
    "state init": do(lambda run: init_state(run, BucketRequest(), lambda _proposal: True)),
    "bootstrap": lambda world: world.bootstrap(GUARDED),
    "destroy": lambda world: world.destroy(GUARDED),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_another_account_than_the_stacks_is_refused_before_anything(world: World, name: str) -> None:
    world.aws.account = OTHER
    with pytest.raises(AccountMismatchError, match=f"account {OTHER}, but the stack is for {ACCOUNT}"):
        OPERATIONS[name](world)
    assert world.effects == []
    assert set(world.aws.calls) <= ASKS


@pytest.mark.parametrize("written", [None, OTHER])
def test_terraform_may_work_in_the_account_that_was_looked_at_alone(world: World, written: str | None) -> None:
    """Whatever an earlier render wrote, and before any plan: a destroy has none."""
    values = world.work_dir(STACK) / "terraform.tfvars.json"
    values.write_text(json.dumps({**json.loads(values.read_text()), "account_id": written}))
    seen: set[str | None] = set()
    world.on_instant = lambda: world.instants and seen.add(json.loads(values.read_text()).get("account_id"))
    world.destroy(STACK)
    assert seen == {ACCOUNT}


def test_a_proof_is_asked_for_in_the_roles_own_account_alone(world: World) -> None:
    """Also if the stack file names no account: a role of that name in the caller's account is a different role."""
    world.aws.account = OTHER
    with (
        pytest.raises(AccountMismatchError, match=f"account {OTHER}, the role is in {ACCOUNT}"),
        world.run(STACK, "verify") as run,
    ):
        prove(run)
    assert set(world.aws.calls) <= ASKS


def test_a_role_of_another_account_that_no_stack_made_is_not_asked_for(world: World) -> None:
    world.aws.account = OTHER
    with pytest.raises(AccountMismatchError, match=f"account {OTHER}, the role is in {ACCOUNT}"):
        prove_role(world.aws.session("us-east-1"), f"arn:aws:iam::{ACCOUNT}:role/vendor", (), None)
    assert set(world.aws.calls) <= ASKS


def test_every_call_to_the_state_bucket_names_the_account_that_must_own_it(world: World) -> None:
    """S3 refuses it then where somebody else has made a bucket of the name."""
    asked: dict[str, dict[str, Any]] = {}

    def noted(operation: str) -> Callable[..., Any]:
        def answer(**arguments: Any) -> Any:
            asked[operation] = arguments
            return ANSWERS.get(operation, {})

        return answer

    operations = (*ANSWERS, *(name.replace("get_", "put_") for name in ANSWERS), "head_bucket")
    world.aws.answers = {f"s3.{each}": noted(each) for each in operations}
    bucket = StateBucket("acme-state", "us-east-1", ACCOUNT, "aws")
    session = world.aws.session("us-east-1")
    look_at_bucket(session, bucket)
    make_bucket(session, bucket)
    assert len(asked) >= 2 * len(ANSWERS)
    assert {each["ExpectedBucketOwner"] for each in asked.values()} == {ACCOUNT}


ANSWERS: dict[str, Any] = {
    "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}},
    "get_public_access_block": {"PublicAccessBlockConfiguration": {}},
    "get_bucket_encryption": {"ServerSideEncryptionConfiguration": {"Rules": []}},
    "get_bucket_versioning": {},
    "get_bucket_tagging": {"TagSet": []},
    "get_bucket_policy": {"Policy": '{"Version": "2012-10-17", "Statement": []}'},
}
"""A bucket that is as it should not be."""
