"""A vendor without an API: its role, and two roles of a module of its own, from bootstrap to destroy, without a key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Tool, World

pytestmark = pytest.mark.usefixtures("measured")

VENDOR = "arn:aws:iam::808407022534:role/VendorRole"
NO_KEY = {"GRID_USER_ID": None, "GRID_API_KEY": None, "GRID_URL": None}
MODULE = Path(__file__).parents[2] / "examples" / "modules" / "two-roles"
STACK = f"""version: 1
name: manual
control_plane: {{type: manual, vendor: Acme AI}}
role:
  trusted_principals: ["{VENDOR}"]
"""


def trust(world: World, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.iam().get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    return found


def ids(statement: dict[str, Any]) -> list[str]:
    found = statement["Condition"]["StringEquals"]["sts:ExternalId"]
    return [found] if isinstance(found, str) else found


def test_a_role_for_a_vendor_without_an_api(tool: Tool, world: World) -> None:
    tool.write(STACK + "  name: byoc-manual\n  managed_policies: [AmazonS3ReadOnlyAccess]\n")
    report = tool("bootstrap", "--yes", "--format", "json", **NO_KEY).objects[0]
    assert report["handover"]["roles"] == {"role": report["role_arn"]}
    (statement,) = trust(world, "byoc-manual")
    (old,) = ids(statement)
    assert statement["Principal"]["AWS"] in (VENDOR, [VENDOR])
    assert {each.rpartition("/")[2] for each in world.attached("byoc-manual")} == {"AmazonS3ReadOnlyAccess"}
    tool("rotate", "--yes", status=4, **NO_KEY)
    tool("rotate", "--yes", "--no-control-plane", **NO_KEY)
    both = ids(trust(world, "byoc-manual")[0])
    assert len(both) == 2
    assert old in both
    dropped = tool("rotate", "--yes", "--no-control-plane", "--drop-old", **NO_KEY)
    (new,) = ids(trust(world, "byoc-manual")[0])
    assert new != old
    assert old not in dropped.text
    assert new not in dropped.text
    tool("destroy", "--yes-destroy", status=4, **NO_KEY)
    tool("destroy", "--yes-destroy", "--no-control-plane", **NO_KEY)
    assert not world.roles("byoc-manual")


def test_two_roles_of_a_vendors_own_module(tool: Tool, world: World) -> None:
    shutil.copytree(MODULE, tool.directory / "two-roles")
    tool.write(
        f"""{STACK}terraform:
  module:
    source: ./two-roles
    inputs: {{trusted_principals: ["{VENDOR}"], prefix: two-roles-}}
    outputs:
      external_id: trust_id
      roles: {{bootstrap: bootstrap_role_arn, management: management_role_arn}}
"""
    )
    report = tool("bootstrap", "--yes", "--format", "json", **NO_KEY).objects[0]
    names = {name: arn.rpartition("/")[2] for name, arn in report["roles"].items()}
    assert set(names) == {"bootstrap", "management"}
    assert report["handover"]["roles"] == report["roles"]
    (ident,) = ids(trust(world, names["bootstrap"])[0])
    assert ids(trust(world, names["management"])[0]) == [ident]
    assert tool("outputs", "--format", "json", **NO_KEY).objects[0]["roles"] == report["roles"]
    assert tool("verify", **NO_KEY).out.count("GBY-V001") == 2
    statement = trust(world, names["management"])
    statement[0]["Principal"]["AWS"] = "arn:aws:iam::808407022534:root"
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    world.iam().update_assume_role_policy(RoleName=names["management"], PolicyDocument=document)
    failed = [each for each in tool("verify", "--format", "json", status=4, **NO_KEY).objects[0]["findings"]
              if each["verdict"] == "fail"]  # fmt: skip
    assert {(each["role"], each["code"]) for each in failed} == {("management", "GBY-V006")}
    tool("destroy", "--yes-destroy", "--no-control-plane", **NO_KEY)
    assert not world.roles("two-roles-")
