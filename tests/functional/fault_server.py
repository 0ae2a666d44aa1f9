"""A small HTTP server on 127.0.0.1 that gives chosen answers: any status, late, cut short, or not at all."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer. ``cut``: ``drop`` closes without a byte, ``half`` in the middle of the body, ``trickle`` goes on
    sending header lines for ever."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: Literal["", "drop", "half", "trickle"] = ""

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


HTML = Reply(b"<html>Sign in to the hotel's network</html>", headers={"Content-Type": "text/html; charset=utf-8"})
DROP = Reply(cut="drop")


@dataclass
class Server:
    """What the running server has been asked, and where it is."""

    answer: Callable[[Request], Reply]
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def asked(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.requests]


def scripted(*replies: Reply) -> Callable[[Request], Reply]:
    """Answers in this order; the last one for ever."""
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def serving(
    answer: Callable[[Request], Reply] | Sequence[Reply], tls: tuple[Path, Path] | None = None
) -> Iterator[Server]:
    """Run it; ``tls`` is certificate and key."""
    server = Server(answer if callable(answer) else scripted(*answer))
    httpd = _Http(server)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        server.scheme = "https"
    server.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, server: Server) -> None:
        self.told = server
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two of them wait 40 ms for an acknowledgement
    server: Any

    def log_message(self, *args: object) -> None:
        """Silence."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
        self.server.told.requests.append(request)
        self._send(self.server.told.answer(request))

    do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = _serve  # noqa: N815 - http.server's names

    def _send(self, reply: Reply) -> None:
        self.server.told.stopping.wait(reply.delay)
        if reply.cut:
            self.close_connection = True
        if reply.cut == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if reply.cut == "trickle":
            self._trickle()
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content[: len(reply.content) // 2] if reply.cut == "half" else reply.content)

    def _trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        end = time.monotonic() + 20
        while time.monotonic() < end and not self.server.told.stopping.wait(0.02):
            self.wfile.write(b"X-More: 1\r\n")
            self.wfile.flush()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True
