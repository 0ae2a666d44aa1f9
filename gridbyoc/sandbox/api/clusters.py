"""The cluster routes: /v1/core/clusters and the same routes below a project."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request
from simple_websocket import ConnectionClosed, Server

from gridbyoc.sandbox.api.account import PROJECT_ID, Answer
from gridbyoc.sandbox.api.answers import accelerators_json, cluster_json, instance_types_json, phase_name, rfc3339
from gridbyoc.sandbox.api.app import ApiContext, body, flag
from gridbyoc.sandbox.api.failures import ALREADY_EXISTS, NOT_FOUND, ApiError, invalid
from gridbyoc.sandbox.api.service import GLOBAL_CLUSTER, Seen
from gridbyoc.sandbox.api.spec import DELETED, RUNNING, camel

_PHASES = {
    f"CLUSTER_STATE_{name}"
    for name in ("UNSPECIFIED", "QUEUED", "PENDING", "RUNNING", "FAILED", "DELETED", "CONFIGURING", "OFFLINE")
}
_TYPES = {f"CLUSTER_TYPE_{name}" for name in ("UNSPECIFIED", "GLOBAL", "BYOC", "LEGACY", "BYOM", "SLURM")}

UNFILTERING_AGENT = "Grid-CLI-0.0.1"
"""The agent of every client since the grid CLI; those of 2022 and 2023 always send a filter when they list."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """The four repeated parameters, each in either spelling, and whether CONFIGURING may be sent."""

    phases: frozenset[str]
    not_phases: frozenset[str]
    types: frozenset[str]
    not_types: frozenset[str]
    configuring: bool
    show_deleted: bool

    @classmethod
    def of_request(cls) -> ListFilter:
        """Read the filter from the query; ``ApiError`` 400 for an invalid enum name."""
        phases, not_phases = _values("phaseIn", _PHASES), _values("phaseNotIn", _PHASES)
        return cls(
            phases,
            not_phases,
            _values("clusterTypeIn", _TYPES),
            _values("clusterTypeNotIn", _TYPES),
            configuring=flag("includeConfiguringState"),
            # A client that sends no filter also gets deleted clusters, unless it cannot filter.
            show_deleted=bool(phases or not_phases) or not _cannot_filter(),
        )

    def passes(self, seen: Seen) -> bool:
        """Whether the cluster is listed."""
        phase = phase_name(seen, configuring=self.configuring)
        kind = seen.record.spec["clusterType"]
        return (
            (not self.phases or phase in self.phases)
            and phase not in self.not_phases
            and (not self.types or kind in self.types)
            and kind not in self.not_types
            and (self.show_deleted or seen.phase != DELETED)
        )


def agent() -> str:
    """The client's User-Agent."""
    return request.headers.get("User-Agent", "")


def _cannot_filter() -> bool:
    """Whether this is a client since 2024: it has no filters any more, but other parameters."""
    parameters = {camel(name) for name in request.args}
    return bool(
        parameters & {"includeConfiguringState", "orgId", "projectId"}
        or "project_id" in (request.view_args or {})
        or agent() == UNFILTERING_AGENT
    )


def _values(name: str, allowed: set[str]) -> frozenset[str]:
    found = [value for key, value in request.args.items(multi=True) if camel(key) == name]
    for value in found:
        if value not in allowed:
            raise invalid(f"parsing list {name!r}: {value[:80]!r} is not a name of that kind")
    return frozenset(found)


def add_routes(app: Flask, context: ApiContext) -> None:
    """Add the routes; all need authentication."""
    routes = _ClusterRoutes(context)
    for base in ("/v1/core", "/v1/projects/<project_id>"):
        for method, path, view in (
            ("GET", "/clusters", routes.listing),
            ("POST", "/clusters", routes.create),
            ("GET", "/clusters/<cluster_id>", routes.get),
            ("PUT", "/clusters/<cluster_id>", routes.update),
            ("DELETE", "/clusters/<cluster_id>", routes.delete),
            ("GET", "/clusters/<cluster_id>/accelerators", routes.accelerators),
            ("GET", "/clusters/<cluster_id>/health", routes.health),
            ("GET", "/clusters/<cluster_id>/instance-types", routes.instance_types),
            ("GET", "/clusters/<cluster_id>/cloud-provider-id", routes.cloud_provider_id),
            ("POST", "/cluster-name-available", routes.name_available),
        ):
            app.add_url_rule(base + path, f"{base} {method} {path}", _guarded(context, view), methods=[method])


def _guarded(context: ApiContext, view: Callable[..., Answer]) -> Callable[..., Answer]:
    def guarded(project_id: str = PROJECT_ID, **arguments: str) -> Answer:
        context.door.check(request.headers.get("Authorization", ""))
        if project_id != PROJECT_ID:
            raise ApiError(NOT_FOUND, f"project {project_id} not found")
        return view(**arguments)

    return guarded


