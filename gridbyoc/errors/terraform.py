"""What Terraform can say no with."""

from __future__ import annotations

from gridbyoc.errors.base import SAFE_RESUMES, ExitStatus, GridbyocError


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
