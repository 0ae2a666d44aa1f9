"""The proof of least privilege: a user of `create-user` runs all of it under IAM enforcement, and not with less."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.aws.profile_file import read_profile
from gridbyoc.sandbox import Sandbox, SandboxSettings, running_sandbox
from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.scene import show

USER = "ada"
POLICY = f"arn:aws:iam::123456789012:policy/gridbyoc-{USER}"


@dataclass
class Ada:
    """A user with the least policy; ``texts`` is everything that was ever shown."""

    tool: Tool
    world: World
    file: Path
    texts: list[str]

    def administrator(self, *args: str) -> Done:
        """With the sandbox's own key, which is held to nothing."""
        done = self.tool("credentials", *args, USER)
        self.texts.append(done.text)
        return done

    def __call__(self, *args: str, status: int | None = 0) -> Done:
        """With the user's profile: no other key is even there."""
        done = self.tool(*args, status=status, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
        self.texts.append(done.text)
        return done

    def stops(self, *args: str, without: str) -> None:
        """With one action less it ends with an error that names the action; what AWS said is printed."""
        with taken_away(self.world.iam(), without):
            failed = self(*args, status=1)
        said = next((line.strip() for line in failed.text.splitlines() if without in line), "")
        assert said, failed.text
        show(f"{args[0]} without {without}", [(said[:200],)])


@contextmanager
def taken_away(iam: Any, action: str) -> Iterator[None]:
    """The user's policy without one action, as long as this lasts."""
    whole = iam.get_policy(PolicyArn=POLICY)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=POLICY, VersionId=whole)["PolicyVersion"]["Document"]
    assert any(action in statement["Action"] for statement in document["Statement"])
    for statement in document["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
    less = iam.create_policy_version(PolicyArn=POLICY, PolicyDocument=json.dumps(document), SetAsDefault=True)
    yield
    iam.set_default_policy_version(PolicyArn=POLICY, VersionId=whole)
    iam.delete_policy_version(PolicyArn=POLICY, VersionId=less["PolicyVersion"]["VersionId"])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Every key but the sandbox's own ``test`` is held to its policies."""
    with running_sandbox(SandboxSettings(create_seconds=0, delete_seconds=0, enforce_iam=True)) as running:
        yield running


@pytest.fixture(scope="module")
def ada(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path | None) -> Ada:
    """The user, made once; each test leaves it with its whole policy."""
    home = tmp_path_factory.mktemp("home")
    file = home / "keys" / "credentials"
    own = {"HOME": str(home), "AWS_SHARED_CREDENTIALS_FILE": str(file), "GRIDBYOC_POLL_INTERVAL": "0.2s"}
    mirror = {"GRIDBYOC_PROVIDER_MIRROR": str(provider_mirror)} if provider_mirror else {}
    off = {"GRIDBYOC_SKIP_PREFLIGHT": "1"}  # it would stop before Terraform does; its own tests are elsewhere
    tool = Tool(home / "stack", {**sandbox.environ(os.environ), **own, **mirror, **off})
    tool.directory.mkdir()
    text = stack_text("least").replace("region: us-east-1", f"region: us-east-1, profile: gridbyoc-{USER}")
    tool.write(text)
    found = Ada(tool, World(sandbox), file, [])
    found.administrator("create-user", "--yes", "--debug")
    return found


@pytest.mark.parametrize("action", ["iam:CreateRole", "iam:GetRole", "iam:AttachRolePolicy"])
def test_bootstrap_stops_without(ada: Ada, action: str) -> None:
    ada.stops("bootstrap", "--yes", "--yes-destroy", without=action)


def test_with_all_of_them_it_runs_and_the_preflight_agrees(ada: Ada) -> None:
    checked = replace(ada.tool, env={**ada.tool.env, "GRIDBYOC_SKIP_PREFLIGHT": ""})
    done = replace(ada, tool=checked)("bootstrap", "--yes", "--yes-destroy", "--debug")
    assert "running" in done.out
    assert ada.world.cluster("least") is not None
    ada("plan", "--debug")
    shown = ada("credentials", "show", "--format", "json")
    assert json.loads(shown.out)["arn"] == f"arn:aws:iam::123456789012:user/{USER}"
    with taken_away(ada.world.iam(), "iam:ListRolePolicies"):
        assert "iam:ListRolePolicies" in ada("doctor", "--only", "permissions", status=4).out
    with taken_away(ada.world.iam(), "iam:CreateRole"):  # the role stands, so that no run makes it
        assert "iam:CreateRole" in ada("doctor", "--only", "permissions").out


@pytest.mark.parametrize("action", ["iam:DetachRolePolicy", "iam:DeletePolicy"])
def test_destroy_stops_without(ada: Ada, action: str) -> None:
    if not ada.world.roles("grid-cloud"):
        ada("bootstrap", "--yes", "--yes-destroy")
    ada.stops("destroy", "--yes-destroy", without=action)


def test_destroy_finishes_and_the_secret_was_in_its_file_alone(ada: Ada, sandbox: Sandbox) -> None:
    ada("destroy", "--yes-destroy", "--debug")
    assert ada.world.roles("grid-cloud") == []
    stored = read_profile(ada.file, f"gridbyoc-{USER}")
    assert stored is not None
    assert stored.secret_access_key is not None
    secret = stored.secret_access_key.reveal()
    files = [path for place in (ada.tool.directory.parent, sandbox.directory) for path in place.rglob("*")]
    files = [path for path in files if path.is_file() and not path.is_symlink() and "providers" not in path.parts]
    assert [path for path in files if secret.encode() in path.read_bytes()] == [ada.file]
    ada.administrator("delete-user", "--yes-destroy", "--debug")
    assert secret.encode() not in ada.file.read_bytes()
    assert all(secret not in text for text in ada.texts)
