"""Remove a destroyed stack's state from S3 with all its versions: only on request, after everything else."""

from __future__ import annotations

from collections.abc import Callable

from gridbyoc.aws import AwsSession, StateObjects, read_state_lock, read_version, remove_state_objects, state_objects
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ApprovalRequiredError,
    StateConflictError,
    StateLockedError,
)
from gridbyoc.operations.events import Note
from gridbyoc.operations.run import Run
from gridbyoc.stack.files import json_object
from gridbyoc.stack.model import LocalBackend, S3Backend
from gridbyoc.stack.words import counted
from gridbyoc.terraform import LockInfo, Runner, State, parse_lock

ApproveRemoval = Callable[[StateObjects], bool]
REMOVAL = "remove state"
"""The effect's name in the journal."""


def approve_removal(run: Run, approve: ApproveRemoval) -> None:
    """Ask before anything is destroyed. Raises ``ApprovalRequiredError`` if not approved, ``AwsError``."""
    backend = run.stack.terraform.backend
    if isinstance(backend, LocalBackend):
        run.outside.emit(Note("The state is a file of the work_dir: it is removed with the local files."))
        return
    found = _found(run.state_session(backend), backend)
    with run.asking():
        approved = found.nothing or approve(found)
    if not approved:
        raise ApprovalRequiredError("The removal of the state was not approved.", rerun=SAFE_NOTHING_DONE)


def remove_state(run: Run, runner: Runner, lineage: str) -> int:
    """Remove the object, its lock and its digest, and prove it. Returns how many versions there were.

    ``lineage`` is that of the destroyed state, empty if there was none. Raises ``StateConflictError`` if the state is
    not empty or is another state, ``StateLockedError`` while somebody holds it, ``AwsError``.
    """
    backend = run.stack.terraform.backend
    if isinstance(backend, LocalBackend):
        return 0
    session = run.state_session(backend)
    found = _found(session, backend)
    if found.nothing:
        return 0
    _refuse_locked(session, backend)
    _refuse_other(session, found, runner.state(), lineage)
    with run.effect(REMOVAL, place=_place(backend)):
        remove_state_objects(session, found)
    if not _found(session, backend).nothing:
        raise StateConflictError(
            f"{_place(backend)} was removed, but a new one has been written meanwhile: the new one stays.",
            fix="Find out who uses this key: the new state was written while this run removed the old one.",
            rerun=SAFE_RESUMES,
        )
    return len(found.versions)


def _found(session: AwsSession, backend: S3Backend) -> StateObjects:
    return state_objects(session, backend.bucket, backend.key, table=backend.dynamodb_table)


def _place(backend: S3Backend) -> str:
    return f"s3://{backend.bucket}/{backend.key}"


def _refuse_locked(session: AwsSession, backend: S3Backend) -> None:
    note = read_state_lock(session, backend.bucket, backend.key, table=backend.dynamodb_table)
    if note is None:
        return
    info = parse_lock(note) or LockInfo("")
    raise StateLockedError(
        f"The state {_place(backend)} is locked and stays: {info}.",
        lock_id=info.id,
        fix="Wait for that run to end, or check it with `gridbyoc state unlock`; then run the same command again.",
        rerun=SAFE_RESUMES,
    )


def _refuse_other(session: AwsSession, found: StateObjects, standing: State, lineage: str) -> None:
    place = f"s3://{found.bucket}/{found.key}"
    deleted = found.deleted_state
    if deleted is not None:
        before = json_object(read_version(session, found.bucket, deleted))
        if before is None or "resources" not in before or not State(before).empty:
            raise StateConflictError(
                f"Somebody has deleted {place}, and its last version (id {deleted.ident}) may not be empty: "
                "every version stays.",
                why="It may be the only record of what exists.",
                fix="Restore it (delete the delete marker) and destroy what it holds, or remove the versions by hand.",
                rerun=SAFE_RESUMES,
            )
    # An interrupted destroy may leave outputs in the state: only resources count.
    elif standing.has_resources or (standing.lineage and standing.lineage != lineage):
        holds = counted(len(standing.addresses), "instance")
        raise StateConflictError(
            f"The state {place} is not the one that was destroyed: it stays.",
            why=f"It holds {holds}; its lineage is {standing.lineage}, the destroyed state's is "
            f"{lineage or '(there was none)'}.",
            fix="Somebody else uses this key. To remove it as well, run the same command again.",
            rerun=SAFE_RESUMES,
        )
