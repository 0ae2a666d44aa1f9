"""HTTP calls to the control plane: retries, deadlines, and the errors for failures."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import should_bypass_proxies
from urllib3.exceptions import HTTPError, LocationValueError, NewConnectionError
from urllib3.util import Retry

from gridbyoc import __version__
from gridbyoc.control_plane.failures import (
    CHECK_ADDRESS,
    HttpAnswer,
    JsonObject,
    LostAnswerError,
    RequestContext,
    error_for,
    json_object,
    not_the_api,
    retry_after,
)
from gridbyoc.control_plane.model import Clean, Cleaner
from gridbyoc.control_plane.parse import MalformedError
from gridbyoc.errors import ClusterNotFoundError, ControlPlaneError, ControlPlaneUnreachableError, UsageError
from gridbyoc.errors.cards import card_for_answer, with_known_failure
from gridbyoc.stack.background import within
from gridbyoc.stack.clock import backoff
from gridbyoc.stack.secret import Secret


class Authorization(AuthBase):
    """The Authorization header, or none. As an AuthBase it also stops requests from reading ``~/.netrc``."""

    def __init__(self, scheme: str = "", value: Secret | None = None) -> None:
        self._scheme = scheme
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header on ``request``."""
        if self._value is not None:
            request.headers["Authorization"] = f"{self._scheme} {self._value.reveal()}"
        return request

    def __repr__(self) -> str:
        return f"Authorization({self._scheme or 'none'})"


def basic(user_id: str, api_key: Secret) -> Authorization:
    """HTTP Basic with the user's id (not the name) and API key."""
    return Authorization("Basic", basic_token(user_id, api_key))


def basic_token(user_id: str, api_key: Secret) -> Secret:
    """The text after ``Basic`` in the header; as secret as the key."""
    return Secret(base64.b64encode(f"{user_id}:{api_key.reveal()}".encode()).decode("ascii"))


NO_AUTHORIZATION = Authorization()


ANSWER_LIMIT = 16 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. ``path`` starts with ``/`` and is percent-encoded; ``body`` contains secrets."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    auth: Authorization = NO_AUTHORIZATION


