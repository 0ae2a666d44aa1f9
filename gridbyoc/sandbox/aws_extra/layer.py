"""The WSGI application in front of moto's: it answers operations that moto lacks, and forwards all others."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gridbyoc.sandbox.aws_extra.call import (
    AwsAnswer,
    AwsAnswerError,
    AwsCall,
    CallContext,
    Environ,
    Handler,
    answer_with,
    read_call,
    signed_for,
)
from gridbyoc.sandbox.aws_extra.enforcement import action_of, authorize
from gridbyoc.sandbox.aws_extra.principals import CallingPrincipal, principal_of_key, resource_of
from gridbyoc.sandbox.aws_extra.role_sessions import refuse_ended
from gridbyoc.sandbox.settings import AWS_ACCOUNT_ID


class CallLog:
    """Appends to ``path``, which the parent has created; ``now`` gives seconds since the epoch."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()

    def __call__(self, call: AwsCall, principal: CallingPrincipal | None, status: int) -> None:
        """Write one line. ``principal`` is ``null`` if the key belongs to nobody or there is none."""
        entry = {
            "time": datetime.fromtimestamp(self._now(), timezone.utc).isoformat(timespec="milliseconds"),
            "service": call.service,
            "operation": call.operation,
            "action": action_of(call),
            "principal": principal.arn if principal else None,
            "resource": resource_of(call, principal.account_id if principal else AWS_ACCOUNT_ID),
            "region": call.region,
            "status": status,
            "agent": call.agent,
        }
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)


StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
MOTOS_OWN = ("/moto-api", "/favicon.ico")


@dataclass(frozen=True, slots=True)
class Extras:
    """The operations of this layer, by the service that a request is signed for and botocore's operation.

    ``before`` is called before moto handles an operation, and rejects it with an ``AwsAnswerError``; ``after`` is
    called once moto has handled it without an error. ``sessions_end``: keys of ended sessions are refused. ``log`` gets
    every request.
    """

    operations: Mapping[tuple[str, str], Handler]
    after: Mapping[tuple[str, str], Handler]
    before: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    enforce_iam: bool = False
    denied_by_scp: tuple[str, ...] = ()
    sessions_end: bool = False
    log: CallLog | None = None

    def concern(self, environ: Environ) -> bool:
        """Whether a request must be parsed: all must if they are logged or policies are enforced."""
        if str(environ.get("PATH_INFO", "")).startswith(MOTOS_OWN):
            return False
        services = {service for service, _ in (*self.operations, *self.after)}
        always = self.enforce_iam or self.sessions_end or self.log is not None
        return always or signed_for(environ) in services


class ExtraLayer:
    """Handles requests before ``moto``, the application for everything else."""

    def __init__(self, moto: WsgiApp, extras: Extras) -> None:
        self._moto = _without_pages(moto)
        self._extras = extras

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if not self._extras.concern(environ):
            return self._moto(environ, start_response)
        call = read_call(environ)
        principal = principal_of_key(call.access_key, call.region)
        noted = _Noted(start_response)
        try:
            return self._answered(environ, noted, call, principal)
        finally:
            if self._extras.log:
                self._extras.log(call, principal, noted.status)

    def _answered(
        self, environ: Environ, start_response: _Noted, call: AwsCall, principal: CallingPrincipal | None
    ) -> Iterable[bytes]:
        extras, caller = self._extras, _caller(call, principal)
        handler = _dry_run if call.is_dry_run else extras.operations.get((call.service, call.operation))
        try:
            if extras.sessions_end:
                refuse_ended(call)
            if extras.enforce_iam:
                authorize(call, principal, extras.denied_by_scp)
            if handler is not None:
                return start_response.send(answer_with(call, handler(caller, call.parameters)))
            if check := extras.before.get((call.service, call.operation)):
                check(caller, call.parameters)
        except Exception as error:
            return start_response.send(answer_with(call, _error(error)))
        return self._from_moto(environ, start_response, call, caller)

    def _from_moto(
        self, environ: Environ, start_response: _Noted, call: AwsCall, caller: CallContext
    ) -> Iterable[bytes]:
        try:
            body = self._moto(environ, start_response)
        except NotImplementedError:
            said = f"The sandbox's AWS has no {call.service}:{call.operation}."
            return start_response.send(answer_with(call, AwsAnswerError("NotImplemented", said, 501)))
        after = self._extras.after.get((call.service, call.operation))
        if after and start_response.status < HTTPStatus.MULTIPLE_CHOICES:
            after(caller, call.parameters)
        return body


def _without_pages(moto: WsgiApp) -> WsgiApp:
    """Remove the HTML page from Flask's error response: clients then treat it as a server error, and retry.

    moto reads its dictionaries while other requests change them, and fails. botocore cannot parse the page, and would
    not retry.
    """

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        held: list[tuple[str, list[tuple[str, str]]]] = []
        body = moto(environ, lambda status, headers, *_rest: held.append((status, headers)))
        ((status, headers),) = held
        page = any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers)
        if status.startswith("500") and page:
            headers, body = [("Content-Length", "0")], [b""]
        start_response(status, headers)
        return body

    return application


class _Noted:
    """A ``start_response`` that records the status."""

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self.status = 500

    def __call__(self, status: str, *rest: object) -> object:
        self.status = int(status.split()[0])
        return self._start_response(status, *rest)

    def send(self, answer: AwsAnswer) -> Iterable[bytes]:
        """Send a response of this layer."""
        headers = [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]
        self(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.body]


def _dry_run(_caller: CallContext, _given: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a dry run: for most EC2 operations, moto ignores the flag."""
    raise AwsAnswerError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def _error(error: Exception) -> AwsAnswerError:
    """The error's AWS form. moto's errors contain AWS's message; any other error is a bug of ours, and is logged."""
    if isinstance(error, AwsAnswerError):
        return error
    code, message = getattr(error, "code", None) or getattr(error, "error_type", None), getattr(error, "message", None)
    if type(error).__module__.startswith("moto.") and isinstance(code, str) and message:
        return AwsAnswerError(code, str(message))
    traceback.print_exception(error)
    return AwsAnswerError("InternalFailure", f"The sandbox failed: {type(error).__name__}", 500)


def _caller(call: AwsCall, principal: CallingPrincipal | None) -> CallContext:
    from moto.iam.models import get_account_id_from

    account_id = principal.account_id if principal else str(get_account_id_from(call.access_key))
    return CallContext(account_id, call.region, principal.arn if principal else "")
