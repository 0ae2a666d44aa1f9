"""``role.exclusive`` through bootstrap's front door: nothing is taken off a role that was not shown and approved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridbyoc.errors import ApprovalRequiredError, ProtectedStackError, StalePlanError, TerraformError
from gridbyoc.operations.bootstrap import bootstrap
from gridbyoc.operations.options import Approval, BootstrapOptions
from gridbyoc.operations.plan import Plan
from gridbyoc.operations.role_policies import RolePolicies
from gridbyoc.stack.model import Stack
from gridbyoc.terraform import PlanSummary, ResourceChange
from tests.unit.fakes import GRANT
from tests.unit.world import World, a_stack, spec

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
S3 = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
SQS = "arn:aws:iam::aws:policy/AmazonSQSFullAccess"
OPEN = a_stack(name="grid-x")
EXCLUSIVE = a_stack(name="grid-x", exclusive=True)
KNOWN = a_stack(name="grid-x", exclusive=True, known_policies=(AUDIT,), known_inline_policies=("guard",))
OWN = "arn:aws:iam::123456789012:policy/grid-x"
TAKEN = [f"Remove {ADMIN}", "Remove by-hand"]
ATTACHMENTS = "aws_iam_role_policy_attachments_exclusive.gridbyoc"
INLINE = "aws_iam_role_policies_exclusive.gridbyoc"


def put(world: World, *names: str) -> None:
    """Somebody else's hand: ARNs are attached, other names are inline policies."""
    for name in names:
        if name.startswith("arn:"):
            world.iam.attach("grid-x", name)
        else:
            world.iam.roles["grid-x"]["Inline"][name] = {"Statement": []}


def live(world: World) -> set[str]:
    role = world.iam.roles["grid-x"]
    return {*role["Attached"], *role["Inline"]}


def warned(world: World) -> str:
    return "\n".join(world.notes())


def test_a_fresh_role_is_made_with_its_lists(world: World) -> None:
    world.bring_up(EXCLUSIVE)
    assert live(world) == {OWN, S3}
    assert {"aws_iam_role_policies_exclusive", "aws_iam_role_policy_attachments_exclusive"} < {
        each["type"] for each in world.terraform_state(EXCLUSIVE)["resources"]
    }
    assert world.bootstrap(EXCLUSIVE).changed is False
    assert world.steps()["compare"] == "done"


@pytest.mark.parametrize("before", [OPEN, EXCLUSIVE], ids=["switched on beside them", "put on later"])
def test_what_it_takes_off_needs_the_approval_of_a_destruction(world: World, before: Stack) -> None:
    world.bring_up(before)
    put(world, ADMIN, "by-hand")
    with pytest.raises(ApprovalRequiredError) as caught:
        world.bootstrap(EXCLUSIVE)
    assert f"{ADMIN} (is detached from the role), inline policy by-hand" in caught.value.what
    assert live(world) == {OWN, S3, ADMIN, "by-hand"}
    world.bootstrap(EXCLUSIVE, yes=False, answer=True)
    (review,) = world.asked
    assert review.plan.destroys == (f"{ADMIN} (is detached from the role)", "inline policy by-hand")
    assert review.plan.warnings == ()
    assert world.effects == TAKEN
    assert live(world) == {OWN, S3}


def test_with_yes_destroy_it_asks_nobody(world: World) -> None:
    world.bring_up(OPEN)
    put(world, ADMIN, "by-hand")
    report = world.bootstrap(EXCLUSIVE, yes_destroy=True)
    assert world.effects == TAKEN
    assert report.policies is not None
    assert report.policies.as_declared
    assert world.bootstrap(EXCLUSIVE).changed is False


def test_a_protected_stack_loses_none(world: World) -> None:
    world.bring_up(OPEN)
    put(world, ADMIN)
    with pytest.raises(ProtectedStackError, match="AdministratorAccess"):
        world.bootstrap(replace(EXCLUSIVE, protect=True), yes_destroy=True)
    assert ADMIN in live(world)


def test_known_policies_stay_and_are_not_attached_where_they_are_not(world: World) -> None:
    world.bring_up(KNOWN)
    assert live(world) == {OWN, S3}
    put(world, AUDIT, "guard")
    report = world.bootstrap(KNOWN)
    assert report.changed is False or world.effects == []
    assert live(world) == {OWN, S3, AUDIT, "guard"}
    assert report.policies is not None
    assert report.policies.accepted == (AUDIT, "inline policy guard")
    put(world, ADMIN)
    world.bootstrap(KNOWN, yes_destroy=True)
    assert live(world) == {OWN, S3, AUDIT, "guard"}
    world.iam.detach("grid-x", AUDIT)
    assert world.bootstrap(KNOWN).changed is False
    assert AUDIT not in live(world)


def test_the_list_follows_the_stack_file(world: World) -> None:
    world.bring_up(EXCLUSIVE)
    more = a_stack(name="grid-x", exclusive=True, managed_policies=("AmazonS3FullAccess", "AmazonSQSFullAccess"))
    world.bootstrap(more)
    assert live(world) == {OWN, S3, SQS}
    world.bootstrap(EXCLUSIVE, yes_destroy=True)
    assert live(world) == {OWN, S3}
    assert warned(world) == ""