class NoAnswerError(Exception):
    """No complete answer arrived. ``sent``: the request may have arrived; ``words`` and ``fix`` are for people."""

    def __init__(self, words: str, *, sent: bool, fix: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.sent = sent
        self.fix = fix


class Exchange(Protocol):
    """Sends one call to the server."""

    def __call__(self, call: HttpRequest, seconds: float) -> HttpAnswer:
        """Return the response within ``seconds``. Raises ``NoAnswerError``."""


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach the server: time-outs in seconds, a CA bundle (file or directory), an environment with proxies."""

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    ca_bundle: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


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
            auth=call.auth,
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


def is_loopback(url: str) -> bool:
    """Whether ``url`` is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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


# urllib3's policy object says which calls may be repeated; the loop is ours, because Retry has no overall deadline.
POLICY = Retry(
    allowed_methods=frozenset({"GET", "PUT", "DELETE"}), status_forcelist=frozenset({429, 500, 502, 503, 504})
)


@dataclass(frozen=True, slots=True)
class RetryPatience:
    """Limits for retrying one call; seconds. Pauses double from ``first_pause`` up to ``longest_pause``."""

    total: float = 120.0
    tries: int = 5
    first_pause: float = 0.5
    longest_pause: float = 15.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock (monotonic), sleep and jitter (0 <= x < 1) to use."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]


def read_object(body: JsonObject) -> JsonObject:
    """Return the response's object unchanged."""
    return body


class Http:
    """Calls one control plane. Idempotent calls (GET, PUT, DELETE) are retried; a POST is sent once.

    Every call ends within its deadline. It returns the result of ``read`` for the response's JSON object, or raises:
    ``AuthenticationError`` (401, 403), ``ClusterNotFoundError`` (404 on a cluster), ``ControlPlaneError`` with
    ``http_status``, ``ControlPlaneUnreachableError`` (``LostAnswerError`` if the request may have arrived).
    """

    def __init__(
        self,
        url: str,
        exchange: Exchange,
        timing: Timing,
        *,
        auth: Callable[[], Authorization] = lambda: NO_AUTHORIZATION,
        clean: Clean | None = None,
        patience: RetryPatience | None = None,
    ) -> None:
        self.url = url
        self.clean: Clean = clean or Cleaner()
        self.timing = timing
        self._exchange = exchange
        self._auth = auth
        self._patience = patience or RetryPatience()

    def call(
        self,
        method: str,
        path: str,
        read: Callable[[JsonObject], T],
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: Mapping[str, Any] | None = None,
        auth: Authorization | None = None,
        cluster_id: str | None = None,
        secrets: tuple[Secret, ...] = (),
        within: float | None = None,
    ) -> T:
        """``path`` is percent-encoded; ``secrets`` of ``body`` are kept out of errors; ``within`` is in seconds."""
        asked = RequestContext(self.url, method, self.clean, cluster_id, secrets)
        answer = self._answer(HttpRequest(method, path, query, body, auth or self._auth()), asked, within)
        if not 200 <= answer.status < 300:
            raise error_for(answer, asked)
        value = json_object(answer.body)
        if value is None:
            raise not_the_api(answer, asked)
        return _understood(value, read, asked)

    def _answer(self, call: HttpRequest, asked: RequestContext, within: float | None) -> HttpAnswer:
        """The last response, after retries as the policy allows, until the deadline."""
        deadline = self.timing.clock() + (self._patience.total if within is None else min(within, self._patience.total))
        doubled = backoff(self._patience.first_pause, 2.0, self._patience.longest_pause)
        for tried, pause in enumerate(doubled, 1):
            outcome = self._one_try(call, deadline)
            pause = self._pause(outcome, pause)
            in_time = self.timing.clock() + pause < deadline
            if not _may_repeat(call.method, outcome) or tried >= self._patience.tries or not in_time:
                break
            self.timing.sleep(pause)
        if isinstance(outcome, NoAnswerError):
            raise _unreachable(outcome, asked)
        return outcome

    def _one_try(self, call: HttpRequest, deadline: float) -> HttpAnswer | NoAnswerError:
        try:
            return self._exchange(call, deadline - self.timing.clock())
        except NoAnswerError as error:
            return error

    def _pause(self, outcome: HttpAnswer | NoAnswerError, pause: float) -> float:
        """The server's ``Retry-After``, else ``pause`` with up to half of it random."""
        asked_for = None if isinstance(outcome, NoAnswerError) else retry_after(outcome)
        if asked_for is not None:
            return asked_for
        return pause * (0.5 + 0.5 * self.timing.jitter())


def _may_repeat(method: str, outcome: HttpAnswer | NoAnswerError) -> bool:
    if isinstance(outcome, NoAnswerError):
        return method in (POLICY.allowed_methods or ())
    return POLICY.is_retry(method, outcome.status)


def _understood(value: JsonObject, read: Callable[[JsonObject], T], asked: RequestContext) -> T:
    try:
        return read(value)
    except MalformedError as error:
        where = error.where
    raise LostAnswerError(
        f"{asked.url} sent an answer that gridbyoc does not understand: {asked.show(where)}.",
        why="It has another version of the API, or it is not the control plane.",
        fix=CHECK_ADDRESS,
    )


def _unreachable(error: NoAnswerError, asked: RequestContext) -> ControlPlaneUnreachableError:
    kind = LostAnswerError if error.sent else ControlPlaneUnreachableError
    what = f"The control plane at {asked.url} cannot be reached: {error.words}."
    return with_known_failure(kind(what, fix=error.fix or CHECK_ADDRESS), card_for_answer(0, error.words), keep=True)


def cluster_path(cluster_id: str, *rest: str) -> str:
    """``/v1/core/clusters/ID/...``, percent-encoded. ``ClusterNotFoundError`` for an id that leaves that path."""
    if cluster_id in {"", ".", ".."}:
        raise ClusterNotFoundError(
            f"{cluster_id!r} is not the id of a cluster.", fix="`gridbyoc clusters list` shows the ids."
        )
    return "/".join(["/v1/core/clusters", quote(cluster_id, safe=""), *rest])


def base_url(text: str, source: str) -> str:
    """``text`` as a base URL without trailing slashes; the error names ``source``, where the text came from.

    Raises ``UsageError`` for another scheme than http or https, a missing host, and for credentials, a query or a
    fragment. The error does not repeat the text, because it may contain a password.
    """
    parts, port = _split(text.strip())
    if parts is None:
        raise _bad_url(source, "it is not a URL")
    if parts.username is not None or parts.password is not None:
        raise _bad_url(source, "it contains a user name or password")
    if parts.scheme.lower() not in {"http", "https"}:
        raise _bad_url(source, f"its scheme is {parts.scheme!r}, not https or http" if parts.scheme else "no scheme")
    if not parts.hostname or any(char.isspace() for char in parts.netloc):
        raise _bad_url(source, "it names no host")
    if parts.query or parts.fragment:
        raise _bad_url(source, "it has a query or a fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme.lower()}://{host}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"


def _split(text: str) -> tuple[SplitResult | None, int | None]:
    """The parts and port of a URL; ``None`` for an invalid one. The library's error would repeat a part of it."""
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:
        return None, None


def _bad_url(source: str, problem: str) -> UsageError:
    return UsageError(
        f"The control plane's URL ({source}) cannot be used: {problem}.",
        fix="Write it in the form https://platform.grid.ai",
    )


def is_transient(error: ControlPlaneError) -> bool:
    """Whether a later try may succeed: no answer, 408, 429 and 5xx."""
    return (
        isinstance(error, ControlPlaneUnreachableError) or error.http_status in {408, 429} or error.http_status >= 500
    )
