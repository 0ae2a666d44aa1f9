"""What the tests of every engine's pipeline have in common: a quick stack in a repository, and where its jobs run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gridbyoc
from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import EXTERNAL_ID, FastStack, fast_stack, s3_of
from tests.e2e.job_shell import Machine
from tests.e2e.shell_steps import Ledger

BUCKET = "pipeline-states"
KEY = "a key that both jobs have"
ROLE = "arn:aws:iam::123456789012:role/gridbyoc-ci"
LIGHT = """#!/bin/sh
case "$1" in -chdir=*) cd "${1#-chdir=}" || exit 1; shift ;; esac
[ -e versions.tf ] && [ -e providers.tf ] || exec terraform "$@"
mv versions.tf versions.aside && mv providers.tf providers.aside
terraform "$@"
status=$?
mv versions.aside versions.tf && mv providers.aside providers.tf
exit $status
"""
"""Loading the AWS provider, and checking it against the lock file, takes most of the time of a run."""


def stack_of(tool: Tool, world: World, name: str, place: str = "one") -> FastStack:
    s3_of(world).create_bucket(Bucket=BUCKET)
    backend = f"s3: {{bucket: {BUCKET}, key: {name}, region: us-east-1}}"
    return fast_stack(tool, world, name, place=place, backend=backend)


def let_the_proof_fail(world: World, name: str) -> None:
    """Put a policy on the stack's role that denies what the control plane needs. To drift it is no difference."""
    deny = {"Effect": "Deny", "Action": "iam:PassRole", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    world.iam().put_role_policy(RoleName=f"fast-{name}", PolicyName="brake", PolicyDocument=document)


def machine_of(tool: Tool, repository: Path, ledger: Ledger) -> Machine:
    """Where its jobs run, with a Terraform that leaves the provider out, which the stack has no use for."""
    machine = Machine(tool.directory / "machine", repository, dict(tool.env), ledger)
    machine.program("light-terraform", LIGHT)
    machine.env["GRIDBYOC_TERRAFORM_BIN"] = str(machine.root / "bin" / "light-terraform")
    return machine


def without_keys(machine: Machine) -> None:
    """Leave a job no keys of AWS but a token of its own, which takes the role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        machine.env.pop(name, None)
    # Terraform's S3 backend asks STS for it at this name's address alone
    machine.env["AWS_ENDPOINT_URL_STS"] = machine.env["AWS_ENDPOINT_URL"]


def written(tool: Tool, repository: Path, ledger: Ledger, *options: str) -> str:
    """The engine's pipeline, written in the repository; the ledger reads which shells there are in it."""
    here = replace(tool, directory=repository)
    file = json.loads(here("pipeline", ledger.engine, *options, "--format", "json").out)["file"]
    text = (repository / file).read_text()
    ledger.read(text)
    return text


def quiet(machine: Machine) -> None:
    """The external id, and the key of the bundles, are in no job's log and in nothing that was handed on."""
    artifacts = [path.read_bytes() for path in (machine.root / "artifacts").rglob("*") if path.is_file()]
    for secret in (EXTERNAL_ID, KEY):
        assert secret not in machine.said
        assert [data for data in artifacts if secret.encode() in data] == []
    (installed,) = set(machine.installed)
    name = f"gridbyoc[embedded]=={gridbyoc.__version__}"
    what = name if gridbyoc.ON_PYPI else f"./wheels/gridbyoc-{gridbyoc.__version__}-py3-none-any.whl[embedded]"
    assert installed == f"-m pip install --quiet --disable-pip-version-check {what}"


def change_type(stack: FastStack) -> None:
    stack.file.write_text(stack.file.read_text().replace("[t2.medium]", "[t3.large]"))


def replace_cluster(stack: FastStack, name: str) -> None:
    """Ask for a cluster of another name in the place of the one that the stack has: that is a deletion as well."""
    text = stack.file.read_text()
    assert text.count("  - name: ") == 1
    before, _, after = text.partition("  - name: ")
    stack.file.write_text(f"{before}  - name: {name}\n{after.partition(chr(10))[2]}")
