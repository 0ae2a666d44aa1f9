"""Each job of GitLab's pipeline, its scripts run as the runner would; the API is a server on loopback."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID
from tests.e2e.forge import TOKEN, running_forge
from tests.e2e.gitlab_runner import GitlabPipeline
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
from tests.e2e.shell_steps import Ledger, loaded


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger("gitlab")


def test_gitlab(tool: Tool, world: World, ledger: Ledger) -> None:
    stack = stack_of(tool, world, "lab")
    let_the_proof_fail(world, "lab")
    (file,) = loaded(written(tool, stack.directory, ledger))
    machine = machine_of(tool, stack.directory, ledger)
    without_keys(machine)
    common = {
        "GITLAB_CI": "true", "CI_PROJECT_ID": "7", "CI_PIPELINE_URL": "https://lab.example/1",
        "GRIDBYOC_BUNDLE_KEY": KEY, "GRIDBYOC_ROLE_ARN": ROLE, "GRIDBYOC_GITLAB_TOKEN": TOKEN,
    }  # fmt: skip

    def run(source: str, **variables: str) -> tuple[list[str], GitlabPipeline]:
        given = {**common, "CI_API_V4_URL": forge.url, "CI_PIPELINE_SOURCE": source, **variables}
        made = GitlabPipeline(file, machine, given)
        ended = made.run()
        return [name.removeprefix("gridbyoc ").removesuffix(" lab") for name, fine in ended.items() if fine], made

    with running_forge() as forge:
        of = {"CI_MERGE_REQUEST_IID": "5", "CI_MERGE_REQUEST_PROJECT_PATH": "acme/platform"}
        ran, pipeline = run("merge_request_event", CI_MERGE_REQUEST_SOURCE_PROJECT_PATH="acme/platform", **of)
        assert ran == ["stacks", "plan", "comment"], machine.said
        assert pipeline.again("gridbyoc comment"), machine.said
        assert len(forge.comments) == 1
        assert "cluster `lab` is created" in forge.comments[0]["body"]
        assert f"PUT /projects/7/merge_requests/5/notes/{forge.comments[0]['id']}" in forge.calls
        kept = machine.stored["gridbyoc plan lab/gridbyoc-terraform-report.json"]
        assert json.loads((kept / "gridbyoc-terraform-report.json").read_text()) == {
            "create": 2, "update": 0, "delete": 0,
        }  # fmt: skip
        kept = machine.stored["gridbyoc stacks/gridbyoc-code-quality.json"]
        assert json.loads((kept / "gridbyoc-code-quality.json").read_text()) == []

        main = {"CI_COMMIT_BRANCH": "main"}
        assert run("push", CI_COMMIT_BRANCH="other")[0] == []
        # the project's setting names the stack's environment
        ran, pipeline = run("push", GRIDBYOC_ENVIRONMENTS='{"lab": "eu"}', **main)
        assert ran == ["stacks", "plan", "apply"]
        assert pipeline.manual == ["gridbyoc apply lab"]
        assert pipeline.environments == ["eu-plan", "eu"]
        assert stack.made == 1

        # drift opens an issue, and its end closes it; what cannot be looked at does neither
        world.put_external_id("lab", "changed-by-hand")
        ran, pipeline = run("schedule", **main)
        assert (ran, pipeline.environments) == (["stacks", "drift", "drift issues"], ["production-plan"] * 2)
        # a proof that fails does not block
        assert "The proof fails" in machine.said
        assert [issue["state"] for issue in forge.issues] == ["open"]
        world.put_external_id("lab", EXTERNAL_ID)
        key, machine.env["GRID_API_KEY"] = machine.env["GRID_API_KEY"], "a key of nobody"
        assert run("schedule", **main)[0] == ["stacks", "drift issues"]
        assert [issue["state"] for issue in forge.issues] == ["open"]
        machine.env["GRID_API_KEY"] = key
        assert run("schedule", **main)[0] == ["stacks", "drift", "drift issues"]
        assert [issue["state"] for issue in forge.issues] == ["closed"]

        # a plan that destroys is not applied until whoever starts the job gives the stack's name as well
        replace_cluster(stack, "lab-two")
        ran, pipeline = run("push", **main)
        assert (ran, pipeline.manual) == (["stacks", "plan"], ["gridbyoc apply lab"])
        assert (world.cluster("lab") is not None, world.cluster("lab-two")) == (True, None)
        assert pipeline.child
        pipeline.child.variables["GRIDBYOC_APPROVE_DESTROY"] = "lab"
        assert pipeline.again("gridbyoc apply lab"), machine.said
        assert (world.cluster("lab"), world.cluster("lab-two") is not None) == (None, True)

        assert run("push", GRIDBYOC_DESTROY="lab", **main)[0] == []
        ran, pipeline = run("web", GRIDBYOC_DESTROY="lab", **main)
        assert (ran, pipeline.manual) == (["stacks", "destroy"], ["gridbyoc destroy lab"])
        assert world.cluster("lab-two") is None
    quiet(machine)


def test_each_shell_step_of_gitlab_ran(ledger: Ledger) -> None:
    show("", [(ledger.check("lab"),)])
