"""``gridbyoc doctor`` on both local services: offerings, policies and the control plane, as a user calls it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane import connect
from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.sandbox import Sandbox, SandboxSettings
from gridbyoc.stack.model import ClusterSpec, ControlPlane
from gridbyoc.stack.secret import Secret
from tests.e2e import warm_python

GROUPS = ("offerings", "policies", "control-plane")


@dataclass(frozen=True)
class Doctor:
    """The command in a directory and a HOME of its own."""

    box: Sandbox
    directory: Path

    def __call__(
        self, stack: str, *only: str, args: tuple[str, ...] = (), **env: str
    ) -> tuple[int, list[dict[str, Any]]]:
        """Its status, and the findings of these groups."""
        (self.directory / "gridbyoc.yaml").write_text(stack)
        chosen = [word for group in only or GROUPS for word in ("--only", group)]
        environ = {**self.box.environ(os.environ), "HOME": str(self.directory), **env}
        done = warm_python.completed(("doctor", "--format", "json", *chosen, *args), self.directory, environ)
        assert "Traceback" not in done.stderr
        found = json.loads(done.stdout)
        return done.returncode, found.get("findings", [])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with warm_python.warm_sandbox(SandboxSettings(create_seconds=0, trusted_account_id="302180240179")) as running:
        yield running


@pytest.fixture
def doctor(sandbox: Sandbox, tmp_path: Path) -> Doctor:
    return Doctor(sandbox, tmp_path)


def stack(
    types: str = "[t2.medium, g4dn.xlarge]", *, name: str = "ml", region: str = "us-east-1", more: str = ""
) -> str:
    head = f"version: 1\nname: {name}\naws: {{region: {region}}}\n"
    return f"{head}clusters:\n  - name: {name}\n    instance_types: {types}\n{more}"


@pytest.mark.parametrize("dialect", ["grid", "lightning"])
def test_a_healthy_place_passes_everything(doctor: Doctor, dialect: str) -> None:
    status, found = doctor(stack(more=f"control_plane: {{type: {dialect}}}\n"))
    # Lightning's API does not tell its account, and the guide that names it is old.
    expected = {"GBY-K005": "warn"} if dialect == "lightning" else {}
    assert {each["code"]: each["verdict"] for each in found if each["verdict"] != "pass"} == expected
    assert {each["code"][:5] for each in found} == {"GBY-O", "GBY-M", "GBY-K"}
    assert status == 0


def test_three_bad_types_are_three_findings_and_the_file_is_refused_elsewhere(doctor: Doctor) -> None:
    text = stack("[t2.medium, t4g.medium, p3.2xlarge, m99.large]", region="us-west-1")
    status, found = doctor(text, "offerings")
    assert status == 4
    failing = {each["subject"]: each for each in found if each["verdict"] == "fail"}
    assert {name: each["code"] for name, each in failing.items()} == {
        "m99.large": "GBY-O001", "t4g.medium": "GBY-O002", "p3.2xlarge": "GBY-O003",
    }  # fmt: skip
    assert failing["t4g.medium"]["facts"]["alternative"] == "t3.medium"
    assert failing["p3.2xlarge"]["facts"]["alternative"] == "g4dn.2xlarge"
    assert failing["m99.large"]["facts"]["alternative"].startswith("m")
    assert {each["facts"]["line"] for each in failing.values()} == {6}
    assert warm_python.completed(("validate",), doctor.directory, os.environ).returncode == 2


def test_a_policy_that_iam_does_not_know_blocks(doctor: Doctor) -> None:
    own = "arn:aws:iam::123456789012:policy/absent"
    role = f"role: {{managed_policies: [AmazonS3FullAcces, IAMFullAccess], permissions_boundary: '{own}'}}\n"
    status, found = doctor(stack(more=role), "policies")
    assert status == 4
    told = {each["code"]: each for each in found if each["verdict"] == "fail"}
    assert set(told) == {"GBY-M001", "GBY-M002"}
    assert told["GBY-M001"]["facts"]["alternative"] == "AmazonS3FullAccess"


def test_a_name_that_runs_through_another_role_blocks(doctor: Doctor) -> None:
    theirs = register(doctor, "theirs")
    status, found = doctor(stack(name="theirs"), "control-plane")
    assert status == 4
    (taken,) = [each for each in found if each["verdict"] == "fail"]
    assert (taken["code"], taken["subject"]) == ("GBY-K004", "theirs")
    assert str(theirs.role_arn) in taken["read"]


def test_an_account_that_the_role_does_not_trust_blocks(doctor: Doctor) -> None:
    status, found = doctor(stack(more='role: {trusted_account_id: "111111111111"}\n'), "GBY-K005")
    assert (status, [each["facts"]["account_id"] for each in found]) == (4, ["302180240179"])


def test_a_wrong_key_is_told_once_and_never_shown(doctor: Doctor) -> None:
    status, found = doctor(stack(), "GBY-K001", "GBY-K002", GRID_API_KEY="canary-key")
    assert status == 4
    assert [(each["code"], each["verdict"]) for each in found] == [("GBY-K001", "pass"), ("GBY-K002", "fail")]
    assert "canary-key" not in json.dumps(found)


def register(doctor: Doctor, name: str) -> Cluster:
    """A cluster of that name, through a role that no stack of ours knows."""
    environ = doctor.box.environ({})
    plane = connect(ControlPlane(), environ=environ, home=doctor.directory)
    grant = Grant("arn:aws:iam::123456789012:role/theirs", Secret("canary-external-id"), "us-east-1")
    return plane.create(ClusterSpec(name), grant).cluster
