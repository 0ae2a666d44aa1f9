"""Open the old stacks on a sandbox whose account and control plane are as they were then."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gridbyoc.sandbox import Sandbox, SandboxSettings, running_sandbox
from tests.past import DATA

ROOM = Path(__file__).parents[2]
LOCK_FILE = ".terraform.lock.hcl"
BUILT_WITH = "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64"
"""The provider of which the lock files hold the hash."""


@contextmanager
def past_sandbox(directory: Path, aws_log: Path) -> Iterator[Sandbox]:
    """A sandbox with the roles, policies, S3 objects and clusters of then, under their ids."""
    plane = directory / "plane"
    plane.mkdir()
    with closing(sqlite3.connect(plane / "control-plane.sqlite")) as database:
        database.executescript((DATA / "control-plane.sql").read_text())
    settings = SandboxSettings(create_seconds=0.5, delete_seconds=0.3, state_dir=plane, aws_log=aws_log)
    with running_sandbox(settings, {**os.environ, "PYTHONPATH": str(ROOM)}, "tests.past.aws_server") as running:
        yield running


def put_stacks(directory: Path, mirror: Path | None) -> None:
    """Stack files and work_dirs, in another directory than they were made in, as in a checkout that was moved.

    Git keeps no modes but the executable bit. Lock files that know another provider than this machine's are left out,
    as ``terraform providers lock`` would have to make them anew.
    """
    shutil.copytree(DATA / "stacks", directory)
    for path in directory.glob(".gridbyoc/**/*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if path.name == LOCK_FILE and not _has_provider(mirror):
            path.unlink()


def _has_provider(mirror: Path | None) -> bool:
    if mirror is not None:
        return (mirror / BUILT_WITH).exists()
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")
