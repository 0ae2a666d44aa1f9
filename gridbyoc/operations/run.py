"""A run of one stack: its inputs, its connections to the outside, and how steps are timed and recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gridbyoc.errors import GridbyocError
from gridbyoc.operations.events import Asking, Emit, Event, StepFinished, StepName, StepStarted
from gridbyoc.operations.journal import Journal
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.defaults import proven_principals
from gridbyoc.stack.document import Origin
from gridbyoc.stack.model import AssumeRole, ClusterSpec, ControlPlane, S3Backend, Stack
from gridbyoc.vendors import DEFAULT_VENDOR, wait_limit

if TYPE_CHECKING:
    from gridbyoc.aws import AwsSession, Caller, Trust
    from gridbyoc.control_plane.model import Registrar, WithoutKey
    from gridbyoc.stack.secret import Secret
    from gridbyoc.terraform import Binary
    from gridbyoc.terraform.process import RunCommand


class Services(Protocol):
    """The services that a run uses. Tests inject services that need no process and no socket."""

    @property
    def run_command(self) -> RunCommand:
        """Runs one Terraform command to its end."""

    def find_binary(self, asked: str | None, environ: Mapping[str, str], *, directory: Path) -> Binary:
        """The Terraform to use in ``directory``, as ``gridbyoc.terraform.find_binary``."""

    def open_session(self, region: str, profile: str | None) -> AwsSession:
        """An AWS session, as ``gridbyoc.aws.open_session``."""

    def assume_role(self, caller: AwsSession, role: AssumeRole) -> AwsSession:
        """A session of a role, as ``gridbyoc.aws.assume_role``."""

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
        without_key: WithoutKey = "refused",
    ) -> Registrar:
        """The control plane's client, as ``gridbyoc.control_plane.connect``."""


class RealServices:
    """Real processes and sockets."""

    @property
    def run_command(self) -> RunCommand:
        """Run the command as a child process."""
        from gridbyoc.terraform.process import run

        return run

    def find_binary(self, asked: str | None, environ: Mapping[str, str], *, directory: Path) -> Binary:
        """Find a program on this machine."""
        from gridbyoc.terraform import find_binary

        return find_binary(asked, environ, directory=directory)

    def open_session(self, region: str, profile: str | None) -> AwsSession:
        """Open a session with boto3's own credential chain."""
        from gridbyoc.aws import open_session

        return open_session(region, profile)

    def assume_role(self, caller: AwsSession, role: AssumeRole) -> AwsSession:
        """Assume the role at the session's first call."""
        from gridbyoc.aws import assume_role

        return assume_role(caller, role)

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
        without_key: WithoutKey = "refused",
    ) -> Registrar:
        """Connect over HTTP."""
        from gridbyoc.control_plane import connect

        return connect(
            control_plane, environ=environ, home=home, url=url, clock=clock, sleep=sleep, on_warning=on_warning,
            without_key=without_key,
        )  # fmt: skip


REAL: Services = RealServices()


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine as a run sees it. ``clock`` returns monotonic seconds; ``emit`` receives every event.

    ``services`` open Terraform, AWS and the control plane.
    """

    environ: Mapping[str, str]
    home: Path
    emit: Emit
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], datetime] = utc_now
    services: Services = REAL


def every(_code: str) -> bool:
    """Accept every check."""
    return True


@dataclass(frozen=True, slots=True)
class Checks:
    """The preflight checks of a run: those whose code is ``wanted``.

    ``strict``: warnings and unknown findings block, too. ``reads_only``: the run changes nothing, so that findings that
    concern changes do not block.
    """

    wanted: Callable[[str], bool] = every
    strict: bool = False
    reads_only: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """The command line's choices: the Terraform binary, the control plane's address, how to wait.

    ``refresh``: run Terraform even if nothing seems to have changed. ``checks`` ``None``: the preflight only determines
    the caller and the existing clusters. ``wait_timeout``, ``poll_interval``, ``failed_grace`` and ``lock_timeout`` are
    seconds. If ``None``, ``wait_timeout`` and ``failed_grace`` are the control plane's own, ``lock_timeout`` is each
    lock's own. ``no_control_plane``: the user asserts that no cluster runs through the role, so that the control plane
    need not be asked if there is no key. ``finishing``: this run finishes one that did not wait, and nobody has seen
    its plan: it requests the deletion of no cluster. ``clusters``: the names given with ``--cluster``,
    unchecked.
    """

    terraform_bin: str | None = None
    url: str | None = None
    wait: bool = True
    wait_timeout: float | None = None
    poll_interval: float = 5.0
    failed_grace: float | None = None
    lock_timeout: float | None = None
    checks: Checks | None = None
    refresh: bool = False
    no_control_plane: bool = False
    finishing: bool = False
    clusters: tuple[str, ...] = ()


class Connections:
    """The AWS sessions of a run and its control plane client, each opened once. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str | None, AssumeRole | None], AwsSession] = {}
        self._registrar: tuple[Registrar, list[str]] | None = None
        self._opening = threading.Lock()

    def session(
        self, region: str, profile: str | None, role: AssumeRole | None, open_session: Callable[[], AwsSession]
    ) -> AwsSession:
        """The session of a profile (``None``: of boto3's chain), or of a role that it assumes.

        The first caller opens it while others wait.
        """
        with self._opening:
            key = (region, profile, role)
            if key not in self._sessions:
                self._sessions[key] = open_session()
            return self._sessions[key]

    def registrar(self, connect: Callable[[Callable[[str], None]], Registrar]) -> tuple[Registrar, list[str]]:
        """The client and the warnings of its creation. The first caller creates it."""
        with self._opening:
            if self._registrar is None:
                warnings: list[str] = []
                self._registrar = connect(warnings.append), warnings
            return self._registrar


