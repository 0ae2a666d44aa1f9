"""A mirror with an AWS provider that starts at once: each start of it is lent a real provider that runs already.

Each command of Terraform hashes the provider's 700 MB, starts it up to three times, and reads 5 MB of its schema of
1,500 types: 4 s of CPU time. The program in this mirror asks a host process for a provider, which was started with the
same settings in its environment, is lent to one Terraform at a time, and is configured anew by each. What passes
between Terraform and the provider passes as it is, but for the schema, which tells of ``TYPES`` alone. Everything that
Terraform does about a provider (mirror, lock file, start, TLS, stop, kill) stays.
https://github.com/hashicorp/terraform/blob/v1.11.4/docs/plugin-protocol/tfplugin5.8.proto
https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from gridbyoc.render.root import AWS_PROVIDER
from tests.functional.terraform_cli import TerraformCli

ROOM = Path(__file__).parents[1]
TYPES = (b"aws_iam_", b"aws_partition", b"aws_caller_identity")
"""Prefixes of the resource and data source names that Terraform sees."""
ROOT = f'terraform {{\n  required_providers {{\n    aws = {{ version = "{AWS_PROVIDER}" }}\n  }}\n}}\n'
READ_BY_PROVIDER = re.compile("AWS_.*|TF_AWS_.*|TF_APPEND_USER_AGENT|HOME|(?i:https?_proxy|no_proxy)|SSL_CERT_.*")
"""https://registry.terraform.io/providers/hashicorp/aws/latest/docs#environment-variables"""
FILES = ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
"""Variables that name a file or a directory: the provider gets links, so that several runs can share it."""
ENDPOINT = "AWS_ENDPOINT_URL"
"""The provider gets a relay's address, for the same reason: each sandbox and each proxy has its own address."""
IDLE = 2
"""So many providers (of 300 to 500 MB each) wait at most."""
# It asks for a provider, tells Terraform where that listens (the host writes that line), and stays until either side
# has had enough. A shell starts in a tenth of a Python's time; Terraform starts a provider three times in a command.
PROGRAM = """#!/bin/sh
trap '' INT
mkfifo "{room}/$$.alive" "{room}/$$.said" && echo $$ > "{room}/host" || exit 1
exec cat "{room}/$$.said" 3> "{room}/$$.alive"
"""
# It ends with us, however we end: the pipe that the inner shell reads from (3, which is ours) is closed then. The outer
# one ends with the provider.
RUN = 'exec 3<&0; "$0" -debug & provider=$!; (read -r end <&3; kill $provider) >/dev/null & wait $provider'


def installed_provider(mirror: Path | None, directory: Path) -> Path:
    """The program that Terraform installs in ``directory``, from ``mirror`` or from the registry."""
    (directory / "main.tf").write_text(ROOT)
    TerraformCli(directory, mirror, {}).init(directory)
    (program,) = directory.glob(".terraform/providers/*/hashicorp/aws/*/*/terraform-provider-aws*")
    return program


