"""AWS's operations by name, so that a table can say how a kind is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, error_code

GONE_WORDS = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")
"""AWS has a code of its own for nearly every kind; all that say "it is not there" hold one of these."""


class Api:
    """Calls by service and operation. Answers are plain JSON-like values; botocore's errors pass through."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, service: str, operation: str, **arguments: object) -> dict[str, Any]:
        """One call, in snake_case: ``call("ec2", "delete_vpc", VpcId=…)``."""
        answer: dict[str, Any] = getattr(self._client(service), operation)(**arguments)
        return answer

    def pages(self, service: str, operation: str, key: str, **arguments: object) -> Iterator[Any]:
        """Every element of the list ``key``, over all pages; one call where the operation has no pages."""
        client = self._client(service)
        if not client.can_paginate(operation):
            yield from self.call(service, operation, **arguments).get(key) or ()
            return
        for page in client.get_paginator(operation).paginate(**arguments):
            yield from page.get(key) or ()

    def _client(self, service: str) -> Any:  # noqa: ANN401 - a dozen services' clients, called by name
        # Creating clients from one session is not thread-safe; using them is:
        # https://docs.aws.amazon.com/boto3/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service)
            return self._clients[service]


def is_gone(error: ClientError) -> bool:
    """Whether the error says that the resource is not there."""
    code = error_code(error)
    return code == "404" or any(word in code for word in GONE_WORDS)


def tags_of(pairs: object) -> dict[str, str]:
    """A list of ``Key``/``Value`` (or lower-case) pairs, or a plain mapping, as a dict."""
    if isinstance(pairs, dict):
        return {str(key): str(value) for key, value in pairs.items()}
    found: dict[str, str] = {}
    for pair in pairs if isinstance(pairs, list) else []:
        found[str(pair.get("Key", pair.get("key")))] = str(pair.get("Value", pair.get("value")) or "")
    return found
