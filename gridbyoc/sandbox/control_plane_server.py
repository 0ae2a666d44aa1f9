"""The local control plane as a child process (``python -m gridbyoc.sandbox.control_plane_server``)."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, make_server

from gridbyoc.sandbox.api.app import AccessLog, ApiContext, Doorkeeper, create_app
from gridbyoc.sandbox.api.role import RoleInspector
from gridbyoc.sandbox.api.service import ControlPlaneService, Store
from gridbyoc.sandbox.api.spec import ClusterTiming, RoleGrant, known_regions
from gridbyoc.sandbox.lifeline import in_background, read_config, serve
from gridbyoc.sandbox.settings import USER_ID, USERNAME
from gridbyoc.stack.secret import Secret
from gridbyoc.vendors import facts_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class LateInspector:
    """The role inspector, once the local AWS has reported its address: both servers start at the same time."""

    def __init__(self, trusted_account_id: str | None) -> None:
        self._trusted_account_id = trusted_account_id
        self._inspector: RoleInspector | None = None
        self._told = threading.Event()

    def told(self, message: dict[str, Any]) -> None:
        """Take the parent's message with the local AWS's address."""
        self._inspector = RoleInspector(message["aws_url"], self._trusted_account_id)
        self._told.set()

    def __call__(self, grant: RoleGrant) -> str:
        """The problem with the role; empty if there is none."""
        self._told.wait(timeout=60)
        if self._inspector is None:
            return "the local AWS did not start; update the cluster to try again"
        return self._inspector(grant)


def main() -> None:
    """Bind, report the port, warm up, and serve."""
    config = read_config()
    inspector = LateInspector(config["trusted_account_id"])
    server = _make_server(config, inspector)
    in_background(_warm_up)
    serve(server, config, inspector.told)


def _make_server(config: dict[str, Any], inspector: LateInspector) -> BaseWSGIServer:
    store = Store(Path(config["database"]))
    timing = ClusterTiming(config["create_seconds"], config["delete_seconds"])
    plane = ControlPlaneService(store, inspector, time.time, timing, USER_ID)
    door = Doorkeeper(store, time.time, USERNAME, USER_ID, Secret(config["api_key"]))
    context = ApiContext(plane, door, config["trusted_account_id"] or facts_of("grid").trusted_account.account_id)
    app: WSGIApplication = create_app(context, AccessLog(Path(config["access_log"])))
    if config.get("scenario"):
        from gridbyoc.sandbox.scenario.playing import plane_side, with_scenario  # few sandboxes need these imports

        app = with_scenario(app, config["scenario"], plane_side())
    tls = tuple(config["tls"]) if config["tls"] else None
    return make_server("127.0.0.1", config["port"], app, threaded=True, ssl_context=tls)


WARM_UP_AFTER = 3.0
"""In seconds. A run first uses the local AWS, whose own warm-up needs the cores until then."""


def _warm_up() -> None:
    """Run the slow imports of the first create beforehand."""
    time.sleep(WARM_UP_AFTER)
    import boto3

    boto3.Session("test", "test", region_name="us-east-1").client("iam")
    known_regions()


if __name__ == "__main__":
    main()
