"""Errors of the sandbox: its two servers, and the command that runs in it."""

from __future__ import annotations

from gridbyoc.errors.base import SAFE_NOTHING_DONE, GridbyocError


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
