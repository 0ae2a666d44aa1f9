"""The local AWS: moto's server on loopback, as a child process (``python -m gridbyoc.sandbox.aws_server``)."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from gridbyoc.sandbox.aws_extra.call import Environ, load_model, signed_for, signed_region
from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer, StartResponse, WsgiApp
from gridbyoc.sandbox.aws_extra.role_sessions import make_member
from gridbyoc.sandbox.lifeline import in_background, read_config, serve
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID

WARM = {
    "sts": "Action=GetCallerIdentity&Version=2011-06-15",
    "iam": "Action=ListRoles&Version=2010-05-08",
    "s3": "",
    "ec2": "Action=DescribeAccountAttributes&Version=2016-11-15",
    "autoscaling": "Action=DescribeAutoScalingGroups&Version=2011-01-01",
    "eks": "",
}
"""A harmless request to each service that a run needs, in the order of need: moto imports a service at its first
request. EC2 then reads its types and offerings, IAM 1,500 policies; each takes part of a second."""

OURS = "servicequotas"
WARM_UP_SECONDS = 10.0
_LOADS_POLICIES = "MOTO_IAM_LOAD_MANAGED_POLICIES"


class Gate:
    """Holds requests to a service back until it is warm.

    Twenty parallel requests that load the same data take far longer.
    """

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        self._warm = {name: threading.Event() for name in (*WARM, OURS)}
        self._elsewhere = threading.Lock()
        self._has_policies_elsewhere = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request. If a service failed to warm up, its requests go through and show the failure."""
        service = signed_for(environ)
        event = self._warm.get(service)
        if event is not None:
            event.wait(WARM_UP_SECONDS)
        if service == "iam" and _is_elsewhere(environ):
            self._fill_iam_elsewhere()
        return self._app(environ, start_response)

    def _fill_iam_elsewhere(self) -> None:
        """Load AWS's policies of the other partitions when somebody first asks for one, which is rare."""
        with self._elsewhere:
            if not self._has_policies_elsewhere:
                _make_iam_elsewhere(policies=True)
                self._has_policies_elsewhere = True

    def open_when_warm(self, moto: Callable[..., Any], members: Sequence[str] = ()) -> None:
        """Warm up all services by asking moto itself, not through a layer: the requests must not appear in a log."""
        try:
            _warm_up(moto, self._warm, members)
        finally:
            for event in self._warm.values():  # release the requests to a service that failed
                event.set()


def settle_moto() -> None:
    """Configure what moto loads: AWS managed policies, but not the 1,300 images that it would create in every region.

    Without the policies, ``iam:AttachRolePolicy`` of one is NoSuchEntity.
    https://docs.getmoto.org/en/latest/docs/configuration/environment_variables.html
    """
    os.environ[_LOADS_POLICIES] = "true"
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def _is_elsewhere(environ: Environ) -> bool:
    """Whether a request is for a partition other than ``aws``."""
    from moto.utilities.utils import get_partition

    return bool(get_partition(signed_region(environ)) != "aws")


def _warm_up(moto: Callable[..., Any], warm: Mapping[str, threading.Event], members: Sequence[str]) -> None:
    from werkzeug.test import Client

    client = Client(moto)
    for service, form in WARM.items():
        if service == "ec2":
            _import_ec2()
        import_module(f"moto.{service}.models")  # otherwise moto imports it under a lock for all services
        if service == "iam":
            _make_iam_elsewhere(policies=False)
            for account in members:
                _make_iam_elsewhere(policies=False, account_id=account)
                make_member(account)
        signature = f"AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/{service}/aws4_request, Signature=0"
        client.open(
            "/clusters" if service == "eks" else "/",
            method="POST" if form else "GET",
            data=form or None,
            content_type="application/x-www-form-urlencoded" if form else None,
            headers={"Authorization": signature, "Host": "127.0.0.1"},
        )
        load_model(service)
        if service != "sts" or not members:  # assuming a role of a member account needs IAM
            warm[service].set()
        if service == "iam":
            warm["sts"].set()
    load_model(OURS)
    warm[OURS].set()


def _make_iam_elsewhere(*, policies: bool, account_id: str = AWS_ACCOUNT_ID) -> None:
    """Create an account's IAM for each partition except ``aws``.

    moto would create all at the first request, and read the policies each time.

    https://github.com/getmoto/moto/blob/master/moto/iam/models.py (``get_account_id_from``)
    """
    from moto.iam.models import IAMBackend, iam_backends
    from moto.utilities.utils import PARTITION_NAMES

    os.environ[_LOADS_POLICIES] = str(policies).lower()
    try:
        for name in set(PARTITION_NAMES) - {"aws"}:
            # assigned when complete: requests to other partitions read it, too
            iam_backends[account_id][name] = IAMBackend(name, account_id)
    finally:
        os.environ[_LOADS_POLICIES] = "true"


def _import_ec2() -> None:
    """Let moto share one session while its EC2 is imported: it creates three, and each would read EC2's whole model.

    https://github.com/getmoto/moto/blob/master/moto/ec2/models/availability_zones_and_regions.py
    """
    import boto3

    session, ordinary = boto3.Session(), boto3.Session
    boto3.Session = lambda: session  # type: ignore[assignment,misc]  # during that import only
    try:
        import_module("moto.ec2.models.availability_zones_and_regions")
    finally:
        boto3.Session = ordinary  # type: ignore[misc]


def main() -> None:
    """Bind, report the port, warm up what is needed first, and serve."""
    gc.set_threshold(200_000, 50, 100)  # moto's data stays: garbage collection over it takes time
    sys.setswitchinterval(0.05)  # a run sends twenty requests while services load: give each thread a longer turn
    config = read_config()
    settle_moto()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    moto = DomainDispatcherApplication(create_backend_app)
    app: WsgiApp = ExtraLayer(moto, make_extras(config))
    if config.get("scenario"):
        from gridbyoc.sandbox.scenario.playing import aws_side, with_scenario  # few sandboxes need these imports

        app = with_scenario(app, config["scenario"], aws_side())
    gate = Gate(app)
    server = make_server("127.0.0.1", int(config["port"]), gate, threaded=True, request_handler=_in_one_piece())
    # moto's own calls to itself need to know where it listens (read in moto.settings).
    os.environ["MOTO_PORT"] = str(server.port)
    in_background(lambda: gate.open_when_warm(moto, config.get("member_accounts", ())))
    serve(server, config)


def _in_one_piece() -> type[WSGIRequestHandler]:
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class InOnePiece(MotoRequestHandler):
        """Sends a response's head and body together.

        Between the two, a Go client under load sometimes closes the connection; Terraform then repeats a request that
        has been carried out (EntityAlreadyExists, a lock of its own).
        """

        wbufsize = -1  # https://docs.python.org/3/library/socketserver.html#socketserver.StreamRequestHandler.wfile

        def handle_expect_100(self) -> bool:
            """Flush at once: a client that sent ``Expect: 100-continue`` waits a second for this."""
            goes_on: bool = super().handle_expect_100()
            self.wfile.flush()
            return goes_on

    return InOnePiece


if __name__ == "__main__":
    main()
