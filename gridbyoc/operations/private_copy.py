"""A private copy of a stack's work_dir: verbs that only read leave nothing in the user's directories."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gridbyoc.errors import FileError
from gridbyoc.operations.events import Note
from gridbyoc.operations.fingerprint import RECORD
from gridbyoc.operations.journal import JOURNAL
from gridbyoc.operations.run import Run
from gridbyoc.render import strange_files
from gridbyoc.stack.files import file_error, json_object, read_private, write_atomic
from gridbyoc.terraform.state_recovery import unsaved_state

STATE = "terraform.tfstate"
COPIED = (
    *(".terraform.lock.hcl", "terraform.tfvars.json", ".gridbyoc-state.json", ".gridbyoc-init.json"),
    *(".gridbyoc-rendered.json", RECORD, "errored.tfstate"),
)
TERRAFORMS = ".terraform"
TRIES = 20


@contextmanager
def scratch_run(run: Run) -> Iterator[Run]:
    """Yield the same run on a private copy of its work_dir in the system's temporary directory; removed at the end.

    Raises ``FileError`` if the state keeps being written, or the copy cannot be made.
    """
    directory = Path(tempfile.mkdtemp(prefix="gridbyoc-reading-")).resolve()
    try:
        if run.work_dir.is_dir():
            _copy_records(run, directory)
            _copy_strange_files(run, directory)
            _copy_state(run, directory)
            _copy_initialised(run.work_dir / TERRAFORMS, directory / TERRAFORMS)
        copy = replace(run.journal, path=directory / JOURNAL)
        yield replace(run, work_dir=directory, read_from=run.read_from or run.work_dir, journal=copy)
    finally:
        _remove(run, directory)


def _remove(run: Run, directory: Path) -> None:
    """Remove the copy, with retries. An abandoned read may still write for a moment, but the copy holds the state."""
    for _ in range(TRIES):
        try:
            shutil.rmtree(directory)
            return
        except FileNotFoundError:
            if not directory.exists():
                return
        except OSError:
            pass
        run.outside.sleep(0.1)
    message = f"The private copy of the work_dir could not be removed. It holds the state: remove {directory}"
    run.outside.emit(Note(message, "warning"))


def _copy_records(run: Run, directory: Path) -> None:
    for file in (*COPIED, JOURNAL):
        if (run.work_dir / file).exists():
            write_atomic(directory / file, read_private(run.work_dir / file))


def _copy_strange_files(run: Run, directory: Path) -> None:
    """Copy the files that somebody put beside the rendered ones: without them, a plan would destroy their resources."""
    for path in strange_files(run.work_dir):
        if path.is_file():
            copy = directory / path.relative_to(run.work_dir)
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(copy, read_private(path))


def _copy_state(run: Run, directory: Path) -> None:
    """Copy the local state. Terraform writes it in place: a copy that is not JSON was taken mid-write, so try again.

    If there is an unsaved state (errored.tfstate), the file is copied as it is: whoever reads it reports why.
    """
    source = run.work_dir / STATE
    torn = unsaved_state(run.work_dir, run.outside.environ) is not None
    for _ in range(TRIES):
        if not source.exists() or not source.stat().st_size:
            return
        data = read_private(source)
        if json_object(data) is None and not torn:
            run.outside.sleep(0.1)
            continue
        write_atomic(directory / STATE, data)
        return
    raise FileError(
        f"{source} is not a complete state.",
        fix="If another run is in progress, wait for it to end. If not, a run was cut off in the middle of a write: "
        "`gridbyoc bootstrap` repairs the state.",
    )


def _copy_initialised(source: Path, target: Path) -> None:
    """Copy the results of ``init``: backend record and modules. Each provider's package (700 MB) is linked instead."""
    if source.is_symlink() or not source.is_dir():
        return
    providers = source / "providers"
    try:
        shutil.copytree(
            source, target, symlinks=True, ignore=lambda place, names: names if Path(place) == providers else ()
        )
        for package in providers.glob("*/*/*/*/*"):  # host/namespace/type/version/platform
            link = target / package.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(package.resolve())
    except (OSError, shutil.Error) as error:
        cause = error if not isinstance(error, shutil.Error) else OSError(str(error))
        raise file_error("Cannot copy", source, cause) from None
