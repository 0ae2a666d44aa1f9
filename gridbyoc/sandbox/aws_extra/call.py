"""One request to the local AWS, read through botocore's service model: service, operation, parameters, who signed it.

Shape: the protocols of https://smithy.io/2.0/aws/protocols/ as moto's own routers and parsers read them
(``moto.core``); signatures as in https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html
"""

from __future__ import annotations

import functools
import importlib.util
import io
import re
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from gridbyoc.sandbox.api.role import matches

_MODELS = {
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
    "monitoring": "cloudwatch",
    "email": "ses",
    "elasticfilesystem": "efs",
    "states": "stepfunctions",
}
_BY_VERSION = {("elasticloadbalancing", "2012-06-01"): "elb", ("elasticloadbalancing", "2015-12-01"): "elbv2"}
_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag", "email": "ses"}


def model_name(signed_for: str, version: str = "") -> str:
    """botocore's name of a service; empty if it has none."""
    name = _BY_VERSION.get((signed_for, version)) or _MODELS.get(signed_for, signed_for)
    return name if name in _known() else ""


def iam_prefix(signed_for: str) -> str:
    """The prefix of the service's IAM actions."""
    return _PREFIXES.get(signed_for, signed_for)


def service_of(iam_prefix: str) -> str:
    """The name that requests are signed for, by the prefix of the service's IAM actions."""
    return {prefix: name for name, prefix in _PREFIXES.items()}.get(iam_prefix, iam_prefix)


@functools.cache
def _known() -> frozenset[str]:
    spec = importlib.util.find_spec("botocore")
    places = (spec.submodule_search_locations if spec else None) or ()
    return frozenset(child.name for place in places for child in (Path(place) / "data").iterdir() if child.is_dir())


Environ = dict[str, Any]

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class AwsCall:
    """A request. ``service`` is the name it was signed for; ``operation`` is botocore's name, empty if none fits.

    ``access_key`` is empty for an unsigned request; ``agent`` is the client's own name. ``parameters`` are those of
    botocore's input shape.
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
        """Whether EC2 should only say if it would carry out the request."""
        return self.service == "ec2" and bool(self.parameters.get("DryRun"))


def signed_for(environ: Environ) -> str:
    """The service that a request is signed for; empty if it is not signed."""
    signed = _credential(environ)
    return signed["service"].lower() if signed else ""


def signed_region(environ: Environ) -> str:
    """The region that a request is signed for; ``us-east-1`` if it is not signed."""
    signed = _credential(environ)
    return signed["region"] if signed else "us-east-1"


def read_call(environ: Environ) -> AwsCall:
    """Parse the call of a WSGI request. Its body can be read again afterwards."""
    signed = _credential(environ)
    service, region = (signed["service"].lower(), signed["region"]) if signed else ("", "us-east-1")
    key = signed["key"] if signed else ""
    agent = str(environ.get("HTTP_USER_AGENT", ""))
    found = _operation(environ, service)
    if found is None:
        return AwsCall(service, _named(environ), region, key, {}, agent=agent)
    operation, path = found
    protocol, parameters = _parameters(environ, operation, path)
    return AwsCall(service, str(operation.name), region, key, parameters, protocol, agent)


def load_model(service: str) -> None:
    """Load in advance what parsing a service's calls needs."""
    from moto.core import parse, routing, serialize  # noqa: F401 -- importing them takes the time

    routing.get_service_router(model_name(service))


def _credential(environ: Environ) -> re.Match[str] | None:
    """The credential in the header, or in the query of a presigned URL."""
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    if found := _CREDENTIAL.search(header):
        return found
    query = dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))
    return _CREDENTIAL.search("Credential=" + query.get("X-Amz-Credential", ""))


def _operation(environ: Environ, service: str) -> tuple[Any, dict[str, Any]] | None:
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import HTTPException

    name = model_name(service, _form(environ).get("Version", ""))
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
        # moto rejects requests that cannot be parsed, with its own message.
        return protocol, dict(path)


def _request(environ: Environ) -> Any:  # noqa: ANN401 -- moto's request
    """A request on a copy, so that reading it leaves the original's body unread."""
    from moto.core.request import Request

    copied = dict(environ)
    copied["wsgi.input"] = io.BytesIO(_body(environ))
    return Request(copied)


def _body(environ: Environ) -> bytes:
    """The body of requests with parameters in it, restored for the next reader; S3 objects are not read."""
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


