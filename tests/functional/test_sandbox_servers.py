"""The two servers as processes: started, found, spoken to, and gone with the one who started them."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from simple_websocket import Client, ConnectionClosed

from gridbyoc.errors import FileError, SandboxStartError, SandboxStoppedError
from gridbyoc.sandbox import Sandbox, SandboxSettings, running_sandbox
from gridbyoc.stack.secret import Secret

pytestmark = pytest.mark.usefixtures("measured")

NOBODY = "arn:aws:iam::123456789012:role/nobody"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(SandboxSettings(create_seconds=0.2, delete_seconds=0.1)) as running:
        yield running


def auth(sandbox: Sandbox) -> tuple[str, str]:
    return sandbox.env["GRID_USER_ID"], sandbox.env["GRID_API_KEY"]


def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> requests.Response:
    ca = sandbox.env.get("REQUESTS_CA_BUNDLE", True)
    url = sandbox.control_plane_url + path
    return requests.request(method, url, json=body, auth=auth(sandbox), timeout=30, verify=ca)


def body(name: str) -> dict[str, Any]:
    aws = {"roleArn": NOBODY, "externalId": "canary-ext-4711", "region": "us-east-1"}
    return {"name": name, "spec": {"driver": {"kubernetes": {"aws": aws}}}}


def until(true: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def is_listening(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def test_both_listen_on_loopback_alone_and_answer(sandbox: Sandbox) -> None:
    assert call(sandbox, "GET", "//v1/core/clusters").json()["defaultCluster"]
    for url in (sandbox.aws_url, sandbox.control_plane_url):
        assert url.startswith("http://127.0.0.1:")
        assert is_listening(url)
    sandbox.check()


def test_a_body_on_delete_does_not_disturb_what_follows(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        session.auth = auth(sandbox)
        url = f"{sandbox.control_plane_url}/v1/core/clusters"
        for _ in range(3):
            assert session.delete(f"{url}/nope", json={}, timeout=30).status_code == 404
            assert session.get(url, timeout=30).status_code == 200


def test_of_many_creates_at_once_one_wins(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(
            pool.map(lambda _: call(sandbox, "POST", "/v1/core/clusters", body("race")).status_code, range(8))
        )
    assert sorted(statuses) == [200] + [409] * 7


def test_the_requests_can_be_read_and_hold_no_secret(sandbox: Sandbox) -> None:
    call(sandbox, "POST", "/v1/core/clusters", body("logged"))
    assert {"method": "POST", "path": "/v1/core/clusters", "status": 200}.items() <= sandbox.requests()[-1].items()
    files = [path for path in sandbox.directory.iterdir() if path.suffix == ".log"]
    assert len(files) == 3
    for path in files:
        assert "canary-ext-4711" not in path.read_text()
        assert sandbox.env["GRID_API_KEY"] not in path.read_text()


def test_the_key_is_on_no_command_line(sandbox: Sandbox) -> None:
    for server in sandbox.servers:
        shown = Path(f"/proc/{server.process.pid}")
        assert sandbox.env["GRID_API_KEY"].encode() not in (shown / "cmdline").read_bytes()
        assert sandbox.env["GRID_API_KEY"].encode() not in (shown / "environ").read_bytes()


def socket_url(sandbox: Sandbox, name: str, token: str, **query: object) -> str:
    base = sandbox.control_plane_url.replace("http", "ws", 1)
    return f"{base}/v1/core/clusters/{name}/logs?{urlencode(query | {'token': token})}"


def basic(sandbox: Sandbox) -> str:
    return "Basic " + base64.b64encode(":".join(auth(sandbox)).encode()).decode()


def connect(url: str, **more: Any) -> Client:
    """Byte by byte: this client loses the frames that it reads in one go with the end of the handshake."""
    return Client.connect(url, receive_bytes=1, **more)


def frames(client: Client, seconds: float = 10) -> list[dict[str, Any]]:
    """What comes until the server closes, or until nothing comes for that long."""
    found = []
    try:
        while (text := client.receive(timeout=seconds)) is not None:
            found.append(json.loads(text))
    except ConnectionClosed:
        pass
    return found


def test_the_grid_clis_log_socket_ends_with_a_clean_close(sandbox: Sandbox) -> None:
    call(sandbox, "POST", "/v1/core/clusters", body("logs-g"))
    now = time.time()
    url = socket_url(
        sandbox, "logs-g", basic(sandbox), follow="false", start=int(now - 9), end=int(now + 9), limit=1000
    )
    client = connect(url)
    found = frames(client)
    assert client.close_reason == 1000
    assert found
    for entry in found:
        assert set(entry) == {"message", "timestamp", "labels"}
        assert entry["labels"]["cluster_id"] == "logs-g"
        assert entry["labels"]["level"] in ("info", "warn", "error")
        assert entry["message"].endswith("\n")


def test_nothing_follows_the_close_frame(sandbox: Sandbox) -> None:
    """werkzeug would send an HTTP response there, which websocket-client takes for a broken frame."""
    call(sandbox, "POST", "/v1/core/clusters", body("logs-raw"))
    path = socket_url(sandbox, "logs-raw", basic(sandbox)).split("/", 3)[3]
    with socket.create_connection(("127.0.0.1", int(sandbox.control_plane_url.rsplit(":", 1)[1]))) as raw:
        key = base64.b64encode(os.urandom(16)).decode()
        raw.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        raw.settimeout(10)
        received = b""
        while chunk := raw.recv(4096):
            received += chunk
    assert received.count(b"HTTP/1.1") == 1
    assert received.endswith(b"\x88\x02\x03\xe8")


def test_the_lightning_clis_log_socket_stays_open_for_a_while(sandbox: Sandbox) -> None:
    call(sandbox, "POST", "/v1/core/clusters", body("logs-l"))
    login = {"apiKey": sandbox.env["GRID_API_KEY"], "username": sandbox.env["GRID_USER_ID"]}
    token = call(sandbox, "POST", "/v1/auth/login", login).json()["token"]
    client = connect(socket_url(sandbox, "logs-l", token, start=0, limit=5000, end=int(time.time() + 9)))
    assert client.receive(timeout=10)
    frames(client, seconds=1.2)
    assert client.connected
    client.close()


def test_a_followed_log_tells_what_happens_meanwhile(sandbox: Sandbox) -> None:
    call(sandbox, "POST", "/v1/core/clusters", body("logs-f"))
    client = connect(socket_url(sandbox, "logs-f", basic(sandbox), follow="true", start=0))
    assert "queued" in json.loads(client.receive(timeout=10))["message"]
    assert "does not exist" in json.loads(client.receive(timeout=10))["message"]
    call(sandbox, "DELETE", "/v1/core/clusters/logs-f")
    assert "being deleted" in frames(client)[0]["message"]
    assert client.close_reason == 1000


def test_a_followed_log_ends_when_the_cluster_is_forgotten(sandbox: Sandbox) -> None:
    call(sandbox, "POST", "/v1/core/clusters", body("logs-gone"))
    client = connect(socket_url(sandbox, "logs-gone", basic(sandbox), follow="true"))
    client.receive(timeout=10)
    call(sandbox, "DELETE", "/v1/core/clusters/logs-gone?force=True")
    frames(client)
    assert not client.connected


@pytest.mark.parametrize(
    ("name", "token", "query", "status"),
    [
        ("nope", None, {}, 404),
        ("race", "wrong", {}, 401),
        ("race", "", {}, 401),
        ("race", None, {"start": "soon"}, 400),
    ],
)
def test_log_sockets_are_refused_before_the_handshake(
    sandbox: Sandbox, name: str, token: str | None, query: dict[str, str], status: int
) -> None:
    url = socket_url(sandbox, name, basic(sandbox) if token is None else token, **query).replace("ws", "http", 1)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "eA=="}  # fmt: skip
    answer = requests.get(url, headers=upgrade, timeout=30)
    assert (answer.status_code, answer.json()["details"]) == (status, [])


def test_logs_without_a_socket_are_told_to_use_one(sandbox: Sandbox) -> None:
    assert "websocket" in call(sandbox, "GET", "/v1/core/clusters/race/logs").json()["message"]


def test_the_end_of_the_with_is_the_end_of_everything() -> None:
    with running_sandbox() as running:
        pids = [server.process.pid for server in running.servers]
    assert not is_listening(running.aws_url)
    assert not is_listening(running.control_plane_url)
    assert not running.directory.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_parent_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from gridbyoc.sandbox import running_sandbox\n"
        "with running_sandbox() as s:\n"
        "    print(s.aws_url, s.control_plane_url, s.directory, *[x.process.pid for x in s.servers], flush=True)\n"
        "    time.sleep(120)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert parent.stdout
    aws, plane, directory, *pids = parent.stdout.readline().split()
    parent.stdout.close()
    assert is_listening(aws)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert until(lambda: not is_listening(aws) and not is_listening(plane) and not Path(directory).exists())
    assert until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in pids))


def _alive(pid: str) -> bool:
    """Not a zombie that nobody has waited for yet."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_server_that_goes_away_is_noticed() -> None:
    with running_sandbox() as running:
        running.servers[0].process.kill()
        running.servers[0].process.wait()
        with pytest.raises(SandboxStoppedError, match="local AWS"):
            running.check()


