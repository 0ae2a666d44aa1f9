"""Plan and apply as two jobs: exactly what was planned, or a refusal that says what has moved."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from gridbyoc.sandbox import Sandbox
from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.fast_stack import EXTERNAL_ID, FastStack, fast_stack, s3_of

BUCKET = "bundle-states"
KEY = "a key that both jobs have"
LOCK_FILE = ".terraform.lock.hcl"
ENV = {"GRIDBYOC_BUNDLE_KEY": KEY}
CLEAR: dict[str, str | None] = {"GRIDBYOC_BUNDLE_KEY": None}
"""For a bundle that is not encrypted: a third of a second of CPU goes into the key, each time."""


@pytest.fixture(scope="module", autouse=True)
def states(sandbox: Sandbox) -> None:
    s3_of(World(sandbox)).create_bucket(Bucket=BUCKET)


def in_s3(name: str) -> str:
    return f"s3: {{bucket: {BUCKET}, key: {name}, region: us-east-1}}"


def plan(tool: Tool, stack: FastStack, *options: str, **env: str | None) -> Path:
    """A bundle of the stack, made in its directory."""
    bundle = tool.directory / f"{stack.name}.bundle"
    tool("plan", str(stack.file), "--out", str(bundle), "--skip-preflight", *options, **{**ENV, **env})
    return bundle


def apply(tool: Tool, bundle: Path, file: Path, *options: str, status: int = 0, **env: str | None) -> Done:
    return tool("apply", str(bundle), str(file), "--yes", "--skip-preflight", *options, status=status, **{**ENV, **env})


def stale(tool: Tool, bundle: Path, file: Path, *lines: str, **env: str | None) -> None:
    """It is refused with status 9 and exactly these differences, and nothing is done."""
    done = apply(tool, bundle, file, "--format", "json", status=9, **env)
    error = json.loads(done.out.splitlines()[-1])
    assert error["code"] == "GBY-T008"
    found = error["diagnostics"]
    assert len(found) == len(lines), found
    assert all(line in text for line, text in zip(lines, found, strict=True)), found


def copy_of(stack: FastStack, place: str) -> Path:
    """The stack file in another checkout: without its work_dir."""
    target = stack.tool.directory / place
    shutil.copytree(stack.directory, target, ignore=shutil.ignore_patterns(".gridbyoc"))
    return target / stack.file.name


def change_type(stack: FastStack, kind: str) -> None:
    stack.file.write_text(stack.file.read_text().replace("[t2.medium]", f"[{kind}]"))


def test_a_plan_of_one_cluster_is_applied_to_it_alone(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "some")
    text = stack.file.read_text().replace("clusters:\n", "clusters:\n  - {name: one, instance_types: [t2.medium]}\n")
    stack.file.write_text(text)
    bundle = plan(tool, stack, "--cluster", "one", "--unencrypted", **CLEAR)
    done = apply(tool, bundle, stack.file, "--no-wait", "--format", "json", **CLEAR)
    report = json.loads(done.out)
    assert [report["partial"], report["left_out"]] == [True, ["some"]]
    assert world.cluster("one") is not None
    assert world.cluster("some") is None
    asked = ("--cluster", "one", "--cluster", "some", "--yes", "--no-wait", "--skip-preflight", "--format", "json")
    assert json.loads(tool("bootstrap", str(stack.file), *asked).out)["left_out"] == []
    status = json.loads(tool("status", str(stack.file), "--format", "json").out)
    assert status["last_run"]["only"] == ["one", "some"]


def test_whatever_moves_is_named_and_nothing_is_done(tool: Tool, world: World) -> None:
    """One stack that is up, one bundle of a change; things are moved and put back, and then it is carried out."""
    stack = fast_stack(tool, world, "moves", backend=in_s3("moves"))
    base, file = stack.directory / "base.yaml", stack.file
    base.write_text("aws: {region: us-east-1}\n")
    file.write_text("extends: [./base.yaml]\n" + file.read_text().replace("aws: {region: us-east-1}\n", ""))
    tool("bootstrap", str(file), "--yes", "--no-wait")
    wait_for(world, "moves")
    change_type(stack, "t3.large")
    setting = ("--set", "clusters[0].performance_profile=default")
    bundle = plan(tool, stack, "--unencrypted", *setting, **CLEAR)
    assert bundle.stat().st_mode & 0o777 == 0o600
    refused = tool("apply", str(bundle), str(file), status=2, **CLEAR)
    assert "--yes" in refused.err
    assert "~ cluster moves" in refused.err
    assert not list(stack.directory.rglob("*.tfplan"))

    newer = newer_terraform(tool)
    with edited(base), edited(stack.directory / "mod" / "main.tf"), edited(stack.work_dir / LOCK_FILE):
        stale(
            tool, bundle, file, "the stack file base.yaml was changed", "the module was changed",
            "the provider lock file .terraform.lock.hcl was changed", "Terraform is terraform 1.99.0, but was",
            "the environment sets other default tags or endpoints for Terraform",
            "the AWS account is 222222222222, but the plan was made in 123456789012",
            **CLEAR, GRIDBYOC_TERRAFORM_BIN=str(newer), TF_AWS_DEFAULT_TAGS_team="x", **keys_of_another_account(world),
        )  # fmt: skip
    with renamed(file, "moves", "other"):
        stale(
            tool,
            bundle,
            file,
            "the stack is other, but the bundle is for moves",
            "the stack file gridbyoc.yaml was",
            **CLEAR,
        )
    elsewhere = tool.env["GRID_URL"].replace("127.0.0.1", "localhost")
    copy_cluster(world, "moves", "moves-b")
    world.put_external_id("moves", "changed-by-hand")
    with state_as(world, "moves", serial=99):
        stale(
            tool, bundle, file, "the control plane is http://localhost", "the state changed from serial",
            "the cluster moves (moves) was changed", "the cluster moves-b (moves-b) is new", GRID_URL=elsewhere,
            **CLEAR,
        )  # fmt: skip
    assert "t2.medium" in json.dumps(world.cluster("moves"))
    world.put_external_id("moves", EXTERNAL_ID)
    delete_cluster(world, "moves-b")
    apply(tool, bundle, file, **CLEAR)
    assert "t3.large" in json.dumps(world.cluster("moves"))
    assert "PERFORMANCE_PROFILE_DEFAULT" in json.dumps(world.cluster("moves"))
    assert stack.made == 1

    # a deletion takes a word of its own, and is not done twice
    copy_cluster(world, "moves", "moves-c")
    bundle = plan(tool, stack, "--unencrypted", *setting, **CLEAR)
    assert "--yes-destroy" in apply(tool, bundle, file, status=2, **CLEAR).err
    apply(tool, bundle, file, "--yes-destroy", **CLEAR)
    assert world.cluster("moves-c") is None
    stale(tool, bundle, file, "this bundle was applied already", **CLEAR)
    # A fresh checkout has no journal, but the control plane tells.
    stale(tool, bundle, copy_of(stack, "fresh"), "the cluster moves-c (moves-c) was deleted", **CLEAR)


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """While inside, the file has one more line."""
    before = file.read_bytes() if file.exists() else None
    file.write_bytes((before or b"") + b"# a word\n")
    yield
    if before is None:
        file.unlink()
    else:
        file.write_bytes(before)


@contextmanager
def renamed(file: Path, before: str, after: str) -> Iterator[None]:
    text = file.read_text()
    file.write_text(text.replace(f"name: {before}  #", f"name: {after}  #"))
    yield
    file.write_text(text)


def newer_terraform(tool: Tool) -> Path:
    program = tool.write('#!/bin/sh\n[ "$1" = version ] && echo \'{"terraform_version": "1.99.0"}\'\n', "newer")
    program.chmod(0o755)
    return program


def keys_of_another_account(world: World) -> dict[str, str]:
    sts = boto3.client(
        "sts", endpoint_url=world.sandbox.aws_url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    arn = "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole"
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="other")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }  # fmt: skip


@contextmanager
def state_as(world: World, key: str, **fields: Any) -> Iterator[None]:
    """While inside, the state in S3 says otherwise."""
    s3 = s3_of(world)
    before = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps({**json.loads(before), **fields}).encode())
    yield
    s3.put_object(Bucket=BUCKET, Key=key, Body=before)


def ask(world: World, method: str, path: str, **body: Any) -> None:
    env = world.sandbox.env
    url = f"{world.sandbox.control_plane_url}/v1/core/clusters{path}"
    keys = (env["GRID_USER_ID"], env["GRID_API_KEY"])
    requests.request(method, url, json=body or None, auth=keys, timeout=10).raise_for_status()


def copy_cluster(world: World, name: str, copy: str) -> None:
    """Somebody makes a cluster like ours through our role."""
    found = world.cluster(name)
    assert found is not None
    ask(world, "POST", "", name=copy, spec=found["spec"])
    wait_for(world, copy)


def delete_cluster(world: World, name: str) -> None:
    found = world.cluster(name)
    assert found is not None
    ask(world, "DELETE", f"/{found['id']}")
    until(lambda: world.cluster(name) is None)


def wait_for(world: World, name: str) -> None:
    until(lambda: (world.cluster(name) or {"status": {}})["status"].get("phase") == "CLUSTER_STATE_RUNNING")


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.1)


def test_keys(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "keys")
    bundle = plan(tool, stack)
    wrong = apply(tool, bundle, stack.file, status=2, GRIDBYOC_BUNDLE_KEY="another key, as long as it")
    assert "is not the key of this bundle" in wrong.err
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-400] + bytes([whole[-400] ^ 1]) + whole[-399:])
    assert "GBY-B001" in apply(tool, bundle, stack.file, status=1).err

    clear = plan(tool, stack, "--unencrypted", GRIDBYOC_BUNDLE_KEY=None)
    assert clear.stat().st_mode & 0o777 == 0o600
    assert "not encrypted" in apply(tool, clear, stack.file, status=2).err
    elsewhere = copy_of(stack, "elsewhere")
    stale(tool, clear, elsewhere, "the state is local, but", GRIDBYOC_BUNDLE_KEY=None)
    assert stack.made == 0
    assert "NOT" not in apply(tool, clear, stack.file, GRIDBYOC_BUNDLE_KEY=None).err
    assert stack.made == 1
    assert world.cluster("keys") is not None


def test_a_bundle_of_a_local_state_is_not_applied_again_after_the_destruction(tool: Tool, world: World) -> None:
    """State and clusters are as they were when it was made."""
    stack = fast_stack(tool, world, "once")
    bundle = plan(tool, stack)
    apply(tool, bundle, stack.file)
    tool("destroy", str(stack.file), "--yes-destroy")
    assert world.cluster("once") is None
    assert not (stack.work_dir / "terraform.tfstate").exists()
    stale(tool, bundle, stack.file, "this bundle was applied already", "the stack was destroyed after the plan")
    assert stack.made == 1
    apply(tool, plan(tool, stack), stack.file)
    assert stack.made == 2


def test_the_external_id_is_in_no_report_and_in_no_encrypted_bundle(tool: Tool, world: World) -> None:
    stack = fast_stack(tool, world, "quiet-bundle")
    tool("bootstrap", str(stack.file), "--yes", "--skip-preflight")
    change_type(stack, "t3.large")
    summary, outputs = tool.directory / "summary", tool.directory / "outputs"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}
    bundle = tool.directory / "quiet.bundle"
    reports = ("--report", "plan.md", "--report", "plan.json")
    said = [
        tool("plan", str(stack.file), "--out", str(bundle), *reports, "--skip-preflight", **ENV, **github).text,
        apply(tool, bundle, stack.file, "--report", "apply.md", "--format", "markdown", **github).text,
    ]
    written = {path.name: path.read_bytes() for path in tool.directory.iterdir() if path.is_file()}
    assert {"plan.md", "plan.json", "apply.md", "summary", "outputs", "quiet.bundle"} <= written.keys()
    assert EXTERNAL_ID not in "".join(said)
    assert [name for name, data in written.items() if EXTERNAL_ID.encode() in data] == []
    assert "Applied" in written["summary"].decode()
    assert "has_changes" in written["outputs"].decode()


def test_a_real_role_s_permissions_in_words(tool: Tool) -> None:
    role = "{name: grid-words, statements: [{actions: ['eks:*', 'ecr:*']}], managed_policies: [AmazonS3FullAccess]}"
    text = stack_text("words", role=role)
    tool.write(text)
    tool("bootstrap", "--yes", "--no-wait")
    external_id = tool("outputs", "--reveal", "--name", "external_id").out.strip()
    other = "arn:aws:iam::123456789012:user/ci"
    now = text.replace("'ecr:*'", "'iam:PassRole'").replace("[AmazonS3FullAccess]", "[AmazonSQSFullAccess]")
    tool.write(now.replace("{name: grid-words,", f"{{name: grid-words, trusted_principals: ['{other}'],"))
    done = tool(
        "plan", "--format", "markdown", "--skip-preflight", "--unencrypted", "--out", "clear", GRIDBYOC_BUNDLE_KEY=None
    )
    for line in (
        f"The role `grid-words` may now be assumed by `{other}` (with the external id)",
        "\u26a0 The role `grid-words` gains `iam:PassRole` on all resources (creates principals)",
        "\u26a0 The role `grid-words` gains `sqs:*` on all resources (spends money, deletes, reads data)",
        "The role `grid-words` loses `ecr:*` on all resources (spends money, deletes, reads data)",
        "The role `grid-words` loses `s3:*` on all resources (spends money, deletes, reads data)",
        "The role `grid-words` gets 1 policy of AWS attached: `AmazonSQSFullAccess`",
        "The role `grid-words` loses 1 policy of AWS: `AmazonS3FullAccess`",
        "The role `grid-words` may be assumed by `any principal of account 302180240179` (with the external id)"
        ", as before",
    ):
        assert f"- {line}\n" in done.out
    assert "assume_role_policy: (sensitive)" in done.out
    assert external_id not in done.text
    assert "NOT encrypted" in done.err


def test_what_a_killed_run_left_is_taken_up_only_where_nothing_has_moved(tool: Tool) -> None:
    """A role that the state has lost: the plan would make a second one. No refusal says that it left the state alone
    and has written it.
    """
    tool.write(stack_text("left-behind"))
    tool("bootstrap", "--yes", "--no-wait")
    state = tool.directory / ".gridbyoc" / "left-behind" / "terraform.tfstate"
    found = json.loads(state.read_text())
    found["resources"] = [each for each in found["resources"] if each["type"] != "aws_iam_role"]
    state.write_text(json.dumps(found))
    bundle = tool.directory / "left.bundle"
    tool("plan", "--out", str(bundle), "--skip-preflight", **ENV)

    state.write_text(json.dumps({**found, "serial": found["serial"] + 1}))
    stale(tool, bundle, tool.directory / "gridbyoc.yaml", "the state changed from serial")
    assert '"aws_iam_role"' not in state.read_text()

    state.write_text(json.dumps(found))
    refused = apply(tool, bundle, tool.directory / "gridbyoc.yaml", status=9)
    assert "they have been imported now" in refused.err
    assert "Nothing was created or changed" not in refused.err
    assert "Only the state was changed" in refused.err
    assert '"aws_iam_role"' in state.read_text()
