"""Move a stack's state to where the stack file wants it: copy, compare, and only then set the old one aside.

Not ``terraform init -migrate-state -force-copy``: it could overwrite the first apply of another machine between reading
the target and copying, it empties a local state before anybody has compared, and it gives an empty remote another
lineage. ``state push`` takes the lock and itself refuses another lineage or a newer serial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gridbyoc.aws import (
    AwsSession,
    BucketSetting,
    StateBucket,
    look_at_bucket,
    make_bucket,
    reached_over_tls,
)
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    ApprovalRequiredError,
    StateConflictError,
    UsageError,
)
from gridbyoc.operations.fingerprint import move as move_fingerprint
from gridbyoc.operations.prepare import open_runner, render_stack
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_place import backend_changes, init_in_place, point_at, settle_local_state, wanted_backend
from gridbyoc.stack.document import Fault
from gridbyoc.stack.files import put_aside, read_json
from gridbyoc.stack.model import LocalBackend, S3Backend
from gridbyoc.stack.regions import region_fault
from gridbyoc.stack.rules.context import RuleContext
from gridbyoc.stack.rules.terraform import bucket_fault, key_fault, kms_key_fault
from gridbyoc.terraform import (
    Backend,
    Runner,
    State,
    earlier_backends,
    forget_record,
    place_words,
    remember,
    same_place,
)
from gridbyoc.terraform.state_recovery import ERRORED, is_torn, unsaved_state


@dataclass(frozen=True, slots=True)
class Move:
    """A state to be moved: ``source`` and ``target`` in words, and its number of instances."""

    source: str
    target: str
    instances: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The result. ``moved`` is false if the state was already there; ``aside`` is the old local file's new name."""

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
    """Move the stack's state to ``backend``. The caller holds the stack's lock.

    A second call continues one that was killed. Raises ``StateConflictError`` if the target holds another state, or if
    the copy differs from the original (the old place then stays the stack's).
    """
    stack = replace(run.stack, terraform=replace(run.stack.terraform, backend=backend))
    run = replace(run, stack=stack)
    runner, binary = open_runner(run)
    runner.refuse_errored()  # it is newer than the state to be moved
    _check_account(run, backend)
    target = wanted_backend(stack, backend, native_lock=binary.s3_native_lock)
    source = _source(run, runner, target)
    words = (place_words(source, run.work_dir), place_words(target, run.work_dir))
    with run.step("migrate") as step:
        state = _copy(run, runner, (source, target), words, approve)
        step.detail = f"{len(state.addresses)} instances, serial {state.serial}"
    aside = _settle(run, runner, target, state, now)
    moved = not same_place(source, target)
    if moved:
        move_fingerprint(run, source, state)
    left = words[0] if moved and source.remote else None
    return Moved(words[0], words[1], moved, len(state.addresses), state.lineage, state.serial, aside, left)


def _check_account(run: Run, backend: LocalBackend | S3Backend) -> None:
    if isinstance(backend, S3Backend):
        run.state_account(backend)


def _source(run: Run, runner: Runner, target: Backend) -> Backend:
    """The first place that holds a state; the target itself if there is none."""
    for place in earlier_backends(run.work_dir):
        if same_place(place, target) or not runner.pull(place).empty:
            return place
    return target


def _copy(
    run: Run,
    runner: Runner,
    places: tuple[Backend, Backend],
    words: tuple[str, str],
    approve: Callable[[Move], bool],
) -> State:
    source, target = places
    there = runner.pull(target)
    if same_place(source, target):
        return there
    before = runner.pull(source)
    if not there.empty and there.same_content(before):
        return there  # a killed run's copy, or one made by hand: Terraform's own copy has another lineage
    _refuse_conflict(words, before, there)
    with run.asking():
        approved = approve(Move(words[0], words[1], len(before.addresses)))
    if not approved:
        raise ApprovalRequiredError("The move of the state was not approved.", rerun=SAFE_NOTHING_DONE)
    with run.effect("state_push", source=words[0], target=words[1], serial=before.serial, digest=before.digest[:16]):
        runner.push(target, before)
    after = runner.pull(target)
    _verify(words, before, after, runner.pull(source))
    return after


def _refuse_conflict(words: tuple[str, str], before: State, there: State) -> None:
    if there.empty or (there.lineage == before.lineage and there.serial <= before.serial):
        return
    newer = there.lineage == before.lineage
    raise StateConflictError(
        f"{words[1]} holds {'a newer' if newer else 'another'} state; nothing was moved.",
        why=f"{words[1]}: lineage {there.lineage}, serial {there.serial}, {len(there.addresses)} instances. "
        f"{words[0]}: lineage {before.lineage}, serial {before.serial}, {len(before.addresses)} instances.",
        fix="If it belongs to another stack, choose another key. If it is an old copy that nobody needs, delete it "
        "there (a versioned bucket keeps it) and run again.",
        rerun=SAFE_NOTHING_DONE,
    )


