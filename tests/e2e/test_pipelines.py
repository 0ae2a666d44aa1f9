"""Every job's shell steps, run as the engine's runner would run them; the forge's API is a server on loopback."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gridbyoc
from gridbyoc.sandbox import Sandbox
from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID, FastStack, fast_stack, s3_of
from tests.e2e.forge import TOKEN, Forge, running_forge
from tests.e2e.github_runner import GithubRun
from tests.e2e.gitlab_runner import GitlabPipeline
from tests.e2e.job_shell import Machine, documents

BUCKET = "pipeline-states"
KEY = "a key that both jobs have"
REQUIREMENT = f"gridbyoc[embedded]=={gridbyoc.__version__}"
ROLE = "arn:aws:iam::123456789012:role/gridbyoc-ci"
LIGHT = """#!/bin/sh
[ -e versions.tf ] && [ -e providers.tf ] || exec terraform "$@"
mv versions.tf versions.aside && mv providers.tf providers.aside
terraform "$@"
status=$?
mv versions.aside versions.tf && mv providers.aside providers.tf
exit $status
"""
"""Loading the AWS provider, and checking it against the lock file, takes most of the time of a run."""


@pytest.fixture(scope="module", autouse=True)
def states(sandbox: Sandbox) -> None:
    s3_of(World(sandbox)).create_bucket(Bucket=BUCKET)


@pytest.fixture
def forge() -> Iterator[Forge]:
    with running_forge() as running:
        yield running


def stack_of(tool: Tool, world: World, name: str) -> FastStack:
    backend = f"s3: {{bucket: {BUCKET}, key: {name}, region: us-east-1}}"
    return fast_stack(tool, world, name, backend=backend)


def machine_of(tool: Tool, stack: FastStack) -> Machine:
    """Where its jobs run, with a Terraform that leaves the provider out, which the stack has no use for."""
    machine = Machine(tool.directory / "machine", stack.directory, dict(tool.env))
    machine.program("light-terraform", LIGHT)
    machine.env["GRIDBYOC_TERRAFORM_BIN"] = str(machine.root / "bin" / "light-terraform")
    return machine


def written(tool: Tool, stack: FastStack, engine: str, *options: str) -> str:
    """The engine's pipeline for the stack, written in its repository."""
    here = replace(tool, directory=stack.directory)
    file = json.loads(here("pipeline", engine, *options, "--format", "json").out)["file"]
    return (stack.directory / file).read_text()


def quiet(machine: Machine) -> None:
    """The external id, and the key of the bundles, are in no job's log and in nothing that was handed on."""
    artifacts = [path.read_bytes() for path in (machine.root / "artifacts").rglob("*") if path.is_file()]
    for secret in (EXTERNAL_ID, KEY):
        assert secret not in machine.said
        assert [data for data in artifacts if secret.encode() in data] == []
    assert set(machine.installed) == {
        f"-m pip install --quiet --disable-pip-version-check gridbyoc[embedded]=={gridbyoc.__version__}"
    }


def change_type(stack: FastStack) -> None:
    stack.file.write_text(stack.file.read_text().replace("[t2.medium]", "[t3.large]"))


def github_run(
    workflow: dict[str, Any], machine: Machine, forge: Forge, secrets: dict[str, str], event: str,
    fork: bool = False, **inputs: str,
) -> GithubRun:  # fmt: skip
    head = {"repo": {"full_name": "stranger/platform" if fork else "acme/platform"}}
    github = {
        "event_name": event, "ref": "refs/pull/5/merge" if event == "pull_request" else "refs/heads/main",
        "repository": "acme/platform", "server_url": "https://github.example", "run_id": "77", "token": TOKEN,
        "event": {"pull_request": {"number": "5", "head": head}},
    }  # fmt: skip
    contexts = {"github": github, "inputs": inputs, "vars": {"GRIDBYOC_ROLE_ARN": ROLE}, "all_secrets": secrets}
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/platform", "GITHUB_API_URL": forge.url}
    return GithubRun(workflow, machine, contexts, env)