class _ClusterRoutes:
    def __init__(self, context: ApiContext) -> None:
        self._plane = context.plane
        self._account_id = context.account_id

    def listing(self) -> Answer:
        wanted = ListFilter.of_request()
        # The service's own cluster is listed if the request asks for its type, as a login does.
        own = [self._plane.global_cluster()] if "CLUSTER_TYPE_GLOBAL" in wanted.types else []
        found = [seen for seen in own + self._plane.clusters() if wanted.passes(seen)]
        shown = [cluster_json(seen, configuring=wanted.configuring) for seen in found]
        return {"clusters": shown, "defaultCluster": GLOBAL_CLUSTER}

    def create(self) -> Answer:
        request_body = {camel(key): value for key, value in body().items()}
        try:
            return cluster_json(self._plane.create(request_body.get("name"), request_body.get("spec")))
        except ApiError as error:
            if error.grpc_code == ALREADY_EXISTS[0] and _retries_conflicts(request_body.get("spec")):
                error.status = 400
            raise

    def get(self, cluster_id: str) -> Answer:
        return cluster_json(self._plane.cluster(cluster_id))

    def update(self, cluster_id: str) -> Answer:
        request_body = body()
        return cluster_json(self._plane.update(cluster_id, request_body.get("name"), request_body.get("spec")))

    def delete(self, cluster_id: str) -> Answer:
        self._plane.delete(cluster_id, force=flag("force"))
        return {}

    def accelerators(self, cluster_id: str) -> Answer:
        return {"accelerator": accelerators_json(self._plane.cluster(cluster_id).record)}

    def health(self, cluster_id: str) -> Answer:
        phase = self._plane.cluster(cluster_id).phase
        return {"ok": phase == "RUNNING", "dependencyServiceHealth": []}

    def instance_types(self, cluster_id: str) -> Answer:
        return {"instanceTypes": instance_types_json(self._plane.cluster(cluster_id).record)}

    def cloud_provider_id(self, cluster_id: str) -> Answer:
        self._plane.cluster(cluster_id)
        return {"accountId": self._account_id}

    def name_available(self) -> Answer:
        return {"available": self._plane.is_free(body().get("name"))}


def _retries_conflicts(spec: object) -> bool:
    """Whether this client would repeat a request forever after a 409: today's Python client and its predecessors.

    They cannot be distinguished from the lightning CLIs of 2022 and 2023, which display a 400 like a 409.
    """
    direct = isinstance(spec, dict) and ("awsV1" in spec or isinstance(spec.get("driver"), str))
    return direct or agent() == UNFILTERING_AGENT


FOLLOW_SECONDS = 0.2
LINGER_SECONDS = 5.0
"""How long a socket stays open after the last entry. One client closes it itself, after one second."""

MAX_ENTRIES = 5000


def add_log_routes(app: Flask, context: ApiContext) -> None:
    """Add the log routes.

    The token is in the query: a login's, or a Basic header. Errors are sent before the handshake.
    """

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
    """The wanted entries; times are seconds since the epoch, and clients send ``end`` even with ``follow``."""

    start: float
    end: float
    limit: float
    follow: bool


def _window() -> _Window:
    return _Window(_number("start", 0.0), _number("end", 1e12), _number("limit", MAX_ENTRIES), flag("follow"))


def _send(context: ApiContext, cluster_id: str, websocket: Server, window: _Window) -> None:
    sent = 0
    for entry in _entries(context, cluster_id, websocket, follow=window.follow):
        wanted = entry["at"] >= window.start and (window.follow or entry["at"] <= window.end)
        if wanted and sent < window.limit:
            websocket.send(json.dumps(_frame(entry, cluster_id)))
            sent += 1


def _say_no_more(connection: socket.socket) -> None:
    """Close the sending side: werkzeug would write an HTTP response after the close frame, which breaks clients."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _number(name: str, default: float) -> float:
    try:
        return float(request.args.get(name) or default)
    except ValueError:
        raise invalid(f"parsing field {name!r}: not a number") from None


def _entries(context: ApiContext, cluster_id: str, websocket: Server, *, follow: bool) -> Iterator[dict[str, Any]]:
    """The entries so far; with ``follow`` also later ones, until the client or the cluster is gone."""
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
    """The history of a cluster, oldest first."""
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
    """The three keys that the clients accept: any other key crashes one of them."""
    labels = {
        "level": entry["level"],
        "cluster_id": cluster_id,
        "grid_url": request.host_url,
        "hostname": "sandbox",
        "logger": "cluster",
    }
    return {"message": entry["message"] + "\n", "timestamp": rfc3339(entry["at"]), "labels": labels}
