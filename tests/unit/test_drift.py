"""Drift: what differs on either side is named, and nothing is said of what could not be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.operations.drift import DriftFound, find_drift
from gridbyoc.stack.model import Stack
from tests.unit.memory_aws import MANAGED
from tests.unit.world import HUGE, World, a_stack, phases, spec

STACK = a_stack(spec(), spec("more"))
ADMIN = f"{MANAGED}AdministratorAccess"


def drift(world: World, stack: Stack = STACK) -> DriftFound:
    with world.run(stack, "drift") as run:
        return find_drift(run)


def the_role(world: World) -> dict[str, object]:
    (role,) = world.iam.roles.values()
    return role


def somebody_attaches_a_policy(world: World) -> None:
    world.iam.attach(str(the_role(world)["RoleName"]), ADMIN)


def somebody_trusts_another_account(world: World) -> None:
    other = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::666666666666:root"}}
    the_role(world)["AssumeRolePolicyDocument"] = {"Version": "2012-10-17", "Statement": [other]}


def a_cluster_fails(world: World) -> None:
    world.plane.story = phases((0.0, Phase.FAILED, "no capacity"))


def another_role_has_our_name(world: World) -> None:
    role = "arn:aws:iam::123456789012:role/else"
    world.plane.put(replace(world.plane.live()["ml"], role_arn=role))


def a_cluster_more(world: World) -> None:
    role = str(the_role(world)["Arn"])
    world.plane.put(Cluster("id-new", "new", Phase.RUNNING, role_arn=role))


@dataclass(frozen=True)
class Change:
    """What somebody did, or the stack file asks for by now; the side and the words that drift has for it."""

    side: str
    says: str
    arrange: Callable[[World], object] = lambda _world: None
    stack: Stack = STACK


CHANGES = [
    Change("role", "AdministratorAccess is attached, but the stack file does not list it", somebody_attaches_a_policy),
    Change("terraform", "aws_iam_role.this bootstrap would update it", somebody_trusts_another_account),
    Change("role", "may not assume it with the external id", somebody_trusts_another_account),
    Change("terraform", "bootstrap would update it", stack=a_stack(spec(), spec("more"), max_session_hours=2)),
    Change("control plane", "cluster third is missing", stack=a_stack(spec(), spec("more"), spec("third"))),
    Change("control plane", "cluster ml differs", stack=a_stack(spec(kind=HUGE), spec("more"))),
    Change(
        "control plane",
        "cluster more uses the role but is not in the stack file; bootstrap would delete it",
        stack=a_stack(spec()),
    ),
    Change(
        "control plane",
        "cluster new uses the role but is not in the stack file; bootstrap would delete it",
        a_cluster_more,
    ),
    Change("control plane", "cluster ml has failed: no capacity", a_cluster_fails),
    Change("control plane", "does not run through this stack's role", another_role_has_our_name),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.says)
def test_what_differs_is_named_on_its_side(world: World, change: Change) -> None:
    world.bring_up(STACK)
    assert drift(world).none
    change.arrange(world)
    found = drift(world, change.stack)
    assert not found.none
    told = [f"{each.subject} {each.detail}" for each in found.differences if each.side == change.side]
    assert any(change.says in text for text in told), found.differences
    assert world.effects == []


@pytest.mark.parametrize("operation", ["ListAttachedRolePolicies", "ListRolePolicies"])
def test_what_could_not_be_read_is_no_absence_of_drift(world: World, operation: str) -> None:
    world.bring_up(STACK)
    world.iam.refused[operation] = "AccessDenied"
    found = drift(world)
    assert found.unknown
    assert not found.none


def test_a_role_that_is_being_replaced_is_named(world: World) -> None:
    world.bring_up(STACK)
    world.bootstrap(STACK, new_role=True)
    assert any("is being replaced, and still exists" in each.detail for each in drift(world).differences)
