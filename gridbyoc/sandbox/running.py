"""Run a sandbox, as a context manager."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, SandboxStartError, SandboxStoppedError, UsageError
from gridbyoc.sandbox.scenario.played import PlayedLog
from gridbyoc.sandbox.settings import USER_ID, USERNAME, SandboxSettings, new_api_key
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.files import write_atomic
from gridbyoc.stack.sandbox_mark import SANDBOX_MEMBERS
from gridbyoc.stack.secret import Secret

if TYPE_CHECKING:
    from gridbyoc.sandbox.scenario.model import ScenarioSide

START_SECONDS = 60.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server: ``port`` on 127.0.0.1, its output in ``log``."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def hang_up(self) -> None:
        """Close its lifeline, so that it ends; do not wait for it."""
        _hang_up(self.process)

    def stop(self) -> None:
        """Close its lifeline and wait; kill it after five seconds."""
        _end(self.process)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send it information that was unknown when it started."""
        _write_line(self.process, message)

    def check(self) -> None:
        """Raise ``SandboxStoppedError`` if it has ended."""
        if self.process.poll() is not None:
            raise SandboxStoppedError(f"The sandbox's {self.name} has stopped.", why=_last_lines(self.log))


def start_server(
    name: str,
    module: str,
    config: Mapping[str, Any],
    environ: Mapping[str, str],
    log: Path,
    python: str = sys.executable,
) -> ServerProcess:
    """Start ``python -m module`` and wait (at most 60 s) until it listens.

    ``config`` goes through its standard input, which then stays open as its lifeline. The server has its own session: a
    Ctrl-C on the terminal is for the command that uses the sandbox. Raises ``SandboxStartError``.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            env=dict(environ),
            start_new_session=True,
        )
    try:
        port = _introduce(process, config)
    except BaseException:
        _end(process)
        raise
    if port is None:
        _end(process)
        raise SandboxStartError(
            f"The sandbox's {name} did not start.",
            why=_last_lines(log),
            fix="If a port was given, check that it is free.",
            rerun=SAFE_NOTHING_DONE,
        )
    return ServerProcess(name, process, port, log)


def _introduce(process: subprocess.Popen[bytes], config: Mapping[str, Any]) -> int | None:
    """Send the settings and read the port; ``None`` if the child reports nothing."""
    if process.stdout is None:
        return None
    _write_line(process, config)
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else b""
    process.stdout.close()
    return int(json.loads(line)["port"]) if line else None


def _write_line(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        if process.stdin:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    _hang_up(process)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:])


FOREIGN = ("AWS_", "GRID_", "LIGHTNING_", "MOTO_")
"""Prefixes of variables that would lead to other services.

A profile, a session token, a service's endpoint, a context.
"""


def aws_variables(aws_url: str, region: str, empty_file: Path) -> dict[str, str]:
    """Variables for the local AWS, with moto's test credentials; ``empty_file`` replaces the user's own AWS files."""
    return {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": str(empty_file),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty_file),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def control_plane_variables(url: str, api_key: Secret, ca_file: Path | None) -> dict[str, str]:
    """Variables for the local control plane, under the names that each dialect's clients read."""
    variables = {
        "GRID_URL": url,
        "GRID_USERNAME": USERNAME,
        "GRID_USER_ID": USER_ID,
        "GRID_API_KEY": api_key.reveal(),
        "LIGHTNING_CLOUD_URL": url,
        "LIGHTNING_USER_ID": USER_ID,
        "LIGHTNING_API_KEY": api_key.reveal(),
    }
    if ca_file:
        # requests (and so the lightning CLI) reads the first, websocket-client the second.
        variables |= {"REQUESTS_CA_BUNDLE": str(ca_file), "WEBSOCKET_CLIENT_CA_BUNDLE": str(ca_file)}
    return variables


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without variables that lead to other services, and with loopback excluded from any proxy."""
    kept = {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}
    return kept | no_proxy_variables(environ)


def no_proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """``NO_PROXY`` in both spellings, with 127.0.0.1 and localhost added."""
    hosts: list[str] = []
    for name in ("NO_PROXY", "no_proxy"):
        hosts += [host.strip() for host in environ.get(name, "").split(",")]
    wanted = ",".join(dict.fromkeys([host for host in hosts if host] + ["127.0.0.1", "localhost"]))
    return {"NO_PROXY": wanted, "no_proxy": wanted}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the CA that clients trust, and the server's certificate and key."""

    ca: Path
    certificate: Path
    key: Path


def api_key_for(settings: SandboxSettings) -> Secret:
    """The requested key; otherwise the one in the state directory; otherwise a new one, stored there."""
    if settings.state_dir is None:
        return settings.api_key or new_api_key()
    kept = settings.state_dir / "api-key"
    if settings.api_key is None and kept.exists():
        return Secret(kept.read_text().strip())
    key = settings.api_key or new_api_key()
    write_atomic(kept, key.reveal().encode() + b"\n")
    return key


