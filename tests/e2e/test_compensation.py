"""A registration that is refused for good: the role stays with a way on, or goes with --rollback; nothing else does."""

from __future__ import annotations

from tests.e2e.conftest import Tool, World, stack_text


def test_a_refused_registration_leaves_the_role_and_says_how_to_go_on(tool: Tool, world: World) -> None:
    tool.write(stack_text("refused", role="{name: grid-refused}", types="[zz9.large]"))
    refused = tool("bootstrap", "--yes", status=1)
    assert "zz9.large" in refused.err
    assert "role/grid-refused stays" in refused.err
    assert len(world.roles("grid-refused")) == 1
    assert world.cluster("refused") is None
    tool.write(stack_text("refused", role="{name: grid-refused}"))
    report = tool("bootstrap", "--yes", "--format", "json").objects[-1]
    assert not any(report["resources"].values())
    assert world.cluster("refused") is not None


def test_rollback_destroys_what_the_run_created(tool: Tool, world: World) -> None:
    text = stack_text("rolled", role="{name: grid-rolled}", extra="  - {name: rolled-b, instance_types: [zz9.large]}\n")
    tool.write(text)
    refused = tool("bootstrap", "--yes", "--rollback", status=1)
    assert "and nothing else" in refused.err
    assert world.roles("grid-rolled") == []
    assert world.cluster("rolled") is None


def test_rollback_keeps_what_was_there_before(tool: Tool, world: World) -> None:
    few = "{name: grid-kept, managed_policies: [AmazonEC2FullAccess, AmazonS3FullAccess, AmazonSNSFullAccess]}"
    more = few.replace("]", ", AmazonSQSFullAccess]")
    tool.write(stack_text("kept", role=few))
    tool("bootstrap", "--yes", "--no-wait")
    attached = world.attached("grid-kept")
    tool.write(stack_text("kept", role=more, extra="  - {name: kept-b, instance_types: [zz9.large]}\n"))
    tool("bootstrap", "--yes", "--rollback", "--no-wait", status=1)
    assert world.attached("grid-kept") == attached
    assert world.cluster("kept") is not None
    assert world.cluster("kept-b") is None
