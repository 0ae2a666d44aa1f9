"""A stack whose module makes nothing in AWS: quick enough to be run many times, real in everything else.

Its role is there already; its one resource writes a line into a file when it is created, so that a second creation
is seen from outside, whatever the state says.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3

from gridbyoc.vendors import VendorType, facts_of
from tests.e2e.conftest import Tool, World
from tests.e2e.gates import LIGHT

EXTERNAL_ID = "fast-0123456789abcdef"
MODULE = """
variable "witness" { type = string }
variable "script" { type = string }

resource "terraform_data" "this" {
  input = "x"
  provisioner "local-exec" {
    command = "echo made >> ${var.witness}; ${var.script}"
  }
}

output "role_arn" {
  value = "ROLE_ARN"
  depends_on = [terraform_data.this]
}

output "external_id" {
  value     = "EXTERNAL_ID"
  sensitive = true
}
"""


@dataclass(frozen=True)
class FastStack:
    """One stack in a directory of its own."""

    tool: Tool
    name: str
    directory: Path
    witness: Path

    @property
    def file(self) -> Path:
        return self.directory / "gridbyoc.yaml"

    @property
    def work_dir(self) -> Path:
        return self.directory / ".gridbyoc" / self.name

    @property
    def made(self) -> int:
        """How often its resource has been created."""
        return len(self.witness.read_text().splitlines()) if self.witness.exists() else 0

    def put_state(self, lineage: str = "f1e2d3c4-0000-0000-0000-000000000001", serial: int = 3) -> dict[str, Any]:
        """A local state as an apply would have left it."""
        resource = {
            "module": "module.gridbyoc", "mode": "managed", "type": "terraform_data", "name": "this",
            "provider": 'module.gridbyoc.provider["terraform.io/builtin/terraform"]',
            "instances": [{"schema_version": 0, "attributes": {"id": f"of-{self.name}"}, "sensitive_attributes": []}],
        }  # fmt: skip
        outputs = {"external_id": {"value": EXTERNAL_ID, "type": "string", "sensitive": True}}
        state = {
            "version": 4, "terraform_version": "1.5.0", "serial": serial, "lineage": lineage, "outputs": outputs,
            "resources": [resource],
        }  # fmt: skip
        self.work_dir.mkdir(parents=True, exist_ok=True)
        (self.work_dir / "terraform.tfstate").write_text(json.dumps(state))
        return state

    def write_root(self, backend: str, script: str) -> None:
        """A root module of its own in the work_dir, for a terraform that is run there by hand."""
        self.work_dir.mkdir(parents=True, exist_ok=True)
        provisioner = f'provisioner "local-exec" {{\n    command = {json.dumps(script)}\n  }}'
        resource = f'resource "terraform_data" "this" {{\n  {provisioner}\n}}\n'
        (self.work_dir / "main.tf").write_text(f"terraform {{\n  {backend}\n}}\n{resource}")

    def state(self) -> dict[str, Any]:
        """The local state file."""
        found: dict[str, Any] = json.loads((self.work_dir / "terraform.tfstate").read_text())
        return found


def role_arn(world: World, name: str, vendor: VendorType = "grid") -> str:
    """A role that the control plane may assume and finds sufficient; made once."""
    for role in world.roles(name):
        if role["RoleName"] == name:
            return str(role["Arn"])
    iam = world.iam()
    facts = facts_of(vendor)
    root = f"arn:aws:iam::{facts.trusted_account.account_id}:root"
    who = {"Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    condition = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy({**who, "Condition": condition}))
    (actions,) = facts.permissions.statements
    grants = policy({"Action": list(actions), "Resource": "*"})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=grants)
    for policy_name in facts.permissions.managed_policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy_name}")
    return str(made["Role"]["Arn"])


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def fast_stack(
    tool: Tool,
    world: World,
    name: str,
    *,
    place: str = "one",
    backend: str = "local: {}",
    script: str = "true",
    role: str | None = None,
    vendor: VendorType = "grid",
) -> FastStack:
    """Write the stack file and its module below ``place``; ``script`` runs when the resource is created.

    ``vendor``: whom the role trusts.
    ``role`` names its role, one of its own unless it is given: clusters of a role that the file lacks are deletions.
    """
    directory = tool.directory / place
    (directory / "mod").mkdir(parents=True, exist_ok=True)
    arn = role_arn(world, role or f"fast-{name}", vendor)
    text = MODULE.replace("ROLE_ARN", arn).replace("EXTERNAL_ID", EXTERNAL_ID)
    (directory / "mod" / "main.tf").write_text(text)
    made = FastStack(tool, name, directory, tool.directory / f"{name}.made")
    inputs = json.dumps({"witness": str(made.witness), "script": script})
    made.file.write_text(
        f"version: 1\nname: {name}  # kept\naws: {{region: us-east-1}}\n"
        f"clusters:\n  - name: {name}\n    instance_types: [t2.medium]\n"
        f"terraform:\n  # where the state lies\n  backend: {{{backend}}}\n"
        f"  module:\n    source: ./mod\n    inputs: {inputs}\n"
    )
    return made


def without_aws_provider(tool: Tool) -> Tool:
    """The same tool, with a ``terraform`` on its PATH that leaves the AWS provider out of fast stacks."""
    programs = tool.directory.parent / "light"
    programs.mkdir(exist_ok=True)
    program = programs / "terraform"
    program.write_text(f'#!/bin/sh\n{LIGHT}\nexec "{shutil.which("terraform")}" "$@"\n')
    program.chmod(0o755)
    return replace(tool, env={**tool.env, "PATH": f"{programs}{os.pathsep}{tool.env['PATH']}"})


def s3_of(world: World) -> Any:
    return boto3.client(
        "s3", endpoint_url=world.sandbox.aws_url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip


def keys_of(world: World, bucket: str) -> list[str]:
    """The objects in a bucket."""
    return [item["Key"] for item in s3_of(world).list_objects_v2(Bucket=bucket).get("Contents", [])]
