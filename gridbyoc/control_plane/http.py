"""HTTP calls to the control plane: retries, deadlines, and the errors for failures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

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
from gridbyoc.stack.clock import backoff
from gridbyoc.stack.secret import Secret


class Authorization:
    """The Authorization header, or none."""

    def __init__(self, scheme: str = "", value: Secret | None = None) -> None:
        self._scheme = scheme
        self._value = value

    def header(self) -> str | None:
        """The header's value; ``None`` for a request without it."""
        return None if self._value is None else f"{self._scheme} {self._value.reveal()}"

    def __repr__(self) -> str:
        return f"Authorization({self._scheme or 'none'})"


def basic(user_id: str, api_key: Secret) -> Authorization:
    """HTTP Basic with the user's id (not the name) and API key."""
    return Authorization("Basic", basic_token(user_id, api_key))


def basic_token(user_id: str, api_key: Secret) -> Secret:
    """The text after ``Basic`` in the header; as secret as the key."""
    return Secret(base64.b64encode(f"{user_id}:{api_key.reveal()}".encode()).decode("ascii"))


NO_AUTHORIZATION = Authorization()


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


REPEATED_METHODS = frozenset({"GET", "PUT", "DELETE"})
REPEATED_STATUSES = frozenset({429, 500, 502, 503, 504})


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
        """The last response, after retries as the policy allows, until the deadline.

        An answer with ``Retry-After`` is not counted as a try: the server says when to come back, and many stacks may
        ask it at the same time.
        """
        deadline = self.timing.clock() + (self._patience.total if within is None else min(within, self._patience.total))
        doubled = backoff(self._patience.first_pause, 2.0, self._patience.longest_pause)
        tries = 0
        for pause in doubled:
            outcome = self._one_try(call, deadline)
            asked_for = None if isinstance(outcome, NoAnswerError) else retry_after(outcome)
            tries += asked_for is None
            pause = self._pause(asked_for, pause)
            in_time = self.timing.clock() + pause < deadline
            if not _may_repeat(call.method, outcome) or tries >= self._patience.tries or not in_time:
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

    def _pause(self, asked_for: float | None, pause: float) -> float:
        """The server's ``Retry-After`` and up to a quarter more, else ``pause`` with up to half of it random."""
        if asked_for is not None:
            return max(asked_for, self._patience.first_pause) * (1.0 + 0.25 * self.timing.jitter())
        return pause * (0.5 + 0.5 * self.timing.jitter())


def _may_repeat(method: str, outcome: HttpAnswer | NoAnswerError) -> bool:
    if isinstance(outcome, NoAnswerError):
        return method in REPEATED_METHODS
    return method in REPEATED_METHODS and outcome.status in REPEATED_STATUSES


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