@contextmanager
def shared_provider(program: Path) -> Iterator[Path]:
    """A mirror, as long as this lasts, whose provider stands for ``program``, an unpacked AWS provider's."""
    version, platform = program.parent.parent.name, program.parent.name
    # A socket's path may have 107 characters (unix(7)): a test's own directory is too long for it.
    with tempfile.TemporaryDirectory(prefix="aws-") as name:
        room = Path(name)
        package = room / "mirror" / "registry.terraform.io" / "hashicorp" / "aws" / version / platform
        package.mkdir(parents=True)
        stand_in = package / program.name
        stand_in.write_text(PROGRAM.format(room=room))
        stand_in.chmod(0o755)
        argv = [sys.executable, "-m", "tests.shared_provider", str(program), str(room)]
        with subprocess.Popen(argv, cwd=ROOM, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as host:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
            yield room / "mirror"


# --- the host --------------------------------------------------------------------------------------------------------

RESOURCES, DATA_SOURCES = 2, 3
BYTES = 2
"""The wire type of texts and messages: https://protobuf.dev/programming-guides/encoding/"""
SCHEMA, CONFIGURE = "/tfplugin5.Provider/GetSchema", "/tfplugin5.Provider/Configure"
PREPARE = "/tfplugin5.Provider/PrepareProviderConfig"
"""Terraform has each provider that it starts check the same configuration, which takes a tenth of a second of CPU."""
SHUTDOWN = "/plugin.GRPCController/Shutdown"
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Provider:
    """A real provider, which runs in its debugging mode: it outlives a Terraform.

    https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
    """

    def __init__(self, program: str, environ: Mapping[str, str], place: Path) -> None:
        import grpc

        place.mkdir()
        self._links = {name: place / name for name in FILES if name in environ}
        own = {**environ, **{name: str(link) for name, link in self._links.items()}}
        self._detour = Detour() if server_in(environ) else None
        if self._detour:
            own[ENDPOINT] = self._detour.url
        self.lend(environ)
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", RUN, program],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(place), "GOGC": "400", **own},
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        lines = (re.search(r"TF_REATTACH_PROVIDERS='(.+)'", line) for line in self.process.stdout)
        (address,) = json.loads(next(found[1] for found in lines if found)).values()
        self.pid: int = address["Pid"]
        self.channel = grpc.insecure_channel(f"unix:{address['Addr']['String']}", ANY_SIZE)

    def lend(self, environ: Mapping[str, str]) -> None:
        """Let its files and its endpoint be those of another environment."""
        for name, link in self._links.items():
            link.unlink(missing_ok=True)
            link.symlink_to(environ[name])
        if self._detour:
            self._detour.lead_to(server_in(environ))

    def idle(self) -> None:
        """Have it lose its connections, which lead to the endpoint that it had."""
        if self._detour:
            self._detour.hang_up()

    def kill(self) -> None:
        """End it and whatever it does."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.channel.close()
        self.process.communicate()
        if self._detour:
            self._detour.close()


Address = tuple[str, int]


def server_in(environ: Mapping[str, str]) -> Address | None:
    """Where the endpoint of an environment listens on this machine; ``None``: nowhere, or elsewhere."""
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/?", environ.get(ENDPOINT, ""))
    return ("127.0.0.1", int(found[1])) if found else None


class Detour:
    """A relay with its own address: it passes bytes on unchanged, and closes each side as the other side did."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._to: Address | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def lead_to(self, address: Address | None) -> None:
        """Connections lead there from now on."""
        self._to = address

    def hang_up(self) -> None:
        """End all connections."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nobody listens there any more."""
        self._listener.close()
        self.hang_up()

    def _serve(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with near:
            try:
                far = socket.create_connection(self._to or ("127.0.0.1", 0))
            except OSError:
                _reset(near)
                return
            with far:
                with self._lock:
                    self._open |= {near, far}
                for each in (near, far):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    _both_ways(near, far)
                except OSError:
                    _reset(near)
                    _reset(far)
                finally:
                    with self._lock:
                        self._open -= {near, far}


def _both_ways(near: socket.socket, far: socket.socket) -> None:
    """Until either side has ended: HTTP knows no connection that is half closed."""
    while True:
        for each in select.select([near, far], [], [])[0]:
            data = each.recv(65536)
            if not data:
                return
            (far if each is near else near).sendall(data)


def _reset(connection: socket.socket) -> None:
    """Let the other side see a reset when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Host:
    """Lends providers; ``room`` is where sockets and the providers' own files are."""

    def __init__(self, program: str, room: Path) -> None:
        self._program = program
        self._room = room
        self._lock = threading.Lock()
        self._idle: list[tuple[dict[str, str], Provider]] = []
        self._count = 0
        self.key, self.certificate = _certificate()
        self.schema = b""
        self.prepared: dict[tuple[int, bytes], bytes] = {}

    def borrow(self, environ: Mapping[str, str]) -> tuple[dict[str, str], Provider, Path]:
        """A provider for this environment, what it has in common with others like it, and a socket to serve it at."""
        own = {name: value for name, value in environ.items() if READ_BY_PROVIDER.fullmatch(name)}
        lent = (*FILES, ENDPOINT) if server_in(own) else FILES
        kind = {name: "" if name in lent else value for name, value in own.items()}
        with self._lock:
            self._count += 1
            place = self._room / str(self._count)
            found = next((each for each in reversed(self._idle) if each[0] == kind), None)
            if found:
                self._idle.remove(found)
        if found:
            found[1].lend(own)
        return kind, found[1] if found else Provider(self._program, own, place), place.with_suffix(".socket")

    def give_back(self, kind: dict[str, str], provider: Provider) -> None:
        """It waits for the next; the one that has waited longest ends if there are too many."""
        provider.idle()
        with self._lock:
            self._idle.append((kind, provider))
            ended = [self._idle.pop(0)[1] for _ in self._idle[IDLE:]]
        for each in ended:
            each.kill()

    def serve(self, pid: int) -> None:
        """Lend a provider to the program of that process, until it ends or Terraform has it end."""
        import grpc

        alive, said = self._room / f"{pid}.alive", self._room / f"{pid}.said"
        environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
        kind, provider, address = self.borrow(dict(each.partition("=")[::2] for each in environ if each))
        with alive.open() as lives, open(os.open(said, os.O_RDWR), "wb", buffering=0) as say:  # noqa: PTH123
            calls = Calls(self, provider, say.close)
            server = grpc.server(ThreadPoolExecutor(24), handlers=[calls], options=ANY_SIZE)
            credentials = grpc.ssl_server_credentials([(self.key, self.certificate)])
            server.add_secure_port(f"unix:{address}", credentials)
            server.start()
            say.write(f"1|5|unix|{address}|grpc|{_as_one_line(self.certificate)}\n".encode())
            lives.read()
        for each in (alive, said):
            each.unlink()
        # A provider ends in the middle of what it does; and one with a CA bundle cannot be configured twice.
        if calls.under_way() or (calls.configured and "AWS_CA_BUNDLE" in kind):
            provider.kill()
        else:
            self.give_back(kind, provider)
        server.stop(None)


class Calls:
    """Every call goes on to the provider as the bytes that it is."""

    def __init__(self, host: Host, provider: Provider, end: Any) -> None:
        self._host = host
        self._channel, self._pid = provider.channel, provider.pid
        self._end = end
        self._lock = threading.Lock()
        self._open = 0
        self.configured = False

    def under_way(self) -> bool:
        """Whether the provider is at work."""
        return self._open > 0

    def service(self, handler_call_details: Any) -> Any:
        import grpc

        method = handler_call_details.method
        if method.endswith("/StreamStdio"):
            return grpc.unary_stream_rpc_method_handler(
                lambda asked, context: _until_it_ends(self._channel.unary_stream(method)(asked), context)
            )
        if method.endswith("/StartStream"):
            return grpc.stream_stream_rpc_method_handler(
                lambda asked, context: _until_it_ends(self._channel.stream_stream(method)(asked), context)
            )
        one = {SCHEMA: self._schema, PREPARE: self._prepared, SHUTDOWN: self._shut_down}.get(method)
        return grpc.unary_unary_rpc_method_handler(one or partial(self._answered, method))

    def _answered(self, method: str, asked: bytes, context: Any) -> Any:
        """The provider's answer, or the status that it refused with: a newer Terraform asks for more."""
        import grpc

        try:
            return self._passed_on(method, asked)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def _passed_on(self, method: str, asked: bytes) -> Any:
        self.configured |= method == CONFIGURE
        with self._lock:
            self._open += 1
        try:
            return self._channel.unary_unary(method)(asked)
        finally:
            with self._lock:
                self._open -= 1

    def _schema(self, asked: bytes, _context: Any) -> bytes:
        if not self._host.schema:
            self._host.schema = shortened(self._passed_on(SCHEMA, asked))
        return self._host.schema

    def _prepared(self, asked: bytes, _context: Any) -> bytes:
        """What this provider, in its environment, has said of the same configuration before."""
        key = (self._pid, asked)
        if key not in self._host.prepared:
            self._host.prepared[key] = self._passed_on(PREPARE, asked)
        return self._host.prepared[key]

    def _shut_down(self, _asked: bytes, context: Any) -> bytes:
        context.add_callback(self._end)
        return b""


def _until_it_ends(call: Any, context: Any) -> Iterator[bytes]:
    """What a stream of the provider's brings, as long as Terraform is there to hear it: it would hold a thread."""
    import grpc

    context.add_callback(call.cancel)
    try:
        yield from call
    except grpc.RpcError:
        if context.is_active():
            raise


def shortened(message: bytes) -> bytes:
    """The answer to ``GetSchema`` with the resources and data sources of ``TYPES`` alone."""
    return b"".join(whole for number, value, whole in _fields(message) if _kept(number, value))


def _kept(number: int, value: bytes) -> bool:
    if number not in (RESOURCES, DATA_SOURCES):
        return True
    return next(name for key, name, _ in _fields(value) if key == 1).startswith(TYPES)


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
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


def _certificate() -> tuple[bytes, bytes]:
    """Key and certificate (PEM), as a provider makes them: go-plugin trusts what the first line of output tells."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - hour, now + 24 * hour)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain), made.public_bytes(pem)


def _as_one_line(certificate: bytes) -> str:
    """DER in base64 without padding."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return base64.b64encode(x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)).decode().rstrip("=")


def main(program: str, room: Path) -> None:
    """Lend providers to whoever asks at ``room/host``, until standard input ends."""
    host = Host(program, room)
    os.mkfifo(room / "host")
    with open(os.open(room / "host", os.O_RDWR), buffering=1) as asked:  # noqa: PTH123 - it never ends, and never waits
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
        for line in asked:
            threading.Thread(target=host.serve, args=(int(line),), daemon=True).start()


def _end_with(stream: Any) -> None:
    stream.read()
    os._exit(0)  # the providers end with us


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
