"""Send HTTP calls with requests.

Only the first call imports this module: importing requests and urllib3 takes 60 ms, which then pass beside
``terraform init``.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import should_bypass_proxies
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError

from gridbyoc import __version__
from gridbyoc.control_plane.failures import HttpAnswer
from gridbyoc.control_plane.http import Authorization, HttpRequest, Network, NoAnswerError
from gridbyoc.stack.background import within
from gridbyoc.stack.loopback import is_loopback

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes. The API lists all clusters in one answer: ten thousand of them are 11 MiB or more (benchmarks/scale.py)."""


class _Header(AuthBase):
    """Sets the Authorization header. As an AuthBase it also stops requests from reading ``~/.netrc``."""

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = self._authorization.header()
        if value is not None:
            request.headers["Authorization"] = value
        return request


class RequestsExchange:
    """An ``Exchange`` that uses requests. It reads the environment of ``network``, never the process's or ~/.netrc."""

    def __init__(self, url: str, network: Network) -> None:
        self._url = url
        self._network = network
        self._session = self._new_session()

    def __call__(self, call: HttpRequest, seconds: float) -> HttpAnswer:
        """Send the call in a thread: the time-outs of requests do not cover name resolution or a slow response."""
        answer = within(seconds, lambda: self._outcome(call, seconds))
        if answer is None:
            self._session = self._new_session()
            raise NoAnswerError("no answer in time", sent=True)
        if isinstance(answer, NoAnswerError):
            raise answer
        return answer

    def _outcome(self, call: HttpRequest, seconds: float) -> HttpAnswer | NoAnswerError:
        try:
            return self._exchange(call, seconds)
        except NoAnswerError as error:
            return error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # Returned, not raised from: errors of requests contain the request with its headers.
            return _no_answer(error)

    def _exchange(self, call: HttpRequest, seconds: float) -> HttpAnswer:
        limits = (min(self._network.connect_timeout, seconds), min(self._network.read_timeout, seconds))
        response = self._session.request(
            call.method,
            self._url + call.path,
            params=list(call.query),
            data=None if call.body is None else json.dumps(call.body).encode(),
            auth=_Header(call.auth),
            timeout=limits,
            allow_redirects=False,
            stream=True,
            verify=self._network.ca_bundle or True,
        )
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpAnswer(response.status_code, headers, _whole_body(response.iter_content(65536)))

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


def _whole_body(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise NoAnswerError("its answer is too long for the control plane's API", sent=True)
    return bytes(body)


def proxies_for(url: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The proxies that ``environ`` names for ``url``. A loopback address never uses a proxy."""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if is_loopback(url) or should_bypass_proxies(url, no_proxy):
        return {}
    scheme = urlsplit(url).scheme
    # Lower case first: under CGI, a request header sets HTTP_PROXY (https://httpoxy.org).
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    proxy = next((environ[name] for name in names if environ.get(name)), "")
    return {scheme: proxy} if proxy else {}


def _no_answer(error: Exception) -> NoAnswerError:
    """The error with our own words: the libraries' texts may contain a proxy's password."""
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
            "Set the CA bundle of your network: control_plane.ca_bundle or REQUESTS_CA_BUNDLE."
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
    """``error`` and all its causes: urllib3 stores them in ``reason``, requests in ``args``."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
