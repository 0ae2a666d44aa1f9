"""Move a stack's state to where the stack file wants it, or back: copied, compared, and only then set aside.

Not ``terraform init -migrate-state -force-copy``: between a look at the target and that copy another machine's first
apply could be overwritten, it empties a local state before anybody has compared, and what it writes into an empty
remote gets another lineage. ``state push`` takes the lock and itself refuses another lineage or a newer serial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gridbyoc.aws import caller_identity, guard_account, open_session
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    ApprovalRequiredError,
    StateConflictError,
    TerraformError,
)
from gridbyoc.stack.files import file_error
from gridbyoc.stack.model import LocalBackend, S3Backend, Stack
from gridbyoc.steps.prepare import open_runner, render_stack
from gridbyoc.steps.run import Run
from gridbyoc.steps.state_place import init_in_place, wanted_backend
from gridbyoc.terraform import (
    Backend,
    Runner,
    Snapshot,
    place_words,
    remember,
    same_place,
    snapshot_of,
    standing_backend,
)

ERRORED = "errored.tfstate"


@dataclass(frozen=True, slots=True)
class Move:
    """A state about to be moved: ``source`` and ``target`` in words, and how many instances it holds."""

    source: str
    target: str
    instances: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of it. ``moved`` is false where it lay there already; ``aside`` is the old local file's new name."""

    source: str
    target: str
    moved: bool
    instances: int
    lineage: str
    serial: int
    aside: Path | None
    left: str | None


def migrate(
    run: Run, backend: LocalBackend | S3Backend, *, approve: Callable[[Move], bool], now: Callable[[], datetime]
) -> Moved:
    """Bring the stack's state to ``backend``. The caller holds the stack's lock.

    Killed anywhere, a second call goes on. Raises ``StateConflictError`` where the target holds another state, or
    where the copy is not what was copied (then the old place stays the stack's).
    """
    stack = replace(run.stack, terraform=replace(run.stack.terraform, backend=backend))
    run = replace(run, stack=stack)
    refuse_errored(run)
    _check_account(run, backend)
    runner, binary = open_runner(run)
    target = wanted_backend(stack, backend, native_lock=binary.s3_native_lock)
    source = standing_backend(run.work_dir) or target
    with run.step("migrate") as step:
        state = _copy(run, runner, source, target, approve)
        step.detail = f"{len(state.addresses)} instances, serial {state.serial}, in {place_words(target, run.work_dir)}"
    _settle(run, runner, target)
    aside = _set_aside(run, runner, target, now)
    words = [place_words(place, run.work_dir) for place in (source, target)]
    moved = not same_place(source, target)
    left = words[0] if moved and source.remote else None
    return Moved(words[0], words[1], moved, len(state.addresses), state.lineage, state.serial, aside, left)


def refuse_errored(run: Run) -> None:
    """A state that could not be saved goes first: it is newer than the one that would be moved."""
    if (run.work_dir / ERRORED).exists():
        raise TerraformError(
            f"There is a state that an earlier run could not save: {run.work_dir / ERRORED}.",
            fix="Run `gridbyoc state push` on the stack file first.",
            rerun=SAFE_NOTHING_DONE,
        )


def _check_account(run: Run, backend: LocalBackend | S3Backend) -> None:
    if isinstance(backend, S3Backend):
        session = open_session(backend.region, backend.profile or run.stack.aws.profile)
        guard_account(caller_identity(session), run.stack.aws.account_id)


def _copy(
    run: Run, runner: Runner, source: Backend, target: Backend, approve: Callable[[Move], bool]
) -> Snapshot:
    document = runner.pull(source)
    before = snapshot_of(document)
    if same_place(source, target) or before.empty:
        return before if same_place(source, target) else snapshot_of(runner.pull(target))
    words = [place_words(place, run.work_dir) for place in (source, target)]
    there = snapshot_of(runner.pull(target))
    if _is_copy(there, before):
        return there
    _refuse_conflict(words, before, there)
    if not approve(Move(words[0], words[1], len(before.addresses))):
        raise ApprovalRequiredError("The move of the state was not approved.", rerun=SAFE_NOTHING_DONE)
    with run.effect("state_push", source=words[0], target=words[1], serial=before.serial, digest=before.digest[:16]):
        runner.push(target, document)
    after = snapshot_of(runner.pull(target))
    _verify(words, before, after, snapshot_of(runner.pull(source)))
    return after


