"""The WSGI application: authentication, error bodies and the access log around the routes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from gridbyoc.sandbox.api.access import AccessLog, Doorkeeper, shown_query
from gridbyoc.sandbox.api.failures import INTERNAL, INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, ApiError, invalid
from gridbyoc.sandbox.api.service import ControlPlane

MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes work with. ``account_id`` is the AWS account that assumes the customers' roles."""

    plane: ControlPlane
    door: Doorkeeper
    account_id: str


def create_app(context: Context, log: AccessLog) -> Flask:
    """The whole interface, every dialect on one port."""
    from gridbyoc.sandbox.api import account, browser, clusters, graph, logs

    app = Flask("gridbyoc.sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.strict_slashes = False
    # Flask's documented way to put something around it; mypy knows no assignment to a method.
    app.wsgi_app = _CollapseSlashes(app.wsgi_app)  # type: ignore[method-assign]
    for part in (account, browser, clusters, graph, logs):
        part.add_routes(app, context)
    app.register_error_handler(ApiError, lambda error: _refusal(error.body(), error.status))
    app.register_error_handler(HTTPException, _http_refusal)
    app.register_error_handler(Exception, lambda error: _crash(app, error))
    _log_requests(app, log)
    return app


def body() -> dict[str, Any]:
    """The request's JSON object, whatever its content type says; ``ApiError`` 400."""
    try:
        value = json.loads(request.get_data() or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise invalid("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


def flag(name: str) -> bool:
    """A boolean query parameter. Python's own spelling, ``True``, is on the wire too."""
    value = request.args.get(name, "").lower()
    if value not in ("", "true", "false", "1", "0"):
        raise invalid(f"parsing field {name!r}: {value[:80]!r} is not true or false")
    return value in ("true", "1")


def _no_constant(name: str) -> None:
    raise ValueError(name)


class _CollapseSlashes:
    """``//v1/...`` comes from clients whose base address ends in a slash: they append the path to it as it is."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["PATH_INFO"] = "/" + environ.get("PATH_INFO", "").lstrip("/")
        return self._app(environ, start_response)


def _refusal(content: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(content), status=status, mimetype="application/json")


def _http_refusal(error: HTTPException) -> Response:
    """werkzeug's own refusals (no such path, method, too large) in the same form as ours."""
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
