"""Fixtures of the unit tests."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.world import World

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""On Linux; elsewhere a directory on the disk does, a little slower: a whole run waits for the disk fifty times."""


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A directory in memory where there is one, for all the tests."""
    with tempfile.TemporaryDirectory(prefix="gridbyoc-", dir=IN_MEMORY, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture
def tmp_path(memory: Path) -> Path:
    """In memory, and without pytest's search for the next free number: a third of the tests take one."""
    return Path(tempfile.mkdtemp(dir=memory))


@pytest.fixture
def world(memory: Path) -> World:
    """A world in which nothing has been made yet."""
    return World(Path(tempfile.mkdtemp(dir=memory)))


def pytest_collection_finish() -> None:
    """What the tests import lives to the end, and a test makes few cycles: Python need not look for garbage often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
