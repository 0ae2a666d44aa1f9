"""Rotation: old and new are accepted until the control plane holds the new one; then the old is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Tool, World, stack_text

pytestmark = pytest.mark.usefixtures("measured")


def accepted(world: World, role: str) -> list[str]:
    document = world.iam().get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    found: Any = document["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]
    return [found] if isinstance(found, str) else found


def held(world: World, name: str) -> str:
    cluster = world.cluster(name)
    assert cluster is not None
    external_id: str = cluster["spec"]["driver"]["kubernetes"]["aws"]["externalId"]
    return external_id


def test_rotate_changes_the_id_on_both_sides_and_keeps_role_and_cluster(tool: Tool, world: World) -> None:
    tool.write("# kept\n" + stack_text("rotated", role="{name: grid-rotated}"))
    tool("bootstrap", "--yes")
    old, before = held(world, "rotated"), world.cluster("rotated")
    done = tool("rotate", "--yes", "--debug")
    new = held(world, "rotated")
    assert new != old
    assert accepted(world, "grid-rotated") == [new]
    assert tool("outputs", "--reveal", "--name", "external_id").out.strip() == new
    assert old not in done.text
    assert new not in done.text
    after = world.cluster("rotated")
    assert before is not None
    assert after is not None
    assert after["id"] == before["id"]
    assert (tool.directory / "gridbyoc.yaml").read_text().startswith("# kept\n")
    assert "Nothing changed" in tool("bootstrap", "--yes").out
    assert held(world, "rotated") == new


def test_an_override_is_rotated_by_bootstrap(tool: Tool, world: World) -> None:
    tool.write(stack_text("own-id", role="{name: grid-own-id, external_id_from: {env: OWN_ID}}"))
    tool("bootstrap", "--yes", OWN_ID="first-external-id")
    tool("bootstrap", "--yes", "--no-wait", OWN_ID="second-external-id")
    assert held(world, "own-id") == "second-external-id"
    assert set(accepted(world, "grid-own-id")) == {"first-external-id", "second-external-id"}
    tool("bootstrap", "--yes", OWN_ID="second-external-id")
    assert accepted(world, "grid-own-id") == ["second-external-id"]
    assert "role.external_id_from" in tool("rotate", "--yes", OWN_ID="x1", status=2).err


def test_an_id_that_only_the_control_plane_claims_is_not_let_in(tool: Tool, world: World) -> None:
    tool.write(stack_text("claimed", role="{name: grid-claimed}"))
    tool("bootstrap", "--yes")
    mine = held(world, "claimed")
    world.put_external_id("claimed", "planted-by-somebody")
    tool("bootstrap", "--yes")
    assert accepted(world, "grid-claimed") == [mine]
    assert held(world, "claimed") == mine


def test_the_role_itself_is_replaced_without_a_gap(tool: Tool, world: World) -> None:
    tool.write(stack_text("newrole", role="{name: grid-newrole-a}"))
    tool("bootstrap", "--yes")
    old = held(world, "newrole")
    assert "Change role.name" in tool("rotate", "--role", "--yes", status=2).err
    tool.write(stack_text("newrole", role="{name: grid-newrole-b}"))
    kept = tool("rotate", "--role", "--yes")
    assert "old role stays" in kept.err
    assert {r["RoleName"] for r in world.roles("grid-newrole")} == {"grid-newrole-a", "grid-newrole-b"}
    assert "is being replaced, and still exists" in tool("drift", status=3).out
    assert "old role stays" in tool("bootstrap", "--yes").err
    tool("rotate", "--role", "--yes", "--yes-destroy")
    assert [r["RoleName"] for r in world.roles("grid-newrole")] == ["grid-newrole-b"]
    assert len(world.attached("grid-newrole-b")) == 10
    new = held(world, "newrole")
    assert new != old
    assert accepted(world, "grid-newrole-b") == [new]
    assert "Nothing changed" in tool("bootstrap", "--yes").out
    assert "No drift" in tool("drift").out


def test_a_role_with_a_made_name_is_replaced_in_one_go(tool: Tool, world: World) -> None:
    tool.write(stack_text("made", role="{name_prefix: grid-made-}"))
    first = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    second = tool("rotate", "--role", "--yes", "--yes-destroy", "--format", "json").objects[-1]
    assert second["role_arn"] != first["role_arn"]
    assert [role["Arn"] for role in world.roles("grid-made-")] == [second["role_arn"]]
    cluster = world.cluster("made")
    assert cluster is not None
    assert cluster["spec"]["driver"]["kubernetes"]["aws"]["roleArn"] == second["role_arn"]
    assert "Nothing changed" in tool("bootstrap", "--yes").out
