"""A lock on the state: find who holds it, whether that run is still alive, and break it if not."""

from __future__ import annotations

import os
import pwd
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from gridbyoc.aws import read_state_lock
from gridbyoc.errors import SAFE_NOTHING_DONE, StateLockedError
from gridbyoc.errors.cards import LOCK_CODES
from gridbyoc.operations.journal import JOURNAL, read_journal
from gridbyoc.operations.prepare import open_runner, render_stack
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_place import init_in_place
from gridbyoc.stack.model import S3Backend
from gridbyoc.terraform import Backend, LockInfo, local_lock, locally_held, parse_lock

PROC = Path("/proc")
_SHELLS = ("sh", "bash", "zsh", "fish", "dash", "ksh")


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its id and the kernel's name for it."""

    pid: int
    name: str

    @property
    def terraform(self) -> bool:
        """Whether the name is Terraform's.

        A binary, or the Python that runs the embedded one (the kernel cuts names at 15).
        """
        return any(word in self.name for word in ("terraf", "tofu", "python"))

    def __str__(self) -> str:
        return f"{self.name or 'a process'} (process {self.pid})"


def working_in(directory: Path, proc: Path = PROC) -> tuple[Process, ...] | None:
    """The processes whose current directory is ``directory`` or below, except this process and shells.

    Only root can see the directories of other users' processes. ``None`` without ``/proc``.
    """
    if not (proc / "self").exists():
        return None
    target, found = directory.resolve(), []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            cwd = (entry / "cwd").readlink()
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue  # ended meanwhile, a zombie, or another user's
        if (cwd == target or target in cwd.parents) and name not in _SHELLS:
            found.append(Process(int(entry.name), name))
    return tuple(sorted(found, key=lambda process: process.pid))


def user_name() -> str:
    """Our user name as Terraform writes it into a lock; empty if the system has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


HolderState = Literal["alive", "dead", "unknown"]
_TAKEN_WITHIN = timedelta(seconds=90)  # from a step's start until Terraform has the lock: provider start, lock time-out
_REFUSED = LOCK_CODES | {StateLockedError.code}  # a step that failed with one of these never had the lock


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock and the verdict on its holder. ``command`` breaks it; empty if that is not needed."""

    info: LockInfo
    verdict: HolderState
    reason: str
    command: str

    @property
    def harmless(self) -> bool:
        """Whether only a note was left: the lock itself ended with its holder."""
        return self.verdict == "dead" and not self.command


def find_lock(run: Run) -> Lock | None:
    """The lock on the stack's state, judged; ``None`` if nobody holds it. The caller holds the stack's own lock."""
    backend = run.stack.terraform.backend
    if not isinstance(backend, S3Backend):
        return _local(run)
    session, _ = run.state_account(backend)
    note = read_state_lock(session, backend.bucket, backend.key, table=backend.dynamodb_table)
    if note is None:
        return None
    info = parse_lock(note) or LockInfo("")
    verdict, reason = judge(run.work_dir, info)
    unlock = open_runner(run)[0].binary.command(run.work_dir, "force-unlock", info.id) if info.id else ""
    return Lock(info, verdict, reason, unlock)


def _local(run: Run) -> Lock | None:
    """A local state's lock. The kernel drops it if the holder dies, whatever note stays."""
    file = Backend().state_file(run.work_dir)
    info = local_lock(file)
    if locally_held(file):
        return Lock(info or LockInfo(""), "alive", f"a process holds the lock on {file} right now", "")
    if info is None:
        return None
    return Lock(info, "dead", "its process has ended, and the lock with it; the next run can start", "")


def judge(
    work_dir: Path,
    info: LockInfo,
    *,
    here: str | None = None,
    workers: Callable[[Path], tuple[Process, ...] | None] = working_in,
) -> tuple[HolderState, str]:
    """Whether a lock's holder is alive. ``dead`` only if proven: a step of ours, on this machine, that is over.

    ``here`` is our ``user@host``. We hold the work_dir's own lock, so no other run is active in it; but
    a Terraform may still run after its run has ended.
    """
    here = here or f"{user_name()}@{socket.gethostname()}"
    if info.who != here:
        return "unknown", f"it was taken by {info.who or 'an unnamed user'}, and this is {here}"
    found = workers(work_dir)
    if found is None:
        return "unknown", "this machine does not show which processes work in the work_dir"
    if found:
        sure = any(process.terraform for process in found)
        return "alive" if sure else "unknown", "processes in the work_dir: " + ", ".join(map(str, found))
    step = _step_of(read_journal(work_dir / JOURNAL), info)
    if step is None:
        return (
            "unknown",
            "no step in this work_dir's journal began when it was taken: a run in another directory may hold it",
        )
    return (
        "dead",
        f"it was taken by the step {step} of a run in this work_dir, which is over, and no process works here",
    )


def _step_of(records: tuple[dict[str, Any], ...], info: LockInfo) -> str | None:
    """The journal's step that took the lock: it began just before, and it failed or never ended."""
    if info.created is None:
        return None
    for began, ended, name in _bad_steps(records):
        if began <= info.created <= min(ended or info.created, began + _TAKEN_WITHIN):
            return name
    return None


def _bad_steps(records: tuple[dict[str, Any], ...]) -> Iterator[tuple[datetime, datetime | None, str]]:
    """Start, end and name of every step that failed or never ended, except steps that a lock refused."""
    for number, record in enumerate(records):
        began = _time(record)
        if record.get("type") != "step_started" or began is None:
            continue
        same = {"run": record.get("run"), "step": record.get("step")}
        later = (other for other in records[number + 1 :] if same.items() <= other.items())
        end = next((other for other in later if str(other.get("type")).startswith("step_")), None)
        if end is None or (end.get("type") == "step_failed" and end.get("code") not in _REFUSED):
            yield began, _time(end) if end else None, str(record.get("step"))


def _time(record: Mapping[str, Any]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(record.get("time")))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def break_lock(run: Run, lock: Lock) -> None:
    """Run ``terraform force-unlock``. The caller has proof, or the user's word, that the holder is dead."""
    runner, binary = open_runner(run)
    rendered = render_stack(run, s3_native_lock=binary.s3_native_lock)
    if runner.init_needed(rendered.digest):
        with run.step("init"):
            init_in_place(run, runner, rendered.digest)
    with run.effect("force_unlock", id=lock.info.id, who=lock.info.who):
        runner.force_unlock(lock.info.id)


def refusal(lock: Lock, stack_file: str) -> StateLockedError:
    """The error for a lock that is not broken, with the way to break it."""
    if lock.verdict == "alive":
        fix = "Wait for it to end, or stop it there (Ctrl-C, or SIGINT to the process); then check again."
    elif not lock.info.id:
        fix = (
            "Its note cannot be read. Delete it (the state's key with .tflock) once you are sure that no run is active."
        )
    else:
        fix = (
            "Make sure that the run has ended. Then: "
            f"`gridbyoc state unlock {shlex.quote(stack_file)} --force {lock.info.id}`, or by hand: `{lock.command}`."
        )
    return StateLockedError(
        f"The state is locked: {lock.info}.",
        lock_id=lock.info.id,
        why=f"Its holder {'is alive' if lock.verdict == 'alive' else 'may be alive'}: {lock.reason}.",
        fix=fix,
        rerun=SAFE_NOTHING_DONE,
    )
