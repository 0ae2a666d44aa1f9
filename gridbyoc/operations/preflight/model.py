"""The types of a preflight: kinds of findings with stable codes, findings, and the checks that make them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from gridbyoc.aws import AwsSession, Caller, caller_identity, open_session, stack_session
from gridbyoc.aws.identity import own_region
from gridbyoc.control_plane.model import Cluster, Listing, Registrar
from gridbyoc.errors import GridbyocError
from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.run import Run
from gridbyoc.stack.defaults import REGION
from gridbyoc.stack.document import Origin
from gridbyoc.stack.model import ClusterSpec, LocalBackend, S3Backend, Stack
from gridbyoc.stack.words import Place
from gridbyoc.terraform import Binary, standing_role


@dataclass(frozen=True, slots=True)
class Check:
    """One check, which makes findings of ``kinds``.

    ``look`` may raise: every kind without a finding is then unknown, with the words of a ``GridbyocError``.
    """

    kinds: tuple[FindingKind, ...]
    look: Callable[[PreflightContext], Iterable[Finding]]


T = TypeVar("T")


class Shared(Generic[T]):
    """A value that several checks need. The first one fetches it; a ``GridbyocError`` is raised to each of them."""

    def __init__(self, fetch: Callable[[], T]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value: list[T] = []
        self._error: GridbyocError | None = None

    def __call__(self) -> T:
        """The value. The first caller fetches it while others wait."""
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._value:
                try:
                    self._value.append(self._fetch())
                except GridbyocError as error:
                    self._error = error
                    raise
            return self._value[0]


@dataclass(frozen=True, slots=True)
class Machine:
    """The environment of a preflight. ``clock`` is monotonic seconds, ``now`` the time in UTC."""

    environ: Mapping[str, str]
    home: Path
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class PreflightContext:
    """The inputs of one preflight.

    ``stack`` is ``None`` without a stack file; the environment's settings are then checked.

    ``work_dir`` is where the run's files are or would be. ``has_role``: whether this stack's role is known to exist
    (``None``: unknown before the state is read). ``listing`` is the control plane's. ``origin`` knows the lines of the
    stack file, if it was read for this preflight. ``reads_only``: the preflight is for a run that changes nothing.
    ``only``: the names of the clusters that a partial run is limited to.
    ``state_session`` opens the session that reads the state, if roles of the stack file separate it from ``session``.
    """

    stack: Stack | None
    machine: Machine
    work_dir: Path
    region: str
    has_role: bool | None
    binary: Shared[Binary]
    session: Shared[AwsSession]
    caller: Shared[Caller]
    registrar: Shared[Registrar]
    listing: Shared[Listing]
    origin: Origin | None = None
    reads_only: bool = False
    only: tuple[str, ...] = ()
    state_session: Callable[[], AwsSession] | None = None

    @property
    def wanted(self) -> tuple[ClusterSpec, ...]:
        """The clusters of the stack file that the run is about; none without a file."""
        return tuple(spec for _, spec in self.numbered)

    @property
    def numbered(self) -> tuple[tuple[int, ClusterSpec], ...]:
        """``wanted``, each with its number in the stack file."""
        found = enumerate(self.stack.clusters if self.stack else ())
        return tuple((number, spec) for number, spec in found if not self.only or spec.name in self.only)

    def clusters(self) -> tuple[Cluster, ...]:
        """The control plane's clusters; raises the error of asking it."""
        return self.listing().clusters

    def where(self, place: Place | None) -> tuple[str, int | None]:
        """File and line of a place in the stack file.

        Empty without a place, or if the file was not read for this preflight.
        """
        return self.origin(place) if self.origin and place is not None else ("", None)

    def listed(self) -> tuple[Cluster, ...] | None:
        """The control plane's clusters; ``None`` if it cannot be asked."""
        try:
            return self.clusters()
        except GridbyocError:
            return None

    def new_clusters(self) -> tuple[ClusterSpec, ...]:
        """Those of ``wanted`` that the control plane does not list yet; all of them if it cannot be asked."""
        there = {cluster.name for cluster in self.listed() or ()}
        return tuple(spec for spec in self.wanted if spec.name not in there)


def set_scene(
    stack: Stack | None,
    machine: Machine,
    *,
    work_dir: Path,
    find_binary: Callable[[], Binary],
    connect: Callable[[], Registrar],
    open_session: Callable[[str, str | None], AwsSession] = open_session,
    origin: Origin | None = None,
) -> PreflightContext:
    """A context in which nothing has been requested yet. Without a stack, the region is the environment's."""
    region = stack.aws.region if stack else own_region(machine.environ) or REGION
    session = Shared(lambda: stack_session(stack.aws, open_session) if stack else open_session(region, None))
    registrar = Shared(connect)
    return PreflightContext(
        stack=stack,
        machine=machine,
        work_dir=work_dir,
        region=region,
        has_role=_has_role(stack, work_dir),
        binary=Shared(find_binary),
        session=session,
        caller=Shared(lambda: caller_identity(session())),
        registrar=registrar,
        listing=Shared(lambda: registrar().listing()),
        origin=origin,
    )


def preflight_context(
    run: Run, *, find_binary: Callable[[], Binary], connect: Callable[[], Registrar], reads_only: bool = False
) -> PreflightContext:
    """The context of a run, in which nothing has been requested yet."""
    outside = run.outside
    scene = set_scene(
        run.stack,
        Machine(outside.environ, outside.home, outside.clock, outside.sleep, outside.now),
        work_dir=run.work_dir,
        find_binary=find_binary,
        connect=connect,
        origin=run.origin,
    )
    session, backend = Shared(run.open_session), run.stack.terraform.backend
    apart = isinstance(backend, S3Backend) and (run.stack.aws.assume_role or backend.assume_role) is not None
    return replace(
        scene,
        reads_only=reads_only,
        only=run.only,
        session=session,
        caller=Shared(lambda: caller_identity(session())),
        state_session=(lambda: run.state_session(backend)) if apart and isinstance(backend, S3Backend) else None,
    )


def _has_role(stack: Stack | None, work_dir: Path) -> bool | None:
    if stack is None:
        return False
    return standing_role(work_dir) if isinstance(stack.terraform.backend, LocalBackend) else None
