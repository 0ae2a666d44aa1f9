"""Answers and errors, written through botocore's service model in the protocol that the caller speaks.

Shape: https://smithy.io/2.0/aws/protocols/; errors as in
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.sandbox.aws_extra.call import Call
from gridbyoc.sandbox.aws_extra.services import model_name


class AwsError(Exception):
    """What AWS answers instead of a result."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, ready to be sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_with(call: Call, result: Mapping[str, Any] | AwsError, request_id: str = "") -> Answer:
    """``result`` in the form that ``call`` asked for. What the model does not know is left out."""
    from moto.core.serialize import SerializationContext, get_serializer_class

    operation = _operation(call)
    protocol = call.protocol or str(operation.service_model.protocol)
    context = SerializationContext(request_id or secrets.token_hex(16))
    serializer = get_serializer_class(operation.service_model.service_name, protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # AccessDenied and its like are in no service's model
        written = serializer(operation, context=context).serialize(result)
    body = written["body"]
    status = result.status if isinstance(result, AwsError) else written["status_code"]
    headers = {**written["headers"], "x-amzn-RequestId": context.request_id}
    return Answer(status, body.encode() if isinstance(body, str) else body, headers)


def _operation(call: Call) -> Any:  # noqa: ANN401 -- botocore's model, in moto's facade
    from moto.core.model import OperationModel
    from moto.core.utils import get_service_model

    model = get_service_model(model_name(call.service) or "iam")
    return (
        model.operation_model(call.operation) if call.operation in model.operation_names else OperationModel({}, model)
    )
