"""The local AWS: moto's server on loopback, as a child process (``python -m gridbyoc.sandbox.aws_server``)."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from gridbyoc.sandbox.aws_extra.call import Environ, load_model, signed_for, signed_region
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
EC2 reads its types and where they are offered then, IAM 1,500 policies; each takes part of a second."""

OURS = "servicequotas"
WARM_UP_SECONDS = 10.0
_LOADS_POLICIES = "MOTO_IAM_LOAD_MANAGED_POLICIES"


class Gate:
    """Lets requests to a service wait while it is warmed up: twenty at once that load the same take far longer."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        self._warm = {name: threading.Event() for name in (*WARM, OURS)}
        self._elsewhere = threading.Lock()
        self._has_policies_elsewhere = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; what fails to warm up answers for itself."""
        service = signed_for(environ)
        event = self._warm.get(service)
        if event is not None:
            event.wait(WARM_UP_SECONDS)
        if service == "iam" and _is_elsewhere(environ):
            self._fill_iam_elsewhere()
        return self._app(environ, start_response)

    def _fill_iam_elsewhere(self) -> None:
        """Load AWS's policies of the other partitions once somebody asks for one: hardly anybody does."""
        with self._elsewhere:
            if not self._has_policies_elsewhere:
                _make_iam_elsewhere(policies=True)
                self._has_policies_elsewhere = True

    def open_when_warm(self, moto: Callable[..., Any]) -> None:
        """Warm up all of it, asked of moto itself, not through a layer: nobody's log is to show it."""
        try:
            _warm_up(moto, self._warm)
        finally:
            for event in self._warm.values():  # nobody waits for what failed
                event.set()


def settle_moto() -> None:
    """What moto is to load: AWS's managed policies (without them ``iam:AttachRolePolicy`` of one is NoSuchEntity), and
    not the 1,300 images that it would make in every region.

    https://docs.getmoto.org/en/latest/docs/configuration/environment_variables.html
    """
    os.environ[_LOADS_POLICIES] = "true"
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def _is_elsewhere(environ: Environ) -> bool:
    """Whether a request is to another partition than ``aws``."""
    from moto.utilities.utils import get_partition

    return bool(get_partition(signed_region(environ)) != "aws")


def _warm_up(moto: Callable[..., Any], warm: Mapping[str, threading.Event]) -> None:
    from werkzeug.test import Client

    client = Client(moto)
    for service, form in WARM.items():
        if service == "ec2":
            _import_ec2()
        import_module(f"moto.{service}.models")  # moto would hold a lock over all services while it does this
        if service == "iam":
            _make_iam_elsewhere(policies=False)
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


def _make_iam_elsewhere(*, policies: bool) -> None:
    """IAM of each partition but ``aws``. moto makes them all at the first request, and reads the policies for each.

    https://github.com/getmoto/moto/blob/master/moto/iam/models.py (``get_account_id_from``)
    """
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.iam.models import IAMBackend, iam_backends
    from moto.utilities.utils import PARTITION_NAMES

    os.environ[_LOADS_POLICIES] = str(policies).lower()
    try:
        for name in set(PARTITION_NAMES) - {"aws"}:
            # put in its place when it is whole: requests to other partitions look into it, too
            iam_backends[DEFAULT_ACCOUNT_ID][name] = IAMBackend(name, DEFAULT_ACCOUNT_ID)
    finally:
        os.environ[_LOADS_POLICIES] = "true"


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


def main() -> None:
    """Bind, report the port, warm up what is needed first, serve."""
    gc.set_threshold(200_000, 50, 100)  # what moto loads stays: looking for garbage in it takes time
    sys.setswitchinterval(0.05)  # a run asks twenty things at once while services load: let each thread get somewhere
    config = read_config()
    settle_moto()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    moto = DomainDispatcherApplication(create_backend_app)
    gate = Gate(ExtraLayer(moto, make_extras(config)))
    server = make_server("127.0.0.1", int(config["port"]), gate, threaded=True, request_handler=_in_one_piece())
    # moto's own calls to itself need to know where it listens (read in moto.settings).
    os.environ["MOTO_PORT"] = str(server.port)
    in_background(lambda: gate.open_when_warm(moto))
    serve(server, config)


def _in_one_piece() -> type[WSGIRequestHandler]:
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class InOnePiece(MotoRequestHandler):
        """Sends an answer's head and body together: between the two, now and then a Go client under load hangs up, and
        Terraform then asks again for what has been done (EntityAlreadyExists, a lock of its own).
        """

        wbufsize = -1  # https://docs.python.org/3/library/socketserver.html#socketserver.StreamRequestHandler.wfile

        def handle_expect_100(self) -> bool:
            """Whoever has said ``Expect: 100-continue`` waits a second for this, and so it is not kept back."""
            goes_on: bool = super().handle_expect_100()
            self.wfile.flush()
            return goes_on

    return InOnePiece


if __name__ == "__main__":
    main()
