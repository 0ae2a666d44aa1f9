"""Each template of Argo's workflows, its script run as a pod would run it: for one stack, and for a fleet."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.argo_runner import ArgoWorkflow
from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import FastStack
from tests.e2e.job_shell import Machine
from tests.e2e.pipeline_scene import KEY, let_the_proof_fail, machine_of, quiet, stack_of, written
from tests.e2e.scene import show
from tests.e2e.shell_steps import Ledger, loaded


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger("argo")


def submitted(
    document: dict[str, Any], machine: Machine, resume: Callable[[], bool] = lambda: True, **given: str
) -> ArgoWorkflow:
    config = {"repository": "https://forge.example/acme/platform"}
    secret = {"GRIDBYOC_BUNDLE_KEY": KEY}
    return ArgoWorkflow(document, machine, config, secret, given, resume).run()


def test_one_stack(tool: Tool, world: World, ledger: Ledger) -> None:
    stack = stack_of(tool, world, "arg")
    let_the_proof_fail(world, "arg")
    machine = machine_of(tool, stack.directory, ledger)
    run, destroy, drift = loaded(written(tool, stack.directory, ledger))
    # it waits after the plan, and until somebody resumes it nothing is applied
    seen: list[Any] = []
    done = submitted(run, machine, lambda: not seen.append(made([stack], world)))
    assert (done.phase, seen) == ("Succeeded", [[(0, False)]]), machine.said
    assert done.ran == [("plan", "gridbyoc-plan"), ("apply", "gridbyoc-apply")]
    assert made([stack], world) == [(1, True)]
    # a proof that fails does not block
    nightly = submitted(drift, machine)
    assert (nightly.phase, nightly.ran) == ("Succeeded", [(name, "gridbyoc-plan") for name in ("drift", "verify")])
    assert "The proof fails" in machine.said
    # without the name nothing is destroyed, nor with it until somebody resumes the workflow
    assert submitted(destroy, machine).phase == "Failed"
    assert submitted(destroy, machine, lambda: False, confirm="arg").phase == "Running"
    assert world.cluster("arg") is not None
    gone = submitted(destroy, machine, confirm="arg")
    assert (gone.phase, gone.ran) == ("Succeeded", [("destroy", "gridbyoc-destroy")]), machine.said
    assert world.cluster("arg") is None
    quiet(machine)


def test_a_fleet(tool: Tool, world: World, ledger: Ledger) -> None:
    stacks = [stack_of(tool, world, name, place=f"fleet/stacks/{name}") for name in ("flo", "fly")]
    let_the_proof_fail(world, "fly")
    repository = Path(tool.directory, "fleet")
    machine = machine_of(tool, repository, ledger)
    run, drift = loaded(written(tool, repository, ledger, "--fleet", "stacks"))
    seen: list[Any] = []
    done = submitted(run, machine, lambda: not seen.append((len(machine.said), made(stacks, world))))
    ((said, before),) = seen
    assert (done.phase, before) == ("Succeeded", [(0, False)] * 2), machine.said
    assert [machine.said[:said].count(f"cluster {stack.name}") > 0 for stack in stacks] == [True, True]
    # each stack is planned, and bootstrapped, by a pod of its own
    pods = [("plan", "gridbyoc-plan")] * 2 + [("bootstrap", "gridbyoc-apply")] * 2
    assert done.ran == [("matrix", "gridbyoc-plan"), *pods]
    assert made(stacks, world) == [(1, True)] * 2
    # one pod looks at all of them, and fails for one that has drifted
    world.put_external_id("fly", "changed-by-hand")
    said = len(machine.said)
    looked = submitted(drift, machine)
    assert (looked.phase, looked.ran) == ("Failed", [(name, "gridbyoc-plan") for name in ("drift", "verify")])
    assert re.search(r"^fly +stacks/fly/gridbyoc.yaml +failed .* fail.*: GBY-V", machine.said[said:], re.MULTILINE)
    assert re.search(r"^flo +stacks/flo/gridbyoc.yaml +done .* no drift$", machine.said[said:], re.MULTILINE)
    drifted = r"^fly .* changes .* 1 drifted: control plane: cluster fly: external_id: \[secret\] -> \[secret\]$"
    assert re.search(drifted, machine.said[said:], re.MULTILINE)
    quiet(machine)


def made(stacks: list[FastStack], world: World) -> list[tuple[int, bool]]:
    """Of each stack, how often it was created, and whether its cluster is there."""
    return [(stack.made, world.cluster(stack.name) is not None) for stack in stacks]


def test_each_script_of_argo_ran(ledger: Ledger) -> None:
    show("", [(ledger.check("arg"),)])
