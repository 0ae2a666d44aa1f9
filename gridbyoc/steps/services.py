"""How a run opens Terraform, AWS and the control plane: the real ones, unless ``Outside`` is given others.

The clients are imported on first use: a wrong command line or stack file is refused before any of them is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gridbyoc.stack.model import ControlPlane

if TYPE_CHECKING:
    from gridbyoc.aws import AwsSession
    from gridbyoc.control_plane.model import Registrar
    from gridbyoc.terraform import Binary
    from gridbyoc.terraform.process import RunCommand


class Services(Protocol):
    """What a run works with. Tests hand in services that need no process and no socket."""

    @property
    def run_command(self) -> RunCommand:
        """Runs one command of Terraform to its end."""

    def find_binary(self, asked: str | None, environ: Mapping[str, str], *, directory: Path) -> Binary:
        """The Terraform to use in ``directory``, as ``gridbyoc.terraform.find_binary``."""

    def open_session(self, region: str, profile: str | None) -> AwsSession:
        """An AWS session, as ``gridbyoc.aws.open_session``."""

    def connect(
        self,
        control_plane: ControlPlane,
        *,
        environ: Mapping[str, str],
        home: Path,
        url: str | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_warning: Callable[[str], None] | None = None,
    ) -> Registrar:
        """The control plane's client, as ``gridbyoc.control_plane.connect``."""


class RealServices:
    """Processes and sockets."""

    @property
    def run_command(self) -> RunCommand:
        """A child process."""
        from gridbyoc.terraform.process import run

        return run

    def find_binary(self, asked: str | None, environ: Mapping[str, str], *, directory: Path) -> Binary:
        """A program on this machine."""
        from gridbyoc.terraform import find_binary

        return find_binary(asked, environ, directory=directory)

    def open_session(self, region: str, profile: str | None) -> AwsSession:
        """boto3's own chain."""
        from gridbyoc.aws import open_session

        return open_session(region, profile)

    def connect(
        self,
        control_plane: ControlPlane,
        *,
        environ: Mapping[str, str],
        home: Path,
        url: str | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_warning: Callable[[str], None] | None = None,
    ) -> Registrar:
        """HTTP."""
        from gridbyoc.control_plane import connect

        return connect(
            control_plane, environ=environ, home=home, url=url, clock=clock, sleep=sleep, on_warning=on_warning
        )


REAL: Services = RealServices()
