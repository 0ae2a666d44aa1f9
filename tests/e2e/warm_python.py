"""A Python that has loaded the libraries of the tool, and forks a process for each command; another for the sandbox.

To load them and the tool's own modules costs more CPU time than most commands, and the suite runs a thousand. The
process has the environment, the directory and the streams of the command, is measured where that asks for it, and ends
as Python does. What commands load and when is for other tests, which start a Python (``test_startup``).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from gridbyoc.sandbox import Sandbox, SandboxSettings

Kind = Literal["commands", "sandboxes"]
PYTHON = (sys.executable, "-m", "gridbyoc")
LENGTH = struct.Struct("!i")
AT_START = ("PYTHON", "LC_", "LANG")
"""Beginnings of the variables that Python itself reads when it starts."""
NOT_LOADED = ("gridbyoc.__main__", "gridbyoc.sandbox")
"""What runs as itself, and what commands of a user do not load."""
PROGRAM = """#!/bin/sh
exec '{python}' -I -S -c '
import json, os, signal, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.connect("{server}")
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [struct.pack("!i", len(request))], [0, 1, 2])
server.sendall(request)
numbers = struct.Struct("!i")
(command,) = numbers.unpack(server.recv(4))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(command, number))
(status,) = numbers.unpack(server.recv(4))
sys.exit(status if status >= 0 else 128 - status)
' "$@"
"""
MEASURED = "COVERAGE_PROCESS_"
"""Such a variable has coverage measure a process that starts."""


class Command:
    """A command that runs, in a session of its own, with what the tests need of ``subprocess.Popen``."""

    def __init__(self, argv: Sequence[str], directory: Path, env: Mapping[str, str], stdin: int) -> None:
        self.args = argv
        self.returncode: int | None = None
        self._readers: list[threading.Thread] = []
        self._read_so_far: dict[str, str] = {}
        (ours_out, theirs_out), (ours_err, theirs_err) = os.pipe(), os.pipe()
        self.stdout, self.stderr = os.fdopen(ours_out, encoding="utf-8"), os.fdopen(ours_err, encoding="utf-8")
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(_server("commands")))
        request = json.dumps([list(argv), str(directory), dict(env)]).encode()
        socket.send_fds(self._connection, [LENGTH.pack(len(request))], [stdin, theirs_out, theirs_err])
        self._connection.sendall(request)
        os.close(theirs_out)
        os.close(theirs_err)
        (self.pid,) = LENGTH.unpack(_exactly(self._connection, LENGTH.size))

    def poll(self) -> int | None:
        """Its exit status once it has ended."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, when it ends. Raises ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            if timeout is not None and not select.select([self._connection], [], [], max(timeout, 0))[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            (self.returncode,) = LENGTH.unpack(_exactly(self._connection, LENGTH.size))
            self._connection.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of what it writes; it has ended then. Raises ``subprocess.TimeoutExpired``, and can be called again
        if it ends soon after that.
        """
        end = None if timeout is None else time.monotonic() + timeout
        if not self._readers:
            for name, stream in (("out", self.stdout), ("err", self.stderr)):
                self._readers.append(threading.Thread(target=self._read, args=(name, stream), daemon=True))
                self._readers[-1].start()
        for reader in self._readers:
            reader.join(None if end is None else max(end - time.monotonic(), 0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0, self._read_so_far.get("out"))
        self.wait(None if end is None else end - time.monotonic())
        return self._read_so_far["out"], self._read_so_far["err"]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send it SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def _read(self, name: str, stream: TextIO) -> None:
        with stream:
            self._read_so_far[name] = stream.read()


def start(argv: Sequence[str], directory: Path, env: Mapping[str, str]) -> Command | subprocess.Popen[str]:
    """``python -m gridbyoc ARGV`` as a shell starts a foreground job, without an input."""
    if _read_at_start(env) != _read_at_start(os.environ):
        return subprocess.Popen(
            [*PYTHON, *argv], cwd=directory, env=dict(env), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    with open(os.devnull) as nothing:  # noqa: PTH123 - it is no file
        return Command(argv, directory, env, nothing.fileno())


def run(
    argv: Sequence[str], directory: Path, env: Mapping[str, str], *, stdin: str, timeout: float
) -> tuple[int, str, str]:
    """``python -m gridbyoc ARGV``: its exit status and what it wrote. Raises ``subprocess.TimeoutExpired``."""
    if _read_at_start(env) != _read_at_start(os.environ):
        ran = subprocess.run(
            [*PYTHON, *argv], cwd=directory, env=dict(env), input=stdin, capture_output=True, text=True, timeout=timeout
        )
        return ran.returncode, ran.stdout, ran.stderr
    theirs, ours = os.pipe()
    command = Command(argv, directory, env, theirs)
    os.close(theirs)
    threading.Thread(target=_write, args=(ours, stdin), daemon=True).start()
    try:
        out, err = command.communicate(timeout)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.communicate()
        raise
    return command.wait(), out, err


def write_program(path: Path) -> None:
    """A ``gridbyoc`` for shells: it has itself run so, with its own streams, and ends as that does."""
    _write_program(path, "commands")


@contextmanager
def warm_sandbox(settings: SandboxSettings | None = None) -> Iterator[Sandbox]:
    """``running_sandbox``, whose servers are forked from a process that has loaded moto: each loads it for two seconds
    otherwise. How a sandbox starts is for other tests (``test_sandbox_servers``).
    """
    from gridbyoc.sandbox import running_sandbox  # here: what forks commands needs nothing of it

    with tempfile.TemporaryDirectory(prefix="warm-") as directory:
        python = Path(directory, "python")
        _write_program(python, "sandboxes")
        with running_sandbox(settings, python=str(python)) as sandbox:
            yield sandbox


def _write_program(path: Path, kind: Kind) -> None:
    path.write_text(PROGRAM.format(python=sys.executable, server=_server(kind)))
    path.chmod(0o755)


def completed(
    argv: Sequence[str], directory: Path, env: Mapping[str, str], *, stdin: str = "", timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """The same as ``subprocess.run`` tells it; JSON on standard output is as its schema says."""
    from tests.json_outputs import check_outputs  # here: what forks needs nothing of it

    status, out, err = run(argv, directory, env, stdin=stdin, timeout=timeout)
    return subprocess.CompletedProcess(argv, status, check_outputs(argv, out), err)


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(AT_START)}


def _write(descriptor: int, text: str) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the warm Python has gone")
        data += part
    return data


@cache
def _server(kind: Kind) -> Path:
    """The socket of this process's server of that kind, which ends with it: its standard input is a pipe of ours."""
    directory = tempfile.mkdtemp(prefix="warm-")
    path = Path(directory, "socket")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", MEASURED))}
    server = subprocess.Popen(
        [sys.executable, __file__, str(path), kind], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    atexit.register(server.kill)
    return path


# --- the server ------------------------------------------------------------------------------------------------------


def _serve(path: str) -> tuple[list[str], str]:
    """Fork for each connection, for ever; returns in the forked process of a command, with what it shall run."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(1, b"ready\n")
        while True:
            ready, _, _ = select.select([listener, 0], [], [])
            if 0 in ready:  # the end of our standard input: that of the tests
                os._exit(0)
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                return _command(connection)
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _command(connection: socket.socket) -> tuple[list[str], str]:
    head, streams, _flags, _address = socket.recv_fds(connection, LENGTH.size, 3)
    (size,) = LENGTH.unpack(head)
    argv, directory, env = json.loads(_exactly(connection, size))
    child = os.fork()
    if child:
        for stream in (0, 1, *streams):
            os.close(stream)
        connection.sendall(LENGTH.pack(child))
        _, status = os.waitpid(child, 0)
        connection.sendall(LENGTH.pack(os.waitstatus_to_exitcode(status)))
        os._exit(0)
    os.setsid()
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        new = open(number, "w" if number else "r", encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        new.reconfigure(line_buffering=old.line_buffering)
        setattr(sys, name, new)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    return argv, directory


def _load_commands() -> Callable[[], int]:
    """Load what commands load; their entry point."""
    import boto3.session  # noqa: F401
    import coverage  # noqa: F401
    import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    import rich.table  # noqa: F401
    from botocore.session import Session

    import gridbyoc
    from gridbyoc.aws.service_models import models_of
    from gridbyoc.cli import main  # before its submodule of that name

    for module in pkgutil.walk_packages(gridbyoc.__path__, "gridbyoc."):
        if not module.name.startswith(NOT_LOADED):
            import_module(module.name)
    # The modules that a client loads when it is made, and the models of the services.
    core = Session()
    core.register_component("data_loader", models_of(None))
    core.set_credentials("test", "test")
    for service in ("sts", "iam", "s3", "ec2", "eks"):
        core.create_client(service, region_name="us-east-1")
    _rehearse()
    return main


def _rehearse() -> None:
    """What a process does once: compile the templates, read the facts of the control planes."""
    from gridbyoc.render import render
    from gridbyoc.stack.load import load
    from gridbyoc.vendors import needs_of

    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "gridbyoc.yaml")
        file.write_text("version: 1\nname: warm\naws: {region: us-east-1}\nclusters: [{name: warm}]\n")
        render(load(file, environ={}), Path(name, "work"))
    for vendor in ("grid", "lightning"):
        needs_of(vendor)


def _load_sandboxes() -> Callable[[], None]:
    """Load what the sandbox's servers load, and warm moto up; what runs the one that ``sys.argv`` names."""
    import random

    import boto3
    from moto.moto_api._internal import mock_random
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    import gridbyoc.sandbox.control_plane_server  # noqa: F401
    from gridbyoc.sandbox.api.spec import known_regions
    from gridbyoc.sandbox.aws_extra.call import load_model
    from gridbyoc.sandbox.aws_server import Gate, settle_moto

    settle_moto()
    moto = DomainDispatcherApplication(create_backend_app)
    Gate(moto).open_when_warm(moto)
    for service in ("dynamodb", "ecr", "elb", "elbv2", "events", "kms", "logs", "sns", "sqs", "tagging"):
        load_model(service)  # what a destroy looks for leftovers in
    boto3.Session("test", "test", region_name="us-east-1").client("iam")
    known_regions()

    def main() -> None:
        random.seed()
        mock_random.seed()  # two sandboxes must not make the same ids
        import_module(sys.argv[2]).main()

    return main


LOADERS: dict[str, Callable[[], Callable[[], int | None]]] = {
    "commands": _load_commands,
    "sandboxes": _load_sandboxes,
}


def _main() -> None:
    main = LOADERS[sys.argv[2]]()
    gc.collect()
    gc.freeze()
    argv, directory = _serve(sys.argv[1])
    if any(name.startswith(MEASURED) for name in os.environ):
        import coverage

        coverage.process_startup()
    sys.argv = ["gridbyoc", *argv]
    sys.path[0] = directory
    sys.exit(main())


if __name__ == "__main__":
    _main()
