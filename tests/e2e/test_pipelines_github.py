"""Each job of GitHub's pipeline, its shell steps run as the runner would; the API is a server on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID
from tests.e2e.forge import TOKEN, running_forge
from tests.e2e.github_runner import GithubRun
from tests.e2e.pipeline_scene import (
    KEY,
    ROLE,
    change_type,
    let_the_proof_fail,
    machine_of,
    quiet,
    replace_cluster,
    stack_of,
    written,
)
from tests.e2e.scene import show
from tests.e2e.shell_steps import Ledger, loaded


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger("github")


def contexts(event: str, fork: bool, inputs: dict[str, str], secrets: dict[str, str]) -> dict[str, Any]:
    head = {"repo": {"full_name": "stranger/platform" if fork else "acme/platform"}}
    github = {
        "event_name": event, "ref": "refs/pull/5/merge" if event == "pull_request" else "refs/heads/main",
        "repository": "acme/platform", "server_url": "https://github.example", "run_id": "77", "token": TOKEN,
        "event": {"pull_request": {"number": "5", "head": head, "user": {"login": "ada"}}},
    }  # fmt: skip
    return {"github": github, "inputs": inputs, "vars": {"GRIDBYOC_ROLE_ARN": ROLE}, "all_secrets": secrets}


def test_github(tool: Tool, world: World, ledger: Ledger) -> None:
    stack = stack_of(tool, world, "hub")
    let_the_proof_fail(world, "hub")
    (workflow,) = loaded(written(tool, stack.directory, ledger))
    machine = machine_of(tool, stack.directory, ledger)
    # a job has the secrets that the workflow gives it, and no other
    secrets = {name: machine.env.pop(name) for name in ("GRID_USER_ID", "GRID_API_KEY")} | {"GRIDBYOC_BUNDLE_KEY": KEY}
    environments: dict[str, str] = {}
    address = machine.env.pop("GRID_URL")
    there: list[tuple[str, list[str]]] = []

    def approve(environment: str) -> bool:
        there.append((environment, sorted(each["name"] for each in world.clusters() if each["name"].startswith("hub"))))
        return True

    def begun(event: str, fork: bool = False, **inputs: str) -> GithubRun:
        env = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/platform", "GITHUB_API_URL": forge.url}
        there.clear()
        given = contexts(event, fork, inputs, secrets)
        given["vars"] |= {"GRID_URL": address, **environments}
        return GithubRun(workflow, machine, given, env, approve)

    def run(event: str, fork: bool = False, **inputs: str) -> tuple[dict[str, str], list[str]]:
        made = begun(event, fork, **inputs)
        return made.run(), made.environments

    with running_forge() as forge:
        # a pull request from a fork is validated only; one from here is planned, and commented on once
        assert run("pull_request", fork=True) == ({"validate": "success"}, [])
        mark = "<!-- gridbyoc production plans -->"
        forge.add_comment(f"{mark}\nnot ours", kind="User")
        forge.add_comment("<!-- gridbyoc eu plans -->\nof another environment", kind="Bot")
        reviewed = {"validate": "success", "plan": "success", "comment": "success"}
        request = begun("pull_request")
        assert (request.run(), request.environments) == (reviewed, ["production-plan"]), machine.said
        assert len(forge.comments) == 3
        assert "cluster `hub` is created" in forge.comments[2]["body"]
        assert stack.made == 0
        assert request.again("comment") == "success"
        assert len(forge.comments) == 3
        assert "PATCH /repos/acme/platform/issues/comments/3" in forge.calls
        others = [each["body"].split("\n", 1)[1] for each in forge.comments[:2]]
        assert others == ["not ours", "of another environment"]

        # on main it is planned again, and another job applies just that, after an approval; the repository's setting
        # has given the stack other environments meanwhile, and a pull request could not have
        change_type(stack)
        environments["GRIDBYOC_ENVIRONMENTS"] = '{"hub": "eu", "other": "x"}'
        planned = {"validate": "success", "plan": "success", "changes": "success"}
        assert run("push") == ({**planned, "apply": "success"}, ["eu-plan", "eu"])
        environments.clear()
        assert stack.made == 1
        assert "t3.large" in json.dumps(world.cluster("hub"))

        # drift opens one issue, and its end closes it; what cannot be looked at does neither
        looked = {"validate": "success", "drift": "success", "drift-issues": "success"}
        world.put_external_id("hub", "changed-by-hand")
        drifted = begun("workflow_dispatch", action="drift", stack="hub")
        assert (drifted.run(), drifted.environments) == (looked, ["production-plan"])
        assert drifted.again("drift-issues") == "success"
        # a proof that fails does not block
        assert "The proof fails" in machine.said
        found = [(issue["title"], issue["state"]) for issue in forge.issues]
        assert found == [("The stack hub (production) has drifted", "open")]
        assert "actions/runs/77" in forge.issues[0]["body"]
        world.put_external_id("hub", EXTERNAL_ID)
        key, secrets["GRID_API_KEY"] = secrets["GRID_API_KEY"], "a key of nobody"
        assert run("schedule") == ({**looked, "drift": "failure"}, ["production-plan"])
        assert [issue["state"] for issue in forge.issues] == ["open"]
        secrets["GRID_API_KEY"] = key
        assert run("schedule") == (looked, ["production-plan"])
        assert [issue["state"] for issue in forge.issues] == ["closed"]

        # a plan that destroys is applied by a job of its own, which waits for those who may destroy
        replace_cluster(stack, "hub-two")
        assert run("push") == ({**planned, "apply-destroying": "success"}, ["production-plan", "production-destroy"])
        assert there == [("production-plan", ["hub"]), ("production-destroy", ["hub"])]
        assert (world.cluster("hub"), stack.made) == (None, 1)
        assert world.cluster("hub-two") is not None

        # it is destroyed by hand alone, and only with the name typed once more
        wrong = run("workflow_dispatch", action="destroy", stack="hub", confirm="hab")
        assert wrong == ({"validate": "success", "destroy": "failure"}, ["production-destroy"])
        assert world.cluster("hub-two") is not None
        done = run("workflow_dispatch", action="destroy", stack="hub", confirm="hub")
        assert done == ({"validate": "success", "destroy": "success"}, ["production-destroy"])
        assert world.cluster("hub-two") is None
    assert "is not the stack's name" in machine.said
    quiet(machine)


def test_each_shell_step_of_github_ran(ledger: Ledger) -> None:
    show("", [(ledger.check("hub"),)])