def _named(environ: Environ) -> str:
    """The operation named in the request, for a service whose model is unknown here."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    return target.rpartition(".")[2] or _form(environ).get("Action", "")


def _form(environ: Environ) -> dict[str, str]:
    if not str(environ.get("CONTENT_TYPE", "")).startswith(_FORM):
        return {}
    return dict(parse_qsl(_body(environ).decode(errors="replace")))


class AwsAnswerError(Exception):
    """An error response of AWS."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class AwsAnswer:
    """An HTTP response, ready to be sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_with(call: AwsCall, result: Mapping[str, Any] | AwsAnswerError, request_id: str = "") -> AwsAnswer:
    """``result`` in the protocol of ``call``. Fields unknown to the model are omitted."""
    from moto.core.serialize import SerializationContext, get_serializer_class

    operation = _operation_model(call)
    protocol = call.protocol or str(operation.service_model.protocol)
    context = SerializationContext(request_id or secrets.token_hex(16))
    serializer = get_serializer_class(operation.service_model.service_name, protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AccessDenied and similar errors are in no service's model
        written = serializer(operation, context=context).serialize(result)
    body = written["body"]
    status = result.status if isinstance(result, AwsAnswerError) else written["status_code"]
    headers = {**written["headers"], "x-amzn-RequestId": context.request_id}
    return AwsAnswer(status, body.encode() if isinstance(body, str) else body, headers)


def _operation_model(call: AwsCall) -> Any:  # noqa: ANN401 -- botocore's model, in moto's facade
    from moto.core.model import OperationModel
    from moto.core.utils import get_service_model

    model = get_service_model(model_name(call.service) or "iam")
    return (
        model.operation_model(call.operation) if call.operation in model.operation_names else OperationModel({}, model)
    )


@dataclass(frozen=True, slots=True)
class CallContext:
    """The caller's account, region and principal. ``arn`` is empty if the key belongs to nobody."""

    account_id: str
    region: str
    arn: str


Handler = Callable[[CallContext, Mapping[str, Any]], dict[str, Any]]


def page_of(name: str, items: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The page that ``given`` requests, under ``name``, with a token if more follows."""
    size = int(given.get("MaxResults") or 100)
    start = position(given.get("NextToken"), "InvalidPaginationTokenException", "Invalid input was provided.")
    page: dict[str, Any] = {name: list(items[start : start + size])}
    return page | {"NextToken": str(start + size)} if start + size < len(items) else page


def position(token: str | None, code: str, message: str) -> int:
    """The start of the page for a token; raises ``AwsAnswerError`` for an invalid token."""
    if not token:
        return 0
    if not token.isascii() or not token.isdigit():
        raise AwsAnswerError(code, message)
    return int(token)


ALWAYS_ON = frozenset(
    ("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
     "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
     "us-east-2", "us-west-1", "us-west-2")
)  # fmt: skip
"""Regions from before March 2019: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html"""


def describe_regions(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """The enabled regions, or all of them."""
    names = given.get("RegionNames") or []
    regions = [_region(region, caller.region) for region in _ec2(caller).regions]
    unknown = sorted(set(names) - {region["RegionName"] for region in regions})
    if unknown:
        raise AwsAnswerError("InvalidParameterValue", f"Invalid region names: {', '.join(unknown)}")
    chosen = [
        region
        for region in chosen_by(regions, given.get("Filters"), _REGION_FILTERS)
        if region["RegionName"] in names or (not names and (given.get("AllRegions") or region["OptInStatus"] != _OFF))
    ]
    return {"Regions": chosen}


def describe_availability_zones(caller: CallContext, given: Mapping[str, Any]) -> dict[str, Any]:
    """The region's zones as moto knows them, and whether they are enabled."""
    found = _ec2(caller).describe_availability_zones(None, given.get("ZoneNames"), given.get("ZoneIds"))
    return {"AvailabilityZones": chosen_by([_zone(zone) for zone in found], given.get("Filters"), _ZONE_FILTERS)}


def chosen_by(items: Sequence[dict[str, Any]], filters: Any, names: Mapping[str, str]) -> list[dict[str, Any]]:  # noqa: ANN401 -- as parsed
    """The items that pass EC2's ``Filters``; ``names`` maps each filter to the member that it tests."""
    wanted = {each["Name"]: each.get("Values") or [] for each in filters or []}
    if unknown := sorted(set(wanted) - set(names)):
        raise AwsAnswerError("InvalidParameterValue", f"The filter '{unknown[0]}' is invalid")
    return [
        item
        for item in items
        if all(any(matches(value, item[names[name]]) for value in values) for name, values in wanted.items())
    ]


_OFF = "not-opted-in"
_REGION_FILTERS = {"endpoint": "Endpoint", "opt-in-status": "OptInStatus", "region-name": "RegionName"}
_ZONE_FILTERS = {
    "group-name": "GroupName",
    "opt-in-status": "OptInStatus",
    "region-name": "RegionName",
    "state": "State",
    "zone-id": "ZoneId",
    "zone-name": "ZoneName",
    "zone-type": "ZoneType",
}


def _region(region: Any, here: str) -> dict[str, Any]:  # noqa: ANN401 -- moto's object
    status = "opt-in-not-required" if region.name in ALWAYS_ON else "opted-in" if region.name == here else _OFF
    return {"RegionName": region.name, "Endpoint": region.endpoint, "OptInStatus": status}


def _zone(zone: Any) -> dict[str, Any]:  # noqa: ANN401 -- moto's object
    return {
        "RegionName": zone.region_name,
        "ZoneName": zone.name,
        "ZoneId": zone.zone_id,
        "ZoneType": zone.zone_type,
        "State": zone.state,
        "Messages": [],
        "OptInStatus": "opt-in-not-required",
        "GroupName": f"{zone.region_name}-zg-1",
        "NetworkBorderGroup": zone.region_name,
    }


def _ec2(caller: CallContext) -> Any:  # noqa: ANN401 -- moto's backend
    from moto.ec2.models import ec2_backends

    try:
        return ec2_backends[caller.account_id][caller.region]
    except KeyError:  # AWS has no endpoint for such a region
        raise AwsAnswerError("InvalidParameterValue", f"Invalid region names: {caller.region}") from None
