"""The targets of the makefile, run by make."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.make_runner import Make
from tests.e2e.pipeline_scene import KEY, let_the_proof_fail, machine_of, stack_of, written
from tests.e2e.scene import show
from tests.e2e.shell_steps import Ledger


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger("make")


def test_make(tool: Tool, world: World, ledger: Ledger) -> None:
    stack = stack_of(tool, world, "maker")
    let_the_proof_fail(world, "maker")
    text = written(tool, stack.directory, ledger)
    run = Make(text, machine_of(tool, stack.directory, ledger), stack.directory, {"GRIDBYOC_BUNDLE_KEY": KEY})
    (stack.directory / "Makefile").write_text("include make/gridbyoc.mk\nmine:\n\t@echo mine is first\n")
    assert run().stdout == "mine is first\n"
    for target in ("gridbyoc-validate", "gridbyoc-plan//gridbyoc.yaml"):
        assert run(target).returncode == 0
    assert (stack.directory / "gridbyoc.yaml.bundle").exists()
    done = run("gridbyoc-apply")
    assert done.returncode == 0, done.stderr
    assert not (stack.directory / "gridbyoc.yaml.bundle").exists()
    assert run("gridbyoc-drift").returncode == 0
    assert "The proof fails" in run("gridbyoc-verify").stdout
    assert "Say which stack" in run("gridbyoc-destroy").stderr
    assert world.cluster("maker") is not None
    assert run("gridbyoc-destroy", "GRIDBYOC_CONFIRM=gridbyoc.yaml").returncode == 0
    assert world.cluster("maker") is None


def test_each_recipe_of_make_ran(ledger: Ledger) -> None:
    show("", [(ledger.check("maker"),)])
