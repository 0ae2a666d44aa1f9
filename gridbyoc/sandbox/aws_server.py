"""The local AWS: moto's server on loopback, as a child process (``python -m gridbyoc.sandbox.aws_server``)."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from werkzeug.serving import make_server

from gridbyoc.sandbox.aws_extra.call import Environ, load_model, signed_for
from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer, StartResponse, WsgiApp
from gridbyoc.sandbox.lifeline import in_background, read_config, serve

WARM = {
    "sts": "Action=GetCallerIdentity&Version=2011-06-15",
    "iam": "Action=ListRoles&Version=2010-05-08",
    "s3": "",
    "ec2": "Action=DescribeAccountAttributes&Version=2016-11-15",
    "autoscaling": "Action=DescribeAutoScalingGroups&Version=2011-01-01",
    "eks": "",
}
"""One harmless question to each service that a run needs, in their order: moto imports a service at its first request.
IAM reads its 1,500 policies then, EC2 its types and where they are offered; that takes a second each."""

OURS = "servicequotas"
WARM_UP_SECONDS = 10.0


def main() -> None:
    """Bind, report the port, warm up what is needed first, serve."""
    gc.set_threshold(200_000, 50, 100)  # what moto loads stays: looking for garbage in it takes time
    sys.setswitchinterval(0.05)  # a run asks twenty things at once while services load: let each thread get somewhere
    config = read_config()
    # Without it iam:AttachRolePolicy of a managed policy is NoSuchEntity; the 1,500 policies load in 0.1 s.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    moto = DomainDispatcherApplication(create_backend_app)
    warm = {service: threading.Event() for service in (*WARM, OURS)}
    app = _Gate(ExtraLayer(moto, make_extras(config)), warm)
    server = make_server("127.0.0.1", int(config["port"]), app, threaded=True, request_handler=MotoRequestHandler)
    # moto's own calls to itself need to know where it listens (read in moto.settings).
    os.environ["MOTO_PORT"] = str(server.port)
    in_background(lambda: _open_when_warm(moto, warm))
    serve(server, config)


def _import_ec2() -> None:
    """moto makes three sessions while its EC2 is imported, each of which would read EC2's whole model: let it be one.

    https://github.com/getmoto/moto/blob/master/moto/ec2/models/availability_zones_and_regions.py
    """
    import boto3

    session, ordinary = boto3.Session(), boto3.Session
    boto3.Session = lambda: session  # type: ignore[assignment,misc]  # for the moment of that import
    try:
        import_module("moto.ec2.models.availability_zones_and_regions")
    finally:
        boto3.Session = ordinary  # type: ignore[misc]


class _Gate:
    """Lets requests to a service wait while it is warmed up: twenty at once that load the same take far longer."""

    def __init__(self, app: WsgiApp, warm: Mapping[str, threading.Event]) -> None:
        self._app = app
        self._warm = warm

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; what fails to warm up answers for itself."""
        event = self._warm.get(signed_for(environ))
        if event is not None:
            event.wait(WARM_UP_SECONDS)
        return self._app(environ, start_response)


def _open_when_warm(moto: Callable[..., Any], warm: Mapping[str, threading.Event]) -> None:
    try:
        _warm_up(moto, warm)
    finally:
        for event in warm.values():  # nobody waits for what failed
            event.set()


def _warm_up(moto: Callable[..., Any], warm: Mapping[str, threading.Event]) -> None:
    """Asked of moto itself, not through the layer: nobody's log is to show it."""
    from werkzeug.test import Client

    client = Client(moto)
    for service, form in WARM.items():
        if service == "ec2":
            _import_ec2()
        import_module(f"moto.{service}.models")  # moto would hold a lock over all services while it does this
        signature = f"AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/{service}/aws4_request, Signature=0"
        client.open(
            "/clusters" if service == "eks" else "/",
            method="POST" if form else "GET",
            data=form or None,
            content_type="application/x-www-form-urlencoded" if form else None,
            headers={"Authorization": signature, "Host": "127.0.0.1"},
        )
        load_model(service)
        warm[service].set()
    load_model(OURS)
    warm[OURS].set()


if __name__ == "__main__":
    main()
