"""The control plane itself, without HTTP: clusters are made, change and go with the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gridbyoc.sandbox.api.failures import (
    ALREADY_EXISTS,
    FAILED_PRECONDITION,
    PERMISSION_DENIED,
    ApiError,
    invalid,
    not_found,
)
from gridbyoc.sandbox.api.names import check_name
from gridbyoc.sandbox.api.record import DELETED, RUNNING, Record, Timing, is_due, phase_at
from gridbyoc.sandbox.api.spec import RoleGrant, accepted, grant_of, updated
from gridbyoc.sandbox.api.store import Store
from gridbyoc.sandbox.instance_types import known_types

GLOBAL_CLUSTER = "grid-cloud"
"""The service's own cluster: every account's default one, so that a client that logs in has a context."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster as it is now."""

    record: Record
    phase: str


class ControlPlane:
    """``look`` tells what is wrong with a role (empty: nothing); ``clock`` gives seconds since the epoch."""

    def __init__(
        self, store: Store, look: Callable[[RoleGrant], str], clock: Callable[[], float], timing: Timing, user_id: str
    ) -> None:
        self._store = store
        self._look = look
        self._clock = clock
        self._timing = timing
        self._user_id = user_id

    def create(self, name: object, spec: object) -> Seen:
        """A new cluster, in its first phase. Its id is its name: some clients take the one for the other."""
        now = self._clock()
        cluster_id = check_name(name)
        checked = accepted(spec, cluster_id, self._user_id)
        record = Record(cluster_id, cluster_id, checked, created_at=now, started_at=now)
        if cluster_id == GLOBAL_CLUSTER or not self._store.add(record, now - self._timing.delete_seconds):
            raise ApiError(ALREADY_EXISTS, f"a cluster named {name} exists already")
        return Seen(record, phase_at(record, now, self._timing))

    def clusters(self) -> list[Seen]:
        """Every one that is known, deleted ones included, oldest first, without the service's own."""
        return [self._observed(record) for record in self._store.clusters()]

    def cluster(self, cluster_id: str) -> Seen:
        """One of them, or the service's own; ``ApiError`` 404."""
        if cluster_id == GLOBAL_CLUSTER:
            return self.global_cluster()
        record = self._store.cluster(cluster_id)
        if record is None:
            raise not_found(cluster_id)
        return self._observed(record)

    def is_free(self, name: object) -> bool:
        """Whether a create with that name would not meet another cluster."""
        record = self._store.cluster(check_name(name))
        free = record is None or phase_at(record, self._clock(), self._timing) == DELETED
        return free and name != GLOBAL_CLUSTER

    def update(self, cluster_id: str, name: object, spec: object) -> Seen:
        """Put another spec in the place of the last.

        A new role or external id is looked at; a cluster that had failed begins again.
        """
        seen = self._changeable(cluster_id)
        record = seen.record
        if name not in (None, "", record.name):
            raise invalid(f"a cluster cannot be renamed: this one is {record.name}")
        if record.deleted_at is not None:
            raise ApiError(FAILED_PRECONDITION, f"cluster {record.id} is being deleted")
        now = self._clock()
        checked = updated(spec, record.name, record.spec)
        changed = replace(record, spec=checked, revision=record.revision + 1)
        if record.verdict:
            changed = replace(changed, verdict=None, started_at=now)
        elif grant_of(checked) != grant_of(record.spec):
            changed = replace(changed, verdict=None)
        self._store.replace(changed)
        return Seen(changed, phase_at(changed, now, self._timing))

    def delete(self, cluster_id: str, *, force: bool) -> None:
        """Begin to delete; ``force`` forgets it at once. One that is being deleted stays as it is."""
        record = self._changeable(cluster_id).record
        if force:
            self._store.forget(cluster_id)
        elif record.deleted_at is None:
            spec = record.spec | {"desiredState": "CLUSTER_STATE_DELETED"}
            self._store.replace(replace(record, spec=spec, deleted_at=self._clock(), revision=record.revision + 1))

    def global_cluster(self) -> Seen:
        """The service's own cluster: it offers every instance type and cannot be changed."""
        types = [{"name": name} for name in known_types()]
        aws = {"region": "us-east-1", "bucketName": "grid-cloud", "instanceTypes": types}
        spec = {
            "clusterType": "CLUSTER_TYPE_GLOBAL",
            "desiredState": "CLUSTER_STATE_RUNNING",
            "driver": {"kubernetes": {"aws": aws}},
            "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT",
        }
        return Seen(Record(GLOBAL_CLUSTER, GLOBAL_CLUSTER, spec, 0.0, 0.0, verdict=""), RUNNING)

    def _changeable(self, cluster_id: str) -> Seen:
        seen = self.cluster(cluster_id)
        if cluster_id == GLOBAL_CLUSTER:
            raise ApiError(PERMISSION_DENIED, f"cluster {cluster_id} belongs to the service and cannot be changed")
        return seen

    def _observed(self, record: Record) -> Seen:
        """As it is now; when it is to leave QUEUED its role is looked at, and the outcome is kept."""
        now = self._clock()
        if is_due(record, now, self._timing):
            record = replace(record, verdict=self._look(grant_of(record.spec)))
            self._store.judge(record, record.verdict or "")
        return Seen(record, phase_at(record, now, self._timing))
