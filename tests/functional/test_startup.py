"""Help loads nothing heavy, not at the top and not of any command; a command loads what it needs and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"boto3", "botocore", "jinja2", "jsonschema", "requests", "rich", "ruamel", "flask", "moto"}
SERVICES = {"boto3", "botocore", "jinja2", "requests"}
COMMANDS = ("bootstrap", "plan", "validate", "new", "clusters", "register", "verify", "leftovers", "state", "sandbox")


def imported(*args: str, says: str = "Usage: gridbyoc", status: int = 0) -> set[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gridbyoc", *args],
        capture_output=True, text=True, env=environ,
    )  # fmt: skip
    assert ran.returncode == status, ran.stderr
    assert says in ran.stdout
    return {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}


def test_the_top_help_does_without_click() -> None:
    found = imported("--help")
    assert found & (HEAVY | {"click", "dataclasses", "re"}) == set()
    assert "gridbyoc" in found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_loads_click_alone(command: str) -> None:
    found = imported(command, "--help")
    assert "click" in found
    assert found & HEAVY == set()


def test_a_file_is_validated_without_either_service(tmp_path: Path) -> None:
    file = tmp_path / "gridbyoc.yaml"
    file.write_text("version: 1\nname: small\naws: {region: us-east-1}\nclusters: [{name: small}]\n")
    found = imported("validate", str(file), says="is valid")
    assert "jsonschema" in found
    assert found & SERVICES == set()


def test_a_bad_file_is_refused_without_either_service(tmp_path: Path) -> None:
    file = tmp_path / "gridbyoc.yaml"
    file.write_text("- a list\n")
    found = imported("bootstrap", "--yes", "--format", "json", str(file), says="must be a mapping", status=2)
    assert "jsonschema" in found
    assert found & SERVICES == set()