def test_github(tool: Tool, world: World, forge: Forge) -> None:
    stack = stack_of(tool, world, "hub")
    (workflow,) = documents(written(tool, stack, "github"))
    machine = machine_of(tool, stack)
    # a job has the secrets that the workflow gives it, and no other
    secrets = {name: machine.env.pop(name) for name in ("GRID_USER_ID", "GRID_API_KEY")} | {"GRIDBYOC_BUNDLE_KEY": KEY}

    def run(event: str, **inputs: Any) -> tuple[dict[str, str], list[str]]:
        made = github_run(workflow, machine, forge, secrets, event, **inputs)
        return made.run(), made.environments

    # a pull request from a fork is validated only; one from here is planned, and commented on once
    assert run("pull_request", fork=True) == ({"validate": "success"}, [])
    mark = "<!-- gridbyoc production plan hub -->"
    forge.add_comment(f"{mark}\nnot ours", kind="User")
    forge.add_comment("<!-- gridbyoc eu plan hub -->\nof another environment", kind="Bot")
    reviewed = {"validate": "success", "plan-hub": "success", "comment-hub": "success"}
    assert run("pull_request") == (reviewed, ["production-plan"])
    assert len(forge.comments) == 3
    assert "cluster `hub` is created" in forge.comments[2]["body"]
    assert stack.made == 0
    change_type(stack)
    run("pull_request")
    assert len(forge.comments) == 3
    assert "PATCH /repos/acme/platform/issues/comments/3" in forge.calls
    assert [each["body"].split("\n", 1)[1] for each in forge.comments[:2]] == ["not ours", "of another environment"]

    # on main it is planned again, and another job applies just that, after an approval
    applied = {"validate": "success", "plan-hub": "success", "apply-hub": "success"}
    assert run("push") == (applied, ["production-plan", "production"])
    assert stack.made == 1
    assert "t3.large" in json.dumps(world.cluster("hub"))

    # drift opens one issue, and its end closes it
    looked = {"drift-hub": "success", "drift-issue-hub": "success"}
    world.put_external_id("hub", "changed-by-hand")
    assert run("schedule") == (looked, ["production-plan"])
    run("workflow_dispatch", action="drift", stack="hub")
    assert [(issue["title"], issue["state"]) for issue in forge.issues] == [
        ("The stack hub (production) has drifted", "open")
    ]
    assert "actions/runs/77" in forge.issues[0]["body"]
    world.put_external_id("hub", EXTERNAL_ID)
    run("schedule")
    assert [issue["state"] for issue in forge.issues] == ["closed"]

    # it is destroyed by hand alone, and only with the name typed once more
    wrong = run("workflow_dispatch", action="destroy", stack="hub", confirm="hab")
    assert wrong == ({"destroy-hub": "failure"}, ["production-destroy"])
    assert world.cluster("hub") is not None
    assert run("workflow_dispatch", action="destroy", stack="hub", confirm="hub")[0]["destroy-hub"] == "success"
    assert world.cluster("hub") is None
    assert "is not the stack's name" in machine.said
    quiet(machine)


