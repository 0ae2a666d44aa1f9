"""The cluster routes: /v1/core/clusters and their twins below a project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, request

from gridbyoc.sandbox.api.account import PROJECT_ID
from gridbyoc.sandbox.api.answers import accelerators_json, cluster_json, instance_types_json
from gridbyoc.sandbox.api.app import Context, body, flag
from gridbyoc.sandbox.api.failures import ALREADY_EXISTS, NOT_FOUND, ApiError
from gridbyoc.sandbox.api.fields import camel
from gridbyoc.sandbox.api.listing import UNFILTERING_AGENT, ListFilter, agent
from gridbyoc.sandbox.api.service import GLOBAL_CLUSTER

Answer = dict[str, Any]


def add_routes(app: Flask, context: Context) -> None:
    """All of them need authentication."""
    routes = _Routes(context)
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


def _guarded(context: Context, view: Callable[..., Answer]) -> Callable[..., Answer]:
    def guarded(project_id: str = PROJECT_ID, **arguments: str) -> Answer:
        context.door.check(request.headers.get("Authorization", ""))
        if project_id != PROJECT_ID:
            raise ApiError(NOT_FOUND, f"project {project_id} not found")
        return view(**arguments)

    return guarded


class _Routes:
    def __init__(self, context: Context) -> None:
        self._plane = context.plane
        self._account_id = context.account_id

    def listing(self) -> Answer:
        wanted = ListFilter.of_request()
        # The service's own cluster is listed where it is asked for by type, as a login does.
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
    """Whether this client would send a 409 again for ever: the Python client of today and its forerunners.

    They cannot be told from the lightning CLIs of 2022 and 2023, which show a 400 as they show a 409.
    """
    direct = isinstance(spec, dict) and ("awsV1" in spec or isinstance(spec.get("driver"), str))
    return direct or agent() == UNFILTERING_AGENT
