"""The facts of the vendors: complete, with a source each, and the ones that everything else reads."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import gridbyoc
from gridbyoc.operations.changes import standing_cost
from gridbyoc.render.root import root_values
from gridbyoc.stack.defaults import managed_policies_of, statements_of, trusted_account_of
from gridbyoc.stack.model import ClusterSpec, Stack
from gridbyoc.vendors import VENDORS, VendorType, facts_of, needs_of
from tests.unit.stack_helpers import CLUSTERS, HEAD
from tests.unit.stack_helpers import stack_of as stack_from

MODULE = Path(gridbyoc.__file__).parents[1] / "modules" / "gridbyoc" / "variables.tf"


def module_default(name: str) -> str:
    """The text of a variable's default in the module."""
    block = re.search(rf'variable "{name}" \{{\n(.*?)\n\}}\n', MODULE.read_text(), re.DOTALL)
    assert block
    found = re.search(r"^  default += (\[.*?^  \}?\]|.*?)$", block[1], re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_group_of_facts_names_its_source_and_date(vendor: VendorType) -> None:
    text = (files("gridbyoc.vendors") / f"{vendor}.yaml").read_text()
    document, needs = YAML(typ="safe", pure=True).load_all(text)
    assert document.pop("type") == vendor
    assert document.pop("title")
    groups = [*document.pop("ownership_tags"), *document.values()]
    assert all(group["source"] and str(group["date"]).startswith("20") for group in groups)
    assert needs


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_verify_tries_is_granted_by_the_vendors_own_list(vendor: VendorType) -> None:
    permissions = facts_of(vendor).permissions
    patterns = [action for actions in permissions.statements for action in actions]
    for need in needs_of(vendor):
        service = need.action.partition(":")[0]
        assert need.policy in permissions.managed_policies or {f"{service}:*", need.action} & set(patterns), need


def test_the_modules_own_defaults_are_grids() -> None:
    grid = facts_of("grid")
    assert module_default("trusted_account_id") == f'"{grid.trusted_account.account_id}"'
    assert tuple(re.findall(r'"([^"]+)"', module_default("managed_policies"))) == grid.permissions.managed_policies
    assert tuple(re.findall(r'"([a-z]+:[*])"', module_default("policy_statements"))) == grid.permissions.statements[0]
    assert module_default("max_session_duration") == str(grid.session_hours * 3600)


def stack_of(vendor: VendorType, role: str = "{}") -> Stack:
    return stack_from(f"{HEAD}{CLUSTERS}role: {role}\ncontrol_plane: {{type: {vendor}}}\n")


def test_a_stack_of_grid_renders_what_it_always_did() -> None:
    assert root_values(stack_of("grid")).keys() == {"region", "default_tags", "trusted_account_id"}


def test_a_stack_of_lightning_gets_lightnings_account_and_permissions() -> None:
    values = root_values(stack_of("lightning"))
    assert values["trusted_account_id"] == "748115360335"
    assert values["managed_policies"] == []
    assert values["policy_statements"][0]["actions"][0] == "autoscaling:*"
    own = stack_of(
        "lightning", '{trusted_account_id: "111122223333", managed_policies: [IAMFullAccess], statements: []}'
    )
    assert (trusted_account_of(own.role), managed_policies_of(own.role), statements_of(own.role)) == (
        "111122223333",
        ("IAMFullAccess",),
        (),
    )


def test_costs_are_the_vendors_words() -> None:
    assert "about $50 a day" in standing_cost(ClusterSpec("ml"), "grid")
    assert "$" not in standing_cost(ClusterSpec("ml"), "lightning")