def test_switched_off_it_takes_nothing_off(world: World) -> None:
    world.bring_up(EXCLUSIVE)
    put(world, ADMIN)
    world.bootstrap(OPEN)
    assert world.effects == []
    assert ADMIN in live(world)
    assert ADMIN in warned(world)


def asked_while(world: World, *names: str, stack: Stack = EXCLUSIVE) -> None:
    """A bootstrap that is asked for a yes, and gets it once these policies have been put on the role."""

    def ask(_review: object) -> bool:
        put(world, *names)
        return True

    with world.run(stack, "bootstrap") as run:
        bootstrap(run, Approval(False, False, ask), BootstrapOptions())


def test_what_comes_between_the_plan_and_the_apply_is_not_taken_off_unseen(world: World) -> None:
    """A yes is given to what was shown. (A run that asks nobody plans once more.)"""
    world.bring_up(OPEN)
    put(world, ADMIN)
    with pytest.raises(StalePlanError) as caught:
        asked_while(world, "late")
    assert caught.value.diagnostics == ("the apply would detach: inline policy late",)
    assert live(world) == {OWN, S3, ADMIN, "late"}
    with pytest.raises(StalePlanError, match="may have other policies than") as caught:
        asked_while(world, AUDIT, stack=KNOWN)
    assert caught.value.diagnostics == (f"the apply would detach: {AUDIT}",)
    asked_while(world)
    assert live(world) == {OWN, S3}


def test_a_role_of_a_first_apply_that_was_cut_off_is_looked_at_too(world: World) -> None:
    """Its state has no outputs yet, and so the run has no grant: what is on the role counts all the same."""
    world.module.refused["CreatePolicy"] = "api error ServiceFailure"
    with pytest.raises(TerraformError, match="CreatePolicy"):
        world.bootstrap(EXCLUSIVE)
    put(world, ADMIN)
    with pytest.raises(ApprovalRequiredError, match="AdministratorAccess"):
        world.bootstrap(EXCLUSIVE)
    assert ADMIN in live(world)
    world.bootstrap(EXCLUSIVE, yes_destroy=True)
    assert live(world) == {OWN, S3}


def test_lists_that_cannot_be_read_are_a_destruction(world: World) -> None:
    world.bring_up(OPEN)
    world.iam.refused["ListAttachedRolePolicies"] = "AccessDenied"
    with pytest.raises(ApprovalRequiredError, match="policies of the role that are not known"):
        world.bootstrap(EXCLUSIVE)


def test_a_rotation_that_ends_takes_nothing_off_unseen(world: World) -> None:
    """Its last apply is planned anew, a while after the approval."""
    stack = a_stack(name="grid-x", exclusive=True, rotation="1")
    world.bring_up(stack)
    world.meanwhile["PUT ml"] = lambda: put(world, ADMIN)
    with pytest.raises(ApprovalRequiredError, match="AdministratorAccess"):
        world.bootstrap(a_stack(name="grid-x", exclusive=True, rotation="2"))
    assert ADMIN in live(world)


def test_a_role_that_is_replaced_gets_lists_of_its_own(world: World) -> None:
    world.bring_up(EXCLUSIVE)
    world.bootstrap(a_stack(name="grid-y", exclusive=True), new_role=True, yes_destroy=True)
    assert set(world.iam.roles) == {"grid-y"}
    assert set(world.iam.roles["grid-y"]["Attached"]) == {OWN.replace("grid-x", "grid-y"), S3}
    assert world.bootstrap(a_stack(name="grid-y", exclusive=True)).changed is False


ROLE = "module.gridbyoc.aws_iam_role.this"
MANAGED = "module.gridbyoc.aws_iam_role_policy_attachment.managed"
BOTH = (f"{ADMIN} (is detached from the role)", "inline policy x")


@pytest.mark.parametrize(
    "changes,detaches,warns",
    [
        ((), (), True),
        (((ATTACHMENTS, "create"), (INLINE, "create")), BOTH, False),
        (((ATTACHMENTS, "update"),), BOTH[:1], False),
        (((INLINE, "replace"),), BOTH[1:], False),
        (((ATTACHMENTS, "delete"), (INLINE, "delete")), (), True),
        # what Terraform attached it takes off by itself, which its plan says
        (((ATTACHMENTS, "update"), (f'{MANAGED}["AdministratorAccess"]', "delete")), (), False),
        (((ROLE, "replace"), (ATTACHMENTS, "replace"), (INLINE, "replace")), (), False),
    ],
)
def test_what_a_plan_takes_off(changes: tuple[tuple[str, Any], ...], detaches: tuple[str, ...], warns: bool) -> None:
    found = tuple(ResourceChange(address, action) for address, action in changes)
    inline = () if "AdministratorAccess" in str(changes) else ("x",)
    policies = RolePolicies(GRANT.role_arn, attached=(ADMIN,), inline=inline, exclusive=True)
    plan = Plan(PlanSummary(0, 0, 0, found, (), (), bool(found)), (), (), GRANT, policies=policies)
    assert plan.detaches == detaches
    assert bool(plan.warnings) is warns
    assert not {ATTACHMENTS, INLINE} & set(plan.destroys)


def test_two_clusters_of_an_exclusive_role(world: World) -> None:
    world.bring_up(a_stack(spec(), spec("more"), name="grid-x", exclusive=True))
    assert world.bootstrap(a_stack(spec(), spec("more"), name="grid-x", exclusive=True)).changed is False
