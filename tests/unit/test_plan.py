"""What a plan destroys, and so needs ``--yes-destroy``: counted by address, action and use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridbyoc.control_plane.model import Cluster, Grant, Phase
from gridbyoc.operations.changes import ClusterChange
from gridbyoc.operations.plan import Plan, users_of
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.role_policies import RolePolicies
from gridbyoc.terraform import PlanSummary, ResourceChange, State
from tests.unit.fakes import GRANT, cluster

ROLE = "module.gridbyoc.aws_iam_role.this"
PREVIOUS = "module.gridbyoc_previous.aws_iam_role.this"
POLICY = "module.gridbyoc.aws_iam_policy.this[0]"
ATTACHED = 'module.gridbyoc.aws_iam_role_policy_attachment.managed["AmazonS3FullAccess"]'
EXTERNAL_ID = "module.gridbyoc.terraform_data.this"
BUCKET = "module.gridbyoc.aws_s3_bucket.data"
MODULE = "module.gridbyoc"
ROLE_ARN = GRANT.role_arn
USED = ClusterChange("none", "ml", cluster=cluster("ml"))
GONE = ClusterChange("delete", "old", cluster=cluster("old"))


def plan(*changes: ResourceChange, clusters: tuple[ClusterChange, ...] = (), users: tuple[str, ...] = ()) -> Plan:
    summary = PlanSummary(0, 0, 0, changes, (), (), has_changes=bool(changes))
    return Plan(summary, clusters, (), GRANT, users=users)


@pytest.mark.parametrize(
    "change, users, destroys",
    [
        (ResourceChange(ROLE, "create"), (), ()),
        (ResourceChange(ROLE, "update"), ("ml",), ()),
        (ResourceChange(ROLE, "delete"), (), (ROLE,)),
        (ResourceChange(ROLE, "replace"), (), (ROLE,)),
        (ResourceChange(ATTACHED, "delete"), (), (ATTACHED,)),
        # A role whose making was cut off is made again without a question, unless a cluster runs through it by now.
        (ResourceChange(ROLE, "replace", "tainted"), (), ()),
        (ResourceChange(ROLE, "replace", "tainted"), ("ml",), (ROLE,)),
        (ResourceChange(PREVIOUS, "replace", "tainted"), ("ml",), (PREVIOUS,)),
        # A policy or an attachment that is made again takes nothing down.
        (ResourceChange(POLICY, "replace", "tainted"), ("ml",), ()),
        (ResourceChange(ATTACHED, "replace", "tainted"), ("ml",), ()),
        # What may hold data is never taken for half made.
        (ResourceChange(BUCKET, "replace", "tainted"), (), (BUCKET,)),
        # The external id lies in the state alone.
        (ResourceChange(EXTERNAL_ID, "replace"), ("ml",), ()),
        (ResourceChange(EXTERNAL_ID, "delete"), ("ml",), ()),
    ],
)
def test_what_needs_the_approval_of_a_destruction(
    change: ResourceChange, users: tuple[str, ...], destroys: tuple[str, ...]
) -> None:
    assert plan(change, users=users).destroys == destroys


def test_a_tainted_role_whose_users_are_unknown_needs_the_approval_too() -> None:
    half_made = plan(ResourceChange(ROLE, "replace", "tainted"))
    assert replace(half_made, unasked="there is no key").destroys == (ROLE,)


THEIRS = "arn:aws:iam::123456789012:role/somebody-else"
OLD = "arn:aws:iam::123456789012:role/grid-cloud-old"


@pytest.mark.parametrize(
    "grant, standing, previous, found, users",
    [
        (GRANT, ROLE_ARN, None, cluster("ml"), ("ml",)),
        (GRANT, ROLE_ARN, None, cluster("ml", desired_state=Phase.DELETED), ("ml",)),
        (GRANT, ROLE_ARN, None, cluster("ml", phase=Phase.FAILED), ("ml",)),
        (GRANT, ROLE_ARN, None, cluster("ml", role_arn=THEIRS), ()),
        (GRANT, ROLE_ARN, None, cluster("ml", role_arn=None), ()),
        (GRANT, ROLE_ARN, OLD, cluster("ml", role_arn=OLD), ("ml",)),
        # An apply that was cut off has left no outputs, and a role.
        (None, ROLE_ARN, None, cluster("ml"), ("ml",)),
        (None, None, None, cluster("ml", role_arn=None), ()),
    ],
)
def test_who_runs_through_the_stacks_roles(
    grant: Grant | None, standing: str | None, previous: str | None, found: Cluster, users: tuple[str, ...]
) -> None:
    unused: Any = None
    role = {"module": MODULE, "mode": "managed", "type": "aws_iam_role", "name": "this"}
    state = State({"resources": [{**role, "instances": [{"attributes": {"arn": standing}}]}]})
    site = PreparedStack(unused, unused, unused, False, state=state, previous_arn=previous)
    assert users_of(site, grant, (found,)) == users


ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
LIMITS = "arn:aws:iam::123456789012:policy/limits"
DIFFERS = RolePolicies(ROLE_ARN, missing=(LIMITS,), attached=(ADMIN,), inline=("x",), unknown=("the y: denied",))


def test_what_an_apply_does_not_put_right_is_a_warning() -> None:
    """Terraform shows its own changes; if it would change nothing, the plan names each difference."""
    changes = replace(plan(ResourceChange(ATTACHED, "create")), policies=DIFFERS)
    further, unknown = changes.warnings
    assert further.startswith(
        f"The role has policies that the stack file does not list: {ADMIN}, inline policy x. Detach"
    )
    assert unknown == "Not all of the role could be compared with the stack file (the y: denied)."
    for standing in (plan(), Plan(None, (), (), None)):
        told = replace(standing, policies=DIFFERS).warnings
        missing = f"The role differs from the stack file: {LIMITS} is listed in the stack file, but is not attached."
        assert (missing in told) is not (standing.terraform is None)
        assert not standing.warnings
    assert replace(plan(), policies=RolePolicies(ROLE_ARN, known=(ADMIN,))).warnings == ()


@pytest.mark.parametrize(
    "address,action,left",
    [
        (ATTACHED.replace("AmazonS3FullAccess", "AdministratorAccess"), "delete", ()),
        (ATTACHED.replace("AmazonS3FullAccess", "AdministratorAccess"), "update", (ADMIN,)),
        (ATTACHED, "delete", (ADMIN,)),
        (ATTACHED.replace("AmazonS3FullAccess", ADMIN), "delete", ()),
        (f"{MODULE}.aws_iam_role_policy_attachment.this[0]", "delete", (ADMIN,)),
        (ROLE, "replace", ()),
    ],
)
def test_a_policy_that_the_plan_takes_off_is_not_said_to_stay(address: str, action: str, left: tuple[str, ...]) -> None:
    found = replace(plan(ResourceChange(address, action)), policies=RolePolicies(ROLE_ARN, attached=(ADMIN,)))
    assert len(found.warnings) == len(left)


def test_the_own_policy_that_the_plan_takes_off_is_not_said_to_stay() -> None:
    gone = ResourceChange(f"{MODULE}.aws_iam_role_policy_attachment.this[0]", "delete")
    own = RolePolicies(ROLE_ARN, attached=(ROLE_ARN.replace(":role/", ":policy/"),))
    assert replace(plan(gone), policies=own).warnings == ()
    assert len(replace(plan(), policies=own).warnings) == 1


def test_a_cluster_that_the_file_lists_no_more_is_a_destruction() -> None:
    assert plan(ResourceChange(ROLE, "delete"), clusters=(USED, GONE)).destroys == (ROLE, "cluster old")
