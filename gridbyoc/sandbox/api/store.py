"""Clusters and login tokens in one SQLite file, opened for each call: any thread may make it, a kill loses nothing."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gridbyoc.sandbox.api.record import Record

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
    """``path`` is made if it is not there, readable by its owner alone: external ids are in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._connected() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)

    def clusters(self) -> list[Record]:
        """All of them, deleted ones included, oldest first."""
        with self._connected() as db:
            return [_record(row) for row in db.execute(f"{_SELECT} ORDER BY created_at, id")]

    def cluster(self, cluster_id: str) -> Record | None:
        """The one with that id."""
        with self._connected() as db:
            row = db.execute(f"{_SELECT} WHERE id = ?", (cluster_id,)).fetchone()
        return _record(row) if row else None

    def add(self, record: Record, deleted_before: float) -> bool:
        """Keep a new one; ``False`` if its id is taken by one that was not deleted before that time."""
        with self._connected() as db:
            gone = "DELETE FROM clusters WHERE id = ? AND deleted_at IS NOT NULL AND deleted_at <= ?"
            db.execute(gone, (record.id, deleted_before))
            try:
                db.execute(f"INSERT {_INTO}", _row(record))
            except sqlite3.IntegrityError:
                return False
        return True

    def replace(self, record: Record) -> None:
        """Put a changed one in the place of the last; last writer wins, as in the service."""
        with self._connected() as db:
            db.execute(f"REPLACE {_INTO}", _row(record))

    def judge(self, record: Record, verdict: str) -> None:
        """Keep what came of looking at the role, unless the cluster has been updated or deleted since."""
        with self._connected() as db:
            change = "UPDATE clusters SET verdict = ? WHERE id = ? AND revision = ? AND created_at = ?"
            db.execute(change, (verdict, record.id, record.revision, record.created_at))

    def forget(self, cluster_id: str) -> None:
        """Drop the entry."""
        with self._connected() as db:
            db.execute("DELETE FROM clusters WHERE id = ?", (cluster_id,))

    def add_token(self, token: str, now: float) -> None:
        """Keep a login's token."""
        with self._connected() as db:
            db.execute("INSERT INTO tokens VALUES (?, ?)", (token, now))

    def has_token(self, token: str, made_after: float) -> bool:
        """Whether it was given out, not before that time."""
        with self._connected() as db:
            query = "SELECT 1 FROM tokens WHERE token = ? AND made_at >= ?"
            return db.execute(query, (token, made_after)).fetchone() is not None

    def drop_token(self, token: str) -> None:
        """A logout."""
        with self._connected() as db:
            db.execute("DELETE FROM tokens WHERE token = ?", (token,))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as db:
            db.execute("PRAGMA synchronous = NORMAL")
            with db:
                yield db


def _row(record: Record) -> tuple[object, ...]:
    spec = json.dumps(record.spec)
    return (record.id, record.name, spec, record.created_at, record.started_at,
            record.deleted_at, record.verdict, record.revision)  # fmt: skip


def _record(row: tuple[str, str, str, float, float, float | None, str | None, int]) -> Record:
    cluster_id, name, spec, created_at, started_at, deleted_at, verdict, revision = row
    return Record(cluster_id, name, json.loads(spec), created_at, started_at, deleted_at, verdict, revision)
