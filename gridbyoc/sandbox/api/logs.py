"""The websocket with a cluster's log: what has happened to it, one JSON text frame an entry."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request
from simple_websocket import ConnectionClosed, Server

from gridbyoc.sandbox.api.answers import rfc3339
from gridbyoc.sandbox.api.app import Context, flag
from gridbyoc.sandbox.api.failures import ApiError, invalid
from gridbyoc.sandbox.api.record import DELETED, RUNNING
from gridbyoc.sandbox.api.service import Seen

FOLLOW_SECONDS = 0.2
LINGER_SECONDS = 5.0
"""How long a socket stays open after the last entry for a client that leaves by itself, after one second."""

MAX_ENTRIES = 5000


def add_routes(app: Flask, context: Context) -> None:
    """The token is in the query: a login's, or a whole Basic header. Refusals come before the handshake."""

    def logs(cluster_id: str) -> Response:
        context.door.check(request.args.get("token", ""))
        context.plane.cluster(cluster_id)
        window = _window()
        websocket = Server.accept(request.environ)
        with contextlib.suppress(ConnectionClosed):
            _send(context, cluster_id, websocket, window)
            if not request.args["token"].startswith("Basic "):
                # The lightning CLI reports a close as an error; the grid CLI waits for it.
                websocket.receive(timeout=LINGER_SECONDS)
            websocket.close()
        _say_no_more(request.environ["werkzeug.socket"])
        return Response("")

    def plain(cluster_id: str) -> Response:
        context.door.check(request.headers.get("Authorization", ""))
        raise invalid(f"the logs of {cluster_id} are read through a websocket")

    app.add_url_rule("/v1/core/clusters/<cluster_id>/logs", "logs", logs, websocket=True)
    app.add_url_rule("/v1/core/clusters/<cluster_id>/logs", "plain logs", plain)


@dataclass(frozen=True, slots=True)
class _Window:
    """Which entries are wanted; times are seconds since the epoch, and ``end`` is given even with ``follow``."""

    start: float
    end: float
    limit: float
    follow: bool


def _window() -> _Window:
    return _Window(_number("start", 0.0), _number("end", 1e12), _number("limit", MAX_ENTRIES), flag("follow"))


def _send(context: Context, cluster_id: str, websocket: Server, window: _Window) -> None:
    sent = 0
    for entry in _entries(context, cluster_id, websocket, follow=window.follow):
        wanted = entry["at"] >= window.start and (window.follow or entry["at"] <= window.end)
        if wanted and sent < window.limit:
            websocket.send(json.dumps(_frame(entry, cluster_id)))
            sent += 1


def _say_no_more(connection: socket.socket) -> None:
    """End the sending side: werkzeug would write an HTTP response behind the close frame, and clients choke on it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _number(name: str, default: float) -> float:
    try:
        return float(request.args.get(name) or default)
    except ValueError:
        raise invalid(f"parsing field {name!r}: not a number") from None


def _entries(context: Context, cluster_id: str, websocket: Server, *, follow: bool) -> Iterator[dict[str, Any]]:
    """What is known by now; then, if it is to be followed, what comes, until the client or the cluster is gone."""
    told = 0
    while True:
        try:
            seen = context.plane.cluster(cluster_id)
        except ApiError:
            return
        history = history_of(seen)
        yield from history[told:]
        told = len(history)
        if not follow or seen.phase == DELETED:
            return
        websocket.receive(timeout=FOLLOW_SECONDS)


def history_of(seen: Seen) -> list[dict[str, Any]]:
    """The life of a cluster so far, oldest first."""
    record = seen.record
    entries = [_entry(record.created_at, "info", f"cluster {record.name} is queued")]
    if record.verdict == "":
        entries.append(_entry(record.started_at, "info", "the role admits the control plane and holds what is needed"))
    if record.verdict:
        entries.append(_entry(record.started_at, "error", record.verdict))
    if seen.phase == RUNNING:
        entries.append(_entry(record.started_at, "info", f"cluster {record.name} is running"))
    if record.deleted_at is not None:
        entries.append(_entry(record.deleted_at, "warn", f"cluster {record.name} is being deleted"))
    return entries


def _entry(at: float, level: str, message: str) -> dict[str, Any]:
    return {"at": at, "level": level, "message": message}


def _frame(entry: dict[str, Any], cluster_id: str) -> dict[str, Any]:
    """The three keys that the clients take, and no other: one more is a crash in one of them."""
    labels = {
        "level": entry["level"],
        "cluster_id": cluster_id,
        "grid_url": request.host_url,
        "hostname": "sandbox",
        "logger": "cluster",
    }
    return {"message": entry["message"] + "\n", "timestamp": rfc3339(entry["at"]), "labels": labels}
