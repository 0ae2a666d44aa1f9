"""Turn the control plane's error responses into errors of ``gridbyoc.errors``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from gridbyoc.control_plane.model import Clean
from gridbyoc.errors import (
    AuthenticationError,
    ClusterNotFoundError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
)
from gridbyoc.errors.cards import card_for_answer, with_known_failure
from gridbyoc.stack.secret import Secret

JsonObject = dict[str, Any]
SIX_HOURS = 6 * 3600
CHECK_ADDRESS = (
    "Check the control plane's address (--url, control_plane.url, GRID_URL or LIGHTNING_CLOUD_URL) and proxies."
)


class LostAnswerError(ControlPlaneUnreachableError):
    """The request may have arrived, but no usable answer came back: it is unknown whether a change was made."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One complete HTTP response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    @property
    def content_type(self) -> str:
        """The media type without parameters, or ``no content type``."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower() or "no content type"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The request, for error messages. ``cluster_id`` is set if the call was about one cluster."""

    url: str
    method: str
    clean: Clean
    cluster_id: str | None = None
    secrets: tuple[Secret, ...] = ()

    def show(self, text: str) -> str:
        """The server's ``text``, made safe for a message."""
        return self.clean(text, *self.secrets)


def json_object(body: bytes) -> JsonObject | None:
    """The body as a JSON object; an empty body counts as an empty object; ``None`` for anything else."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def not_the_api(answer: HttpAnswer, asked: RequestContext) -> LostAnswerError:
    """The error for a response that is not JSON, or not this call's JSON."""
    kind = asked.show(answer.content_type)
    error = LostAnswerError(
        f"{asked.url} answered with something that is not the control plane's API (HTTP {answer.status}, {kind}).",
        http_status=answer.status,
        why="It is a page of a proxy or a web site, or a truncated answer.",
        fix=CHECK_ADDRESS,
    )
    return with_known_failure(error, card_for_answer(answer.status, is_api=False), keep=True)


def redirected(answer: HttpAnswer, asked: RequestContext) -> ControlPlaneUnreachableError:
    """The error for a redirect. It is never followed: it would forward the API key or turn a POST into a GET."""
    target = asked.show(answer.headers.get("location", "")).split("?")[0] or "nowhere"
    return ControlPlaneUnreachableError(
        f"{asked.url} answered with a redirect (HTTP {answer.status}) to {target}.",
        http_status=answer.status,
        why="gridbyoc does not follow redirects: it would send the API key to an address that you did not configure.",
        fix=f"Use the control plane's final address. {CHECK_ADDRESS}",
    )


def error_for(answer: HttpAnswer, asked: RequestContext) -> ControlPlaneError:
    """The error for a status outside 2xx, with the server's message, if any, and the known failure that matches."""
    error = _error_for(answer, asked)
    if isinstance(error, LostAnswerError):
        return error
    return with_known_failure(error, card_for_answer(answer.status, error.why or error.what), keep=True)


def _error_for(answer: HttpAnswer, asked: RequestContext) -> ControlPlaneError:
    if 300 <= answer.status < 400:
        return redirected(answer, asked)
    body = json_object(answer.body)
    said = asked.show(server_words(body)) if body else ""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return _not_authenticated(asked, said)
    if answer.status >= 500:
        return _server_error(answer, asked, said)
    if body is None:
        return not_the_api(answer, asked)
    if answer.status == HTTPStatus.FORBIDDEN:
        return _forbidden(asked, said)
    if answer.status == HTTPStatus.NOT_FOUND and asked.cluster_id is not None:
        return _no_such_cluster(asked, said)
    return _refused(answer, asked, said)


def server_words(body: Mapping[str, Any]) -> str:
    """``message`` and ``details`` of a grpc-gateway error body, joined; details are strings or objects."""
    parts = [body.get("message") or body.get("error")]
    details = body.get("details")
    for detail in details if isinstance(details, list) else []:
        parts.append(detail.get("message") if isinstance(detail, dict) else detail)
    return "; ".join(dict.fromkeys(part for part in parts if isinstance(part, str) and part.strip()))


def _not_authenticated(asked: RequestContext, said: str) -> AuthenticationError:
    return AuthenticationError(
        f"The control plane at {asked.url} does not accept the credentials.",
        http_status=HTTPStatus.UNAUTHORIZED,
        why=said,
        fix="Log in again with `gridbyoc login`, or correct the user id and API key in the environment.",
    )


def _forbidden(asked: RequestContext, said: str) -> AuthenticationError:
    return AuthenticationError(
        f"The control plane at {asked.url} does not permit this for your account.",
        http_status=HTTPStatus.FORBIDDEN,
        why=said,
        fix="Log in with an account that has the permission (`gridbyoc login`), or ask for it.",
    )


def _no_such_cluster(asked: RequestContext, said: str) -> ClusterNotFoundError:
    return ClusterNotFoundError(
        f"The control plane at {asked.url} has no cluster with the id {asked.show(asked.cluster_id or '')}.",
        http_status=HTTPStatus.NOT_FOUND,
        why=said,
        fix="`gridbyoc clusters list` shows the clusters.",
    )


def _server_error(answer: HttpAnswer, asked: RequestContext, said: str) -> ControlPlaneError:
    return ControlPlaneError(
        f"The control plane at {asked.url} answered {status_words(answer.status)}.",
        http_status=answer.status,
        why=said,
        fix=_retry_advice(answer),
    )


def _refused(answer: HttpAnswer, asked: RequestContext, said: str) -> ControlPlaneError:
    fix = _retry_advice(answer) if answer.status == HTTPStatus.TOO_MANY_REQUESTS else ""
    if not said:
        return ControlPlaneError(
            f"The control plane at {asked.url} refused the request: {status_words(answer.status)}.",
            http_status=answer.status,
            fix=fix or (CHECK_ADDRESS if answer.status == HTTPStatus.NOT_FOUND else ""),
        )
    return ControlPlaneError(f"The control plane refused the request: {said}", http_status=answer.status, fix=fix)


def retry_after(answer: HttpAnswer) -> float | None:
    """The seconds in ``Retry-After`` (seconds or an HTTP date); ``None`` if it is missing or invalid."""
    value = answer.headers.get("retry-after", "")
    if not value:
        return None
    from urllib3.exceptions import InvalidHeader  # imported late: few answers have the header
    from urllib3.util import Retry

    try:
        return float(min(max(Retry().parse_retry_after(value), 0), SIX_HOURS))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _retry_advice(answer: HttpAnswer) -> str:
    seconds = retry_after(answer)
    return f"It asks to wait {seconds:.0f} s; then try again." if seconds else "Try again in a few minutes."


def status_words(status: int) -> str:
    """``503 Service Unavailable``; only the number if it has no name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
