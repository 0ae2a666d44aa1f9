"""Each way in which a user's AWS files can be wrong: the place, the words, and the one command that helps.

What is wrong for certain fails; what could not be asked is unknown. ``pytest -s`` prints the table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.operations.finding import Finding
from gridbyoc.operations.preflight.examine import examine
from gridbyoc.operations.preflight.identity import CHECKS
from gridbyoc.operations.preflight.model import Machine, set_scene
from gridbyoc.stack.model import Aws
from tests.unit.fakes import stack as demo

ROLE = "role_arn = arn:aws:iam::123456789012:role/r\n"
KEYS = "aws_access_key_id = AKIACANARY\naws_secret_access_key = canary-secret\n"
SOON = {"GRIDBYOC_CREDENTIAL_PROCESS_TIMEOUT": "0.5"}


@dataclass(frozen=True)
class Broken:
    """The files, the variables, and what must be said: ``at`` is file and line, ``do`` a part of the fix."""

    says: str
    do: str
    config: str = ""
    credentials: str = ""
    at: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    process: str | None = None
    profile: str | None = None


EXPIRED = (datetime.now(timezone.utc) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
BROKEN = {
    "a process that prints text": Broken(
        "printed something else", "sh -c", "[profile ops]\ncredential_process = {dir}/process\n", at="config:2",
        process="echo You are not logged in",
    ),
    "a process that prints a list": Broken(
        "printed something else", "sh -c", "[profile ops]\ncredential_process = {dir}/process\n", at="config:2",
        process="echo []",
    ),
    "a process that does not exist": Broken(
        "/process, which does not exist", "EDITOR", "[profile ops]\ncredential_process = {dir}/process x\n",
        at="config:2",
    ),
    "a process that may not be run": Broken(
        "/config, which may not be executed", "chmod +x", "[profile ops]\ncredential_process = {dir}/config\n",
        at="config:2",
    ),
    "a process that fails": Broken(
        "failed: Log in to the portal first", "sh -c", "[profile ops]\ncredential_process = {dir}/process\n",
        at="config:2", process="echo Log in to the portal first >&2; exit 7",
    ),
    "a process of another version": Broken(
        "Unsupported version", "sh -c", "[profile ops]\ncredential_process = {dir}/process\n", at="config:2",
        process="echo '{\"Version\": 2}'",
    ),
    "a process whose credentials are over": Broken(
        "have already expired", "sh -c", "[profile ops]\nregion = x\n\ncredential_process = {dir}/process\n",
        at="config:4",
        process='echo \'{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", '
        f'"Expiration": "{EXPIRED}"}}\'',
    ),
    "a source_profile that is not there": Broken(
        "source_profile = bsae, and there is no profile of that name", "--profile bsae",
        f"[profile ops]\n{ROLE}source_profile = bsae\n[profile base]\n", at="config:3",
    ),
    "a source_profile further on that is not there": Broken(
        "source_profile = gone", "--profile gone",
        f"[profile ops]\n{ROLE}source_profile = base\n[profile base]\n{ROLE}source_profile = gone\n", at="config:6",
    ),
    "a source_profile that goes round in a circle": Broken(
        "ops -> base -> ops", "EDITOR",
        f"[profile ops]\n{ROLE}source_profile = base\n[profile base]\n{ROLE}source_profile = ops\n", at="config:6",
    ),
    "a source_profile that is itself": Broken(
        "ops -> ops", "EDITOR", f"[profile ops]\n{ROLE}source_profile = ops\n", at="config:3"
    ),
    "a source_profile without credentials": Broken(
        "the profile base, the source_profile of ops, has no credentials", "aws configure sso --profile base",
        f"[profile ops]\n{ROLE}source_profile = base\n[profile base]\nregion = x\n", at="config:4",
    ),
    "a process that never ends": Broken(
        "did not end within 0.5 s, and was stopped", "`export GRIDBYOC_CREDENTIAL_PROCESS_TIMEOUT=300`",
        "[profile ops]\ncredential_process = {dir}/process\n", process="exec sleep 60", at="config:2", environ=SOON,
    ),
    "a role whose source never ends": Broken(
        "credential_process of the profile base did not end", "--profile base)",
        f"[profile ops]\n{ROLE}source_profile = base\n[profile base]\ncredential_process = {{dir}}/process\n",
        process="exec sleep 60", at="config:5", environ=SOON,
    ),
    "a role without a source": Broken(
        "nothing says whose credentials assume it", "aws configure set source_profile NAME --profile ops",
        f"[profile ops]\n{ROLE}", at="config:2",
    ),
    "both kinds of a source": Broken(
        "contains both", "EDITOR",
        f"[profile ops]\n{ROLE}source_profile = base\ncredential_source = Environment\n[profile base]\n{KEYS}",
        at="config:1",
    ),
    "a credential_source that is none": Broken(
        'credential source "Moon"', "EDITOR", f"[profile ops]\n{ROLE}credential_source = Moon\n", at="config:1"
    ),
    "an sso-session that is not there": Broken(
        "there is no [sso-session acme]", "aws configure sso-session",
        "[profile ops]\nsso_session = acme\nsso_account_id = 1\nsso_role_name = r\n[sso-session amce]\n", at="config:2",
    ),
    "an SSO profile that lacks something": Broken(
        "missing required configuration: sso_region", "aws configure sso --profile ops",
        "[profile ops]\nsso_start_url = https://x\nsso_account_id = 1\nsso_role_name = r\n", at="config:1",
    ),
    "an SSO login that is over": Broken(
        "SSO", "`aws sso login --profile ops`",
        "[profile ops]\nsso_start_url = https://x\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r\n",
    ),
    "a token file that is not there": Broken(
        "reads a token from {dir}/token, which does not exist", "EDITOR",
        f"[profile ops]\n{ROLE}web_identity_token_file = {{dir}}/token\n", at="config:3",
    ),
    "a token file of the environment that is not there": Broken(
        "AWS_WEB_IDENTITY_TOKEN_FILE names {dir}/token, which does not exist", "unset AWS_WEB_IDENTITY_TOKEN_FILE",
        "[profile ops]\n",
        environ={"AWS_WEB_IDENTITY_TOKEN_FILE": "{dir}/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"},
    ),
    "a token file that is empty": Broken(
        "holds no token", "run again", f"[profile ops]\n{ROLE}web_identity_token_file = /dev/null\n", at="config:3"
    ),
    "a token file of the environment that is empty": Broken(
        "AWS_WEB_IDENTITY_TOKEN_FILE: /dev/null holds no token", "run again", "[profile ops]\n",
        environ={"AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/null", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r"},
    ),
    "a role that is too short for one": Broken(
        "Invalid length for parameter RoleArn", "EDITOR",
        f"[profile ops]\nrole_arn = r\nsource_profile = base\n[profile base]\n{KEYS}", at="config:2",
    ),
    "a web identity without a role": Broken(
        "no role_arn", "aws configure set role_arn ARN",
        "[profile ops]\nweb_identity_token_file = {dir}/t\n", at="config:2",
    ),
    "a console login without the CRT": Broken(
        "which boto3 can use only with the AWS CRT", "-m pip install 'botocore[crt]'",
        "[profile ops]\nlogin_session = arn:aws:sts::1:assumed-role/a/b\n", at="config:2",
    ),
    "a byte order mark": Broken("byte order mark", "sed -i", f"\ufeff[profile ops]\n{KEYS}", at="config:1"),
    "a key twice": Broken(
        "sets region a second time", "EDITOR", f"[profile ops]\nregion = a\n{KEYS}region = b\n", at="config:5"
    ),
    "a section twice": Broken(
        "[ops] appears a second time", "EDITOR", "[profile ops]\n", f"[ops]\n{KEYS}\n[ops]\n", at="credentials:5"
    ),
    "a line that is none": Broken(
        "neither a [section] nor a setting", "EDITOR", f"[profile ops]\n{KEYS}canary-secret\n", at="config:4"
    ),
    "a setting before any section": Broken(
        "before the first [section]", "EDITOR", f"{KEYS}[profile ops]\n", at="config:1"
    ),
    "a file that is not UTF-8": Broken("not UTF-8", "UTF-8", "[profile ops]\n# gr\udcfcn\n", at="config:2"),
    "a header without the word profile": Broken(
        "its header has to be [profile ops]", "sed -i '2s/", f"\n[ops]\n{KEYS}", at="config:2"
    ),
    "no such profile": Broken(
        "AWS_PROFILE names the profile ops; neither", "aws configure list-profiles", "[profile other]\n"
    ),
    "no such profile in the stack file": Broken(
        "aws.profile or --profile names the profile mine", "aws configure sso --profile mine", "[profile ops]\n",
        profile="mine",
    ),
    "an empty profile": Broken("AWS_PROFILE is set, and empty", "unset AWS_PROFILE", environ={"AWS_PROFILE": ""}),
    "half a key in the environment": Broken(
        "AWS_SECRET_ACCESS_KEY is not", "unset AWS_ACCESS_KEY_ID", "[profile ops]\n",
        environ={"AWS_ACCESS_KEY_ID": "AKIACANARY"},
    ),
    "half a key in a file": Broken(
        "one half of an access key", "aws configure --profile ops", "[profile ops]\n",
        "[ops]\naws_access_key_id = AKIACANARY\n", at="credentials:2",
    ),
}  # fmt: skip


Give = Callable[[Broken], None]


@pytest.fixture
def give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Give:
    """Writes a row's files and sets its variables; botocore reads the process's own environment."""

    def given(broken: Broken) -> None:
        for variable in [variable for variable in os.environ if variable.startswith("AWS_")]:
            monkeypatch.delenv(variable)
        environ = {
            "AWS_CONFIG_FILE": "{dir}/config", "AWS_SHARED_CREDENTIALS_FILE": "{dir}/credentials",
            "AWS_PROFILE": "ops", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "{dir}",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1", **broken.environ,
        }  # fmt: skip
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value.replace("{dir}", str(tmp_path)))
        for file, text in (("config", broken.config), ("credentials", broken.credentials)):
            (tmp_path / file).write_bytes(text.replace("{dir}", str(tmp_path)).encode("utf-8", "surrogateescape"))
        if broken.process is not None:
            program = tmp_path / "process"
            program.write_text(f"#!/bin/sh\n{broken.process}\n")
            program.chmod(0o755)

    return given


def looked_at(home: Path, profile: str | None) -> dict[str, Finding]:
    """What doctor finds of the caller and the credentials."""
    machine = Machine(dict(os.environ), home, lambda: 0.0, lambda _seconds: None, lambda: datetime.now(timezone.utc))
    stack = demo(aws=Aws("us-east-1", profile)) if profile else None
    scene = set_scene(stack, machine, work_dir=home, find_binary=absent, connect=absent)
    return {finding.code: finding for finding in examine(scene, CHECKS, wanted=lambda code: code < "GBY-I003")}


def absent() -> Any:
    raise AssertionError("not looked at")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_provably_broken_fails_with_its_place_and_its_command(name: str, tmp_path: Path, give: Give) -> None:
    broken = BROKEN[name]
    give(broken)
    for finding in looked_at(tmp_path, broken.profile).values():
        read, fix = finding.detail.replace(str(tmp_path), "DIR"), finding.fix.replace(str(tmp_path), "DIR")
        if finding.code == "GBY-I002":
            sys.stdout.write(f"\n{name}\n  {finding.verdict}: {read}\n  {fix}\n")
        assert finding.verdict == "fail", read
        assert broken.says.replace("{dir}", "DIR") in read
        assert f" DIR/{broken.at}: " in read or not broken.at
        assert broken.do in fix
        assert "canary" not in f"{finding}".lower()


NOT_ASKED = {
    "a role whose STS cannot be reached": Broken(
        "", "", f"[profile ops]\n{ROLE}source_profile = base\n[profile base]\n{KEYS}"
    ),
    "a key whose STS cannot be reached": Broken("", "", f"[profile ops]\n{KEYS}"),
    "a container that does not answer": Broken(
        "", "", "[profile ops]\n", environ={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}
    ),
}


@pytest.mark.parametrize("name", NOT_ASKED)
def test_what_could_not_be_asked_is_unknown(name: str, tmp_path: Path, give: Give) -> None:
    give(NOT_ASKED[name])
    assert looked_at(tmp_path, None)["GBY-I001"].verdict == "unknown"
