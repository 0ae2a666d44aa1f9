"""One request to the local AWS, read through botocore's service model: service, operation, parameters, who signed it.

Shape: the protocols of https://smithy.io/2.0/aws/protocols/ as moto's own routers and parsers read them
(``moto.core``); signatures as in https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from gridbyoc.sandbox.aws_extra.services import model_name

Environ = dict[str, Any]

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Call:
    """``service`` is the name it was signed for; ``operation`` is botocore's name, empty where none fits.

    ``access_key`` is empty for a request that nobody signed, ``agent`` is the client's own name. ``parameters`` are
    those of botocore's input shape.
    """

    service: str
    operation: str
    region: str
    access_key: str = field(repr=False)
    parameters: dict[str, Any] = field(repr=False)
    protocol: str = ""
    agent: str = ""

    @property
    def is_dry_run(self) -> bool:
        """Whether EC2 is only to say if it would."""
        return self.service == "ec2" and bool(self.parameters.get("DryRun"))


def signed_for(environ: Environ) -> str:
    """The service that a request is signed for; empty if it is not signed."""
    signed = _credential(environ)
    return signed["service"].lower() if signed else ""


def signed_region(environ: Environ) -> str:
    """The region that it is signed for; ``us-east-1`` if it is not signed."""
    signed = _credential(environ)
    return signed["region"] if signed else "us-east-1"


def read_call(environ: Environ) -> Call:
    """The call that a WSGI request makes. Its body can be read again afterwards."""
    signed = _credential(environ)
    service, region = (signed["service"].lower(), signed["region"]) if signed else ("", "us-east-1")
    key = signed["key"] if signed else ""
    agent = str(environ.get("HTTP_USER_AGENT", ""))
    found = _operation(environ, service)
    if found is None:
        return Call(service, _named(environ), region, key, {}, agent=agent)
    operation, path = found
    protocol, parameters = _parameters(environ, operation, path)
    return Call(service, str(operation.name), region, key, parameters, protocol, agent)


def load_model(service: str) -> None:
    """Load what reading a service's calls needs, before there is one."""
    from moto.core import parse, routing, serialize  # noqa: F401 -- their import is what takes the time

    routing.get_service_router(model_name(service))


def _credential(environ: Environ) -> re.Match[str] | None:
    """Who signed it: the header, or the query of a presigned address."""
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    if found := _CREDENTIAL.search(header):
        return found
    query = dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))
    return _CREDENTIAL.search("Credential=" + query.get("X-Amz-Credential", ""))


def _operation(environ: Environ, service: str) -> tuple[Any, dict[str, Any]] | None:
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import HTTPException

    name = model_name(service, _version(environ))
    if not name:
        return None
    try:
        operation, path = get_service_router(name).match(_request(environ))
    except (HTTPException, NotImplementedError):
        return None
    return operation, dict(path)


def _parameters(environ: Environ, operation: Any, path: dict[str, Any]) -> tuple[str, dict[str, Any]]:  # noqa: ANN401 -- moto's model
    from moto.core.parse import PROTOCOL_PARSERS
    from moto.core.request import determine_request_protocol

    request = _request(environ)
    protocol = determine_request_protocol(operation.service_model, request.content_type)
    described: Any = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": request.data if _has_small_body(environ) else b"",
        "url_path": request.path,
        "url_params": path,
    }
    try:
        return protocol, dict(PROTOCOL_PARSERS[protocol](operation).parse(described))
    except Exception:
        # What cannot be read is moto's to refuse, in its words.
        return protocol, dict(path)


def _request(environ: Environ) -> Any:  # noqa: ANN401 -- moto's request
    """A request over a copy: reading it leaves the original's body alone."""
    from moto.core.request import Request

    copied = dict(environ)
    copied["wsgi.input"] = io.BytesIO(_body(environ))
    return Request(copied)


def _body(environ: Environ) -> bytes:
    """The body of what carries parameters in it, put back for the next reader; objects for S3 are left unread."""
    if not _has_small_body(environ):
        return b""
    stream = environ["wsgi.input"]
    if not isinstance(stream, io.BytesIO):
        environ["wsgi.input"] = stream = io.BytesIO(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))
    return stream.getvalue()


def _has_small_body(environ: Environ) -> bool:
    if signed_for(environ) == "s3":  # an object may have any type, Terraform's state has JSON's
        return False
    kind = str(environ.get("CONTENT_TYPE", ""))
    return kind.startswith((_FORM, "application/json", "application/x-amz-json"))


def _version(environ: Environ) -> str:
    return _form(environ).get("Version", "")


def _named(environ: Environ) -> str:
    """The operation as the request names it, for a service whose model is not known here."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    return target.rpartition(".")[2] or _form(environ).get("Action", "")


def _form(environ: Environ) -> dict[str, str]:
    if not str(environ.get("CONTENT_TYPE", "")).startswith(_FORM):
        return {}
    return dict(parse_qsl(_body(environ).decode(errors="replace")))
