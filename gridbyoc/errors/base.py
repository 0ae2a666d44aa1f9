"""The root of every error, the exit statuses, and the errors of the command line, files and runs.

An error says what happened, why, what to do, and whether a re-run is safe. Services raise these and nothing
else; ``cli`` is the one place that prints them. Nothing secret may be put into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

SAFE = "A re-run is safe."
SAFE_NOTHING_DONE = "Nothing was created or changed; a re-run is safe."
SAFE_RESUMES = "A re-run is safe: it goes on from what exists."


class ExitStatus(IntEnum):
    """The documented exit statuses of the program."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES_PENDING = 3
    PREFLIGHT_BLOCKED = 4
    CLUSTER_FAILED = 5
    TIMED_OUT = 6
    LEFTOVERS = 7
    LOCKED = 8
    STALE_PLAN = 9
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a stack file: where it is, what it is, what is allowed."""

    file: str
    line: int | None
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class GridbyocError(Exception):
    """A fault of gridbyoc's own: an error that nobody has put into words.

    Base class of every error. ``what`` is one sentence; ``why``, ``fix`` and ``rerun`` are sentences or empty;
    ``remedy`` is what helps in general, for `gridbyoc explain`.
    """

    # The kind's own; an error of a known failure carries its card's (errors.cards.carrying).
    code: str = "GBY-E001"
    remedy: ClassVar[str] = "Run the command again with --debug, and report what it prints."
    exit_status: ClassVar[ExitStatus] = ExitStatus.FAILED

    def __init__(self, what: str, *, why: str = "", fix: str = "", rerun: str = SAFE) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.rerun = rerun


class UsageError(GridbyocError):
    """The command line cannot be carried out as it was written."""

    code = "GBY-U001"
    remedy = "Correct the command line: `gridbyoc COMMAND --help` lists what it takes."
    exit_status = ExitStatus.USAGE


class ApprovalRequiredError(UsageError):
    """A change waits for a yes and there is no terminal to ask on."""

    code = "GBY-U002"
    remedy = "Look at `gridbyoc plan`. Without a terminal, approve with --yes, and a destruction with --yes-destroy."


class StackError(GridbyocError):
    """The stack file is invalid; ``problems`` holds every one of them."""

    code = "GBY-S001"
    remedy = "Correct every problem that is listed; `gridbyoc validate` lists them again."
    exit_status = ExitStatus.USAGE

    def __init__(self, what: str, *, problems: tuple[Problem, ...] = (), why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.problems = problems


class FileError(GridbyocError):
    """A file or directory could not be read or written: permissions, a full disk, a missing directory."""

    code = "GBY-F001"
    remedy = "Give yourself the rights that the path needs, make room on its disk, or name another path."


class ForeignFileError(FileError):
    """A link, a pipe, or another user's directory stands where gridbyoc keeps its own files; nothing was followed."""

    code = "GBY-F002"
    remedy = (
        "Remove the link or the directory if you do not know it, or keep the files elsewhere: "
        "GRIDBYOC_WORK_ROOT=/a/directory."
    )
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class LockedError(GridbyocError):
    """Another run holds this stack (ours, on this machine) or its state (Terraform's lock)."""

    code = "GBY-R001"
    remedy = (
        "Wait for the other run, or stop it; --lock-timeout waits longer, `gridbyoc state unlock` breaks the "
        "lock of a dead run."
    )
    exit_status = ExitStatus.LOCKED


class PreflightBlockedError(GridbyocError):
    """Something that is proven not to work was found before anything was made; ``findings`` has a line for each."""

    code = "GBY-R003"
    remedy = "Do what each finding names; `gridbyoc doctor` shows all of them. --skip CODE leaves one check out."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED

    def __init__(self, what: str, *, findings: tuple[str, ...] = (), why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.findings = findings


class ProtectedStackError(GridbyocError):
    """The stack file protects the stack (`protect: true`), and something of it would be destroyed or replaced."""

    code = "GBY-R004"
    remedy = "Take `protect: true` out of the stack file if the destruction is meant."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class InterruptedRunError(GridbyocError):
    """The user pressed Ctrl-C; says what is left and how to go on."""

    code = "GBY-R002"
    remedy = "Run the same command again: it goes on from what exists."
    exit_status = ExitStatus.INTERRUPTED