def test_a_port_in_use_is_said_and_nothing_is_left() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = SandboxSettings(port=taken.getsockname()[1])
        with pytest.raises(SandboxStartError) as caught, running_sandbox(settings):
            pass
    assert "control plane did not start" in caught.value.what
    assert "in use" in caught.value.why


def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot use"), running_sandbox(SandboxSettings(state_dir=tmp_path / "file")):
        pass


def test_clusters_and_key_survive_a_restart_with_state(tmp_path: Path) -> None:
    state = tmp_path / "state"
    settings = SandboxSettings(create_seconds=0, state_dir=state, access_log=tmp_path / "requests.log")
    with running_sandbox(settings) as first:
        call(first, "POST", "/v1/core/clusters", body("kept"))
        before = call(first, "GET", "/v1/core/clusters/kept").json()
    with running_sandbox(settings) as second:
        assert second.env["GRID_API_KEY"] == first.env["GRID_API_KEY"]
        assert call(second, "GET", "/v1/core/clusters/kept").json() == before
        assert len(second.requests()) == 3
    assert state.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in state.iterdir()) == ["api-key", "control-plane.sqlite"]


def test_tls_serves_https_and_wss_under_one_certificate() -> None:
    with running_sandbox(SandboxSettings(tls=True, api_key=Secret("fixed-key"))) as running:
        assert running.control_plane_url.startswith("https://127.0.0.1:")
        assert call(running, "POST", "/v1/core/clusters", body("secure")).status_code == 200
        trusted = ssl.create_default_context(cafile=running.env["WEBSOCKET_CLIENT_CA_BUNDLE"])
        client = connect(socket_url(running, "secure", basic(running)), ssl_context=trusted)
        assert "queued" in frames(client)[0]["message"]
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(running.control_plane_url, timeout=10)
