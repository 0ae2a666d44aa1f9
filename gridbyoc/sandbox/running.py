"""A sandbox from start to stop, as a context manager."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, UsageError
from gridbyoc.sandbox.child import ServerProcess, start_server
from gridbyoc.sandbox.environment import aws_variables, cleaned, control_plane_variables, no_proxy_variables
from gridbyoc.sandbox.keys import api_key_for, make_tls_files
from gridbyoc.sandbox.settings import SandboxSettings
from gridbyoc.stack.secret import Secret

NEEDED = ("flask", "graphql", "moto", "simple_websocket", "werkzeug")
AWS_SERVER = "gridbyoc.sandbox.aws_server"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. ``env`` is what a program needs to find it; it holds the sandbox's API key."""

    control_plane_url: str
    aws_url: str
    env: Mapping[str, str] = field(repr=False)
    directory: Path
    access_log: Path
    servers: tuple[ServerProcess, ...]

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """``base`` with everything that leads elsewhere taken out and ``env`` put in."""
        return cleaned(base) | dict(self.env)

    def requests(self) -> list[dict[str, Any]]:
        """What the control plane was asked, oldest first: method, path, query, status, agent, ms. No secrets."""
        if not self.access_log.exists():
            return []
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def check(self) -> None:
        """Raise ``SandboxStoppedError`` if a server has ended."""
        for server in self.servers:
            server.check()


@contextmanager
def running_sandbox(
    settings: SandboxSettings | None = None, environ: Mapping[str, str] | None = None, aws_server: str = AWS_SERVER
) -> Iterator[Sandbox]:
    """Start the local AWS and the local control plane side by side; stop both at the end.

    Both listen on 127.0.0.1 only and end with this process, however it ends. ``environ`` (default: the process's own)
    is what the servers are started with. ``aws_server`` is the module that serves the local AWS: one that begins with
    an account in use calls ``gridbyoc.sandbox.aws_server.main`` last. Raises ``UsageError`` where the ``sandbox`` extra
    is missing, ``SandboxStartError`` where a server does not start, ``FileError`` for a state directory that cannot be
    used.
    """
    settings = settings or SandboxSettings()
    base = dict(os.environ) if environ is None else dict(environ)
    require_extra()
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="gridbyoc-sandbox-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        sandbox = _start(settings, base, directory, stack, aws_server)
        for server in sandbox.servers:
            stack.callback(server.hang_up)  # all of them first, then the waiting: they end side by side
        yield sandbox


def require_extra(needed: tuple[str, ...] = NEEDED) -> None:
    """Raise ``UsageError`` if a package of the ``sandbox`` extra is not installed."""
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise UsageError(
            "The sandbox is not installed.",
            why=f"It needs {', '.join(missing)}.",
            fix="Run: pip install 'gridbyoc[sandbox]'",
            rerun=SAFE_NOTHING_DONE,
        )


def _start(
    settings: SandboxSettings, base: dict[str, str], directory: Path, stack: ExitStack, aws_server: str
) -> Sandbox:
    (directory / "empty").touch()
    key, access_log = _prepare_files(settings, directory)
    tls = make_tls_files(directory) if settings.tls else None
    config = {
        "port": settings.port,
        "scratch": str(directory),
        "database": str((settings.state_dir or directory) / "control-plane.sqlite"),
        "access_log": str(access_log),
        "api_key": key.reveal(),
        "trusted_account_id": settings.trusted_account_id,
        "create_seconds": settings.create_seconds,
        "delete_seconds": settings.delete_seconds,
        "tls": [str(tls.certificate), str(tls.key)] if tls else None,
    }
    aws, plane = _start_both(settings, config, cleaned(base), directory, stack, aws_server)
    aws_url = f"http://127.0.0.1:{aws.port}"
    plane_url = f"{'https' if tls else 'http'}://127.0.0.1:{plane.port}"
    plane.tell({"aws_url": aws_url})
    env = aws_variables(aws_url, settings.region, directory / "empty") | no_proxy_variables(base)
    env |= control_plane_variables(plane_url, key, tls.ca if tls else None)
    return Sandbox(plane_url, aws_url, env, directory, access_log, (aws, plane))


def _start_both(
    settings: SandboxSettings,
    config: dict[str, Any],
    environ: dict[str, str],
    directory: Path,
    stack: ExitStack,
    aws_server: str,
) -> tuple[ServerProcess, ServerProcess]:
    """Both at the same time; whichever comes up is stopped at the end, also when the other does not."""

    def start(name: str, module: str, config: dict[str, Any]) -> ServerProcess:
        server = start_server(name, module, config, environ, directory / f"{name.replace(' ', '-')}.log")
        stack.callback(server.stop)
        return server

    with ThreadPoolExecutor(2) as pool:
        aws = pool.submit(start, "local AWS", aws_server, _aws_config(settings))
        plane = pool.submit(start, "control plane", "gridbyoc.sandbox.control_plane_server", config)
    return aws.result(), plane.result()


def _aws_config(settings: SandboxSettings) -> dict[str, Any]:
    quotas = {
        "account": settings.account,
        "values": dict(settings.quotas),
        "names": dict(settings.quota_names),
        "seconds": settings.quota_seconds,
        "outcome": settings.quota_outcome.upper(),
    }
    return {
        "port": settings.aws_port,
        "quotas": quotas,
        "enforce_iam": settings.enforce_iam,
        "denied_by_scp": list(settings.denied_by_scp),
        "aws_log": str(settings.aws_log.absolute()) if settings.aws_log else "",
    }


def _prepare_files(settings: SandboxSettings, directory: Path) -> tuple[Secret, Path]:
    access_log = settings.access_log or directory / "access.log"
    try:
        if settings.state_dir:
            settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for log in (access_log, settings.aws_log):
            if log:
                log.touch(mode=0o600)
        return api_key_for(settings), access_log
    except OSError as error:
        raise FileError(
            f"The sandbox cannot use {error.filename}.",
            why=error.strerror or "",
            fix="Name a directory and a file that you may write to.",
            rerun=SAFE_NOTHING_DONE,
        ) from None
