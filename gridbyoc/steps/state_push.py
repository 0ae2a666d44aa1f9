"""Push back the state that a run could not save where it belongs (``errored.tfstate``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, StateConflictError
from gridbyoc.stack.files import put_aside
from gridbyoc.stack.model import LocalBackend
from gridbyoc.steps.prepare import open_runner, render_stack
from gridbyoc.steps.run import Run
from gridbyoc.steps.settle import settle_local_state
from gridbyoc.steps.state_place import init_in_place, wanted_backend
from gridbyoc.terraform import Backend, Runner, Snapshot, place_words, snapshot_of
from gridbyoc.terraform.errored import ERRORED, unsaved_state
from gridbyoc.terraform.torn import is_torn


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed back. ``already``: the state held it before; ``aside``: the file's new name."""

    place: str
    instances: int
    serial: int
    already: bool
    aside: Path


def push_errored(run: Run, *, now: Callable[[], datetime]) -> Pushed | None:
    """Push ``errored.tfstate`` and put it aside; ``None`` where there is none. The caller holds the stack's lock.

    Raises ``StateConflictError`` where the state is of another lineage or has moved on since, ``TerraformError`` where
    the file holds no whole state. Killed after the push, a second call finds the state there and puts the file aside.
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
        _settle(run, now)
    place = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=binary.s3_native_lock)
    words = place_words(place, run.work_dir)
    with run.step("push") as step:
        after, already = _push(run, runner, place, words)
        step.detail = f"{len(after.addresses)} instances, serial {after.serial}, in {words}"
    return Pushed(words, len(after.addresses), after.serial, already, put_aside(file, "pushed", now()))


def _settle(run: Run, now: Callable[[], datetime]) -> None:
    """A local state that could not be written may be torn: its copy is put back, or it makes way for the whole one."""
    settle_local_state(run)
    state = Backend().state_file(run.work_dir)
    if is_torn(state):
        put_aside(state, "torn", now())


def _push(run: Run, runner: Runner, place: Backend, words: str) -> tuple[Snapshot, bool]:
    document = runner.pull(Backend("local", {"path": ERRORED}))
    errored, there = snapshot_of(document), snapshot_of(runner.pull(place))
    if there.same_content(errored) and not there.empty:
        return there, True
    _refuse_conflict(run, runner, words, errored, there)
    with run.effect("state_push", source=ERRORED, target=words, serial=errored.serial, digest=errored.digest[:16]):
        runner.push(place, document)
    after = snapshot_of(runner.pull(place))
    if not after.same_content(errored):
        raise StateConflictError(
            f"What {words} holds after the push is not what {ERRORED} holds; the file stays.",
            fix="Another run may have changed the state just then: wait for it to end, then run again.",
        )
    return after, False


def _refuse_conflict(run: Run, runner: Runner, words: str, errored: Snapshot, there: Snapshot) -> None:
    if there.empty or (there.lineage == errored.lineage and there.serial < errored.serial):
        return
    moved_on = there.lineage == errored.lineage
    only = ", ".join(sorted(errored.addresses - there.addresses)) or "nothing"
    force = runner.binary.command(run.work_dir, "state", "push", "-force", ERRORED)
    raise StateConflictError(
        f"{words} {'has moved on since' if moved_on else 'holds another state'}; {ERRORED} was not pushed and stays.",
        why=f"There: lineage {there.lineage}, serial {there.serial}. In {ERRORED}: lineage {errored.lineage}, serial "
        f"{errored.serial}. Only in {ERRORED}: {only}.",
        fix=f"If the file is the truth, push it over the other by hand: `{force}`. If not, move it away: "
        f"{run.work_dir / ERRORED}.",
        rerun=SAFE_NOTHING_DONE,
    )
