"""The proof of least privilege: a user of `create-user` runs all of it under IAM enforcement.

What is not enough of it: ``test_every_action``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gridbyoc.aws.permissions import MANDATORY, needs_of
from gridbyoc.aws.profile_file import read_profile
from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.stack.load import load
from tests.e2e.conftest import Done, Tool, World, stack_text
from tests.e2e.deployment_user import granted, taken_away
from tests.e2e.scene import show
from tests.e2e.warm_python import warm_sandbox

USER = "ada"
OWN_KEY = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


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

    def checked(self, *args: str, status: int | None = 0) -> Done:
        """With the preflight's checks before it."""
        tool = replace(self.tool, env={**self.tool.env, "GRIDBYOC_SKIP_PREFLIGHT": ""})
        return replace(self, tool=tool)(*args, status=status)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Every key but the sandbox's own ``test`` is held to its policies."""
    with warm_sandbox(SandboxSettings(create_seconds=0, delete_seconds=0, enforce_iam=True)) as running:
        yield running


@pytest.fixture(scope="module")
def ada(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory, provider_mirror: Path) -> Ada:
    """The user, made once; each test leaves it with its whole policy."""
    home = tmp_path_factory.mktemp("home")
    file = home / "keys" / "credentials"
    own = {"HOME": str(home), "AWS_SHARED_CREDENTIALS_FILE": str(file), "GRIDBYOC_POLL_INTERVAL": "0.2s"}
    mirror = {"GRIDBYOC_PROVIDER_MIRROR": str(provider_mirror)}
    off = {"GRIDBYOC_SKIP_PREFLIGHT": "1"}  # it would stop before Terraform does; its own tests are elsewhere
    tool = Tool(home / "stack", {**sandbox.environ(os.environ), **own, **mirror, **off})
    tool.directory.mkdir()
    text = stack_text("least").replace("region: us-east-1", f"region: us-east-1, profile: gridbyoc-{USER}")
    tool.write(text)
    found = Ada(tool, World(sandbox), file, [])
    found.administrator("create-user", "--yes", "--debug")
    return found


def test_without_all_that_is_not_mandatory_it_runs_too(ada: Ada) -> None:
    stack = load(ada.tool.directory / "gridbyoc.yaml", environ={})
    mandatory = {need.action for need in needs_of(stack, phases=MANDATORY)}
    others = granted(ada.world.iam(), USER) - mandatory
    with taken_away(ada.world.iam(), USER, *others):
        assert "running" in ada.checked("bootstrap", "--yes", "--yes-destroy").out
        ended = ada("destroy", "--yes-destroy", status=7)  # nobody knows whether something is left
    assert "eks:ListClusters" in ended.err
    show(f"with {len(mandatory)} actions, without {len(others)} that are not mandatory", [(ended.out[:160],)])
    assert ada.world.roles("grid-cloud") == []


def test_with_all_of_them_it_runs_and_the_preflight_agrees(ada: Ada) -> None:
    done = ada.checked("bootstrap", "--yes", "--yes-destroy", "--debug")
    assert "running" in done.out
    assert ada.world.cluster("least") is not None
    ada("plan", "--debug")
    shown = ada("credentials", "show", "--format", "json")
    assert json.loads(shown.out)["arn"] == f"arn:aws:iam::123456789012:user/{USER}"
    with taken_away(ada.world.iam(), USER, "iam:ListRolePolicies"):
        assert "iam:ListRolePolicies" in ada("doctor", "--only", "permissions", status=4).out
    with taken_away(ada.world.iam(), USER, "iam:CreateRole"):  # the role stands, so that no run makes it
        assert "iam:CreateRole" in ada("doctor", "--only", "permissions").out


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
