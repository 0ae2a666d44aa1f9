"""The fingerprint of a good run: believed while nothing has moved, and no longer than that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc import __version__
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import GridbyocError
from gridbyoc.stack.model import Stack
from gridbyoc.steps.converged import RECORD, _inputs
from tests.unit.memory_aws import MANAGED
from tests.unit.world import HUGE, World, a_stack, spec

UP = a_stack(spec(), spec("more"))
ADMIN = f"{MANAGED}AdministratorAccess"


def record(world: World) -> Path:
    return world.work_dir(UP) / RECORD


def looks(world: World, stack: Stack = UP) -> bool:
    """Whether a run asks Terraform; whatever else comes of it."""
    world.terraform.commands.clear()
    try:
        world.bootstrap(stack, yes_destroy=True)
    except GridbyocError:
        return True
    return bool(world.terraform.commands)


def test_where_nothing_has_moved_terraform_is_not_asked(world: World) -> None:
    world.bootstrap(UP)
    assert not looks(world)
    assert not looks(world)


def the_role(world: World) -> dict[str, Any]:
    (role,) = world.iam.roles.values()
    return role


def a_policy_more(world: World) -> None:
    world.iam.attach(the_role(world)["RoleName"], ADMIN)


def a_policy_less(world: World) -> None:
    the_role(world)["Attached"].pop()


def an_inline_policy(world: World) -> None:
    the_role(world)["Inline"]["by-hand"] = {"Version": "2012-10-17", "Statement": []}


def another_trust(world: World) -> None:
    other = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    the_role(world)["AssumeRolePolicyDocument"]["Statement"].append(other)


def another_document(world: World) -> None:
    (policy,) = world.iam.policies.values()
    policy["Document"] = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def another_state(world: World) -> None:
    state = world.terraform_state(UP)
    world.put_state(UP, {**state, "lineage": "another"})


def another_account(world: World) -> None:
    world.aws.account = "999999999999"


def a_cluster_changed(world: World) -> None:
    cluster = world.plane.live()["ml"]
    world.plane.put(replace(cluster, raw={**cluster.raw, "spec": {"changed": "by hand"}}))


def a_cluster_more(world: World) -> None:
    world.plane.put(Cluster("id-new", "new", Phase.RUNNING, role_arn=the_role(world)["Arn"]))


def a_cluster_less(world: World) -> None:
    del world.plane.clusters[world.plane.live()["more"].id]


def a_file_of_somebodys_own(world: World) -> None:
    (world.work_dir(UP) / "more.tf").write_text("")


def a_lock_that_a_killed_terraform_left(world: World) -> None:
    (world.work_dir(UP) / ".terraform.tfstate.lock.info").write_text("{}")


def another_format(world: World) -> None:
    found = json.loads(record(world).read_text())
    record(world).write_text(json.dumps({**found, "format": found["format"] + 1}))


def no_format(world: World) -> None:
    found = json.loads(record(world).read_text())
    del found["format"]
    record(world).write_text(json.dumps(found))


def default_tags(world: World) -> None:
    world.environ["TF_AWS_DEFAULT_TAGS_team"] = "ml"


@dataclass(frozen=True)
class Moved:
    """What is another thing than when the fingerprint was written."""

    name: str
    arrange: Callable[[World], object] = lambda _world: None
    stack: Stack = UP


MOVED = [
    *(Moved(each.__name__, each) for each in (
        a_policy_more, a_policy_less, an_inline_policy, another_trust, another_document, another_state,
        another_account, a_cluster_changed, a_cluster_more, a_cluster_less, a_file_of_somebodys_own,
        a_lock_that_a_killed_terraform_left, another_format, no_format, default_tags,
    )),
    Moved("the role in the stack file", stack=replace(UP, role=replace(UP.role, max_session_hours=2))),
    Moved("a cluster in the stack file", stack=a_stack(spec(kind=HUGE), spec("more"))),
    Moved("a cluster less in the stack file", stack=a_stack(spec())),
]  # fmt: skip


@pytest.mark.parametrize("moved", MOVED, ids=lambda moved: moved.name)
def test_whatever_has_moved_takes_the_long_way(world: World, moved: Moved) -> None:
    world.bootstrap(UP)
    moved.arrange(world)
    assert looks(world, moved.stack)


@pytest.mark.parametrize("arrange", [a_policy_more, an_inline_policy])
def test_beside_policies_that_the_stack_file_does_not_list_no_fingerprint_is_kept(
    world: World, arrange: Callable[[World], object]
) -> None:
    world.bootstrap(UP)
    arrange(world)
    assert looks(world)
    assert not record(world).exists()


@pytest.mark.parametrize("operation", ["GetPolicyVersion", "ListRolePolicies"])
def test_where_not_all_could_be_read_no_fingerprint_is_kept(world: World, operation: str) -> None:
    world.bootstrap(UP)
    world.iam.refused[operation] = "AccessDenied"
    assert looks(world)
    assert not record(world).exists()


def test_what_somebody_does_to_the_role_during_the_wait_is_not_remembered_as_good(world: World) -> None:
    world.meanwhile["POST more"] = lambda: another_document(world)
    world.bootstrap(UP)
    assert not record(world).exists()


def test_while_an_old_grant_is_accepted_no_fingerprint_is_kept(world: World) -> None:
    world.bootstrap(UP)
    world.plane.shows_ids = False
    world.bootstrap(replace(UP, role=replace(UP.role, rotation="2026-11")))
    assert not record(world).exists()


def test_a_fingerprint_is_of_one_version_alone(world: World) -> None:
    world.bootstrap(UP)
    with world.run(UP, "test") as run:
        assert ["tool", __version__] in list(_inputs(run))
