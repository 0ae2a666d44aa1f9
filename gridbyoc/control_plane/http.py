"""The one place for HTTP: which calls are tried again, when, for how long, and what their failures mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

from urllib3.util import Retry

from gridbyoc.control_plane.authorization import NO_AUTHORIZATION, Authorization
from gridbyoc.control_plane.exchange import Call, Exchange, NoAnswerError
from gridbyoc.control_plane.failures import (
    CHECK_ADDRESS,
    Answer,
    Asked,
    JsonObject,
    LostAnswerError,
    error_for,
    json_object,
    not_the_api,
    retry_after,
)
from gridbyoc.control_plane.parse import MalformedError
from gridbyoc.control_plane.words import Clean, Cleaner
from gridbyoc.errors import ClusterNotFoundError, ControlPlaneError, ControlPlaneUnreachableError, UsageError
from gridbyoc.errors.cards import card_for_answer, carrying
from gridbyoc.stack.secret import Secret

# Which calls may be repeated is urllib3's policy object; the loop is ours, since Retry knows no overall deadline.
POLICY = Retry(
    allowed_methods=frozenset({"GET", "PUT", "DELETE"}), status_forcelist=frozenset({429, 500, 502, 503, 504})
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long one call is tried; seconds. Pauses double from ``first_pause`` up to ``longest_pause``."""

    total: float = 120.0
    tries: int = 5
    first_pause: float = 0.5
    longest_pause: float = 15.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock (monotonic), sleep and jitter (0 <= x < 1), passed in."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]


def read_object(body: JsonObject) -> JsonObject:
    """The answer as it is."""
    return body


class Http:
    """Calls one control plane. Idempotent calls (GET, PUT, DELETE) are repeated; a POST is sent once.

    Every call ends within its deadline, with what ``read`` makes of the JSON object answered, or raises:
    ``AuthenticationError`` (401, 403), ``ClusterNotFoundError`` (404 on a cluster), ``ControlPlaneError`` with
    ``http_status``, ``ControlPlaneUnreachableError`` (``LostAnswerError`` where the request may have arrived).
    """

    def __init__(
        self,
        url: str,
        exchange: Exchange,
        timing: Timing,
        *,
        auth: Callable[[], Authorization] = lambda: NO_AUTHORIZATION,
        clean: Clean | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.url = url
        self.clean: Clean = clean or Cleaner()
        self.timing = timing
        self._exchange = exchange
        self._auth = auth
        self._patience = patience or Patience()

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
        """``path`` is percent-encoded; ``secrets`` are what an error must not show of ``body``; ``within`` seconds."""
        asked = Asked(self.url, method, self.clean, cluster_id, secrets)
        answer = self._answer(Call(method, path, query, body, auth or self._auth()), asked, within)
        if not 200 <= answer.status < 300:
            raise error_for(answer, asked)
        value = json_object(answer.body)
        if value is None:
            raise not_the_api(answer, asked)
        return _understood(value, read, asked)

    def _answer(self, call: Call, asked: Asked, within: float | None) -> Answer:
        """The last answer there is: tried again as the policy allows, until the deadline."""
        deadline = self.timing.clock() + (self._patience.total if within is None else min(within, self._patience.total))
        tried = 0
        while True:
            outcome = self._one_try(call, deadline)
            tried += 1
            pause = self._pause(outcome, tried)
            in_time = self.timing.clock() + pause < deadline
            if not _may_repeat(call.method, outcome) or tried >= self._patience.tries or not in_time:
                break
            self.timing.sleep(pause)
        if isinstance(outcome, NoAnswerError):
            raise _unreachable(outcome, asked)
        return outcome

    def _one_try(self, call: Call, deadline: float) -> Answer | NoAnswerError:
        try:
            return self._exchange(call, deadline - self.timing.clock())
        except NoAnswerError as error:
            return error

    def _pause(self, outcome: Answer | NoAnswerError, tried: int) -> float:
        """What the server asks for (``Retry-After``), else the doubled pause, half of it by chance."""
        asked_for = None if isinstance(outcome, NoAnswerError) else retry_after(outcome)
        if asked_for is not None:
            return asked_for
        pause = min(self._patience.first_pause * 2.0 ** (tried - 1), self._patience.longest_pause)
        return pause * (0.5 + 0.5 * self.timing.jitter())


def _may_repeat(method: str, outcome: Answer | NoAnswerError) -> bool:
    if isinstance(outcome, NoAnswerError):
        return method in (POLICY.allowed_methods or ())
    return POLICY.is_retry(method, outcome.status)


def _understood(value: JsonObject, read: Callable[[JsonObject], T], asked: Asked) -> T:
    try:
        return read(value)
    except MalformedError as error:
        where = error.where
    raise LostAnswerError(
        f"{asked.url} answered something that is not understood: {asked.show(where)}.",
        why="Another version of the API, or not the control plane at all.",
        fix=CHECK_ADDRESS,
    )


def _unreachable(error: NoAnswerError, asked: Asked) -> ControlPlaneUnreachableError:
    kind = LostAnswerError if error.sent else ControlPlaneUnreachableError
    what = f"The control plane at {asked.url} cannot be reached: {error.words}."
    return carrying(kind(what, fix=error.fix or CHECK_ADDRESS), card_for_answer(0, error.words), keep=True)


def cluster_path(cluster_id: str, *rest: str) -> str:
    """``/v1/core/clusters/ID/...``, percent-encoded; an id that would leave that path is no cluster's."""
    if cluster_id in {"", ".", ".."}:
        raise ClusterNotFoundError(f"{cluster_id!r} is no cluster's id.", fix="`gridbyoc clusters list` shows them.")
    return "/".join(["/v1/core/clusters", quote(cluster_id, safe=""), *rest])


def base_url(text: str, source: str) -> str:
    """``text`` as a base URL without trailing slashes; ``source`` (where it came from) is named in the error.

    Raises ``UsageError`` for another scheme than http or https, for no host, and for credentials, a query or a
    fragment in it. The text is not repeated where it may hold a password.
    """
    parts, port = _split(text.strip())
    if parts is None:
        raise _bad_url(source, "it is not a URL")
    if parts.username is not None or parts.password is not None:
        raise _bad_url(source, "it holds a user name or password")
    if parts.scheme.lower() not in {"http", "https"}:
        raise _bad_url(source, f"its scheme is {parts.scheme!r}, not https or http" if parts.scheme else "no scheme")
    if not parts.hostname or any(char.isspace() for char in parts.netloc):
        raise _bad_url(source, "it names no host")
    if parts.query or parts.fragment:
        raise _bad_url(source, "it has a query or a fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme.lower()}://{host}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"


def _split(text: str) -> tuple[SplitResult | None, int | None]:
    """``None`` for what is no URL: the library's error would repeat a part of it, and is not let out."""
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:
        return None, None


def _bad_url(source: str, problem: str) -> UsageError:
    return UsageError(
        f"The control plane's URL ({source}) cannot be used: {problem}.",
        fix="Write it like https://platform.grid.ai",
    )


def is_transient(error: ControlPlaneError) -> bool:
    """Whether a later try may fare better: no answer, 408, 429 and 5xx."""
    return (
        isinstance(error, ControlPlaneUnreachableError) or error.http_status in {408, 429} or error.http_status >= 500
    )
