"""The WSGI application in front of moto's: it answers what moto lacks, and passes on everything else."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gridbyoc.sandbox.aws_extra.answer import Answer, AwsError, answer_with
from gridbyoc.sandbox.aws_extra.call import Call, Environ, read_call, signed_for
from gridbyoc.sandbox.aws_extra.caller import Caller, Handler

StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Extras:
    """``operations``: what is answered here, by the service that a request is signed for and botocore's operation."""

    operations: Mapping[tuple[str, str], Handler]


class ExtraLayer:
    """``moto`` is the application that everything else goes to."""

    def __init__(self, moto: WsgiApp, extras: Extras) -> None:
        self._moto = moto
        self._extras = extras
        self._services = {service for service, _ in extras.operations}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if signed_for(environ) not in self._services:
            return self._moto(environ, start_response)
        call = read_call(environ)
        handler = _dry_run if call.is_dry_run else self._extras.operations.get((call.service, call.operation))
        if handler is None:
            return self._moto(environ, start_response)
        return _send(_answer(handler, call), start_response)


def _dry_run(_caller: Caller, _given: Mapping[str, Any]) -> dict[str, Any]:
    """Of most of EC2's operations moto overlooks that they are not to be carried out."""
    raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def _answer(handler: Handler, call: Call) -> Answer:
    try:
        return answer_with(call, handler(_caller(call), call.parameters))
    except AwsError as error:
        return answer_with(call, error)
    except Exception as error:
        # moto's own errors carry what AWS would say; anything else is a fault of ours, and goes into the log.
        if not hasattr(error, "message") or not hasattr(error, "error_type"):
            traceback.print_exc()
            return answer_with(call, AwsError("InternalFailure", f"The sandbox failed: {type(error).__name__}", 500))
        return answer_with(call, AwsError(str(error.error_type), str(error.message)))


def _caller(call: Call) -> Caller:
    from moto.iam.models import get_account_id_from

    from gridbyoc.sandbox.aws_extra.principals import principal_of_key

    principal = principal_of_key(call.access_key, call.region)
    account_id = principal.account_id if principal else str(get_account_id_from(call.access_key))
    return Caller(account_id, call.region, principal.arn if principal else "")


def _send(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    headers = [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]
    start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
    return [answer.body]
