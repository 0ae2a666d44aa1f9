"""One account: what is shown is where Terraform works, whatever variables, profiles and files say. ``-s`` prints.

The AWS provider is the real one, started by Terraform, since it has to find the credentials by itself.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import certifi
import pytest

from tests.e2e.conftest import Tool, World
from tests.e2e.fast_stack import fast_stack, s3_of, without_aws_provider
from tests.e2e.scene import show

ONE, TWO = "123456789012", "222222222222"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
STACK = """version: 1
name: accounts
aws: {region: us-east-1}
role: {name: grid-accounts}
clusters:
  - {name: accounts, instance_types: [t2.medium]}
"""


def key_of(world: World, account: str) -> dict[str, str]:
    """An access key of that account, by the variables' names."""
    sts = boto3.client(
        "sts", endpoint_url=world.sandbox.aws_url, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
    )  # fmt: skip
    if account == ONE:
        return dict.fromkeys(KEYS[:2], "test")
    arn = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    made = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return dict(zip(KEYS, (made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]), strict=True))


def profile(name: str, key: dict[str, str]) -> str:
    settings = "".join(f"{variable.lower()} = {value}\n" for variable, value in key.items())
    return f"[profile {name}]\nregion = us-east-1\n{settings}"


def with_profiles(tool: Tool, **env: str) -> Tool:
    """The tool without a key in its environment."""
    return replace(tool, env={name: value for name, value in tool.env.items() if name not in KEYS} | env)


def roles_of(world: World, key: dict[str, str]) -> list[str]:
    iam = boto3.client(
        "iam",
        endpoint_url=world.sandbox.aws_url,
        region_name="us-east-1",
        **{variable.lower(): value for variable, value in key.items()},
    )  # type: ignore[call-overload]  # keywords
    return [role["Arn"] for role in iam.list_roles()["Roles"] if role["RoleName"] == "grid-accounts"]


def test_two_accounts_and_two_variables_end_in_the_account_that_was_shown(tool: Tool, world: World) -> None:
    keys = {"one": key_of(world, ONE), "two": key_of(world, TWO)}
    (tool.directory / "config").write_text("\n".join(profile(name, key) for name, key in keys.items()))
    tool = with_profiles(tool, AWS_CONFIG_FILE="config")
    tool.write(STACK)
    both = {"AWS_PROFILE": "one", "AWS_DEFAULT_PROFILE": "two"}
    done = tool("bootstrap", "--yes", "--skip-preflight", "--format", "json", **both)
    report = done.objects[-1]
    assert report["account_id"] == TWO
    assert (roles_of(world, keys["one"]), roles_of(world, keys["two"])) == ([], [report["role_arn"]])
    work_dir = tool.directory / ".gridbyoc" / "accounts"
    values = json.loads((work_dir / "terraform.tfvars.json").read_bytes())
    assert values["account_id"] == TWO
    written = [path for path in work_dir.rglob("*") if path.is_file() and ".terraform/providers" not in str(path)]
    assert not [path for path in written if b"credential_process" in path.read_bytes()]

    refused = tool("bootstrap", "--yes", "--skip-preflight", status=4, AWS_PROFILE="one")
    assert f"belong to account {ONE}, but the stack's role is in account {TWO}" in refused.err
    assert f'aws.account_id: "{ONE}"' in refused.err
    assert roles_of(world, keys["one"]) == []

    rows = [("who", "what", "came of it"), ("gridbyoc", "bootstrap, two variables", f"role in {TWO}, as shown")]
    rows += [("gridbyoc", "bootstrap, the other account", "status 4, nothing made")]
    argv = ["terraform", "plan", "-input=false", "-no-color"]
    environ = {**{name: value for name, value in tool.env.items() if name != "AWS_CONFIG_FILE"}, **keys["one"]}
    by_hand = subprocess.run(argv, cwd=work_dir, env=environ, capture_output=True, text=True, timeout=120)
    assert f"AWS account ID not allowed: {ONE}" in by_hand.stderr
    rows.append(("by hand", "terraform plan, the other account", "AWS account ID not allowed"))
    show("two accounts", rows)