def _verify(words: tuple[str, str], before: State, after: State, source_now: State) -> None:
    if source_now.serial != before.serial or not source_now.same_content(before):
        raise StateConflictError(
            f"Another run has changed the state in {words[0]} while it was copied.",
            why=f"Its serial was {before.serial} and is now {source_now.serial}; the copy is of the older one.",
            fix="Wait for the other run to end, then run again: the newer state is copied over the older copy.",
        )
    if after.lineage == before.lineage and after.serial >= before.serial and after.same_content(before):
        return
    missing = ", ".join(sorted(before.addresses - after.addresses)) or "none"
    raise StateConflictError(
        f"The copy in {words[1]} differs from the original; the stack's state stays in {words[0]}.",
        why=f"Lineage {before.lineage} became {after.lineage}, serial {before.serial} became {after.serial}; "
        f"instances missing: {missing}.",
        fix=f"Check {words[1]}, delete the copy if nobody needs it, then run again.",
        rerun=SAFE_NOTHING_DONE,
    )


def _settle(run: Run, runner: Runner, target: Backend, state: State, now: Callable[[], datetime]) -> Path | None:
    """Make the target the stack's state. The record is written first: the next run continues after a kill at any line.

    The old file is moved before ``init``, which would otherwise ask what to do with it, even with ``-reconfigure``.
    """
    old = Backend().state_file(run.work_dir)
    held = runner.pull(Backend()) if target.remote else State()
    if (
        not held.empty
        and not held.same_content(state)
        and (held.lineage != state.lineage or held.serial > state.serial)
    ):
        raise StateConflictError(
            f"{old} holds a state that is not the stack's; nothing was changed.",
            fix="If it is needed, compare both. If not, move the file away, then run again.",
            rerun=SAFE_NOTHING_DONE,
        )
    remember(run.work_dir, target)
    forget_record(run.work_dir)
    aside = None if held.empty else put_aside(old, "migrated", now())
    rendered = render_stack(run, s3_native_lock=runner.binary.s3_native_lock)
    with run.step("init"):
        runner.init(digest=rendered.digest)
    return aside


@dataclass(frozen=True, slots=True)
class Pushed:
    """The pushed state. ``already``: the state had this content before; ``aside``: the file's new name."""

    place: str
    instances: int
    serial: int
    already: bool
    aside: Path


def push_errored(run: Run, *, now: Callable[[], datetime]) -> Pushed | None:
    """Push ``errored.tfstate`` and set it aside; ``None`` if there is none. The caller holds the stack's lock.

    Raises ``StateConflictError`` if the state has another lineage or has changed since, ``TerraformError`` if the file
    holds no complete state. If a call was killed after the push, a second one finds the content there and sets the file
    aside.
    """
    file = run.work_dir / ERRORED
    unsaved = unsaved_state(run.work_dir, run.outside.environ)
    if unsaved is None:
        return None
    runner, binary = open_runner(run)
    if unsaved.place != file:
        runner.refuse_errored()
    rendered = render_stack(run, s3_native_lock=binary.s3_native_lock)
    if runner.init_needed(rendered.digest):
        with run.step("init"):
            init_in_place(run, runner, rendered.digest)
    if isinstance(run.stack.terraform.backend, LocalBackend):
        _settle_local(run, now)
    place = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=binary.s3_native_lock)
    words = place_words(place, run.work_dir)
    with run.step("push") as step:
        after, already = _push(run, runner, place, words)
        step.detail = f"{len(after.addresses)} instances, serial {after.serial}, in {words}"
    return Pushed(words, len(after.addresses), after.serial, already, put_aside(file, "pushed", now()))


def _settle_local(run: Run, now: Callable[[], datetime]) -> None:
    """Repair a local state that may be cut off: restore its backup, or set it aside for the complete one."""
    settle_local_state(run)
    state = Backend().state_file(run.work_dir)
    if is_torn(state):
        put_aside(state, "torn", now())


def _push(run: Run, runner: Runner, place: Backend, words: str) -> tuple[State, bool]:
    errored, there = runner.pull(Backend("local", {"path": ERRORED})), runner.pull(place)
    if there.same_content(errored) and not there.empty:
        return there, True
    _refuse_push(run, runner, words, errored, there)
    with run.effect("state_push", source=ERRORED, target=words, serial=errored.serial, digest=errored.digest[:16]):
        runner.push(place, errored)
    after = runner.pull(place)
    if not after.same_content(errored):
        raise StateConflictError(
            f"After the push, {words} differs from {ERRORED}; the file stays.",
            fix="Another run may have changed the state just then: wait for it to end, then run again.",
        )
    return after, False