def test_gitlab(tool: Tool, world: World, forge: Forge) -> None:
    stack = stack_of(tool, world, "lab")
    (file,) = documents(written(tool, stack, "gitlab"))
    machine = machine_of(tool, stack)
    # no static keys: the job's own token takes the role
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        machine.env.pop(name, None)
    # Terraform's S3 backend asks STS for it at this name's address alone
    machine.env["AWS_ENDPOINT_URL_STS"] = machine.env["AWS_ENDPOINT_URL"]
    common = {
        "GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "7", "CI_JOB_URL": "https://lab.example/1",
        "GRIDBYOC_BUNDLE_KEY": KEY, "GRIDBYOC_ROLE_ARN": ROLE, "GRIDBYOC_GITLAB_TOKEN": TOKEN,
    }  # fmt: skip

    def run(source: str, **variables: str) -> tuple[list[str], GitlabPipeline]:
        made = GitlabPipeline(file, machine, {**common, "CI_PIPELINE_SOURCE": source, **variables})
        ended = made.run()
        return [name.removeprefix("gridbyoc ").removesuffix(" lab") for name, fine in ended.items() if fine], made

    of = {"CI_MERGE_REQUEST_IID": "5", "CI_MERGE_REQUEST_PROJECT_PATH": "acme/platform"}
    assert run("merge_request_event", CI_MERGE_REQUEST_SOURCE_PROJECT_PATH="mallory/platform", **of)[0] == ["validate"]
    ran, pipeline = run("merge_request_event", CI_MERGE_REQUEST_SOURCE_PROJECT_PATH="acme/platform", **of)
    assert ran == ["validate", "plan", "comment"], machine.said
    # what a merge request brings along is no part of the job that has the token
    (stack.directory / "json.py").write_text("raise SystemExit('a module of the repository was imported')\n")
    assert pipeline.retry("gridbyoc comment lab"), machine.said
    (stack.directory / "json.py").unlink()
    assert len(forge.comments) == 1
    assert f"PUT /projects/7/merge_requests/5/notes/{forge.comments[0]['id']}" in forge.calls
    report = machine.stored["gridbyoc plan lab/gridbyoc-terraform-report.json"]
    assert json.loads(report.read_text()) == {"create": 2, "update": 0, "delete": 0}
    assert json.loads(machine.stored["gridbyoc validate lab/gridbyoc-code-quality.json"].read_text()) == []

    main = {"CI_COMMIT_BRANCH": "main"}
    assert run("push", CI_COMMIT_BRANCH="other")[0] == []
    ran, pipeline = run("push", **main)
    assert ran == ["validate", "plan", "apply"]
    assert pipeline.manual == ["gridbyoc apply lab"]
    assert pipeline.environments == ["production-plan", "production"]
    assert stack.made == 1

    world.put_external_id("lab", "changed-by-hand")
    assert run("schedule", **main)[0] == ["drift", "drift issue"]
    assert [issue["state"] for issue in forge.issues] == ["open"]
    world.put_external_id("lab", EXTERNAL_ID)
    assert run("schedule", **main)[0] == ["drift", "drift issue"]
    assert [issue["state"] for issue in forge.issues] == ["closed"]

    assert run("web", GRIDBYOC_DESTROY="lob", **main)[0] == []
    ran, pipeline = run("web", GRIDBYOC_DESTROY="lab", **main)
    assert (ran, pipeline.manual) == (["destroy"], ["gridbyoc destroy lab"])
    assert world.cluster("lab") is None
    quiet(machine)


def test_make(tool: Tool, world: World) -> None:
    stack = stack_of(tool, world, "maker")
    written(tool, stack, "make")
    machine = machine_of(tool, stack)
    (stack.directory / "Makefile").write_text("include make/gridbyoc.mk\nmine:\n\t@echo mine is first\n")

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        own = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of a make that runs this suite
        env = {name: value for name, value in machine.env.items() if name not in own} | {"GRIDBYOC_BUNDLE_KEY": KEY}
        return subprocess.run(
            ["make", *args], cwd=stack.directory, env=env, capture_output=True, text=True, timeout=120
        )

    assert run().stdout == "mine is first\n"
    for target in ("gridbyoc-validate", "gridbyoc-plan//gridbyoc.yaml"):
        assert run(target).returncode == 0
    assert (stack.directory / "gridbyoc.yaml.bundle").exists()
    done = run("gridbyoc-apply")
    assert done.returncode == 0, done.stderr
    assert not (stack.directory / "gridbyoc.yaml.bundle").exists()
    assert run("gridbyoc-drift").returncode == 0
    assert "Say which stack" in run("gridbyoc-destroy").stderr
    assert world.cluster("maker") is not None
    assert run("gridbyoc-destroy", "GRIDBYOC_CONFIRM=gridbyoc.yaml").returncode == 0
    assert world.cluster("maker") is None


STAGE = re.compile(r"\n    stage\('([^']+)'\) \{(.*?)\n    \}(?=\n)", re.DOTALL)
SET = re.compile(r"\n        (\w+) = '([^']*)'")
SHELL = re.compile(r"'''#!/bin/bash\n(.*?)'''", re.DOTALL)