def make_tls_files(directory: Path) -> TlsFiles:
    """A self-signed certificate for 127.0.0.1 and localhost, valid for a week: its own CA."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gridbyoc sandbox")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = utc_now()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = TlsFiles(directory / "ca.pem", directory / "ca.pem", directory / "tls-key.pem")
    files.certificate.write_bytes(certificate.public_bytes(pem))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_atomic(files.key, key.private_bytes(pem, pkcs8, plain))
    return files


NEEDED = ("flask", "graphql", "moto", "simple_websocket", "werkzeug")
AWS_SERVER = "gridbyoc.sandbox.aws_server"
PLAYED = "played.jsonl"
"""The file in the sandbox's directory that records the strikes of a scenario."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. ``env`` is what a program needs to find it; it contains the sandbox's API key."""

    control_plane_url: str
    aws_url: str
    env: Mapping[str, str] = field(repr=False)
    directory: Path
    access_log: Path
    servers: tuple[ServerProcess, ...]

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        """``base`` without variables that lead to other services, plus ``env``."""
        return cleaned(base) | dict(self.env)

    def requests(self) -> list[dict[str, Any]]:
        """The requests to the control plane, oldest first: method, path, query, status, agent, ms. No secrets."""
        if not self.access_log.exists():
            return []
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def played(self) -> dict[int, int]:
        """The number of requests that each step of the scenario struck; steps that struck none are left out."""
        return PlayedLog(self.played_file).counts()

    @property
    def played_file(self) -> Path:
        """The record of the strikes."""
        return self.directory / PLAYED

    def check(self) -> None:
        """Raise ``SandboxStoppedError`` if a server has ended."""
        for server in self.servers:
            server.check()


@contextmanager
def running_sandbox(
    settings: SandboxSettings | None = None,
    environ: Mapping[str, str] | None = None,
    aws_server: str = AWS_SERVER,
    python: str = sys.executable,
) -> Iterator[Sandbox]:
    """Start the local AWS and the local control plane in parallel; stop both at the end.

    Both listen on 127.0.0.1 only and end with this process, however it ends. ``environ`` (default: this process's) is
    the servers' environment. ``aws_server`` is the module that serves the local AWS; a module that first prepares an
    account calls ``gridbyoc.sandbox.aws_server.main`` last. ``python`` is the program that runs the servers' modules.
    Raises ``UsageError`` if the ``sandbox`` extra is missing, ``SandboxStartError`` if a server does not start,
    ``FileError`` if the state directory cannot be used.
    """
    settings = settings or SandboxSettings()
    base = dict(os.environ) if environ is None else dict(environ)
    require_extra()
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="gridbyoc-sandbox-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        sandbox = _start(settings, base, directory, stack, aws_server, python)
        for server in sandbox.servers:
            stack.callback(server.hang_up)  # close all lifelines first, then wait: the servers end in parallel
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
    settings: SandboxSettings, base: dict[str, str], directory: Path, stack: ExitStack, aws_server: str, python: str
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
        "scenario": _scenario_config(settings, directory, "control-plane"),
    }
    aws, plane = _start_both(settings, config, cleaned(base), directory, stack, aws_server, python)
    aws_url = f"http://127.0.0.1:{aws.port}"
    plane_url = f"{'https' if tls else 'http'}://127.0.0.1:{plane.port}"
    plane.tell({"aws_url": aws_url})
    env = aws_variables(aws_url, settings.region, directory / "empty") | no_proxy_variables(base)
    env |= control_plane_variables(plane_url, key, tls.ca if tls else None)
    if settings.member_accounts:
        env[SANDBOX_MEMBERS] = ",".join(settings.member_accounts)
    return Sandbox(plane_url, aws_url, env, directory, access_log, (aws, plane))


def _start_both(
    settings: SandboxSettings,
    config: dict[str, Any],
    environ: dict[str, str],
    directory: Path,
    stack: ExitStack,
    aws_server: str,
    python: str,
) -> tuple[ServerProcess, ServerProcess]:
    """Start both at the same time; a server that starts is stopped at the end, even if the other does not start."""

    def start(name: str, module: str, config: dict[str, Any]) -> ServerProcess:
        server = start_server(name, module, config, environ, directory / f"{name.replace(' ', '-')}.log", python)
        stack.callback(server.stop)
        return server

    with ThreadPoolExecutor(2) as pool:
        aws = pool.submit(start, "local AWS", aws_server, _aws_config(settings, directory))
        plane = pool.submit(start, "control plane", "gridbyoc.sandbox.control_plane_server", config)
    return aws.result(), plane.result()


def _scenario_config(settings: SandboxSettings, directory: Path, side: ScenarioSide) -> dict[str, Any] | None:
    """What a server needs to play its part of the scenario; ``None`` if it has none."""
    scenario = settings.scenario
    if scenario is None or not any(step.side == side for step in scenario.steps):
        return None
    return {"steps": list(scenario.raw_steps), "log": str(directory / PLAYED)}


def _aws_config(settings: SandboxSettings, directory: Path) -> dict[str, Any]:
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
        "member_accounts": list(settings.member_accounts),
        "session_seconds": settings.session_seconds,
        "aws_log": str(settings.aws_log.absolute()) if settings.aws_log else "",
        "scenario": _scenario_config(settings, directory, "aws"),
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
            fix="Name a directory and a file that you can write to.",
            rerun=SAFE_NOTHING_DONE,
        ) from None
