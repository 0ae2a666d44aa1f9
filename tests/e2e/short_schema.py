"""Between Terraform and an attached provider: all of the provider, and of its schema what our module's resources need.

The AWS provider tells each command of Terraform of 1,500 types in 5 MB, and reading that is nine tenths of the
command's CPU time. Everything else passes as it is, both ways: it is the real provider that is asked, and that answers.
https://github.com/hashicorp/terraform/blob/v1.11.4/docs/plugin-protocol/tfplugin5.8.proto (GetProviderSchema)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

TYPES = (b"aws_iam_", b"aws_partition")
"""How the names begin of those that are told of."""
SCHEMA = "/tfplugin5.Provider/GetSchema"
RESOURCES, DATA_SOURCES = 2, 3
BYTES = 2
"""The wire type of texts and messages: https://protobuf.dev/programming-guides/encoding/"""
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def shortened(message: bytes) -> bytes:
    """The answer to ``GetSchema`` with the resources and data sources of ``TYPES`` alone."""
    return b"".join(whole for number, value, whole in fields(message) if _kept(number, value))


def _kept(number: int, value: bytes) -> bool:
    if number not in (RESOURCES, DATA_SOURCES):
        return True
    return next(name for key, name, _ in fields(value) if key == 1).startswith(TYPES)


def fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, value (of a text or a message) and whole of each field."""
    at = 0
    while at < len(message):
        start, value = at, b""
        tag, at = _number(message, at)
        length, at = _number(message, at)
        if tag & 7 == BYTES:
            value = message[at : at + length]
            at += length
        yield tag >> 3, value, message[start:at]


def _number(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        part = message[at]
        number |= (part & 127) << shift
        at, shift = at + 1, shift + 7
        if part < 128:
            return number, at


class PassOn(grpc.GenericRpcHandler):
    """Every call goes on to ``provider`` as the bytes that it is; its schema is asked for once."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._schema = b""

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        if method == SCHEMA:
            return grpc.unary_unary_rpc_method_handler(self._short_schema)
        if method.endswith("/StreamStdio"):
            return grpc.unary_stream_rpc_method_handler(
                lambda asked, context: _until_it_ends(self._provider.unary_stream(method)(asked), context)
            )
        if method.endswith("/StartStream"):
            return grpc.stream_stream_rpc_method_handler(
                lambda asked, context: _until_it_ends(self._provider.stream_stream(method)(asked), context)
            )
        return grpc.unary_unary_rpc_method_handler(lambda asked, _: self._provider.unary_unary(method)(asked))

    def _short_schema(self, asked: bytes, _context: Any) -> bytes:
        if not self._schema:
            self._schema = shortened(self._provider.unary_unary(SCHEMA)(asked))
        return self._schema


def _until_it_ends(call: Any, context: Any) -> Iterator[bytes]:
    """What a stream of the provider's brings, as long as Terraform is there to hear it: it would hold a thread."""
    context.add_callback(call.cancel)
    try:
        yield from call
    except grpc.RpcError:
        if context.is_active():
            raise


def main(provider: str, socket: str) -> None:
    """Stand at ``socket`` for the provider at ``provider``, until standard input ends."""
    with grpc.insecure_channel(f"unix:{provider}", ANY_SIZE) as channel:
        server = grpc.server(ThreadPoolExecutor(32), handlers=[PassOn(channel)], options=ANY_SIZE)
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.stop(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
