"""The local AWS in the test's own process: real boto3 clients whose requests reach its application by no socket."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.session import get_session
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client

from gridbyoc.sandbox.aws_extra.extras import make_extras
from gridbyoc.sandbox.aws_extra.layer import ExtraLayer

ACCOUNT = "123456789012"
SESSION = get_session()
BOTO3 = boto3.Session(botocore_session=SESSION)
"""One for all: it keeps the models that it has read."""
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # as the sandbox has it: see ``settle_moto``
MOTO = DomainDispatcherApplication(create_backend_app)


class LocalAws:
    """``config`` is the server's configuration. The clock stands until ``now`` is moved. moto starts empty."""

    def __init__(self, **config: Any) -> None:
        for name in ("iam", "sts", "ec2", "autoscaling", "s3"):
            get_backend(name).reset()  # type: ignore[call-overload]  # any service
        self.now = 1_700_000_000.0
        self.extras = make_extras(config, lambda: self.now)
        self._client = Client(ExtraLayer(MOTO, self.extras))

    def client(self, service: str, key: str = "test", region: str = "us-east-1", token: str | None = None) -> Any:
        """A boto3 client, signed with that key."""
        client = BOTO3.client(  # type: ignore[call-overload]  # any service
            service,
            region,
            endpoint_url="http://127.0.0.1:1",
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        client.meta.events.register("before-send", self._send)
        return client

    def user(self, name: str, *statements: Mapping[str, Any], **more: Any) -> str:
        """Make a user with those statements; its access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name, **more)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=policy(*statements))
        return str(iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"])

    def _send(self, request: Any, **_more: Any) -> AWSResponse:
        address = urlsplit(request.url)
        body = request.body.read() if hasattr(request.body, "read") else request.body
        headers = [
            (name, value.decode() if isinstance(value, bytes) else value) for name, value in request.headers.items()
        ]
        answer = self._client.open(
            address.path, method=request.method, query_string=address.query, data=body, headers=headers
        )
        return AWSResponse(request.url, answer.status_code, dict(answer.headers), _Raw(answer.data))


class _Raw:
    """What botocore reads a body from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._data]

    def read(self, *_: Any) -> bytes:
        data, self._data = self._data, b""
        return data


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def deny(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": resource, **more}
