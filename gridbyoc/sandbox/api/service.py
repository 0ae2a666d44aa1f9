"""The control plane itself, without HTTP: clusters are created, change and disappear as time passes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gridbyoc.sandbox.api.failures import (
    ALREADY_EXISTS,
    FAILED_PRECONDITION,
    PERMISSION_DENIED,
    ApiError,
    invalid,
    not_found,
)
from gridbyoc.sandbox.api.spec import (
    DELETED,
    RUNNING,
    ClusterRecord,
    ClusterTiming,
    RoleGrant,
    accepted,
    check_name,
    grant_of,
    is_due,
    phase_at,
    updated,
)
from gridbyoc.sandbox.settings import known_types
from gridbyoc.stack.files import touch_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clusters (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, created_at REAL NOT NULL, started_at REAL NOT NULL,
    deleted_at REAL, verdict TEXT, revision INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, made_at REAL NOT NULL);
"""
_COLUMNS = "id, name, spec, created_at, started_at, deleted_at, verdict, revision"
_SELECT = f"SELECT {_COLUMNS} FROM clusters"  # noqa: S608 -- constants
_INTO = f"INTO clusters ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Store:
    """The database at ``path``, created if missing and readable only by its owner: it contains external ids."""

    def __init__(self, path: Path) -> None:
        self._path = path
        touch_private(path)
        with self._connected() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)

    def clusters(self) -> list[ClusterRecord]:
        """All clusters including deleted ones, oldest first."""
        with self._connected() as db:
            return [_record(row) for row in db.execute(f"{_SELECT} ORDER BY created_at, id")]

    def cluster(self, cluster_id: str) -> ClusterRecord | None:
        """The cluster with that id; ``None`` if there is none."""
        with self._connected() as db:
            row = db.execute(f"{_SELECT} WHERE id = ?", (cluster_id,)).fetchone()
        return _record(row) if row else None

    def add(self, record: ClusterRecord, deleted_before: float) -> bool:
        """Store a new cluster; ``False`` if its id belongs to a cluster that was not deleted before that time."""
        with self._connected() as db:
            gone = "DELETE FROM clusters WHERE id = ? AND deleted_at IS NOT NULL AND deleted_at <= ?"
            db.execute(gone, (record.id, deleted_before))
            try:
                db.execute(f"INSERT {_INTO}", _row(record))
            except sqlite3.IntegrityError:
                return False
        return True

    def replace(self, record: ClusterRecord) -> None:
        """Replace a cluster; the last writer wins, as in the service."""
        with self._connected() as db:
            db.execute(f"REPLACE {_INTO}", _row(record))

    def judge(self, record: ClusterRecord, verdict: str) -> None:
        """Store the result of inspecting the role, unless the cluster has been updated or deleted since."""
        with self._connected() as db:
            change = "UPDATE clusters SET verdict = ? WHERE id = ? AND revision = ? AND created_at = ?"
            db.execute(change, (verdict, record.id, record.revision, record.created_at))

    def forget(self, cluster_id: str) -> None:
        """Delete the entry."""
        with self._connected() as db:
            db.execute("DELETE FROM clusters WHERE id = ?", (cluster_id,))

    def add_token(self, token: str, now: float) -> None:
        """Store a login's token."""
        with self._connected() as db:
            db.execute("INSERT INTO tokens VALUES (?, ?)", (token, now))

    def has_token(self, token: str, made_after: float) -> bool:
        """Whether the token was issued, no earlier than that time."""
        with self._connected() as db:
            query = "SELECT 1 FROM tokens WHERE token = ? AND made_at >= ?"
            return db.execute(query, (token, made_after)).fetchone() is not None

    def drop_token(self, token: str) -> None:
        """Delete a token."""
        with self._connected() as db:
            db.execute("DELETE FROM tokens WHERE token = ?", (token,))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as db:
            db.execute("PRAGMA synchronous = NORMAL")
            with db:
                yield db


def _row(record: ClusterRecord) -> tuple[object, ...]:
    spec = json.dumps(record.spec)
    return (record.id, record.name, spec, record.created_at, record.started_at,
            record.deleted_at, record.verdict, record.revision)  # fmt: skip


def _record(row: tuple[str, str, str, float, float, float | None, str | None, int]) -> ClusterRecord:
    cluster_id, name, spec, created_at, started_at, deleted_at, verdict, revision = row
    return ClusterRecord(cluster_id, name, json.loads(spec), created_at, started_at, deleted_at, verdict, revision)


GLOBAL_CLUSTER = "grid-cloud"
"""The service's own cluster: every account's default, so that a client that logs in has a context."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A cluster as seen now."""

    record: ClusterRecord
    phase: str


class ControlPlaneService:
    """``look`` returns the problem with a role (empty: none); ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        look: Callable[[RoleGrant], str],
        clock: Callable[[], float],
        timing: ClusterTiming,
        user_id: str,
    ) -> None:
        self._store = store
        self._look = look
        self._clock = clock
        self._timing = timing
        self._user_id = user_id

    def create(self, name: object, spec: object) -> Seen:
        """Create a cluster, in its first phase. Its id is its name: some clients use one in place of the other."""
        now = self._clock()
        cluster_id = check_name(name)
        checked = accepted(spec, cluster_id, self._user_id)
        record = ClusterRecord(cluster_id, cluster_id, checked, created_at=now, started_at=now)
        if cluster_id == GLOBAL_CLUSTER or not self._store.add(record, now - self._timing.delete_seconds):
            raise ApiError(ALREADY_EXISTS, f"a cluster named {name} exists already")
        return Seen(record, phase_at(record, now, self._timing))

    def clusters(self) -> list[Seen]:
        """All clusters including deleted ones, oldest first, without the service's own."""
        return [self._observed(record) for record in self._store.clusters()]

    def cluster(self, cluster_id: str) -> Seen:
        """A cluster, or the service's own; ``ApiError`` 404."""
        if cluster_id == GLOBAL_CLUSTER:
            return self.global_cluster()
        record = self._store.cluster(cluster_id)
        if record is None:
            raise not_found(cluster_id)
        return self._observed(record)

    def is_free(self, name: object) -> bool:
        """Whether a create with that name would not collide."""
        record = self._store.cluster(check_name(name))
        free = record is None or phase_at(record, self._clock(), self._timing) == DELETED
        return free and name != GLOBAL_CLUSTER

    def update(self, cluster_id: str, name: object, spec: object) -> Seen:
        """Replace a cluster's spec.

        A new role or external id is inspected; a cluster that had failed starts again.
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
        """Start deleting; ``force`` forgets the cluster at once. A deletion in progress continues unchanged."""
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
        return Seen(ClusterRecord(GLOBAL_CLUSTER, GLOBAL_CLUSTER, spec, 0.0, 0.0, verdict=""), RUNNING)

    def _changeable(self, cluster_id: str) -> Seen:
        seen = self.cluster(cluster_id)
        if cluster_id == GLOBAL_CLUSTER:
            raise ApiError(PERMISSION_DENIED, f"cluster {cluster_id} belongs to the service and cannot be changed")
        return seen

    def _observed(self, record: ClusterRecord) -> Seen:
        """The cluster as seen now. When it should leave QUEUED, its role is inspected, and the result stored."""
        now = self._clock()
        if is_due(record, now, self._timing):
            record = replace(record, verdict=self._look(grant_of(record.spec)))
            self._store.judge(record, record.verdict or "")
        return Seen(record, phase_at(record, now, self._timing))
