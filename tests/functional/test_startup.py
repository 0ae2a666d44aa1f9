"""Help loads nothing heavy: not at the top, not of any command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {"boto3", "botocore", "jinja2", "jsonschema", "requests", "rich", "ruamel", "flask", "moto"}
COMMANDS = ("bootstrap", "plan", "validate", "new", "clusters", "register", "verify", "leftovers", "state", "sandbox")


def imported(*args: str) -> set[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gridbyoc", *args, "--help"],
        capture_output=True, text=True, check=True, env=environ,
    )  # fmt: skip
    assert "Usage: gridbyoc" in ran.stdout
    return {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}


def test_the_top_help_does_without_click() -> None:
    found = imported()
    assert found & (HEAVY | {"click", "dataclasses", "re"}) == set()
    assert "gridbyoc" in found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_loads_click_alone(command: str) -> None:
    found = imported(command)
    assert "click" in found
    assert found & HEAVY == set()
