"""Whether the state lies where the stack file says: looked at before ``init``, so that none is ever left behind."""

from __future__ import annotations

import shlex

from gridbyoc.errors import SAFE_NOTHING_DONE, StateMovedError, TerraformError
from gridbyoc.render import s3_settings
from gridbyoc.stack.model import LocalBackend, S3Backend, Stack
from gridbyoc.steps.run import Run
from gridbyoc.terraform import (
    Backend,
    Runner,
    place_words,
    recorded_backend,
    remember,
    same_place,
    snapshot_of,
    standing_places,
)


def wanted_backend(stack: Stack, backend: LocalBackend | S3Backend, *, native_lock: bool) -> Backend:
    """A backend of the stack file as Terraform is told it."""
    if isinstance(backend, LocalBackend):
        return Backend()
    return Backend("s3", s3_settings(backend, stack.aws.profile, native_lock))


def stack_words(stack: Stack) -> str:
    """The stack file as a command line names it."""
    return shlex.quote(str(stack.file)) if stack.file else "-"


def is_in_place(run: Run, runner: Runner) -> bool:
    """Whether the work_dir is set up for the place that the stack file names, or there is no state yet."""
    wanted = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=runner.binary.s3_native_lock)
    return all(same_place(place, wanted) for place in standing_places(run.work_dir)[:1])


def init_in_place(run: Run, runner: Runner, digest: str) -> None:
    """``terraform init`` for the stack's backend, if the state lies there or there is none yet.

    Where only the backend's settings have changed, or what lay elsewhere is empty, the new one is taken without a
    question. A state that lies elsewhere raises ``StateMovedError``: going on would make every resource again.
    """
    wanted = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=runner.binary.s3_native_lock)
    for place in standing_places(run.work_dir):
        if same_place(place, wanted):
            break
        _refuse_unless_empty(run, runner, place, wanted)
    record = recorded_backend(run.work_dir)
    runner.init(digest=digest, reconfigure=record is not None and record != wanted)
    remember(run.work_dir, wanted)


def _refuse_unless_empty(run: Run, runner: Runner, standing: Backend, wanted: Backend) -> None:
    here, there = place_words(standing, run.work_dir), place_words(wanted, run.work_dir)
    try:
        if snapshot_of(runner.pull(standing)).empty:
            return
        found = f"The state is in {here}."
    except TerraformError as error:
        if type(error) is not TerraformError:
            raise
        found = f"The state was last in {here}, which cannot be read: {error.what}"
    leave = runner.binary.command(run.work_dir, "init", "-reconfigure")
    raise StateMovedError(
        f"The stack file puts the state into {there}, but it is not there yet.",
        why=f"{found} Going on without it would make every resource a second time.",
        fix=f"Move it: `gridbyoc state migrate {stack_words(run.stack)}`; or put terraform.backend back as it was. "
        f"To leave the old state behind for good: {f'`{leave}`' if standing.remote else f'move {here} away'}.",
        rerun=SAFE_NOTHING_DONE,
    )