def test_jenkins(tool: Tool, world: World) -> None:
    """Its shell steps alone: nothing here understands the Groovy around them."""
    stack = stack_of(tool, world, "jen")
    text = written(tool, stack, "jenkins")
    machine = machine_of(tool, stack)
    requirement = {"GRIDBYOC_REQUIREMENT": REQUIREMENT, "GRIDBYOC_BUNDLE_KEY": KEY}
    assert [name for name, body in STAGE.findall(text) if "BUNDLE_KEY" in body] == ["Plan jen", "Apply jen"]
    stages = {name: (dict(SET.findall(body)), SHELL.findall(body)) for name, body in STAGE.findall(text)}
    assert list(stages) == [
        "Validate jen", "Review jen", "Plan jen", "Approve jen", "Apply jen", "Drift of jen", "Destroy jen",
    ]  # fmt: skip
    assert "redentials" not in dict(STAGE.findall(text))["Validate jen"]
    statuses = {}
    for name, confirm in [
        ("Validate jen", ""), ("Plan jen", ""), ("Apply jen", ""), ("Drift of jen", ""), ("Destroy jen", "no"),
        ("Destroy jen", "jen"),
    ]:  # fmt: skip
        env, (script,) = stages[name]
        workspace = machine.workspace()
        machine.check_out(workspace)
        if name == "Apply jen":
            machine.fetch("bundle", workspace)
        statuses[name, confirm] = machine.bash(script, workspace, {**env, **requirement, "CONFIRM": confirm})
        if name == "Plan jen":
            machine.store("bundle", workspace / "plan.bundle")
    assert [status for key, status in statuses.items() if key[1] != "no"] == [0] * 5, machine.said
    assert statuses["Destroy jen", "no"] == 1
    assert (stack.made, world.cluster("jen")) == (1, None)
    quiet(machine)


def argo_script(template: dict[str, Any], machine: Machine, parameters: dict[str, str]) -> int:
    """Run a template's script in a checkout; what it writes below /tmp goes to a directory of the test."""
    workspace = machine.workspace()
    machine.check_out(workspace)
    script = template["script"]
    assert script["command"] == ["bash", "-euo", "pipefail"]

    def filled(text: str) -> str:
        return re.sub(r"\{\{(.*?)\}\}", lambda match: parameters[match[1]], text)

    env = {each["name"]: filled(each["value"]) for each in script["env"]}
    source = "set -u\n" + script["source"].replace("/tmp/", f"{machine.root}/tmp/")
    (machine.root / "tmp").mkdir(exist_ok=True)
    return machine.bash(source, workspace, {**env, "GRIDBYOC_BUNDLE_KEY": KEY})


def test_argo(tool: Tool, world: World) -> None:
    stack = stack_of(tool, world, "arg")
    machine = machine_of(tool, stack)
    found = documents(written(tool, stack, "argo"))
    templates = {each["name"]: each for each in found[0]["spec"]["templates"]}
    assert argo_script(templates["plan"], machine, {}) == 0
    assert argo_script(templates["apply"], machine, {}) == 0
    assert stack.made == 1
    (drift,) = found[2]["spec"]["workflowSpec"]["templates"]
    assert argo_script(drift, machine, {}) == 0
    destroy = found[1]["spec"]["templates"][-1]
    assert argo_script(destroy, machine, {"workflow.parameters.confirm": ""}) == 1

    fleet = documents(written(tool, stack, "argo", "--fleet", "--force"))
    templates = {each["name"]: each for each in fleet[0]["spec"]["templates"]}
    assert argo_script(templates["matrix"], machine, {}) == 0
    shards = json.loads((machine.root / "tmp" / "shards.json").read_text())
    assert shards == [{"name": "arg", "stack": "gridbyoc.yaml"}]
    shard = {"inputs.parameters.stack": shards[0]["stack"]}
    assert argo_script(templates["bootstrap"], machine, shard) == 0
    assert argo_script(destroy, machine, {"workflow.parameters.confirm": "arg"}) == 0
    assert world.cluster("arg") is None
    quiet(machine)


def test_a_file_of_somebody_else_stays(tool: Tool, world: World) -> None:
    stack = stack_of(tool, world, "kept")
    here = replace(tool, directory=stack.directory)
    assert here("pipeline", "gitlab").out.startswith("Wrote .gitlab-ci.gridbyoc.yml.")
    assert "Nothing has changed" in here("pipeline", "gitlab").out
    assert "as it would be written" in here("pipeline", "gitlab", "--check").out
    differs = here("pipeline", "gitlab", "--check", "--branch", "trunk", status=3)
    assert "+    - if: " in differs.out
    target = stack.directory / ".gitlab-ci.gridbyoc.yml"
    target.write_text("stages: [mine]\n")
    assert "was not written by" in here("pipeline", "gitlab", status=2).err
    assert target.read_text() == "stages: [mine]\n"
    here("pipeline", "gitlab", "--force")
    assert here("pipeline", "gitlab", "--out", "-").out == target.read_text()
    assert target.stat().st_mode & 0o777 == 0o644
    (stack.directory / "elsewhere").mkdir()
    here("pipeline", "jenkins", "--out", "elsewhere")
    assert Path(stack.directory, "elsewhere", "Jenkinsfile.gridbyoc").exists()