def _is_copy(there: Snapshot, before: Snapshot) -> bool:
    """A killed run's copy: the same content, and not an older one. Terraform raises the serial of what it writes."""
    return not there.empty and there.same_content(before) and there.lineage == before.lineage


def _refuse_conflict(words: list[str], before: Snapshot, there: Snapshot) -> None:
    if there.empty or (there.lineage == before.lineage and there.serial <= before.serial):
        return
    newer = there.lineage == before.lineage
    raise StateConflictError(
        f"{words[1]} holds {'a newer' if newer else 'another'} state already; nothing was moved.",
        why=f"There: lineage {there.lineage}, serial {there.serial}, {len(there.addresses)} instances. "
        f"In {words[0]}: lineage {before.lineage}, serial {before.serial}, {len(before.addresses)} instances.",
        fix="Is it another stack's? Then choose another key. Is it an old copy that nobody needs? Then delete it there "
        "(a versioned bucket keeps it) and run again.",
        rerun=SAFE_NOTHING_DONE,
    )


def _verify(words: list[str], before: Snapshot, after: Snapshot, source_now: Snapshot) -> None:
    if source_now.serial != before.serial or not source_now.same_content(before):
        raise StateConflictError(
            f"Another run has changed the state in {words[0]} while it was copied.",
            why=f"It was serial {before.serial} and is {source_now.serial} now; the copy is of the older one.",
            fix="Wait for the other run to end, then run again: the newer state is copied over the older copy.",
        )
    if after.lineage == before.lineage and after.serial >= before.serial and after.same_content(before):
        return
    missing = ", ".join(sorted(before.addresses - after.addresses)) or "none"
    raise StateConflictError(
        f"The copy in {words[1]} is not what was copied; the stack's state stays in {words[0]}.",
        why=f"Lineage {before.lineage} became {after.lineage}, serial {before.serial} {after.serial}; "
        f"instances missing: {missing}.",
        fix=f"Look at {words[1]}, delete it there if nobody needs it, then run again.",
        rerun=SAFE_NOTHING_DONE,
    )


def _settle(run: Run, runner: Runner, target: Backend) -> None:
    """From here on the work_dir's state is the target's: noted first, so that a kill in between goes on here."""
    remember(run.work_dir, target)
    rendered = render_stack(run, s3_native_lock=runner.binary.s3_native_lock)
    with run.step("init"):
        init_in_place(run, runner, rendered.digest, settled=True)


def _set_aside(run: Run, runner: Runner, target: Backend, now: Callable[[], datetime]) -> Path | None:
    """Rename the old local file once what it holds is provably in the target."""
    old = Backend().state_file(run.work_dir)
    if not target.remote or not old.exists() or not old.stat().st_size:
        return None
    held, there = snapshot_of(runner.pull(Backend())), snapshot_of(runner.pull(target))
    if not held.empty and (held.lineage != there.lineage or held.serial > there.serial):
        return None
    return put_aside(old, "migrated", now())


def put_aside(file: Path, why: str, when: datetime) -> Path:
    """Rename a state file to ``<name>.<why>-<UTC>``, for its owner alone; ``FileError``."""
    aside = file.with_name(f"{file.name}.{why}-{when:%Y%m%dT%H%M%SZ}")
    try:
        file.chmod(0o600)
        file.rename(aside)
    except OSError as error:
        raise file_error("Cannot put aside", file, error) from None
    return aside


def backend_changes(stack: Stack, backend: LocalBackend | S3Backend) -> dict[tuple[str | int, ...], object]:
    """What the stack file must say for the state to lie in ``backend``: key path → value."""
    base: tuple[str | int, ...] = ("terraform", "backend")
    if isinstance(backend, LocalBackend):
        return {} if isinstance(stack.terraform.backend, LocalBackend) else {base: {"local": {}}}
    told = {name: getattr(backend, name) for name in ("bucket", "key", "region", "kms_key_id")}
    found = stack.terraform.backend
    if not isinstance(found, S3Backend):
        return {base: {"s3": {name: value for name, value in told.items() if value is not None}}}
    return {(*base, "s3", name): value for name, value in told.items() if getattr(found, name) != value}
