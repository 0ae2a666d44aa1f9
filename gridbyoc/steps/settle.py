"""Local state after a run that was cut off: its Terraform may still be about to end, or have ended in a write."""

from __future__ import annotations

from gridbyoc.stack.files import file_error, put_aside
from gridbyoc.steps.events import Note
from gridbyoc.steps.journal import cut_off_since, read_journal
from gridbyoc.steps.run import Run
from gridbyoc.terraform import Backend, locally_held
from gridbyoc.terraform.torn import is_torn, put_back

PATIENCE = 10.0
"""Seconds, where the command line does not say how long to wait for the state's lock."""
LOOK = 0.1


def settle_local_state(run: Run) -> None:
    """Wait until no Terraform writes the state any more, then put back one that was cut off; ``FileError``.

    What is read before that would be half of what a run did. Where the lock is still held after ``lock_timeout``, the
    next command of Terraform's tells who holds it. The first state of a stack has no copy to put back: torn, it is set
    aside, and what was made is looked for in AWS.
    """
    state = Backend().state_file(run.work_dir)
    patience = PATIENCE if run.choices.lock_timeout is None else run.choices.lock_timeout
    end = run.outside.clock() + patience
    while locally_held(state):
        if run.outside.clock() >= end:
            return
        run.outside.sleep(LOOK)
    try:
        if put_back(state):
            text = f"{state} had been cut off in the middle of a write: it is put back as it was before that run."
            run.outside.emit(Note(text, "warning"))
        elif is_torn(state) and _first_apply_was_cut_off(run):
            aside = put_aside(state, "torn", run.outside.now())
            text = f"{state} had been cut off in the middle of its first write: it is set aside as {aside.name}."
            run.outside.emit(Note(text, "warning"))
    except OSError as error:
        raise file_error("Cannot write", state, error) from None


def _first_apply_was_cut_off(run: Run) -> bool:
    """Nothing but a cut-off apply may have torn it, and what that made can be found: the gridbyoc module tags it."""
    return run.stack.terraform.module is None and cut_off_since(read_journal(run.journal.path)) is not None
