"""A proxy on 127.0.0.1 in front of one service: holds, spoils or loses chosen messages and passes on the rest."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
HELD_FOR = 120.0
"""Seconds after which a held request goes on by itself, so that a failing test ends."""


@dataclass(frozen=True)
class Fault:
    """What becomes of requests called ``on``: an AWS action (``CreateRole``) or ``METHOD /path``.

    It strikes from the ``first`` of them on, ``times`` times (``None``: until it is lifted), or, with ``seconds``, for
    so long after the first. With ``since`` it strikes whatever comes from the ``first`` request of that name on.
    ``status`` is answered without asking the service, or, ``carried_out``, in the place of its answer. ``cut`` closes
    the connection: ``request`` before the service has seen it, ``answer`` after it was carried out, ``half`` in the
    middle of its answer. ``delay`` comes before all that, in seconds.
    """

    on: str
    first: int = 1
    times: int | None = 1
    seconds: float | None = None
    since: str = ""
    status: int = 0
    carried_out: bool = False
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: Literal["", "request", "answer", "half"] = ""
    delay: float = 0.0


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
    """

    upstream: str
    url: str = ""
    faults: tuple[Fault, ...] = ()
    holds: list[Hold] = field(default_factory=list)
    told: list[Callable[[str], None]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)
    _counts: dict[int, int] = field(default_factory=dict)
    _began: dict[int, float] = field(default_factory=dict)

    def strike(self, *faults: Fault) -> None:
        """From now on, these faults and no others, counted anew."""
        with self.lock:
            self.faults = faults
            self._counts.clear()
            self._began.clear()
            self.struck.clear()

    def hold(self, on: str, when: Literal["before", "after"], turn: int = 1) -> Hold:
        """Stop the ``turn``-th request of that name that comes from now on."""
        hold = Hold(on, when, turn)
        with self.lock:
            self.holds.append(hold)
        return hold

    def take(self, name: str) -> tuple[Hold | None, Fault | None]:
        """What is to happen to this request; it is counted."""
        with self.lock:
            self.seen.append(name)
            held = self._held(name)
            fault = next((each for number, each in enumerate(self.faults) if self._strikes(number, each, name)), None)
            if fault:
                self.struck.append(name)
            return held, fault

    def _held(self, name: str) -> Hold | None:
        found = None
        for hold in list(self.holds):
            if named(name, hold.on):
                hold.turn -= 1
                if hold.turn == 0:
                    self.holds.remove(hold)
                    found = hold
        return found

    def _strikes(self, number: int, fault: Fault, name: str) -> bool:
        counted = named(name, fault.since or fault.on)
        turn = self._counts[number] = self._counts.get(number, 0) + counted
        if turn < fault.first or not named(name, fault.on):
            return False
        if fault.since:
            return True
        if fault.seconds is not None:
            return time.monotonic() - self._began.setdefault(number, time.monotonic()) < fault.seconds
        return fault.times is None or turn < fault.first + fault.times


def named(name: str, wanted: str) -> bool:
    """Whether a request is called so. ``*`` is any, ``METHOD /path/*`` whatever lies below."""
    return wanted in ("*", name) or (wanted.endswith("/*") and name.startswith(wanted[:-1]))


@contextmanager
def proxy_of(upstream: str) -> Iterator[Proxy]:
    """Run a proxy in front of ``upstream``."""
    proxy = Proxy(upstream)
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
        name = self._name(body)
        hold, fault = proxy.take(name)
        if hold and hold.when == "before" and not self._stop_at(hold):
            return
        if fault and not self._before(fault):
            return
        answer, content = self._forward(proxy.upstream, body)
        for tell in tuple(proxy.told):
            tell(name)
        if hold and hold.when == "after" and not self._stop_at(hold):
            return
        if fault and fault.cut == "answer":
            self._hang_up()
            return
        if fault and fault.carried_out:
            self._answer(fault.status, fault.headers, fault.body)
            return
        self._answer(answer.status, dict(answer.getheaders()), content, half=bool(fault and fault.cut == "half"))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 - http.server's names

    def _name(self, body: bytes) -> str:
        action = parse_qs(body.decode("latin-1")).get("Action") if b"Action=" in body else None
        return action[0] if action else f"{self.command} {urlsplit(self.path).path}"

    def _stop_at(self, hold: Hold) -> bool:
        """Wait at the hold; false when the connection is cut there."""
        hold.reached.set()
        hold.released.wait(HELD_FOR)
        if hold.dropped:
            self._hang_up()
        return not hold.dropped

    def _before(self, fault: Fault) -> bool:
        """What the fault does before the service is asked; false when it will not be."""
        self.server.proxy.stopping.wait(fault.delay)
        if fault.cut == "request":
            self._hang_up()
            return False
        if fault.status and not fault.carried_out:
            self._answer(fault.status, fault.headers, fault.body)
            return False
        return True

    def _forward(self, upstream: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes, *, half: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP | {"date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = self.close_connection or half

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