def _refuse_push(run: Run, runner: Runner, words: str, errored: State, there: State) -> None:
    if there.empty or (there.lineage == errored.lineage and there.serial < errored.serial):
        return
    moved_on = there.lineage == errored.lineage
    only = ", ".join(sorted(errored.addresses - there.addresses)) or "nothing"
    force = runner.binary.command(run.work_dir, "state", "push", "-force", ERRORED)
    raise StateConflictError(
        f"{words} {'has changed since' if moved_on else 'holds another state'}; {ERRORED} was not pushed and stays.",
        why=f"{words}: lineage {there.lineage}, serial {there.serial}. {ERRORED}: lineage {errored.lineage}, serial "
        f"{errored.serial}. Only in {ERRORED}: {only}.",
        fix=f"If the file is right, push it over the other state by hand: `{force}`. If not, move it away: "
        f"{run.work_dir / ERRORED}.",
        rerun=SAFE_NOTHING_DONE,
    )


@dataclass(frozen=True, slots=True)
class BucketRequest:
    """The command line's arguments for the bucket; ``None`` takes the stack file's value, otherwise a default."""

    bucket: str | None = None
    key: str | None = None
    region: str | None = None
    kms_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done. ``settings`` is ``None`` if the bucket does not exist yet."""

    bucket: StateBucket
    backend: S3Backend
    settings: tuple[BucketSetting, ...] | None
    points_already: bool

    @property
    def nothing_to_do(self) -> bool:
        """Whether bucket and stack file are already as they should be."""
        in_order = self.settings is not None and all(setting.in_order for setting in self.settings)
        return in_order and self.points_already


@dataclass(frozen=True, slots=True)
class ReadyBucket:
    """What was done.

    Whether the bucket was created, each setting as it was, and a state that the user must still move.
    """

    proposal: Proposal
    made: bool
    settings: tuple[BucketSetting, ...]
    pointed: bool
    state_left_in: str | None


def init_state(run: Run, asked: BucketRequest, approve: Callable[[Proposal], bool]) -> ReadyBucket:
    """Create or correct the bucket and point the stack at it; settings that are correct are not touched.

    Raises ``UsageError`` for invalid bucket names or keys, ``AccountMismatchError``, ``AwsError``.
    """
    backend, session, bucket = _wanted(run, asked)
    settings = look_at_bucket(session, bucket)
    proposal = Proposal(bucket, backend, settings, not backend_changes(run.stack.terraform.backend, backend))
    if settings is not None and proposal.nothing_to_do:
        return ReadyBucket(proposal, False, settings, False, _left(run, backend))
    with run.asking():
        approved = approve(proposal)
    if not approved:
        raise ApprovalRequiredError("The bucket was not approved.", rerun=SAFE_NOTHING_DONE)
    with run.effect("state_bucket", bucket=bucket.name, region=bucket.region):
        done = make_bucket(session, bucket)
    return ReadyBucket(proposal, settings is None, done, point_at(run.stack, backend), _left(run, backend))


def _wanted(run: Run, asked: BucketRequest) -> tuple[S3Backend, AwsSession, StateBucket]:
    stack = run.stack
    found = stack.terraform.backend
    old = found if isinstance(found, S3Backend) else S3Backend("", "", "")
    region = asked.region or old.region or stack.aws.region
    _check("--region", region_fault(region))
    session, caller = run.state_account(replace(old, region=region))
    name = asked.bucket or old.bucket or f"gridbyoc-state-{caller.account_id}-{region}"
    key = asked.key or old.key or f"gridbyoc/{stack.name}.tfstate"
    kms_key_id = asked.kms_key_id or old.kms_key_id
    _check("--bucket", bucket_fault(name))
    _check("--key", key_fault(key))
    if kms_key_id:
        _check("--kms-key-id", kms_key_fault(kms_key_id, RuleContext(Path(), Path(), caller.partition)))
    backend = replace(old, bucket=name, key=key, region=region, kms_key_id=kms_key_id)
    over_tls = reached_over_tls(session)
    return backend, session, StateBucket(name, region, caller.account_id, caller.partition, kms_key_id, over_tls)


def _check(option: str, fault: Fault | None) -> None:
    if fault is not None:
        raise UsageError(f"{option}: {fault.message}.", fix=fault.hint, rerun=SAFE_NOTHING_DONE)


def _left(run: Run, backend: S3Backend) -> str | None:
    """The place of a state that must still be moved to the bucket; ``None`` if there is none."""
    wanted = Backend("s3", {"bucket": backend.bucket, "key": backend.key})
    for place in earlier_backends(run.work_dir):
        if same_place(place, wanted):
            return None
        if place.remote:
            return f"s3://{place.config.get('bucket')}/{place.config.get('key')}"
        if not State(read_json(place.state_file(run.work_dir))).empty:
            return str(place.state_file(run.work_dir))
    return None
