"""A control plane in memory for the fault server: enough of the API to hold clusters, with faults to order."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from tests.functional.fault_server import Reply, Request

CLUSTERS = "/v1/core/clusters"


def not_found(what: str) -> Reply:
    return Reply({"code": 5, "message": f"{what} not found", "details": []}, 404)


@dataclass
class Plane:
    """Answers for ``serving``. A fault is (method, reply, whether the request is carried out all the same)."""

    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[tuple[str, Reply, bool]] = field(default_factory=list)
    default: str | None = None
    phase: str = "CLUSTER_STATE_PENDING"
    posts: int = 0

    def __call__(self, request: Request) -> Reply:
        for fault in self.faults:
            method, reply, carried_out = fault
            if request.method == method:
                self.faults.remove(fault)
                if carried_out:
                    self._route(request)
                return reply
        return self._route(request)

    def _route(self, request: Request) -> Reply:
        if request.path == CLUSTERS:
            return self._create(request) if request.method == "POST" else self._list()
        if request.path == "/v1/auth/login":
            return Reply({"token": "token-1"}) if request.json["apiKey"].startswith("key") else _unauthenticated()
        if request.path == "/v1/auth/user":
            return Reply({"id": "user-1"})
        cluster_id, _, rest = request.path.removeprefix(CLUSTERS + "/").partition("/")
        cluster = self.clusters.get(cluster_id)
        if cluster is None:
            return not_found(f"cluster {cluster_id}")
        return self._one(request, cluster, rest)

    def _one(self, request: Request, cluster: dict[str, Any], rest: str) -> Reply:
        if request.method == "PUT":
            cluster["spec"] = request.json["spec"]
            return Reply({"id": cluster["id"], "spec": cluster["spec"]})
        if request.method == "DELETE":
            cluster["spec"]["desiredState"] = "CLUSTER_STATE_DELETED"
            return Reply({})
        return {"": Reply(cluster), "cloud-provider-id": Reply({"accountId": "302180240179"})}.get(
            rest, OFFERS.get(rest)
        ) or not_found(rest)

    def _list(self) -> Reply:
        return Reply({"clusters": list(self.clusters.values()), "defaultCluster": self.default})

    def _create(self, request: Request) -> Reply:
        self.posts += 1
        body = request.json
        if any(cluster["name"] == body["name"] for cluster in self.clusters.values()):
            return Reply({"code": 6, "message": f"cluster {body['name']} already exists", "details": []}, 409)
        return Reply(self.add(body["name"], body["spec"]))

    def add(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        made = {
            "id": f"id-{len(self.clusters) + 1}",
            "name": name,
            "createdAt": "2026-01-02T03:04:05.123456789Z",
            "spec": {**copy.deepcopy(spec), "userId": "user-1", "desiredState": "CLUSTER_STATE_RUNNING"},
            "status": {"phase": self.phase},
        }
        self.clusters[made["id"]] = made
        return made


def _unauthenticated() -> Reply:
    return Reply({"code": 16, "message": "invalid API key", "details": []}, 401)


OFFERS = {
    "instance-types": Reply(
        {
            "instanceTypes": [
                {"name": "t3.large", "cpu": "2", "memory": "8", "hourlyCost": 0.08, "spot": False},
                {"name": "t3.large", "cpu": "2", "memory": "8", "hourlyCost": 0.03, "spot": True},
            ]
        }
    ),
    "accelerators": Reply(
        {
            "accelerator": [
                {"instanceId": "g4dn.xlarge", "cost": 0.5, "spotPrice": 0.2, "resources": {"cpu": 4, "gpu": 1}}
            ]
        }
    ),
}
