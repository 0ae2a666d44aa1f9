"""Fixtures that more than one kind of test uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes is the machine's affair, not a property of the code
settings.register_profile("gridbyoc", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gridbyoc"))


@pytest.fixture(scope="session", autouse=True)
def process_coverage() -> Iterator[dict[str, str]]:
    """What makes coverage measure a process that a test starts: taken out of the environment, since it makes a command
    half as dear again and there are a thousand of them. ``measured`` puts it back.
    """
    taken = {name: os.environ.pop(name) for name in sorted(os.environ) if name.startswith("COVERAGE_PROCESS_")}
    yield taken
    os.environ.update(taken)


@pytest.fixture(scope="module")
def measured(process_coverage: dict[str, str]) -> Iterator[None]:
    """A module that takes it has its processes measured, too: ``pytestmark = pytest.mark.usefixtures("measured")``."""
    os.environ.update(process_coverage)
    yield
    for name in process_coverage:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def without_ca_bundle() -> None:
    """The tests' services speak plain HTTP; told of certificates, a provider could not be lent twice."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def real_provider_mirror() -> Path | None:
    """An unpacked filesystem mirror of providers: named by the environment, or found; ``None``: Terraform downloads."""
    named = os.environ.get("GRIDBYOC_PROVIDER_MIRROR")
    if named:
        return Path(named)
    found = sorted(Path("/opt").glob("*/registry.terraform.io"))
    return found[0].parent if found else None


@pytest.fixture(scope="session")
def provider_mirror(real_provider_mirror: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A mirror whose AWS provider starts at once (``shared_provider``): for all but how Terraform gets a provider."""
    from tests.shared_provider import installed_provider, shared_provider

    program = installed_provider(real_provider_mirror, tmp_path_factory.mktemp("provider"))
    with shared_provider(program) as mirror:
        yield mirror
