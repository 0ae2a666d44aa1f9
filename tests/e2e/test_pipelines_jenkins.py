"""Each stage of the Jenkinsfile, its shells run as an agent would; nothing here is Groovy (jenkins_runner.py)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID
from tests.e2e.jenkins_runner import JenkinsBuild
from tests.e2e.pipeline_scene import (
    KEY,
    ROLE,
    let_the_proof_fail,
    machine_of,
    quiet,
    replace_cluster,
    stack_of,
    without_keys,
    written,
)
from tests.e2e.scene import show
from tests.e2e.shell_steps import Ledger

BRANCH = {"BRANCH_NAME": "main"}
REQUEST = {"BRANCH_NAME": "PR-5", "CHANGE_ID": "5"}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger("jenkins")


def test_jenkins(tool: Tool, world: World, ledger: Ledger) -> None:
    stack = stack_of(tool, world, "jen")
    let_the_proof_fail(world, "jen")
    text = written(tool, stack.directory, ledger)
    machine = machine_of(tool, stack.directory, ledger)
    without_keys(machine)
    account = machine.env.pop("GRID_USER_ID"), machine.env.pop("GRID_API_KEY")
    roles = {f"gridbyoc-role-production{kind}": ROLE for kind in ("-plan", "", "-destroy")}
    kept = {"gridbyoc-aws-production": "a token", "gridbyoc-bundle-key": KEY, "gridbyoc-control-plane": account}
    without_key = {name: value for name, value in kept.items() if name != "gridbyoc-bundle-key"} | roles

    def build(
        env: dict[str, str], *, credentials: dict[str, str | tuple[str, str]] | None = None, timer: bool = False,
        answer: Callable[[str], bool] = lambda _: True, **params: str,
    ) -> JenkinsBuild:  # fmt: skip
        held = {**kept, **roles} if credentials is None else credentials
        return JenkinsBuild(text, machine, env, held, params, timer, answer).run()

    # a pull request from a fork is validated, without any credential; one from here is planned, without the bundle key
    fork = build({**REQUEST, "CHANGE_FORK": "stranger"}, credentials={})
    assert (fork.result, fork.ran, fork.archived) == ("SUCCESS", ["Validate"], {}), machine.said
    review = build(REQUEST, credentials=without_key)
    assert (review.result, review.ran, review.asked) == ("SUCCESS", ["Review"], []), machine.said
    assert "cluster `jen` is created" in review.archived["jen.md"]
    assert stack.made == 0

    # on the branch somebody is asked, once there is a plan to look at, and before anything of it is applied
    seen: list[tuple[int, bool]] = []
    applied = build(BRANCH, answer=lambda _: not seen.append((stack.made, world.cluster("jen") is not None)))
    assert (applied.result, applied.ran) == ("SUCCESS", ["Plan", "Approve", "Apply"]), machine.said
    assert applied.asked == ["Apply what was planned? The plans are among the artifacts."]
    assert "cluster `jen` is created" in applied.archived["jen.md"]
    assert (seen, stack.made, world.cluster("jen") is not None) == ([(0, False)], 1, True)

    # the timer looks for drift; what cannot be looked at is no drift
    world.put_external_id("jen", "changed-by-hand")
    assert (build(BRANCH, timer=True).result, build(REQUEST, timer=True).ran) == ("UNSTABLE", [])
    world.put_external_id("jen", EXTERNAL_ID)
    by_hand = build(BRANCH, ACTION="drift", STACK="jen")
    assert (by_hand.result, by_hand.ran) == ("SUCCESS", ["Verify", "Drift"])
    # a proof that fails does not block
    assert re.search(r"^jen +gridbyoc.yaml +failed .* fail.*: GBY-V", machine.said, re.MULTILINE)
    assert "The grants of a role are not proven" in machine.said
    held = stack.file.read_text()
    stack.file.write_text(f"{held}unknown: key\n")
    assert build(BRANCH, timer=True).result == "FAILURE"
    stack.file.write_text(held)

    # what destroys takes the stack's name as well, and an answer
    (script,) = {shell.text for shell in ledger.found if shell.job == "Apply"}
    assert script.count("--yes-destroy") == 1  # so the run above, without the name, did not have it
    replace_cluster(stack, "jen-two")
    assert build(BRANCH, CONFIRM="jen").result == "SUCCESS", machine.said
    assert (world.cluster("jen"), world.cluster("jen-two") is not None) == (None, True)
    unnamed = build(BRANCH, ACTION="destroy", STACK="jen", CONFIRM="no")
    assert (unnamed.result, unnamed.ran, unnamed.asked) == ("SUCCESS", [], [])
    refused = build(BRANCH, ACTION="destroy", STACK="jen", CONFIRM="jen", answer=lambda _: False)
    assert (refused.result, refused.ran) == ("ABORTED", [])
    assert refused.asked == ["Destroy the stack that STACK names, its clusters and its role?"]
    assert world.cluster("jen-two") is not None
    gone = build(BRANCH, ACTION="destroy", STACK="jen", CONFIRM="jen")
    assert (gone.result, gone.ran, world.cluster("jen-two")) == ("SUCCESS", ["Destroy"], None)
    quiet(machine)


def test_each_shell_of_jenkins_ran(ledger: Ledger) -> None:
    show("", [(ledger.check("jen"),)])
