"""The local AWS: moto's server on loopback, as a child process (``python -m gridbyoc.sandbox.aws_server``)."""

from __future__ import annotations

import os
import urllib.request
from typing import Any

from werkzeug.serving import BaseWSGIServer, make_server

from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer
from gridbyoc.sandbox.lifeline import in_background, read_config, serve


def main() -> None:
    """Bind, report the port, warm IAM up, serve."""
    config = read_config()
    server = _make_server(config)
    # moto's own calls to itself need to know where it listens (read in moto.settings).
    os.environ["MOTO_PORT"] = str(server.port)
    in_background(lambda: _warm_iam(server.port))
    serve(server, config)


def _make_server(config: dict[str, Any]) -> BaseWSGIServer:
    # Without it iam:AttachRolePolicy of a managed policy is NoSuchEntity; the 1,500 policies load in 0.1 s.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    app = ExtraLayer(DomainDispatcherApplication(create_backend_app), make_extras(config))
    return make_server("127.0.0.1", int(config["port"]), app, threaded=True, request_handler=MotoRequestHandler)


def _warm_iam(port: int) -> None:
    """One IAM call: moto imports the service and reads its policies at the first, in about a second."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/",
        data=b"Action=ListRoles&Version=2010-05-08",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/iam/aws4_request"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(request, timeout=60).read()


if __name__ == "__main__":
    main()
