"""Each template of Argo's workflows, its script run as a pod would run it."""

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


def test_argo(tool: Tool, world: World, ledger: Ledger) -> None:
    stacks = [stack_of(tool, world, name, place=f"fleet/stacks/{name}") for name in ("flo", "fly")]
    let_the_proof_fail(world, "fly")
    repository = Path(tool.directory, "fleet")
    machine = machine_of(tool, repository, ledger)
    run, destroy, drift = loaded(written(tool, repository, ledger, "stacks"))
    # each stack is planned, waits until somebody resumes it, and is applied, by pods of its own
    seen: list[Any] = []
    done = submitted(run, machine, lambda: not seen.append(made(stacks, world)))
    assert (done.phase, seen) == ("Succeeded", [[(0, False)] * 2, [(1, True), (0, False)]]), machine.said
    pods = [("plan", "gridbyoc-plan"), ("apply", "gridbyoc-apply")]
    assert done.ran == [("find", "gridbyoc-plan"), *pods, *pods]
    assert made(stacks, world) == [(1, True)] * 2
    # one pod looks at all of them, and fails for one that has drifted; a proof that fails does not block
    world.put_external_id("fly", "changed-by-hand")
    said = len(machine.said)
    looked = submitted(drift, machine)
    assert (looked.phase, looked.ran) == ("Failed", [(name, "gridbyoc-plan") for name in ("drift", "verify")])
    assert re.search(r"^fly +stacks/fly/gridbyoc.yaml +failed .* fail.*: GBY-V", machine.said[said:], re.MULTILINE)
    assert re.search(r"^flo +stacks/flo/gridbyoc.yaml +done .* no drift$", machine.said[said:], re.MULTILINE)
    drifted = r"^fly .* changes .* 1 drifted: control plane: cluster fly: external_id: \[secret\] -> \[secret\]$"
    assert re.search(drifted, machine.said[said:], re.MULTILINE)
    # without the name nothing is destroyed, nor with it until somebody resumes the workflow
    assert submitted(destroy, machine, stack="flo").phase == "Failed"
    assert submitted(destroy, machine, lambda: False, stack="flo", confirm="flo").phase == "Running"
    assert world.cluster("flo") is not None
    gone = submitted(destroy, machine, stack="flo", confirm="flo")
    assert (gone.phase, gone.ran) == ("Succeeded", [("destroy", "gridbyoc-destroy")]), machine.said
    assert [world.cluster(name) is not None for name in ("flo", "fly")] == [False, True]
    quiet(machine)


def made(stacks: list[FastStack], world: World) -> list[tuple[int, bool]]:
    """Of each stack, how often it was created, and whether its cluster is there."""
    return [(stack.made, world.cluster(stack.name) is not None) for stack in stacks]


def test_each_script_of_argo_ran(ledger: Ledger) -> None:
    show("", [(ledger.check("flo"),)])
