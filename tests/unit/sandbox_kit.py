"""A control plane in the test's own process: its clock stands until it is moved, its roles are as the test says."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any, cast

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gridbyoc.sandbox.api.app import AccessLog, ApiContext, Doorkeeper, create_app
from gridbyoc.sandbox.api.service import ControlPlaneService, Store
from gridbyoc.sandbox.api.spec import ClusterTiming, RoleGrant
from gridbyoc.stack.secret import Secret

KEY = "key-of-the-test"
USER_ID = "user-ada-0001"
BASIC = "Basic " + base64.b64encode(f"{USER_ID}:{KEY}".encode()).decode()
ROLE_ARN = "arn:aws:iam::123456789012:role/grid"
EXTERNAL_ID = "canary-ext-4711"
GRID_AGENT = "Grid-CLI-0.8.81"
LIGHTNING_AGENT = "Grid-CLI-0.0.1"
NOT_DELETED = "phaseNotIn=CLUSTER_STATE_DELETED"


class Plane:
    """The application on a test client. ``verdicts`` are what is wrong with the roles that are looked at, by ARN."""

    def __init__(self, directory: Path, create_seconds: float = 10, delete_seconds: float = 5) -> None:
        self.now = 1_700_000_000.0
        self.verdicts: dict[str, str] = {}
        self.looked: list[RoleGrant] = []
        self.access_log = directory / "access.log"
        store = Store(directory / "plane.sqlite")
        self.service = ControlPlaneService(
            store, self._look, self._clock, ClusterTiming(create_seconds, delete_seconds), USER_ID
        )
        door = Doorkeeper(store, self._clock, "ada", USER_ID, Secret(KEY))
        self._lent = self.service, door, AccessLog(self.access_log)

    @property
    def client(self) -> FlaskClient:
        _SERVICE.to, _DOOR.to, _LOG.to = self._lent
        return _client()

    def call(self, method: str, path: str, body: Any = None, agent: str = GRID_AGENT, **headers: str) -> TestResponse:
        """One request with the right Basic header (or ``Authorization=…``)."""
        sent = {"Authorization": BASIC, "User-Agent": agent, "Accept": "application/json"} | headers
        return self.client.open(path, method=method, json=body, headers=sent)

    def get(self, path: str, **headers: str) -> Any:
        answer = self.call("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    def create(self, name: str = "my-cluster", body: Any = None, agent: str = GRID_AGENT) -> Any:
        answer = self.call("POST", "/v1/core/clusters", body or grid_body(name), agent=agent)
        assert answer.status_code == 200, answer.text
        return answer.json

    def phase(self, name: str = "my-cluster") -> str:
        status = self.get(f"/v1/core/clusters/{name}")["status"]
        return str(status["phase"]).removeprefix("CLUSTER_STATE_")

    def _clock(self) -> float:
        return self.now

    def _look(self, grant: RoleGrant) -> str:
        self.looked.append(grant)
        return self.verdicts.get(grant.role_arn, "")


class _Lent:
    """What the one application of all tests works with: to make its routes costs more than most tests."""

    to: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.to, name)


_SERVICE, _DOOR, _LOG = _Lent(), _Lent(), _Lent()


@cache
def _client() -> FlaskClient:
    context = ApiContext(cast(ControlPlaneService, _SERVICE), cast(Doorkeeper, _DOOR), "302180240179")
    return create_app(context, cast(AccessLog, _LOG)).test_client()


def grid_body(name: str = "my-cluster", **aws: Any) -> dict[str, Any]:
    """What ``grid clusters aws --instance-types t3.large,m5.large NAME`` sends."""
    section = {
        "externalId": EXTERNAL_ID,
        "instanceTypes": [{"name": "t3.large"}, {"name": "m5.large"}],
        "region": "us-east-1",
        "roleArn": ROLE_ARN,
    }
    spec = {
        "clusterType": "CLUSTER_TYPE_BYOC",
        "driver": {"kubernetes": {"aws": section | aws}},
        "performanceProfile": "CLUSTER_PERFORMANCE_PROFILE_DEFAULT",
    }
    return {"name": name, "spec": spec}


def lightning_2022_body(name: str = "my-cluster") -> dict[str, Any]:
    """What ``lightning create cluster NAME`` sends: no instance types, and the other profile."""
    body = grid_body(name)
    del body["spec"]["driver"]["kubernetes"]["aws"]["instanceTypes"]
    body["spec"]["performanceProfile"] = "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING"
    return body


def direct_body(name: str = "my-cluster", **aws: Any) -> dict[str, Any]:
    """What today's Python client sends."""
    section = {"roleArn": ROLE_ARN, "externalId": EXTERNAL_ID, "primaryRegion": "us-east-1", "regions": ["us-east-1"]}
    spec = {
        "clusterType": "CLUSTER_TYPE_BYOC",
        "driver": "AWS",
        "awsV1": section | aws,
        "availableAccelerators": ["g4dn.xlarge"],
        "overprovisioning": [{"instanceType": "g4dn.xlarge", "isSpot": False, "minimumCount": 1, "volumeSize": 200}],
        "taggingOptions": {"customTags": [{"key": "team", "value": "ml"}]},
    }
    return {"name": name, "spec": spec}
