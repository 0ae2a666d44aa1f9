"""The WSGI application: authentication, error bodies and the access log around the routes."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from gridbyoc.sandbox.api.failures import (
    INTERNAL,
    INVALID_ARGUMENT,
    NOT_FOUND,
    UNAUTHENTICATED,
    UNIMPLEMENTED,
    ApiError,
    invalid,
)
from gridbyoc.sandbox.api.service import ControlPlaneService, Store
from gridbyoc.stack.secret import Secret

TOKEN_SECONDS = 24 * 3600.0
_SECRET_PARAMETERS = {"token", "authtoken", "auth_token", "key", "apikey", "externalid", "external_id"}


class Doorkeeper:
    """Knows one user, their key, and the tokens given out in the last 24 hours."""

    def __init__(self, store: Store, clock: Callable[[], float], username: str, user_id: str, api_key: Secret) -> None:
        self._store = store
        self._clock = clock
        self.username = username
        self.user_id = user_id
        self._api_key = api_key

    def login(self, username: object, api_key: object) -> str:
        """A token for the right key. One client sends the user's id as the name."""
        known = username in (self.username, self.user_id)
        if not (known and isinstance(api_key, str) and self._is_key(api_key)):
            raise ApiError(UNAUTHENTICATED, "invalid username or API key")
        return self.new_token()

    def new_token(self) -> str:
        """A token for a user who is already authenticated."""
        token = secrets.token_urlsafe(32)
        self._store.add_token(token, self._clock())
        return token

    def key(self) -> Secret:
        """The user's key, for the browser login."""
        return self._api_key

    def check(self, authorization: str) -> None:
        """Accept a ``Basic id:key`` or ``Bearer`` header with a token or the key, or a bare token.

        Otherwise ``ApiError`` 401.
        """
        scheme, _, value = authorization.strip().rpartition(" ")
        known = self._is_basic(value) if scheme.lower() == "basic" else self._is_token(value)
        known = known or (scheme.lower() == "bearer" and self._is_key(value))
        if not known:
            raise ApiError(UNAUTHENTICATED, "authentication failed: unknown user id, API key or token")

    def check_pair(self, user_id: str, api_key: str) -> None:
        """Accept the two headers of the GraphQL clients; otherwise ``ApiError`` 401."""
        if user_id != self.user_id or not self._is_key(api_key):
            raise ApiError(UNAUTHENTICATED, "authentication failed: unknown user id or API key")

    def logout(self, authorization: str) -> None:
        """Invalidate a token."""
        self._store.drop_token(authorization.rpartition(" ")[2])

    def _is_basic(self, value: str) -> bool:
        try:
            user_id, _, key = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return user_id == self.user_id and self._is_key(key)

    def _is_token(self, value: str) -> bool:
        return bool(value) and self._store.has_token(value, self._clock() - TOKEN_SECONDS)

    def _is_key(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self._api_key.reveal().encode())


class AccessLog:
    """One line of JSON per request: no header but the agent, no body, no secret from the query."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, **entry: object) -> None:
        """Append a line."""
        if self._path:
            with self._lock, self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")


def shown_query(query: str) -> str:
    """A query string without the values of secret parameters."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, "[secret]" if name.lower() in _SECRET_PARAMETERS else value) for name, value in pairs])


MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The context of the routes. ``account_id`` is the AWS account that assumes the customers' roles."""

    plane: ControlPlaneService
    door: Doorkeeper
    account_id: str


def create_app(context: ApiContext, log: AccessLog) -> Flask:
    """The whole interface, all dialects on one port."""
    from gridbyoc.sandbox.api import account, clusters

    app = Flask("gridbyoc.sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.strict_slashes = False
    # Flask's documented way to wrap an application; mypy does not allow assigning to a method.
    app.wsgi_app = _CollapseSlashes(app.wsgi_app)  # type: ignore[method-assign]
    for add_routes in (
        account.add_routes,
        account.add_browser_routes,
        clusters.add_routes,
        account.add_graph_routes,
        clusters.add_log_routes,
    ):
        add_routes(app, context)
    app.register_error_handler(ApiError, lambda error: _refusal(error.body(), error.status))
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, lambda error: _crash(app, error))
    _log_requests(app, log)
    return app


def body() -> dict[str, Any]:
    """The request's JSON object, whatever its content type; ``ApiError`` 400."""
    try:
        value = json.loads(request.get_data() or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise invalid("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


def flag(name: str) -> bool:
    """A boolean query parameter. Clients also send Python's spelling, ``True``."""
    value = request.args.get(name, "").lower()
    if value not in ("", "true", "false", "1", "0"):
        raise invalid(f"parsing field {name!r}: {value[:80]!r} is not true or false")
    return value in ("true", "1")


def _no_constant(name: str) -> None:
    raise ValueError(name)


class _CollapseSlashes:
    """Accepts ``//v1/...``, from clients whose base address ends in a slash: they append the path to it unchanged."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = "/" + environ.get("PATH_INFO", "").lstrip("/")
        return self._app(environ, start_response)


def _refusal(content: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(content), status=status, mimetype="application/json")


def _http_refusal(error: HTTPException) -> Response:
    """Convert werkzeug's errors (unknown path, method, too large) into our format."""
    kind = NOT_FOUND if isinstance(error, NotFound) else INVALID_ARGUMENT
    if isinstance(error, MethodNotAllowed):
        kind = UNIMPLEMENTED
    return _refusal(ApiError(kind, error.name).body(), kind[1] if error.code in (404, 405) else error.code or 400)


def _crash(app: Flask, error: Exception) -> Response:
    app.logger.error("%s %s", request.method, request.path, exc_info=error)
    return _refusal(ApiError(INTERNAL, "internal error of the sandbox").body(), INTERNAL[1])


def _log_requests(app: Flask, log: AccessLog) -> None:
    @app.before_request
    def started() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def finished(response: Response) -> Response:
        log.add(
            time=round(time.time(), 3),
            method=request.method,
            path=request.path,
            query=shown_query(request.query_string.decode("latin-1")),
            status=response.status_code,
            agent=request.headers.get("User-Agent", ""),
            ms=round((time.perf_counter() - g.started) * 1000, 1),
        )
        return response
