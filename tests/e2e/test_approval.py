"""What a yes is given to, on a real terminal: what is shown before the question, and what answers it."""

from __future__ import annotations

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import fast_stack, role_arn, without_aws_provider
from tests.terminal import on_terminal


def test_bootstrap_and_destroy_on_a_terminal(tool: Tool, world: World) -> None:
    tool = without_aws_provider(tool)
    stack = fast_stack(tool, world, "asked")
    at = {"cwd": stack.directory, "env": tool.env}

    with on_terminal("bootstrap", **at) as terminal:
        terminal.send("y\n")
        shown = terminal.expect("Apply these changes? [y/N]")
        assert terminal.is_silent(0.5), terminal.text
        terminal.send("n\n")
        assert terminal.end() == 2
    assert stack.made == 0
    assert "+ cluster asked" in shown
    assert "before: no cluster" in shown
    assert "+ module.gridbyoc.terraform_data.this" in shown
    assert "input: x" in shown

    with on_terminal("bootstrap", "--brief", columns=60, **at) as terminal:
        shown = terminal.expect("Apply these changes? [y/N]")
        assert "module.gridbyoc" not in shown.split("Control plane:")[1]
        terminal.send("y\n")
        assert terminal.end() == 0
        # While it works: how long it usually takes. Afterwards: every line fits, and the ARN is whole.
        assert "a cluster of grid usually takes 20 to 50 minutes" in terminal.text
        report = terminal.text.split("stack     asked")[1].splitlines()
        assert max(len(line) for line in report if " " in line.strip()) <= 60
        assert any(line.split()[-1:] == [role_arn(world, "fast-asked")] for line in report), report
    assert stack.made == 1

    for answer, status in (("y", 2), ("asked", 0)):
        with on_terminal("destroy", **at) as terminal:
            terminal.send("asked\n")
            terminal.expect("Type asked to confirm:")
            assert terminal.is_silent(0.5), terminal.text
            terminal.send(answer + "\n")
            assert terminal.end() == status, terminal.text
    assert world.cluster("asked") is None


def test_a_fleet_is_destroyed_by_its_number_of_stacks(tool: Tool, world: World) -> None:
    tool = without_aws_provider(tool)
    for place in ("a", "b"):
        fast_stack(tool, world, f"fleet-asked-{place}", place=place)
    for answer, status in (("yes", 2), ("2 stacks", 0)):
        with on_terminal("fleet", "destroy", ".", cwd=tool.directory, env=tool.env) as terminal:
            shown = terminal.expect("Type 2 stacks to confirm:")
            assert "fleet-asked-a" in shown
            terminal.send(answer + "\n")
            assert terminal.end() == status, terminal.text
    assert "needs --yes-destroy" in tool("fleet", "destroy", ".", status=2).err


def test_a_protected_stack_is_not_destroyed_and_the_line_is_named(tool: Tool, world: World) -> None:
    tool = without_aws_provider(tool)
    stack = fast_stack(tool, world, "protected", place=".")
    text = stack.file.read_text()
    stack.file.write_text(text + "protect: true\n")
    line = f"gridbyoc.yaml:{len(text.splitlines()) + 1}"
    tool("bootstrap", "--yes")
    for command in (("destroy",), ("rotate", "--role", "--yes"), ("fleet", "destroy", ".")):
        assert line in tool(*command, "--yes-destroy", status=4).err
    assert "--set: protect" in tool("destroy", "--yes-destroy", "--set", "protect=false", status=2).err
    stack.file.write_text(stack.file.read_text().replace("- name: protected", "- name: protected-2"))
    planned = tool("plan").out
    assert "- cluster protected" in planned
    assert f"({line}): bootstrap and apply refuse this plan." in planned
    assert world.cluster("protected") is not None
