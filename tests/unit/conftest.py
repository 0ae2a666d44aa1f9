"""Fixtures of the unit tests."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.world import World

IN_MEMORY = Path("/dev/shm")  # Linux; elsewhere a directory on the disk does, a little slower


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: a whole run waits for the disk some fifty times."""
    if not os.access(IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="gridbyoc-", dir=IN_MEMORY) as directory:
        yield Path(directory)


@pytest.fixture
def world(memory_path: Path) -> World:
    """A world in which nothing has been made yet."""
    return World(memory_path)


def pytest_collection_finish() -> None:
    """What the tests import lives to the end: Python need not look through it at each collection of garbage."""
    gc.collect()
    gc.freeze()