NAMED = {
    "AWS_CONFIG_FILE": "config",
    "AWS_SHARED_CREDENTIALS_FILE": "credentials",
    "AWS_CA_BUNDLE": "ca.pem",
    "CURL_CA_BUNDLE": "ca.pem",
    "NETRC": "netrc",
    "REQUESTS_CA_BUNDLE": "ca.pem",
    "SSL_CERT_DIR": "certs",
    "SSL_CERT_FILE": "ca.pem",
    "TF_CLI_CONFIG_FILE": "tfrc",
    "TF_PLUGIN_CACHE_DIR": "cache",
}
"""Variable to the name of its file, each of which is there."""
OURS = {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
"""Terraform is given files of the run for these."""


@pytest.mark.parametrize("forms", [("{name}",), ("~/{name}", "$HOME/{name}")])
def test_files_that_the_environment_names_are_the_same_for_both(
    tool: Tool, world: World, tmp_path: Path, forms: tuple[str, ...]
) -> None:
    tool = without_aws_provider(tool)
    tool.env.pop("GRIDBYOC_PROVIDER_MIRROR", None)  # with a mirror, Terraform's CLI configuration is ours
    home = Path(tool.env["HOME"])
    place = tool.directory if len(forms) == 1 else home
    (place / "config").write_text(profile("files", key_of(world, ONE)))
    (place / "credentials").write_text("[other]\naws_access_key_id = x\naws_secret_access_key = y\n")
    shutil.copy(certifi.where(), place / "ca.pem")
    (place / "tfrc").write_text("disable_checkpoint = true\n")
    (place / "netrc").touch()
    (place / "certs").mkdir()
    (place / "cache").mkdir()
    seen = tmp_path / "seen"
    wrapper = tmp_path / "bin" / "terraform"
    wrapper.parent.mkdir()
    real = shutil.which("terraform", path=tool.env["PATH"])
    wrapper.write_text(f'#!/bin/sh\nenv > {seen}\npwd >> {seen}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    name = f"files-{len(forms)}"
    s3_of(world).create_bucket(Bucket=name)
    stack = fast_stack(tool, world, name, place=".", backend=f"s3: {{bucket: {name}, key: k, region: us-east-1}}")
    forms_in_turn = itertools.cycle(forms)
    variables = {variable: next(forms_in_turn).format(name=file) for variable, file in NAMED.items()}
    run = with_profiles(tool, AWS_PROFILE="files", PATH=f"{wrapper.parent}{os.pathsep}{tool.env['PATH']}", **variables)
    identity = run("doctor", "--only", "identity", "--format", "json").out
    assert ONE in identity
    run("plan", "--skip-preflight")
    found = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    rows: list[tuple[str, ...]] = [("variable", "the caller's", "Terraform's")]
    for variable, file in NAMED.items():
        rows.append((variable, variables[variable], found[variable].replace(str(place), "PLACE")))
        assert found[variable] == str(place / file) or variable in OURS, variable
        assert Path(found[variable]).is_absolute()
    assert stack.made == 0
    show(f"files as {' and '.join(forms)}", rows)


def test_plan_and_apply_in_two_jobs_each_with_its_own_files(tool: Tool, world: World) -> None:
    """The bundle names the stack's profile and nothing of the run that made it."""
    s3_of(world).create_bucket(Bucket="two-jobs")
    stack = fast_stack(
        tool, world, "jobs", place="one", backend="s3: {bucket: two-jobs, key: k, region: us-east-1, profile: state}"
    )
    shutil.copytree(stack.directory, tool.directory / "two")
    key = key_of(world, ONE)
    environ: dict[str, Any] = {"GRIDBYOC_BUNDLE_KEY": "a" * 43 + "="}
    for place, file in (("one", "first"), ("two", "second")):
        (tool.directory / place / file).write_text(profile("state", key) + profile("run", key))
    first = with_profiles(replace(tool, directory=tool.directory / "one"), AWS_PROFILE="run", AWS_CONFIG_FILE="first")
    first("plan", "--skip-preflight", "--out", "../plan.bundle", **environ)
    (tool.directory / "one" / "first").unlink()
    second = with_profiles(replace(tool, directory=tool.directory / "two"), AWS_PROFILE="run", AWS_CONFIG_FILE="second")
    second("apply", "../plan.bundle", "--yes", "--skip-preflight", "--no-wait", **environ)
    assert stack.made == 1
