"""The local AWS: moto's server on loopback, as a child process (``python -m gridbyoc.sandbox.aws_server``)."""

from __future__ import annotations

import gc
import os
import sys

from werkzeug.serving import WSGIRequestHandler, make_server

from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer
from gridbyoc.sandbox.lifeline import in_background, read_config, serve
from gridbyoc.sandbox.warm_up import Gate, settle_moto


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
