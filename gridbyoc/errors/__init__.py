"""Every error a user can meet, with its stable code, its cause, its remedy and the exit status it ends with."""

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
    remedy = (
        "Look at `gridbyoc plan`. Without a terminal, approve with --yes, a destruction with --yes-destroy, and the "
        "removal of the state with --yes-with-state."
    )


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


class NotAdoptableError(PreflightBlockedError):
    """The role cannot be adopted as it is; ``findings`` has each reason, and what to do about it."""

    code = "GBY-R005"
    remedy = "Do what each reason names, and run `gridbyoc adopt` again."


class ReleasedStackError(GridbyocError):
    """The stack was released (`gridbyoc release`): no run changes it until it is adopted again."""

    code = "GBY-R006"
    remedy = "`gridbyoc adopt ROLE_ARN STACK_FILE` takes the stack back. Otherwise go on with Terraform by hand."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class InterruptedRunError(GridbyocError):
    """The user pressed Ctrl-C; says what is left and how to go on."""

    code = "GBY-R002"
    remedy = "Run the same command again: it goes on from what exists."
    exit_status = ExitStatus.INTERRUPTED


class BundleError(GridbyocError):
    """A file that is no bundle, or one that is damaged, cut off, or of another version of the format."""

    code = "GBY-B001"
    remedy = "Make the bundle again with `gridbyoc plan --out FILE`."


class BundleKeyError(GridbyocError):
    """No key where one is needed, another key than the bundle was encrypted with, or one that is too short."""

    code = "GBY-B002"
    remedy = "Set GRIDBYOC_BUNDLE_KEY to the key of the job that made the bundle, at least 32 characters."
    exit_status = ExitStatus.USAGE


class SandboxStartError(GridbyocError):
    """A server of the sandbox did not start; the end of its log says why."""

    code = "GBY-X001"
    remedy = "Install the extra (`pip install 'gridbyoc[sandbox]'`); see the end of the server's log."


class SandboxStoppedError(GridbyocError):
    """A server of the sandbox ended by itself while it was needed."""

    code = "GBY-X002"
    remedy = "See the end of the server's log, then start the sandbox again."


