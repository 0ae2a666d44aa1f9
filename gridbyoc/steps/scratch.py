"""A copy of a stack's work_dir to read from, while another run may hold the real one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gridbyoc.errors import FileError
from gridbyoc.render import strange_files
from gridbyoc.stack.files import json_object, read_private, write_atomic
from gridbyoc.steps.journal import JOURNAL
from gridbyoc.steps.run import Run

COPIED = (".terraform.lock.hcl", "terraform.tfvars.json", ".gridbyoc-state.json")
STATE = "terraform.tfstate"
TRIES = 20


@contextmanager
def scratch_run(run: Run) -> Iterator[Run]:
    """The same run on a private copy of the work_dir's state; the copy is gone at the end.

    Raises ``FileError`` where the state is being written all the time, or the copy cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix=".reading-", dir=run.work_dir) as name:
        directory = Path(name)
        for file in COPIED:
            if (run.work_dir / file).exists():
                write_atomic(directory / file, read_private(run.work_dir / file))
        _copy_strange_files(run, directory)
        _copy_state(run, directory)
        yield replace(run, work_dir=directory, journal=replace(run.journal, path=directory / JOURNAL))


def _copy_strange_files(run: Run, directory: Path) -> None:
    """What somebody put beside the rendered files: without it, a plan would destroy what it makes."""
    for path in strange_files(run.work_dir):
        if path.is_file():
            copy = directory / path.relative_to(run.work_dir)
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(copy, read_private(path))


def _copy_state(run: Run, directory: Path) -> None:
    """Terraform writes its state in place: a copy that is no JSON was taken in the middle, and is taken again."""
    source = run.work_dir / STATE
    for _ in range(TRIES):
        if not source.exists() or not source.stat().st_size:
            return
        data = read_private(source)
        if json_object(data) is None:
            run.outside.sleep(0.1)
            continue
        write_atomic(directory / STATE, data)
        return
    raise FileError(f"{source} is no whole state.", fix="Wait for the other run to end, then run again.")
