"""A role that stands keeps its grant: a default of the control plane that differs is refused, and named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gridbyoc.errors import DefaultChangedError, ExitStatus
from gridbyoc.operations.vendor_defaults import keep_standing_role
from gridbyoc.stack.model import ControlPlane, ModuleSource, PolicyStatement, Role, TerraformSettings
from gridbyoc.terraform import ModuleInState, State
from gridbyoc.vendors import VENDORS, facts_of
from tests.unit.fakes import stack
from tests.unit.world import World, a_stack

ROLE = "arn:aws:iam::123456789012:role/grid-cloud-x"
GRID, LIGHTNING = (facts_of(vendor) for vendor in VENDORS)
CANARY = "canary-external-id"


def resource(kind: str, name: str, *attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": "module.gridbyoc", "mode": "managed", "type": kind, "name": name,
        "instances": [{"attributes": each} for each in attributes],
    }  # fmt: skip


def standing(
    account: str = GRID.trusted_account.account_id,
    managed: tuple[str, ...] = GRID.permissions.managed_policies,
    actions: tuple[str, ...] = GRID.permissions.statements[0],
) -> ModuleInState:
    """A role in the state, as Terraform keeps it."""
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Condition": {"StringEquals": {"sts:ExternalId": CANARY}},
        },
    }  # fmt: skip
    own = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": ["*"]}]}
    arns = [f"arn:aws:iam::aws:policy/{name}" for name in managed]
    resources = [
        resource("aws_iam_role", "this", {"arn": ROLE, "name": "x", "assume_role_policy": json.dumps(trust)}),
        resource("aws_iam_policy", "this", {"policy": json.dumps(own)}),
        resource("aws_iam_role_policy_attachment", "managed", *({"policy_arn": arn} for arn in arns)),
    ]
    return State({"resources": resources}).module("module.gridbyoc")


OTHERS = standing("111122223333")
DENY = {**OTHERS.trust["Statement"], "Effect": "Deny", "Principal": {"AWS": GRID.trusted_account.account_id}}
DENIES = replace(OTHERS, trust={**OTHERS.trust, "Statement": [OTHERS.trust["Statement"], DENY]})
KEPT = Role(
    vendor="lightning",
    trusted_account_id=GRID.trusted_account.account_id,
    managed_policies=GRID.permissions.managed_policies,
    statements=(PolicyStatement(GRID.permissions.statements[0]),),
)
MOVED = Role(
    vendor="lightning",
    trusted_account_id=LIGHTNING.trusted_account.account_id,
    managed_policies=(),
    statements=(PolicyStatement(LIGHTNING.permissions.statements[0]),),
)
NEW = standing(LIGHTNING.trusted_account.account_id, (), LIGHTNING.permissions.statements[0])


def refused(role: Role, found: ModuleInState) -> set[str]:
    """The keys that the refusal names; none where it is not refused."""
    plane = ControlPlane(role.vendor)
    try:
        keep_standing_role(stack(role=role, control_plane=plane), found)
    except DefaultChangedError as error:
        return {key for key in ("trusted_account_id", "managed_policies", "statements") if f"role.{key}" in error.why}
    return set()


@pytest.mark.parametrize(
    ("role", "found", "keys"),
    [
        pytest.param(Role(), standing(), set(), id="grid as ever"),
        pytest.param(Role(), standing(managed=("AmazonS3FullAccess",)), set(), id="grid, cut off half-way"),
        pytest.param(Role(), standing("111122223333"), {"trusted_account_id"}, id="grid, the account taken out"),
        pytest.param(Role(), DENIES, {"trusted_account_id"}, id="a Deny trusts nobody"),
        pytest.param(
            Role(vendor="lightning"), standing(), {"trusted_account_id", "managed_policies", "statements"},
            id="lightning with the grant of an earlier version",
        ),
        pytest.param(
            Role(vendor="lightning", trusted_account_id="302180240179"), standing(), {"managed_policies", "statements"},
            id="only the account is named",
        ),
        pytest.param(KEPT, standing(), set(), id="all as it stands"),
        pytest.param(MOVED, standing(), set(), id="all moved on purpose"),
        pytest.param(Role(vendor="lightning"), NEW, set(), id="lightning by its own facts"),
        pytest.param(
            Role(vendor="lightning"), replace(NEW, policies=(), attached=frozenset()), set(), id="its own, half-way"
        ),
        pytest.param(Role(vendor="lightning"), ModuleInState(), set(), id="no role yet"),
        pytest.param(Role(vendor="lightning"), ModuleInState(True, ROLE, "x"), set(), id="a state without documents"),
    ],
)  # fmt: skip
def test_a_default_never_changes_a_standing_grant(role: Role, found: ModuleInState, keys: set[str]) -> None:
    assert refused(role, found) == keys


def test_the_refusal_has_the_lines_for_either_way() -> None:
    with pytest.raises(DefaultChangedError) as raised:
        keep_standing_role(stack(role=Role(vendor="lightning"), control_plane=ControlPlane("lightning")), standing())
    assert raised.value.exit_status is ExitStatus.PREFLIGHT_BLOCKED
    assert CANARY not in str(vars(raised.value))
    fix = raised.value.fix
    assert '`trusted_account_id: "302180240179"`' in fix
    assert '`trusted_account_id: "748115360335"`' in fix
    assert "`managed_policies: []`" in fix
    assert '`statements: [{"actions": ["eks:*", "ecr:*", "events:*"]}]`' in fix


@pytest.mark.parametrize("wishes", [{}, {"new_role": True}], ids=["bootstrap", "a new role"])
def test_nothing_is_applied_where_a_default_differs(world: World, wishes: dict[str, Any]) -> None:
    """The stack was brought up while its file named another account; the line has been taken out since."""
    world.bring_up(a_stack(trusted_account_id="111122223333"))
    before = world.terraform_state(a_stack())
    with pytest.raises(DefaultChangedError, match="another grant than"):
        world.bootstrap(a_stack(), yes_destroy=True, **wishes)
    assert world.effects == []
    assert world.terraform_state(a_stack()) == before


def test_another_modules_role_is_its_own_affair() -> None:
    foreign = TerraformSettings(module=ModuleSource("acme/role/aws"))
    keep_standing_role(stack(role=Role(vendor="lightning"), terraform=foreign), standing())
