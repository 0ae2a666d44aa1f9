"""A registration that is refused for good: the role stays with a way on, or goes with --rollback; nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Tool, World, stack_text
from tests.e2e.fault_proxy import Proxy, proxy_of
from tests.e2e.scene import CREATE

REFUSED = {"status": 400, "message": "this account may not create clusters"}


@pytest.fixture
def plane(world: World) -> Iterator[Proxy]:
    with proxy_of(world.sandbox.control_plane_url, "plane") as proxy:
        yield proxy


def refuse(plane: Proxy, *, first: int = 1) -> None:
    plane.strike({"on": CREATE, "nth": first, "answer": REFUSED})


def test_a_refused_registration_leaves_the_role_and_says_how_to_go_on(tool: Tool, world: World, plane: Proxy) -> None:
    tool.write(stack_text("refused", role="{name: grid-refused}"))
    refuse(plane)
    refused = tool("bootstrap", "--yes", "--url", plane.url, status=1)
    assert "this account may not create clusters" in refused.err
    assert "role/grid-refused stays" in refused.err
    assert len(world.roles("grid-refused")) == 1
    assert world.cluster("refused") is None
    report = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    assert not any(report["resources"].values())
    assert world.cluster("refused") is not None


def test_rollback_destroys_what_the_run_created(tool: Tool, world: World, plane: Proxy) -> None:
    second = "  - {name: rolled-b, instance_types: [t2.medium]}\n"
    tool.write(stack_text("rolled", role="{name: grid-rolled}", extra=second))
    refuse(plane, first=2)
    refused = tool("bootstrap", "--yes", "--rollback", "--url", plane.url, status=1)
    assert "and nothing else" in refused.err
    assert world.roles("grid-rolled") == []
    assert world.cluster("rolled") is None
    assert world.cluster("rolled-b") is None


def test_rollback_keeps_what_was_there_before(tool: Tool, world: World, plane: Proxy) -> None:
    policies = "AmazonEC2FullAccess, AmazonRoute53ResolverFullAccess, AmazonS3FullAccess"
    tool.write(stack_text("standing", role=f"{{name: grid-standing, managed_policies: [{policies}]}}"))
    tool("bootstrap", "--yes", "--no-wait")
    attached = world.attached("grid-standing")
    more = f"{{name: grid-standing, managed_policies: [{policies}, AmazonSQSFullAccess]}}"
    tool.write(stack_text("standing", role=more, extra="  - {name: standing-b, instance_types: [t2.medium]}\n"))
    refuse(plane)
    tool("bootstrap", "--yes", "--rollback", "--no-wait", "--url", plane.url, status=1)
    assert world.attached("grid-standing") == attached
    assert world.cluster("standing") is not None
    assert world.cluster("standing-b") is None


def test_rollback_after_a_rotation_keeps_the_role_that_was_there(tool: Tool, world: World, plane: Proxy) -> None:
    """A new external id is created by the run, and the role depends on it: destroying it would destroy the role."""
    role = "{{name: grid-turned, managed_policies: [AmazonS3FullAccess], rotation: {}}}"
    tool.write(stack_text("turned", role=role.format("one")))
    tool("bootstrap", "--yes", "--no-wait")
    attached = world.attached("grid-turned")
    second = "  - {name: turned-b, instance_types: [t2.medium]}\n"
    tool.write(stack_text("turned", role=role.format("two"), extra=second))
    refuse(plane)
    refused = tool("bootstrap", "--yes", "--rollback", "--no-wait", "--url", plane.url, status=1)
    assert "and nothing else" in refused.err
    assert len(world.roles("grid-turned")) == 1
    assert world.attached("grid-turned") == attached
    assert world.cluster("turned") is not None