@dataclass(slots=True)
class StepRecord:
    """The outcome that a step reports while it runs."""

    detail: str = ""
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A stack, its work_dir, the environment, choices and journal. ``seconds`` collects each step's wall time.

    ``origin`` knows the lines of the stack file. ``connections`` are those to AWS and to the control plane.
    ``read_from``: the stack's own work_dir, if ``work_dir`` is a temporary copy of it. ``only``: the names of the
    stack's clusters that a partial run is limited to; empty for the whole stack.
    """

    stack: Stack
    work_dir: Path
    outside: Environment
    choices: Choices
    journal: Journal
    seconds: dict[StepName, float] = field(default_factory=dict)
    origin: Origin | None = None
    read_from: Path | None = None
    connections: Connections = field(default_factory=Connections, repr=False)
    only: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[ClusterSpec, ...]:
        """The clusters of the stack file that this run is about: all of them, unless the run is partial."""
        return tuple(spec for spec in self.stack.clusters if not self.only or spec.name in self.only)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The names of the stack file's clusters that a partial run leaves out; none for the whole stack."""
        return tuple(spec.name for spec in self.stack.clusters if self.only and spec.name not in self.only)

    @property
    def own_work_dir(self) -> Path:
        """The stack's own work_dir, even if the run works on a copy of it."""
        return self.read_from or self.work_dir

    @property
    def wait_timeout(self) -> float:
        """Seconds to wait for clusters: as chosen, otherwise the limit of the stack's control plane."""
        if self.choices.wait_timeout is not None:
            return self.choices.wait_timeout
        plane = self.stack.control_plane.type
        # Without an API there is nothing to wait for but what a control plane that the stack had before left behind.
        return wait_limit(DEFAULT_VENDOR if plane == "manual" else plane)

    def muted_when(self, over: Callable[[], bool]) -> Run:
        """A copy of this run that stops emitting and journaling once ``over()`` is true."""

        def emit(event: Event) -> None:
            if not over():
                self.outside.emit(event)

        return replace(self, outside=replace(self.outside, emit=emit), journal=replace(self.journal, over=over))

    def find_binary(self) -> Binary:
        """The Terraform that the command line or the environment selects; ``TerraformNotFoundError``."""
        find = self.outside.services.find_binary
        return find(self.choices.terraform_bin, self.terraform_environ, directory=self.own_work_dir)

    @property
    def terraform_environ(self) -> Mapping[str, str]:
        """The caller's environment without the external ids' variables: any Terraform module could read them."""
        hidden = self.stack.secret_variables
        return {name: value for name, value in self.outside.environ.items() if name not in hidden}

    def open_session(self) -> AwsSession:
        """The run's AWS session in the stack's account; ``AwsCredentialsError``.

        It has the caller's own credentials, or those of ``aws.assume_role``. Returns the same session each time, so
        that reads and changes use the same credentials.
        """
        return self._session(self.stack.aws.region, None, self.stack.aws.assume_role)

    def caller_session(self, profile: str | None = None) -> AwsSession:
        """The session with the caller's own credentials, whatever role the stack file names."""
        return self._session(self.stack.aws.region, profile, None)

    def state_session(self, backend: S3Backend) -> AwsSession:
        """The session that reads and writes the state: the caller's own credentials, or the backend's role."""
        return self._session(backend.region or self.stack.aws.region, backend.profile, backend.assume_role)

    def _session(self, region: str, profile: str | None, role: AssumeRole | None) -> AwsSession:
        connections, services = self.connections, self.outside.services
        profile = profile or self.stack.aws.profile
        caller = connections.session(region, profile, None, lambda: services.open_session(region, profile))
        if role is None:
            return caller
        return connections.session(region, profile, role, lambda: services.assume_role(caller, role))

    def account(self) -> tuple[AwsSession, Caller]:
        """The stack's session and its caller, who must be in the account that the stack file names, if any.

        Raises ``AwsCredentialsError``, ``AccountMismatchError``.
        """
        from gridbyoc.aws import caller_identity, guard_account

        session = self.open_session()
        caller = caller_identity(session)
        guard_account(caller, self.stack.aws.account_id, self.stack.aws.role_arn)
        return session, caller

    def state_account(self, backend: S3Backend) -> tuple[AwsSession, Caller]:
        """The session of the state and its caller; raises as ``account``.

        With assumed roles, the state may be in another account than the stack: the guard then compares the stack's
        session.
        """
        from gridbyoc.aws import caller_identity, guard_account

        session = self.state_session(backend)
        if self.stack.aws.assume_role or backend.assume_role:
            self.account()
            return session, caller_identity(session)
        caller = caller_identity(session)
        guard_account(caller, self.stack.aws.account_id)
        return session, caller

    def live_trust(self, session: AwsSession, role_arn: str, external_id: Secret, *, wait: bool = False) -> Trust:
        """Whether a live role admits those whom the stack file trusts, with this external id; see ``await_trust``.

        ``wait``: give a new role time to become visible everywhere. Raises ``TrustError``.
        """
        from gridbyoc.aws import await_trust

        principals = proven_principals(self.stack.role, role_arn.split(":")[1])
        outside, limit = self.outside, 60.0 if wait else 0.0
        return await_trust(
            session, role_arn, external_id, principals, sleep=outside.sleep, clock=outside.clock, timeout=limit
        )

    @property
    def without_key(self) -> WithoutKey:
        """What a missing control plane key means for this stack: a stack without clusters can run without one."""
        if self.stack.clusters:
            return "refused"
        return "nothing" if self.choices.no_control_plane else "unknown"

    def registrar(self, on_warning: Callable[[str], None] = lambda _text: None) -> Registrar:
        """The client of the stack's control plane; sends nothing yet. Raises as the real ``connect`` does.

        Returns the same client each time. ``on_warning`` receives the warnings about its address and credentials.
        """
        outside = self.outside
        registrar, warnings = self.connections.registrar(
            lambda warn: outside.services.connect(
                self.stack.control_plane,
                environ=outside.environ,
                home=outside.home,
                url=self.choices.url,
                clock=outside.clock,
                sleep=outside.sleep,
                on_warning=warn,
                without_key=self.without_key,
            )
        )
        for text in warnings:
            on_warning(text)
        return registrar

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While inside, the terminal belongs to a question or an editor."""
        self.outside.emit(Asking())
        try:
            yield
        finally:
            self.outside.emit(Asking(over=True))

    @contextmanager
    def effect(self, name: str, **fields: str | int | None) -> Iterator[dict[str, str | int | None]]:
        """Record an external effect before it begins and after it is done, with the values put into the dict.

        A record of a start without an end shows where a killed run may have left something.
        """
        self.journal.write("effect_started", effect=name, **fields)
        result: dict[str, str | int | None] = {}
        yield result
        self.journal.write("effect_done", effect=name, **{**fields, **result})

    @contextmanager
    def step(self, name: StepName, detail: str = "") -> Iterator[StepRecord]:
        """Time a step, emit its start and end, and keep both in the journal."""
        record = StepRecord()
        began = self.outside.clock()
        self.outside.emit(StepStarted(name, detail))
        self.journal.write("step_started", step=name)
        try:
            yield record
        except BaseException as error:
            took = self.outside.clock() - began
            code = error.code if isinstance(error, GridbyocError) else type(error).__name__
            self.journal.write("step_failed", step=name, seconds=round(took, 3), code=code)
            self.outside.emit(StepFinished(name, took, "failed", code))
            raise
        took = self.outside.clock() - began
        self.seconds[name] = self.seconds.get(name, 0.0) + took
        outcome = "skipped" if record.skipped else "done"
        self.journal.write(f"step_{outcome}", step=name, seconds=round(took, 3), detail=record.detail)
        self.outside.emit(StepFinished(name, took, "skipped" if record.skipped else "done", record.detail))
