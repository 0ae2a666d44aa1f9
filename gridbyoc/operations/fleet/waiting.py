"""Waiting for the clusters of many stacks: one list per control plane and interval serves all, and no job is held.

A stack's run registers its clusters and ends. The fleet then waits for them by the rules of a single stack's wait, and
runs the stack again to finish it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gridbyoc.control_plane.http import is_transient
from gridbyoc.control_plane.model import Cluster, Phase, Registrar
from gridbyoc.control_plane.wait import LONGEST_PAUSE, Rules, Target, Watch, is_over, seen, timed_out
from gridbyoc.errors import ControlPlaneError, GridbyocError
from gridbyoc.operations.cluster_times import age_of
from gridbyoc.operations.events import ClusterProgress
from gridbyoc.operations.fleet.model import Member
from gridbyoc.operations.wait import WaitLimits
from gridbyoc.stack.clock import utc_now

SHARE_OF_WAIT = 0.15
CLUSTERS_A_SECOND = 10
"""A list of many clusters is a large answer, so it is asked for less often: every 30 seconds for 300 clusters."""
LONGEST_TICK = 1.0
"""Seconds after which a poller looks again whether a list is due: a stack that joins shortens the pause."""


@dataclass(frozen=True, slots=True)
class AwaitedCluster:
    """A cluster that a stack's run left on its way to ``target``."""

    id: str
    name: str
    target: Target


def awaited_clusters(document: Mapping[str, Any] | None) -> tuple[AwaitedCluster, ...]:
    """The clusters on their way, from the document that a stack's run with ``--no-wait`` ended with."""
    return tuple(
        AwaitedCluster(str(each["id"]), str(each["name"]), "deleted" if each["target"] == "deleted" else "running")
        for each in (document or {}).get("awaits") or ()
    )


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """A cluster of a waiting stack has another status than before."""

    member: Member
    id: str
    target: Target
    progress: ClusterProgress


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """A stack's wait is over: its clusters have reached their targets, or ``error`` says why not."""

    member: Member
    error: GridbyocError | None = None


WaitEvent = ClusterSeen | WaitEnded


@dataclass(slots=True, eq=False)
class _Stay:
    member: Member
    limits: WaitLimits
    began: float
    watches: dict[str, tuple[Watch, Rules]]
    shown: dict[str, str] = field(default_factory=dict)


class PlaneWait:
    """The stacks that wait for clusters of one control plane. ``clock`` is monotonic seconds.

    ``stacks``: how many the fleet has. They may all come to wait, and their clusters are in the list already.
    ``add`` and ``take`` belong to one thread; ``pause`` may be called from another.
    """

    def __init__(
        self, registrar: Registrar, clock: Callable[[], float], stacks: int = 0, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.registrar = registrar
        self.clock = clock
        self._stacks = stacks
        self._now = now
        self._stays: dict[_Stay, None] = {}  # in the order of joining
        self._first = LONGEST_PAUSE

    def add(self, member: Member, clusters: Iterable[AwaitedCluster], limits: WaitLimits) -> None:
        """Wait for a stack's clusters from now on."""
        watches = {
            one.id: (Watch(Cluster(one.id, one.name, Phase.UNSPECIFIED)), Rules(one.target, limits.failed_grace))
            for one in clusters
        }
        self._stays[_Stay(member, limits, self.clock(), watches)] = None
        self._first = min(self._first, limits.poll_interval)

    @property
    def members(self) -> tuple[Member, ...]:
        """The stacks that wait."""
        return tuple(stay.member for stay in tuple(self._stays))

    def pause(self) -> float:
        """The seconds from one list to the next: a share of the time that the stack which joined last has waited.

        At least the poll interval, longer for a large fleet or many clusters, at most 60.
        """
        stays = tuple(self._stays)
        waited = self.clock() - max((stay.began for stay in stays), default=self.clock())
        count = max(self._stacks, sum(len(stay.watches) for stay in stays))
        return min(max(self._first, SHARE_OF_WAIT * waited, count / CLUSTERS_A_SECOND), LONGEST_PAUSE)

    def take(self, answer: tuple[Cluster, ...] | GridbyocError) -> Iterator[WaitEvent]:
        """Evaluate a list, or the error instead of one, for every stack."""
        passes = isinstance(answer, ControlPlaneError) and is_transient(answer)
        lasting = answer if isinstance(answer, GridbyocError) and not passes else None
        # by id once for all: ten thousand stacks may wait for ten thousand clusters
        found = answer if isinstance(answer, GridbyocError) else {cluster.id: cluster for cluster in answer}
        for stay in tuple(self._stays):
            error = lasting
            if error is None:
                try:
                    yield from self._judge(stay, found)
                except GridbyocError as raised:
                    error = raised
            if error is not None or not stay.watches:
                del self._stays[stay]
                yield WaitEnded(stay.member, error)

    def _judge(self, stay: _Stay, listed: Mapping[str, Cluster] | GridbyocError) -> Iterator[ClusterSeen]:
        passed = self.clock() - stay.began
        for ident, (watch, rules) in tuple(stay.watches.items()):
            if isinstance(listed, GridbyocError):
                now = Watch(watch.cluster, watch.failed_since, watch.missing_since, listed.what)
            else:
                found = listed.get(ident)
                now = seen(watch, found, passed)
                yield from self._changed(stay, rules.target, watch.cluster.name, ident, found, passed)
            stay.watches[ident] = (now, rules)
            if not isinstance(listed, GridbyocError) and is_over(now, rules, passed):
                del stay.watches[ident]
            elif passed >= stay.limits.timeout:
                raise timed_out(now, rules, stay.limits.timeout)

    def _changed(
        self, stay: _Stay, target: Target, name: str, ident: str, found: Cluster | None, passed: float
    ) -> Iterator[ClusterSeen]:
        status = found.status if found else "not listed yet" if target == "running" else "gone"
        if stay.shown.get(ident) != status:
            stay.shown[ident] = status
            reason, age = found.reason if found else "", age_of(found, self._now()) if target == "running" else None
            yield ClusterSeen(stay.member, ident, target, ClusterProgress(name, status, reason, passed, age))


class Poller:
    """Asks a control plane for its list, in a thread, until it is stopped; ``answer`` gets each list or error."""

    def __init__(self, plane: PlaneWait, answer: Callable[[tuple[Cluster, ...] | GridbyocError], None]) -> None:
        self._plane = plane
        self._answer = answer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop asking, without waiting for a pending list."""
        self._stop.set()

    def _run(self) -> None:
        listed = self._plane.clock()
        while not self._stop.wait(min(self._plane.pause(), LONGEST_TICK)):
            if self._plane.members and self._plane.clock() - listed >= self._plane.pause():
                self._answer(self._list())
                listed = self._plane.clock()

    def _list(self) -> tuple[Cluster, ...] | GridbyocError:
        try:
            return self._plane.registrar.list()
        except GridbyocError as error:
            return error
        except Exception as error:  # every error must reach the waiting stacks
            return ControlPlaneError(f"The clusters could not be listed: {type(error).__name__}: {error}")
