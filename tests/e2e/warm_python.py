"""A Python that has loaded the libraries of the tool, and forks a process for each command.

To load them costs half a second of CPU time, and the suite runs a thousand commands. Nothing of gridbyoc is loaded
before the fork; the process has the environment, the directory and the streams of the command, and ends as Python does.
Commands that are interrupted or killed are started as real processes (``Tool.start``).
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

LENGTH = struct.Struct("!i")
AT_START = ("PYTHON", "LC_", "LANG")
"""Beginnings of the variables that Python itself reads when it starts."""
MEASURED = "COVERAGE_PROCESS_"
"""Such a variable has coverage measure a process that starts."""


def run(
    argv: Sequence[str], directory: Path, env: Mapping[str, str], *, stdin: str, timeout: float
) -> tuple[int, str, str]:
    """``python -m gridbyoc ARGV``: its exit status and what it wrote. Raises ``subprocess.TimeoutExpired``."""
    if _read_at_start(env) != _read_at_start(os.environ) or any(name.startswith(MEASURED) for name in env):
        command = [sys.executable, "-m", "gridbyoc", *argv]
        ran = subprocess.run(
            command, cwd=directory, env=dict(env), input=stdin, capture_output=True, text=True, timeout=timeout
        )
        return ran.returncode, ran.stdout, ran.stderr
    (theirs_in, ours_in), (ours_out, theirs_out), (ours_err, theirs_err) = os.pipe(), os.pipe(), os.pipe()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_server()))
        request = json.dumps([list(argv), str(directory), dict(env)]).encode()
        socket.send_fds(connection, [LENGTH.pack(len(request))], [theirs_in, theirs_out, theirs_err])
        connection.sendall(request)
        for descriptor in (theirs_in, theirs_out, theirs_err):
            os.close(descriptor)
        (pid,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
        late = threading.Event()

        def kill() -> None:
            late.set()
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

        timer = threading.Timer(timeout, kill)
        timer.start()
        texts: dict[int, str] = {}
        readers = [threading.Thread(target=_read, args=(each, texts)) for each in (ours_out, ours_err)]
        for reader in readers:
            reader.start()
        _write(ours_in, stdin)
        for reader in readers:
            reader.join()
        (status,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
        timer.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(list(argv), timeout, texts[ours_out], texts[ours_err])
    return status, texts[ours_out], texts[ours_err]


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(AT_START)}


def _write(descriptor: int, text: str) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _read(descriptor: int, texts: dict[int, str]) -> None:
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        texts[descriptor] = stream.read()


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the warm Python has gone")
        data += part
    return data


@cache
def _server() -> Path:
    """The socket of this process's server, which ends with it: its standard input is a pipe of ours."""
    directory = tempfile.mkdtemp(prefix="warm-")
    path = Path(directory, "socket")
    server = subprocess.Popen(
        [sys.executable, __file__, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
    os.setpgid(0, 0)
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


def _main() -> None:
    # for their imports alone: what the tool's commands load
    import boto3.session  # noqa: F401
    import click  # noqa: F401
    import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    import filelock  # noqa: F401
    import jinja2  # noqa: F401
    import jsonschema  # noqa: F401
    import requests  # noqa: F401
    import rich.console
    import rich.table  # noqa: F401
    import ruamel.yaml  # noqa: F401

    argv, directory = _serve(sys.argv[1])
    sys.argv = ["gridbyoc", *argv]
    sys.path[0] = directory
    runpy.run_module("gridbyoc", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
