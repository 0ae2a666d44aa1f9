"""The local AWS: moto's server on loopback, as a child process (``python -m gridbyoc.sandbox.aws_server``)."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from werkzeug.serving import make_server

from gridbyoc.sandbox.aws_extra.call import load_model
from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer
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


def main() -> None:
    """Bind, report the port, warm up what is needed first, serve."""
    gc.set_threshold(200_000, 50, 100)  # what moto loads stays: looking for garbage in it takes time
    config = read_config()
    # Without it iam:AttachRolePolicy of a managed policy is NoSuchEntity; the 1,500 policies load in 0.1 s.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    moto = DomainDispatcherApplication(create_backend_app)
    app = ExtraLayer(moto, make_extras(config))
    server = make_server("127.0.0.1", int(config["port"]), app, threaded=True, request_handler=MotoRequestHandler)
    # moto's own calls to itself need to know where it listens (read in moto.settings).
    os.environ["MOTO_PORT"] = str(server.port)
    in_background(_import_ec2)
    in_background(lambda: _warm_up(moto))
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


def _warm_up(moto: Callable[..., Any]) -> None:
    """Asked of moto itself, not through the layer: nobody's log is to show it."""
    from werkzeug.test import Client

    client = Client(moto)
    for service, form in WARM.items():
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
    load_model("servicequotas")


if __name__ == "__main__":
    main()
