"""Check, before ``init``, whether the state is where the stack file says, so that no state is abandoned."""

from __future__ import annotations

import io
import shlex
from typing import Any

from ruamel.yaml import YAML

from gridbyoc.errors import SAFE_NOTHING_DONE, StateMovedError, TerraformError
from gridbyoc.operations.events import Note
from gridbyoc.operations.journal import cut_off_since, read_journal
from gridbyoc.operations.run import Run
from gridbyoc.render import s3_settings
from gridbyoc.stack.edit import write_back
from gridbyoc.stack.files import file_error, put_aside
from gridbyoc.stack.model import LocalBackend, S3Backend, Stack
from gridbyoc.terraform import (
    Backend,
    ProviderEvent,
    Runner,
    earlier_backends,
    locally_held,
    place_words,
    recorded_backend,
    remember,
    same_place,
)
from gridbyoc.terraform.state_recovery import is_torn, restore_backup


def wanted_backend(stack: Stack, backend: LocalBackend | S3Backend, *, native_lock: bool) -> Backend:
    """The Terraform backend for a backend of the stack file."""
    if isinstance(backend, LocalBackend):
        return Backend()
    return Backend("s3", s3_settings(stack, backend, native_lock))


def stack_words(stack: Stack) -> str:
    """The stack file as a command-line argument."""
    return shlex.quote(str(stack.file)) if stack.file else "-"


def is_in_place(run: Run) -> bool:
    """Whether the work_dir is set up for the backend that the stack file names, or there is no state yet."""
    wanted = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=True)  # locks do not make a place
    return all(same_place(place, wanted) for place in earlier_backends(run.work_dir)[:1])


def init_in_place(run: Run, runner: Runner, digest: str) -> tuple[ProviderEvent, ...]:
    """Run ``terraform init`` for the stack's backend, if the state is there or there is none yet.

    Returns the providers that were installed.

    If only the backend's settings have changed, or the old state is empty, the new backend is used without asking. A
    state at another place raises ``StateMovedError``: Terraform would create every resource again.
    """
    wanted = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=runner.binary.s3_native_lock)
    for place in earlier_backends(run.work_dir):
        if same_place(place, wanted):
            break
        _refuse_unless_empty(run, runner, place, wanted)
    record = recorded_backend(run.work_dir)
    installed = runner.init(digest=digest, reconfigure=record is not None and record != wanted)
    remember(run.work_dir, wanted)
    return installed


def _refuse_unless_empty(run: Run, runner: Runner, standing: Backend, wanted: Backend) -> None:
    here, there = place_words(standing, run.work_dir), place_words(wanted, run.work_dir)
    try:
        if runner.pull(standing).empty:
            return
        found = f"The state is in {here}."
    except TerraformError as error:
        if type(error) is not TerraformError:
            raise
        found = f"The state was last in {here}, which cannot be read: {error.what}"
    leave = runner.binary.command(run.work_dir, "init", "-reconfigure")
    raise StateMovedError(
        f"The stack file names {there} for the state, but there is no state at that place yet.",
        why=f"{found} Without it, every resource would be created a second time.",
        fix=f"Move it: `gridbyoc state migrate {stack_words(run.stack)}`; or restore the previous terraform.backend. "
        f"To abandon the old state for good: {f'`{leave}`' if standing.remote else f'move {here} away'}.",
        rerun=SAFE_NOTHING_DONE,
    )


_BACKEND = ("terraform", "backend")
_TOLD = ("bucket", "key", "region", "kms_key_id")


def backend_changes(
    found: LocalBackend | S3Backend, wanted: LocalBackend | S3Backend
) -> dict[tuple[str | int, ...], Any]:
    """Key paths and their new values; other settings of an S3 backend (profile, lock table) stay as they are."""
    if isinstance(wanted, LocalBackend):
        return {} if isinstance(found, LocalBackend) else {_BACKEND: {"local": {}}}
    if isinstance(found, LocalBackend):
        return {_BACKEND: {"s3": _told(wanted)}}
    return {(*_BACKEND, "s3", name): value for name, value in _told(wanted).items() if getattr(found, name) != value}


def point_at(stack: Stack, wanted: LocalBackend | S3Backend) -> bool:
    """Write the backend into the stack file, keeping comments; true if anything changed. ``FileError``."""
    changes = backend_changes(stack.terraform.backend, wanted)
    if not changes or stack.file is None:
        return False
    write_back(stack.file, changes)
    return True


def snippet(wanted: LocalBackend | S3Backend) -> str:
    """The stack file lines for this backend, for a stack file that cannot be written (standard input)."""
    stream = io.StringIO()
    backend = {"local": {}} if isinstance(wanted, LocalBackend) else {"s3": _told(wanted)}
    YAML().dump({"terraform": {"backend": backend}}, stream)
    return stream.getvalue().rstrip()


def _told(backend: S3Backend) -> dict[str, str]:
    return {name: value for name in _TOLD if (value := getattr(backend, name)) is not None}


PATIENCE = 10.0
"""Default time in seconds to wait for the state's lock."""
LOOK = 0.1


def settle_local_state(run: Run) -> None:
    """Wait until no Terraform writes the state any more, then repair a state that was cut off; ``FileError``.

    Earlier, one would read half of a run's result. If the lock is still held after ``lock_timeout``, the next Terraform
    command reports who holds it. The first state of a stack has no backup: if it is cut off, it is set aside, and its
    resources are searched for in AWS.
    """
    state = Backend().state_file(run.work_dir)
    patience = PATIENCE if run.choices.lock_timeout is None else run.choices.lock_timeout
    end = run.outside.clock() + patience
    while locally_held(state):
        if run.outside.clock() >= end:
            return
        run.outside.sleep(LOOK)
    try:
        if restore_backup(state):
            text = f"{state} was cut off in the middle of a write: its backup from before that run is restored."
            run.outside.emit(Note(text, "warning"))
        elif is_torn(state) and _first_apply_was_cut_off(run):
            aside = put_aside(state, "torn", run.outside.now())
            text = f"{state} was cut off in the middle of its first write: it is set aside as {aside.name}."
            run.outside.emit(Note(text, "warning"))
    except OSError as error:
        raise file_error("Cannot write", state, error) from None


def _first_apply_was_cut_off(run: Run) -> bool:
    """Whether only a cut-off apply can have damaged the state, and its resources can be found by the module's tags."""
    return run.stack.terraform.module is None and cut_off_since(read_journal(run.journal.path)) is not None