class CommandNotStartedError(GridbyocError):
    """The command of `sandbox run` could not be started; ends with a shell's status, 127 or 126."""

    code = "GBY-X003"
    remedy = "Name a program that is on PATH and may be executed."

    def __init__(self, what: str, *, shell_status: int = 127, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.shell_status = shell_status


class AwsError(GridbyocError):
    """AWS refused or could not be reached."""

    code = "GBY-A001"
    remedy = "Check network, region and permissions; `gridbyoc doctor` looks at each."


class AwsCredentialsError(AwsError):
    """No AWS credentials, or ones that have expired or are wrong."""

    code = "GBY-A002"
    remedy = "Get new credentials (`aws sso login`, an assumed role); `gridbyoc credentials show` tells which are used."


class AccountMismatchError(AwsError):
    """The caller's account is not the stack's ``aws.account_id``, or not the one that its role is in."""

    code = "GBY-A003"
    remedy = "Use credentials of the stack's account (aws.profile, AWS_PROFILE), or correct aws.account_id."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class TrustError(AwsError):
    """The live role does not admit the control plane with this external id."""

    code = "GBY-A004"
    remedy = "`gridbyoc verify` shows whom the role trusts; `gridbyoc bootstrap` puts the trust policy back."


class QuotaRefusedError(AwsError):
    """AWS did not take a request for a higher quota, or decided against it."""

    code = "GBY-A005"
    remedy = "Ask AWS Support about the case, or take instance types of another family."


class QuotaUndecidedError(AwsError):
    """AWS had not decided about a request for a higher quota when the time was over."""

    code = "GBY-A006"
    remedy = "`gridbyoc quotas status` follows the request."
    exit_status = ExitStatus.TIMED_OUT


class DefaultChangedError(AwsError):
    """A default of the control plane would change whom a standing role trusts, or what it may do."""

    code = "GBY-A007"
    remedy = (
        "Write role.trusted_account_id, role.managed_policies and role.statements into the stack file: the "
        "message has the lines."
    )
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ControlPlaneError(GridbyocError):
    """The control plane answered with an error; ``http_status`` is 0 where there was no answer."""

    code = "GBY-C001"
    remedy = "Do what the control plane says; `gridbyoc doctor --only control-plane` looks at it."

    def __init__(self, what: str, *, http_status: int = 0, why: str = "", fix: str = "", rerun: str = SAFE) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.http_status = http_status


class ControlPlaneUnreachableError(ControlPlaneError):
    """No usable answer: refused, timed out, TLS, or something that is not the control plane (HTML)."""

    code = "GBY-C002"
    remedy = "Check the address (--url, GRID_URL, LIGHTNING_CLOUD_URL), the network and proxies, then run again."


class AuthenticationError(ControlPlaneError):
    """No control-plane credentials, or ones it does not take."""

    code = "GBY-C003"
    remedy = "Log in with `gridbyoc login`, or set user id and API key in the environment."
    none_given = False
    """Whether there are no credentials at all, neither in the environment nor in a file."""


class UnaskedControlPlaneError(ControlPlaneError):
    """Whether clusters run through the role is unknown, for there is no key to ask the control plane with."""

    code = "GBY-C011"
    remedy = "Log in with `gridbyoc login`; --no-control-plane says that no cluster runs through the role."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ClusterNotFoundError(ControlPlaneError):
    """No cluster of that name or id."""

    code = "GBY-C004"
    remedy = "`gridbyoc clusters list` shows the clusters that there are."


class ClusterConflictError(ControlPlaneError):
    """The cluster's name is taken by one that runs through another role."""

    code = "GBY-C005"
    remedy = "Give the cluster another name in the stack file, or delete the other one."


class UntrustedAddressError(ControlPlaneError):
    """The stack file alone names the address that the control plane's key would go to."""

    code = "GBY-C010"
    remedy = "If you trust the address, export the variable that the message names, or use --url."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class UnsupportedByDialectError(ControlPlaneError):
    """The stack asks for something that this control plane's API does not have."""

    code = "GBY-C006"
    remedy = "Take out of the stack file what this control plane has not, or name another control_plane.type."
    exit_status = ExitStatus.USAGE


class UnclearAnswerError(ControlPlaneError):
    """A change was sent and its answer was lost, and looking it up did not tell either."""

    code = "GBY-C007"
    remedy = "Run the same command again: it looks the cluster up by name first."


class ClusterFailedError(ControlPlaneError):
    """The control plane reports the cluster as FAILED."""

    code = "GBY-C008"
    remedy = "Mend the reason that the control plane gives, then run `gridbyoc bootstrap` again."
    exit_status = ExitStatus.CLUSTER_FAILED


class WaitTimedOutError(ControlPlaneError):
    """The cluster was not where it should be when the time was over."""

    code = "GBY-C009"
    remedy = "Go on waiting with `gridbyoc clusters wait NAME`, or allow more time with --timeout."
    exit_status = ExitStatus.TIMED_OUT


class TerraformError(GridbyocError):
    """Terraform said no. ``diagnostics`` are its own words, one string each, naming resource and file."""

    code = "GBY-T001"
    remedy = "Do what the diagnostics say; the log of the command is named in the message."

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
    remedy = "Install Terraform 1.5 or newer or OpenTofu, or `pip install 'gridbyoc[embedded]'`."


class TerraformTooOldError(TerraformError):
    """The binary found is older than 1.5, or lacks a feature the stack asks for."""

    code = "GBY-T003"
    remedy = "Install a newer version, or name another one with --terraform-bin."


class TerraformInterruptedError(TerraformError):
    """Terraform was stopped by an interrupt; ``killed`` says that it did not end within its grace."""

    code = "GBY-T004"
    remedy = (
        "Run the same command again: it goes on from what exists. `gridbyoc state unlock` breaks a lock that was left."
    )
    exit_status = ExitStatus.INTERRUPTED

    def __init__(
        self, what: str, *, killed: bool = False, why: str = "", fix: str = "", rerun: str = SAFE_RESUMES
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.killed = killed


class StateLockedError(TerraformError):
    """Terraform could not take the state lock; ``lock_id`` is what ``force-unlock`` wants."""

    code = "GBY-T005"
    remedy = (
        "Wait for the other run; `gridbyoc state unlock` tells whether it is alive, and breaks the lock of a dead one."
    )
    exit_status = ExitStatus.LOCKED

    def __init__(
        self, what: str, *, lock_id: str = "", why: str = "", fix: str = "", rerun: str = SAFE_RESUMES
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.lock_id = lock_id


class TerraformTimeoutError(TerraformError):
    """Terraform did not end within the time it was given and was stopped."""

    code = "GBY-T006"
    remedy = "See the log for what Terraform was waiting for, then run the command again."


class OutputMissingError(TerraformError):
    """The state has no ``role_arn`` or no ``external_id``: not applied yet, or a module without them."""

    code = "GBY-T007"
    remedy = "Run `gridbyoc bootstrap` first. Another module must have the outputs role_arn and external_id."


class StalePlanError(TerraformError):
    """What was planned is not what is there any more; ``diagnostics`` has a line for each thing that moved."""

    code = "GBY-T008"
    remedy = "Run the plan again, and look at it."
    exit_status = ExitStatus.STALE_PLAN


class StateMovedError(TerraformError):
    """The stack file puts the state elsewhere than where it lies."""

    code = "GBY-T009"
    remedy = "Move the state with `gridbyoc state migrate`, or put terraform.backend back as it was."


class StateConflictError(TerraformError):
    """Two states are there where one should be, and neither is provably a copy of the other."""

    code = "GBY-T010"
    remedy = "Compare the two states, and set the wrong one aside: the message names both."


class TerraformWrapperError(TerraformError):
    """Terraform's exit status, output or version contradict each other: a program before it changes one of them."""

    code = "GBY-T011"
    remedy = (
        "Call Terraform itself: set terraform_wrapper: false for setup-terraform, or name the binary with "
        "--terraform-bin."
    )
