"""Fixtures that more than one kind of test uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes is the machine's affair, not a property of the code
settings.register_profile("gridbyoc", deadline=None)
settings.load_profile("gridbyoc")


@pytest.fixture(scope="session")
def provider_mirror() -> Path | None:
    """An unpacked filesystem mirror of providers: named by the environment, or found; ``None``: Terraform downloads."""
    named = os.environ.get("GRIDBYOC_PROVIDER_MIRROR")
    if named:
        return Path(named)
    found = sorted(Path("/opt").glob("*/registry.terraform.io"))
    return found[0].parent if found else None
