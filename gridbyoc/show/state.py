"""Results of the ``state`` commands, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from gridbyoc.operations.state_migrate import Moved, Pushed, ReadyBucket
from gridbyoc.operations.state_place import snippet
from gridbyoc.operations.state_unlock import Lock
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.model import LocalBackend, S3Backend


def _paste(backend: LocalBackend | S3Backend, screen: Screen) -> None:
    screen.line("Put this into the stack file:")
    for line in snippet(backend).splitlines():
        screen.line(f"  {line}")


@dataclass(frozen=True, slots=True)
class StackState:
    """The result of ``state init`` for ``stack_file``."""

    stack_file: str
    ready: ReadyBucket


class SettingBody(TypedDict):
    """A setting of the bucket; ``changed``: it was different before."""

    name: str
    wanted: str
    changed: bool


class StateInitBody(TypedDict):
    """The state's bucket. ``made``: it did not exist before; ``state_left_in``: where the state still is."""

    bucket: str
    region: str
    key: str
    made: bool
    settings: list[SettingBody]
    stack_file_changed: bool
    state_left_in: str | None


def init_json(done: StackState) -> StateInitBody:
    """The result of ``state init``."""
    ready = done.ready
    bucket, backend = ready.proposal.bucket, ready.proposal.backend
    return {
        "bucket": bucket.name,
        "region": bucket.region,
        "key": backend.key,
        "made": ready.made,
        "settings": [
            {"name": each.name, "wanted": each.wanted, "changed": not each.in_order} for each in ready.settings
        ],
        "stack_file_changed": ready.pointed,
        "state_left_in": ready.state_left_in,
    }


def _write_init(done: StackState, screen: Screen) -> None:
    ready = done.ready
    bucket, backend = ready.proposal.bucket, ready.proposal.backend
    screen.line(f"bucket {bucket.name} in {bucket.region}: {'created' if ready.made else 'already exists'}")
    for setting in ready.settings:
        screen.line(f"  {setting.name}: {setting.wanted} ({'unchanged' if setting.in_order else 'set'})")
    if ready.pointed:
        screen.line(f"{done.stack_file}: terraform.backend is now s3://{backend.bucket}/{backend.key}; commit it.")
    elif not ready.proposal.points_already:
        _paste(backend, screen)
    if ready.state_left_in:
        screen.note(f"The state is still in {ready.state_left_in}.")


STATE_INIT = Output("state_init", init_json, _write_init)


@dataclass(frozen=True, slots=True)
class MovedState:
    """The result of ``state migrate``.

    ``changed``: the stack file that was changed; ``to_paste``: a backend to add by hand.
    """

    moved: Moved
    changed: str | None
    to_paste: LocalBackend | S3Backend | None


class StateMigrateBody(TypedDict):
    """The state's old and new place.

    ``moved`` is false if it was already there. ``set_aside`` is the old local file's new name, ``left`` the old place
    in S3.
    """

    source: str
    target: str
    moved: bool
    instances: int
    lineage: str
    serial: int
    stack_file_changed: bool
    set_aside: str | None
    left: str | None


def migrate_json(done: MovedState) -> StateMigrateBody:
    """The result of ``state migrate``."""
    moved = done.moved
    return {
        "source": moved.source,
        "target": moved.target,
        "moved": moved.moved,
        "instances": moved.instances,
        "lineage": moved.lineage,
        "serial": moved.serial,
        "stack_file_changed": done.changed is not None,
        "set_aside": str(moved.aside) if moved.aside else None,
        "left": moved.left,
    }


def _write_moved(done: MovedState, screen: Screen) -> None:
    moved = done.moved
    if moved.moved:
        screen.line(f"The state is in {moved.target}: {moved.instances} instances, compared with {moved.source}.")
    elif moved.instances or moved.lineage:
        screen.line(f"The state is already in {moved.target}: {moved.instances} instances.")
    else:
        screen.line(f"There is no state yet; it will be created in {moved.target}.")
    if moved.aside:
        screen.line(f"The old file is now {moved.aside}. It holds secrets: delete it once you trust the new place.")
    if moved.left:
        screen.line(f"The old state in {moved.left} was left unchanged. Delete it once you trust the new place.")
    if done.changed:
        screen.line(f"{done.changed}: terraform.backend was updated; commit it.")
    if done.to_paste:
        _paste(done.to_paste, screen)


STATE_MIGRATE = Output("state_migrate", migrate_json, _write_moved)


class PushedBody(TypedDict):
    """A state that was pushed back. ``already``: it was there before; ``set_aside``: the file's new name."""

    place: str
    instances: int
    serial: int
    already: bool
    set_aside: str


class StatePushBody(TypedDict):
    """The result of ``state push``; ``null`` if no run has left an errored.tfstate."""

    pushed: PushedBody | None


def push_json(pushed: Pushed | None) -> StatePushBody:
    """The result of ``state push``."""
    if pushed is None:
        return {"pushed": None}
    return {
        "pushed": {
            "place": pushed.place,
            "instances": pushed.instances,
            "serial": pushed.serial,
            "already": pushed.already,
            "set_aside": str(pushed.aside),
        }
    }


def _write_pushed(pushed: Pushed | None, screen: Screen) -> None:
    if pushed is None:
        screen.line("There is nothing to push: no run has left an errored.tfstate.")
        return
    how = "already held it" if pushed.already else "now holds it"
    screen.line(f"{pushed.place} {how}: {pushed.instances} instances, serial {pushed.serial}.")
    screen.line(f"The file is now {pushed.aside}.")


STATE_PUSH: Output[Pushed | None] = Output("state_push", push_json, _write_pushed)


@dataclass(frozen=True, slots=True)
class LockFound:
    """The lock on a state, ``None`` if nobody holds it; ``broken``: this command broke it."""

    lock: Lock | None
    broken: bool


class LockBody(TypedDict):
    """A lock: who holds it, and whether that run is alive. ``command`` breaks it by hand."""

    id: str
    who: str
    operation: str
    created: str | None
    path: str
    verdict: Literal["alive", "dead", "unknown"]
    reason: str
    command: str | None


class StateUnlockBody(TypedDict):
    """The lock on the state, ``null`` if nobody holds it; ``broken``: this command broke it."""

    lock: LockBody | None
    broken: bool


def unlock_json(found: LockFound) -> StateUnlockBody:
    """The lock, and whether it was broken."""
    told: LockBody | None = None
    if found.lock:
        info = found.lock.info
        told = {
            "id": info.id,
            "who": info.who,
            "operation": info.operation,
            "created": info.created.isoformat() if info.created else None,
            "path": info.path,
            "verdict": found.lock.verdict,
            "reason": found.lock.reason,
            "command": found.lock.command or None,
        }
    return {"lock": told, "broken": found.broken}


def _write_lock(found: LockFound, screen: Screen) -> None:
    lock = found.lock
    if lock is None:
        screen.line("The state is not locked.")
    elif found.broken:
        screen.line(f"The lock was broken. It was held by {lock.info}: {lock.reason}.")
    elif lock.harmless:
        screen.line(f"The state is not locked. A dead run left a note ({lock.info}): {lock.reason}.")
    else:
        screen.line(f"locked by {lock.info}")
        screen.line(f"  the holder: {lock.verdict}; {lock.reason}")
        if lock.command and lock.verdict != "alive":
            screen.line(f"  to break it by hand: {lock.command}")


STATE_UNLOCK = Output("state_unlock", unlock_json, _write_lock)
