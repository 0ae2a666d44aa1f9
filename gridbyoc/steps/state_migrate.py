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

from gridbyoc.aws import caller_identity, guard_account
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    ApprovalRequiredError,
    StateConflictError,
)
from gridbyoc.stack.files import put_aside
from gridbyoc.stack.model import LocalBackend, S3Backend
from gridbyoc.steps.prepare import open_runner, render_stack
from gridbyoc.steps.run import Run
from gridbyoc.steps.state_place import wanted_backend
from gridbyoc.terraform import (
    Backend,
    Runner,
    Snapshot,
    forget_record,
    place_words,
    remember,
    same_place,
    snapshot_of,
    standing_places,
)


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
    runner, binary = open_runner(run)
    runner.refuse_errored()  # it is newer than the one that would be moved
    _check_account(run, backend)
    target = wanted_backend(stack, backend, native_lock=binary.s3_native_lock)
    source = _source(run, runner, target)
    words = (place_words(source, run.work_dir), place_words(target, run.work_dir))
    with run.step("migrate") as step:
        state = _copy(run, runner, (source, target), words, approve)
        step.detail = f"{len(state.addresses)} instances, serial {state.serial}"
    aside = _settle(run, runner, target, state, now)
    moved = not same_place(source, target)
    left = words[0] if moved and source.remote else None
    return Moved(words[0], words[1], moved, len(state.addresses), state.lineage, state.serial, aside, left)


def _check_account(run: Run, backend: LocalBackend | S3Backend) -> None:
    if isinstance(backend, S3Backend):
        session = run.open_session(backend.region, backend.profile)
        guard_account(caller_identity(session), run.stack.aws.account_id)


def _source(run: Run, runner: Runner, target: Backend) -> Backend:
    """The first place with a state in it; the target itself where there is none."""
    for place in standing_places(run.work_dir):
        if same_place(place, target) or not snapshot_of(runner.pull(place)).empty:
            return place
    return target


def _copy(
    run: Run,
    runner: Runner,
    places: tuple[Backend, Backend],
    words: tuple[str, str],
    approve: Callable[[Move], bool],
) -> Snapshot:
    source, target = places
    there = snapshot_of(runner.pull(target))
    if same_place(source, target):
        return there
    document = runner.pull(source)
    before = snapshot_of(document)
    if not there.empty and there.same_content(before):
        return there  # a killed run's copy, or one that was made by hand: Terraform's own has another lineage
    _refuse_conflict(words, before, there)
    with run.asking():
        approved = approve(Move(words[0], words[1], len(before.addresses)))
    if not approved:
        raise ApprovalRequiredError("The move of the state was not approved.", rerun=SAFE_NOTHING_DONE)
    with run.effect("state_push", source=words[0], target=words[1], serial=before.serial, digest=before.digest[:16]):
        runner.push(target, document)
    after = snapshot_of(runner.pull(target))
    _verify(words, before, after, snapshot_of(runner.pull(source)))
    return after


def _refuse_conflict(words: tuple[str, str], before: Snapshot, there: Snapshot) -> None:
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


def _verify(words: tuple[str, str], before: Snapshot, after: Snapshot, source_now: Snapshot) -> None:
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


def _settle(run: Run, runner: Runner, target: Backend, state: Snapshot, now: Callable[[], datetime]) -> Path | None:
    """From here on the state is the target's. Our note says so first: killed at any line, the next run goes on.

    The old file goes aside before ``init``, which would ask what to do with it even with ``-reconfigure``.
    """
    old = Backend().state_file(run.work_dir)
    held = snapshot_of(runner.pull(Backend())) if target.remote else snapshot_of({})
    if (
        not held.empty
        and not held.same_content(state)
        and (held.lineage != state.lineage or held.serial > state.serial)
    ):
        raise StateConflictError(
            f"{old} holds another state than the one that the stack has; nothing was changed.",
            fix="Is it needed? Then look at both. Else move the file away, then run again.",
            rerun=SAFE_NOTHING_DONE,
        )
    remember(run.work_dir, target)
    forget_record(run.work_dir)
    aside = None if held.empty else put_aside(old, "migrated", now())
    rendered = render_stack(run, s3_native_lock=runner.binary.s3_native_lock)
    with run.step("init"):
        runner.init(digest=rendered.digest)
    return aside
