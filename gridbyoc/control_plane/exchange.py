"""One HTTP exchange over requests: connect, send, read the whole answer, all within a deadline."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import should_bypass_proxies
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError

from gridbyoc import __version__
from gridbyoc.control_plane.authorization import NO_AUTHORIZATION, Authorization
from gridbyoc.control_plane.failures import Answer

ANSWER_LIMIT = 16 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``path`` starts with ``/`` and is percent-encoded; ``body`` is secret-bearing."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    auth: Authorization = NO_AUTHORIZATION


class NoAnswerError(Exception):
    """No whole answer came. ``sent``: the request may have arrived; ``words`` and ``fix`` are for people."""

    def __init__(self, words: str, *, sent: bool, fix: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.sent = sent
        self.fix = fix


class Exchange(Protocol):
    """Carries one call to the server."""

    def __call__(self, call: Call, seconds: float) -> Answer:
        """The answer, within ``seconds``; ``NoAnswerError``."""


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach the server: time-outs in seconds, a CA bundle (file or directory), the environment's proxies."""

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    ca_bundle: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


class RequestsExchange:
    """``Exchange`` by requests. The environment comes from ``network``, never from the process, nor from ~/.netrc."""

    def __init__(self, url: str, network: Network) -> None:
        self._url = url
        self._network = network
        self._session = self._new_session()

    def __call__(self, call: Call, seconds: float) -> Answer:
        """In a thread of its own: name resolution and a trickling server know no time-out of requests'."""
        answer = within(seconds, lambda: self._outcome(call, seconds))
        if answer is None:
            self._session = self._new_session()
            raise NoAnswerError("no answer in time", sent=True)
        if isinstance(answer, NoAnswerError):
            raise answer
        return answer

    def _outcome(self, call: Call, seconds: float) -> Answer | NoAnswerError:
        try:
            return self._exchange(call, seconds)
        except NoAnswerError as error:
            return error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # Returned, not raised from: requests' errors carry the request with its headers.
            return _in_words(error)

    def _exchange(self, call: Call, seconds: float) -> Answer:
        limits = (min(self._network.connect_timeout, seconds), min(self._network.read_timeout, seconds))
        response = self._session.request(
            call.method,
            self._url + call.path,
            params=list(call.query),
            data=None if call.body is None else json.dumps(call.body).encode(),
            auth=call.auth,
            timeout=limits,
            allow_redirects=False,
            stream=True,
            verify=self._network.ca_bundle or True,
        )
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, _whole_body(response.iter_content(65536)))

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.proxies = dict(proxies_for(self._url, self._network.environ))
        session.headers.update(
            {
                "User-Agent": f"gridbyoc/{__version__}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            }
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=0))
        return session


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """What ``work`` returns (or raises); ``None`` once ``seconds`` are over: it then stays behind."""
    results: list[T] = []
    errors: list[Exception] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, daemon=True, name="gridbyoc-http").start()
    done.wait(max(seconds, 0.0))
    if errors:
        raise errors[0]
    return results[0] if results else None


def _whole_body(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise NoAnswerError("its answer is too long to be the control plane's", sent=True)
    return bytes(body)


def is_loopback(url: str) -> bool:
    """Whether ``url`` is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxies_for(url: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The proxies that ``environ`` names for ``url``. A loopback address is never asked for through a proxy."""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if is_loopback(url) or should_bypass_proxies(url, no_proxy):
        return {}
    scheme = urlsplit(url).scheme
    # Lower case only for http: HTTP_PROXY is set by a request header under CGI (https://httpoxy.org).
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    proxy = next((environ[name] for name in names if environ.get(name)), "")
    return {scheme: proxy} if proxy else {}


def _in_words(error: Exception) -> NoAnswerError:
    """Our own words for it: the libraries' texts may hold a proxy's password."""
    causes = list(_causes(error))
    sent = not isinstance(error, requests.ConnectTimeout) and not any(
        isinstance(cause, NewConnectionError | ssl.SSLCertVerificationError) for cause in causes
    )
    words, fix = next((known for known in map(_known_cause, causes) if known), ("", ""))
    if isinstance(error, requests.exceptions.ProxyError):
        reason = words or "it refused the connection"
        return NoAnswerError(f"the proxy cannot be used: {reason}", sent=False, fix="Check the proxy settings.")
    if words:
        return NoAnswerError(words, sent=sent, fix=fix)
    if isinstance(error, requests.exceptions.InvalidURL | LocationValueError | UnicodeError):
        return NoAnswerError("its address is not valid", sent=False)
    return NoAnswerError("the connection was cut before the answer was whole", sent=sent)


def _known_cause(cause: BaseException) -> tuple[str, str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted ({cause.verify_message})", (
            "Name the CA bundle of your network: control_plane.ca_bundle or REQUESTS_CA_BUNDLE."
        )
    if isinstance(cause, ssl.SSLError):
        return "TLS could not be set up", "Check the scheme (https or http) and the port of the address."
    if isinstance(cause, socket.gaierror):
        return "its name does not resolve", "Check the address for typing errors, and the network."
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused", "Check the address and its port, and that the service is up."
    if isinstance(cause, requests.ConnectTimeout):
        return "no connection in time", "Check the address, the network and its proxies."
    if isinstance(cause, requests.ReadTimeout):
        return "no answer in time", ""
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all that lies below it: urllib3 keeps ``reason``, requests puts it into ``args``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
