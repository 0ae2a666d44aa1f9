"""Every error a user can meet, with its stable code and the exit status it ends with.

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
    """The root of them all. ``what`` is one sentence; ``why``, ``fix`` and ``rerun`` are sentences or empty."""

    code: ClassVar[str] = "GBY-E001"
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
    exit_status = ExitStatus.USAGE


class ApprovalRequiredError(UsageError):
    """A change waits for a yes and there is no terminal to ask on."""

    code = "GBY-U002"


class StackError(GridbyocError):
    """The stack file is invalid; ``problems`` holds every one of them."""

    code = "GBY-S001"
    exit_status = ExitStatus.USAGE

    def __init__(self, what: str, *, problems: tuple[Problem, ...] = (), why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.problems = problems


class FileError(GridbyocError):
    """A file or directory could not be read or written: permissions, a full disk, a missing directory."""

    code = "GBY-F001"


class LockedError(GridbyocError):
    """Another run holds this stack (ours, on this machine) or its state (Terraform's lock)."""

    code = "GBY-R001"
    exit_status = ExitStatus.LOCKED


class InterruptedRunError(GridbyocError):
    """The user pressed Ctrl-C; says what is left and how to go on."""

    code = "GBY-R002"
    exit_status = ExitStatus.INTERRUPTED


class TerraformError(GridbyocError):
    """Terraform said no. ``diagnostics`` are its own words, one string each, naming resource and file."""

    code = "GBY-T001"

    def __init__(
        self,
        what: str,
        *,
        diagnostics: tuple[str, ...] = (),
        why: str = "",
        fix: str = "",
        rerun: str = SAFE_RESUMES,
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.diagnostics = diagnostics


class TerraformNotFoundError(TerraformError):
    """No terraform, no tofu, no embedded one."""

    code = "GBY-T002"


class TerraformTooOldError(TerraformError):
    """The binary found is older than 1.5, or lacks a feature the stack asks for."""

    code = "GBY-T003"


class TerraformInterruptedError(TerraformError):
    """Terraform was stopped by an interrupt; ``killed`` says that it did not end within its grace."""

    code = "GBY-T004"
    exit_status = ExitStatus.INTERRUPTED

    def __init__(
        self, what: str, *, killed: bool = False, why: str = "", fix: str = "", rerun: str = SAFE_RESUMES
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.killed = killed


class StateLockedError(TerraformError):
    """Terraform could not take the state lock; ``lock_id`` is what ``force-unlock`` wants."""

    code = "GBY-T005"
    exit_status = ExitStatus.LOCKED

    def __init__(
        self, what: str, *, lock_id: str = "", why: str = "", fix: str = "", rerun: str = SAFE_RESUMES
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.lock_id = lock_id


class TerraformTimeoutError(TerraformError):
    """Terraform did not end within the time it was given and was stopped."""

    code = "GBY-T006"


class OutputMissingError(TerraformError):
    """The state has no ``role_arn`` or no ``external_id``: not applied yet, or a module without them."""

    code = "GBY-T007"


class AwsError(GridbyocError):
    """AWS refused or could not be reached."""

    code = "GBY-A001"


class AwsCredentialsError(AwsError):
    """No AWS credentials, or ones that have expired or are wrong."""

    code = "GBY-A002"


class AccountMismatchError(AwsError):
    """The caller's account is not the stack's ``aws.account_id``."""

    code = "GBY-A003"
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class TrustError(AwsError):
    """The live role does not admit the control plane with this external id."""

    code = "GBY-A004"


class ControlPlaneError(GridbyocError):
    """The control plane answered with an error; ``http_status`` is 0 where there was no answer."""

    code = "GBY-C001"

    def __init__(self, what: str, *, http_status: int = 0, why: str = "", fix: str = "", rerun: str = SAFE) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.http_status = http_status


class ControlPlaneUnreachableError(ControlPlaneError):
    """No usable answer: refused, timed out, TLS, or something that is not the control plane (HTML)."""

    code = "GBY-C002"


class AuthenticationError(ControlPlaneError):
    """No control-plane credentials, or ones it does not take."""

    code = "GBY-C003"


class ClusterNotFoundError(ControlPlaneError):
    """No cluster of that name or id."""

    code = "GBY-C004"


class ClusterConflictError(ControlPlaneError):
    """The cluster's name is taken by one that runs through another role."""

    code = "GBY-C005"


class UnsupportedByDialectError(ControlPlaneError):
    """The stack asks for something that this control plane's API does not have."""

    code = "GBY-C006"
    exit_status = ExitStatus.USAGE


class UnclearAnswerError(ControlPlaneError):
    """A change was sent and its answer was lost, and looking it up did not tell either."""

    code = "GBY-C007"


class ClusterFailedError(ControlPlaneError):
    """The control plane reports the cluster as FAILED."""

    code = "GBY-C008"
    exit_status = ExitStatus.CLUSTER_FAILED


class WaitTimedOutError(ControlPlaneError):
    """The cluster was not where it should be when the time was over."""

    code = "GBY-C009"
    exit_status = ExitStatus.TIMED_OUT
