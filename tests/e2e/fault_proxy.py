"""A proxy on 127.0.0.1 in front of one service: holds chosen requests, plays a scenario's steps, passes on the rest."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from gridbyoc.sandbox.aws_extra.call import AwsAnswer, signed_for
from gridbyoc.sandbox.scenario.model import ScenarioAnswer, read_scenario, shipped_text, steps_of
from gridbyoc.sandbox.scenario.playing import (
    PlayedSide,
    ScenarioLayer,
    ScenarioPlay,
    fits_request,
    plane_refusal,
    plane_request,
)

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
HELD_FOR = 120.0
"""Seconds after which a held request goes on by itself, so that a failing test ends."""

Side = Literal["aws", "plane"]
Step = Mapping[str, Any]
"""A step as in a scenario's file."""


def shipped_steps(name: str) -> tuple[Step, ...]:
    """The steps of a scenario that ships."""
    return read_scenario(shipped_text(name), name).raw_steps


@dataclass
class Hold:
    """Stops one request called ``on``, the ``turn``-th of them: before the service sees it, or its answer after."""

    on: str
    when: Literal["before", "after"]
    turn: int = 1
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    dropped: bool = False

    def wait(self) -> None:
        """Until the request is here."""
        assert self.reached.wait(HELD_FOR), f"{self.on} never came"

    def release(self) -> None:
        """Let it go on."""
        self.released.set()

    def drop(self) -> None:
        """Cut the connection instead: whoever sent it has died, and it never arrives (or its answer does not)."""
        self.dropped = True
        self.released.set()


@dataclass
class Proxy:
    """A running proxy: where it is, what it has seen (names, oldest first), and what it does to whom.

    ``told`` are called with a request's name once the service has carried it out, and before its sender hears of it.
    ``struck`` are the requests that a step struck.
    """

    upstream: str
    side: Side
    url: str = ""
    holds: list[Hold] = field(default_factory=list)
    told: list[Callable[[str], None]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)
    layer: ScenarioLayer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.strike()

    def strike(self, *steps: Step) -> None:
        """From now on, play these steps and no others, counted anew."""
        self.struck.clear()
        playing = ScenarioPlay(steps_of(steps), lambda _step, name: self.struck.append(name))
        refusal = aws_refusal if self.side == "aws" else plane_refusal
        side = PlayedSide(lambda environ: str(environ["proxy.name"]), refusal)
        self.layer = ScenarioLayer(self._forward, playing, side, self.stopping.wait)

    def hold(self, on: str, when: Literal["before", "after"], turn: int = 1) -> Hold:
        """Stop the ``turn``-th request of that name that comes from now on."""
        hold = Hold(on, when, turn)
        with self.lock:
            self.holds.append(hold)
        return hold

    def held(self, name: str) -> Hold | None:
        """What stops this request; it is counted."""
        found = None
        with self.lock:
            self.seen.append(name)
            for hold in list(self.holds):
                if fits_request(hold.on, name):
                    hold.turn -= 1
                    if hold.turn == 0:
                        self.holds.remove(hold)
                        found = hold
        return found

    def _forward(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Ask the service."""
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        try:
            body = environ["wsgi.input"].getvalue()
            connection.request(environ["REQUEST_METHOD"], environ["RAW_URI"], body or None, environ["proxy.headers"])
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        for tell in tuple(self.told):
            tell(environ["proxy.name"])
        start_response(f"{response.status} {response.reason}", response.getheaders())
        return [content]


def aws_refusal(_environ: dict[str, Any], answer: ScenarioAnswer) -> AwsAnswer:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""
    error = f"<Error><Type>Sender</Type><Code>{answer.code}</Code><Message>{answer.message}</Message></Error>"
    body = f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
    return AwsAnswer(answer.status, body.encode(), {"Content-Type": "text/xml"})


@contextmanager
def proxy_of(upstream: str, side: Side) -> Iterator[Proxy]:
    """Run a proxy in front of ``upstream``."""
    proxy = Proxy(upstream, side)
    server = _Server(proxy)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        for hold in proxy.holds:
            hold.drop()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    """Gives each request to the scenario's layer, as a WSGI server does. Werkzeug's would close every connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two of them wait 40 ms for an acknowledgement
    server: Any

    def log_message(self, *args: object) -> None:
        """Silence."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy: Proxy = self.server.proxy
        environ = self._environ(body)
        name = environ["proxy.name"] = request_name(proxy.side, environ, body)
        hold = proxy.held(name)
        if hold and hold.when == "before" and not self._stop_at(hold):
            return
        started: list[Any] = []
        content = b"".join(proxy.layer(environ, lambda status, headers: started.extend((status, headers))))
        if hold and hold.when == "after" and not self._stop_at(hold):
            return
        self._answer(int(started[0].split()[0]), dict(started[1]), content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 - http.server's names

    def _environ(self, body: bytes) -> dict[str, Any]:
        return {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": urlsplit(self.path).path,
            "QUERY_STRING": urlsplit(self.path).query,
            "RAW_URI": self.path,
            "HTTP_AUTHORIZATION": self.headers.get("Authorization", ""),
            "wsgi.input": io.BytesIO(body),
            "werkzeug.socket": self.connection,
            "proxy.headers": {name: text for name, text in self.headers.items() if name.lower() not in HOP_BY_HOP},
        }

    def _stop_at(self, hold: Hold) -> bool:
        """Wait at the hold; false when the connection is cut there."""
        hold.reached.set()
        hold.released.wait(HELD_FOR)
        if hold.dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        return not hold.dropped

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP | {"date", "server"}:
                self.send_header(name, value)
        announced = next((text for name, text in headers.items() if name.lower() == "content-length"), "")
        length = len(content) if self.command == "HEAD" or not announced else int(announced)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.close_connection or length != len(content)


def request_name(side: Side, environ: Mapping[str, Any], body: bytes) -> str:
    """A request's name in a scenario. An action of AWS is in the body; other requests to AWS are METHOD and path."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if side == "plane":
        return plane_request(method, path)
    action = parse_qs(body.decode("latin-1")).get("Action") if b"Action=" in body else None
    return f"{signed_for(dict(environ))}:{action[0] if action else f'{method} {path}'}"
