"""HTTP over real sockets: retries, time-outs, TLS, proxies, redirects, and answers that are none."""

from __future__ import annotations

import base64
import socket
import time
import traceback
from pathlib import Path

import pytest

from gridbyoc import __version__
from gridbyoc.control_plane import connect
from gridbyoc.control_plane.connect import Limits
from gridbyoc.control_plane.failures import LostAnswerError
from gridbyoc.control_plane.http import RetryPatience
from gridbyoc.control_plane.model import Registrar
from gridbyoc.control_plane.transport import ANSWER_LIMIT
from gridbyoc.errors import (
    AuthenticationError,
    ClusterNotFoundError,
    ControlPlaneError,
    ControlPlaneUnreachableError,
    FileError,
    GridbyocError,
)
from gridbyoc.sandbox.running import make_tls_files
from gridbyoc.stack.model import ControlPlane
from tests.functional.fault_server import DROP, HTML, Reply, serving

KEY = "canary-api-key-0123456789"
ENV = {"GRID_USER_ID": "user-1", "GRID_API_KEY": KEY}
EMPTY = Reply({"clusters": []})
QUICK = Limits(connect=1.0, read=1.0, patience=RetryPatience(total=5.0, tries=3, first_pause=0.001))


def client(
    url: str, tmp_path: Path, *, limits: Limits = QUICK, plane: ControlPlane | None = None, **env: str
) -> Registrar:
    return connect(plane or ControlPlane(), url=url, environ={**ENV, **env}, home=tmp_path, limits=limits)


def test_headers_of_a_call(tmp_path: Path) -> None:
    with serving([EMPTY]) as server:
        client(server.url + "//", tmp_path).list()
    (request,) = server.requests
    assert request.target == "/v1/core/clusters?phaseNotIn=CLUSTER_STATE_DELETED"
    assert request.headers["User-Agent"] == f"gridbyoc/{__version__}"
    assert request.headers["Accept"] == request.headers["Content-Type"] == "application/json"
    scheme, token = request.headers["Authorization"].split()
    assert (scheme, base64.b64decode(token)) == ("Basic", f"user-1:{KEY}".encode())


@pytest.mark.parametrize(
    "fault", [DROP, Reply(cut="half"), *(Reply({}, status) for status in (429, 500, 502, 503, 504))]
)
def test_idempotent_calls_are_repeated(fault: Reply, tmp_path: Path) -> None:
    with serving([fault, fault, EMPTY]) as server:
        assert client(server.url, tmp_path).list() == ()
    assert len(server.requests) == 3


def test_retry_after_is_honoured_and_bounded_by_the_deadline(tmp_path: Path) -> None:
    naps: list[float] = []
    wait = Reply({"message": "slow down"}, 503, {"Retry-After": "7"})
    limits = Limits(patience=RetryPatience(total=10.0, tries=5))
    with serving([wait, EMPTY]) as server:
        connect(ControlPlane(), url=server.url, environ=ENV, home=tmp_path, limits=limits, sleep=naps.append).list()
    (nap,) = naps
    assert 7.0 <= nap <= 8.75
    late = Reply({"message": "closed for the night"}, 503, {"Retry-After": "3600"})
    with serving([late]) as server:
        began = time.monotonic()
        with pytest.raises(ControlPlaneError) as caught:
            client(server.url, tmp_path).list()
    assert time.monotonic() - began < 3
    assert len(server.requests) == 1
    assert "3600 s" in caught.value.fix
    assert caught.value.why == "closed for the night"


def test_a_refused_connection_says_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ControlPlaneUnreachableError, match="the connection was refused") as caught:
        client(url, tmp_path).list()
    assert not isinstance(caught.value, LostAnswerError)


def test_a_server_that_takes_no_connection(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for client_socket in waiting:
            client_socket.setblocking(False)
            client_socket.connect_ex(address)
        limits = Limits(connect=0.2, patience=RetryPatience(tries=1))
        with pytest.raises(ControlPlaneUnreachableError, match="no connection in time") as caught:
            client(f"http://127.0.0.1:{address[1]}", tmp_path, limits=limits).list()
        for client_socket in waiting:
            client_socket.close()
    assert not isinstance(caught.value, LostAnswerError)


def test_an_address_that_no_library_takes(tmp_path: Path) -> None:
    with pytest.raises(ControlPlaneUnreachableError, match="not valid"):
        client(f"http://{'a' * 70}.example", tmp_path).list()


def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    with pytest.raises(ControlPlaneUnreachableError, match="does not resolve"):
        client("http://control-plane.invalid", tmp_path).list()


@pytest.mark.parametrize("reply", [Reply(delay=30.0), Reply(cut="trickle")])
def test_the_deadline_holds_where_the_server_hangs_or_trickles(reply: Reply, tmp_path: Path) -> None:
    with serving([reply]) as server:
        registrar = client(
            server.url, tmp_path, limits=Limits(connect=1.0, read=20.0, patience=RetryPatience(total=20.0))
        )
        began = time.monotonic()
        with pytest.raises(LostAnswerError, match="no answer in time"):
            registrar.get("id-1", within=0.4)
        assert time.monotonic() - began < 2


def test_the_read_time_out(tmp_path: Path) -> None:
    limits = Limits(connect=1.0, read=0.2, patience=RetryPatience(total=5.0, tries=2, first_pause=0.001))
    with serving([Reply(delay=1.0)]) as server, pytest.raises(LostAnswerError, match="no answer in time"):
        client(server.url, tmp_path, limits=limits).list()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        HTML,
        Reply(b"[1, 2]"),
        Reply(b'{"clusters": [', headers={"Content-Type": "application/json"}),
        Reply(b"\xff\xfe\x00"),
    ],
)
def test_what_is_not_the_api_is_said_to_be_so(reply: Reply, tmp_path: Path) -> None:
    with serving([reply]) as server, pytest.raises(LostAnswerError, match="not the control plane's API") as caught:
        client(server.url, tmp_path).list()
    assert "GRID_URL" in caught.value.fix
    assert reply.headers.get("Content-Type", "application/json").split(";")[0] in caught.value.what


def test_an_html_error_page_of_a_proxy(tmp_path: Path) -> None:
    page = Reply(b"<html>Blocked</html>", 403, {"Content-Type": "text/html"})
    with serving([page]) as server, pytest.raises(LostAnswerError, match="HTTP 403, text/html"):
        client(server.url, tmp_path).list()


def test_an_answer_without_end_is_cut(tmp_path: Path) -> None:
    with serving([Reply(b" " * (ANSWER_LIMIT + 1))]) as server, pytest.raises(LostAnswerError, match="too long"):
        client(server.url, tmp_path).list()


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serving([EMPTY]) as other:
        away = Reply({}, 302, {"Location": f"{other.url}/login?next=secret"})
        with serving([away]) as server, pytest.raises(ControlPlaneUnreachableError, match="redirect") as caught:
            client(server.url, tmp_path).list()
    assert other.requests == []
    assert f"{other.url}/login." in caught.value.what
    assert "next=" not in caught.value.what


@pytest.mark.parametrize(
    "status, body, kind, words",
    [
        (401, {"code": 16, "message": "no such key"}, AuthenticationError, "does not accept"),
        (403, {"code": 7, "message": "not yours"}, AuthenticationError, "does not permit"),
        (404, {"code": 5, "message": "gone"}, ClusterNotFoundError, "no cluster with the id id-1"),
        (400, {"code": 3, "message": "bad", "details": ["a", {"message": "b"}, 7]}, ControlPlaneError, "bad; a; b"),
        (418, {}, ControlPlaneError, "418 I'm a Teapot"),
        (599, {}, ControlPlaneError, "answered 599"),
    ],
)
def test_error_bodies_in_words(
    status: int, body: object, kind: type[ControlPlaneError], words: str, tmp_path: Path
) -> None:
    with serving([Reply(body, status)]) as server, pytest.raises(kind) as caught:
        client(server.url, tmp_path).get("id-1")
    assert type(caught.value) is kind
    assert caught.value.http_status == status
    assert words in caught.value.what
    assert len(server.requests) == (1 if status != 500 else 3)


def test_server_text_is_cleaned_and_bounded(tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;pwned\x07red\u202e\n" + "x" * 5000
    with serving([Reply({"message": evil}, 400)]) as server, pytest.raises(ControlPlaneError) as caught:
        client(server.url, tmp_path).list()
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 700


def test_keys_that_a_server_echoes_are_redacted_everywhere(tmp_path: Path) -> None:
    token = base64.b64encode(f"user-1:{KEY}".encode()).decode()
    echo = Reply({"message": f"key {KEY} header Basic {token}"}, 400)
    with serving([echo]) as server, pytest.raises(ControlPlaneError) as caught:
        client(server.url, tmp_path).list()
    assert "key [secret] header Basic [secret]" in caught.value.what
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert KEY not in shown
    assert token not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_no_error_keeps_the_request_that_carries_the_key(tmp_path: Path) -> None:
    for reply in (DROP, HTML, Reply(cut="half"), Reply({}, 500), Reply({"clusters": 7})):
        with serving([reply]) as server, pytest.raises(GridbyocError) as caught:
            client(server.url, tmp_path).list()
        assert caught.value.__context__ is None


def test_tls_with_a_ca_bundle_of_the_stack_or_the_environment(tmp_path: Path) -> None:
    files = make_tls_files(tmp_path)
    with serving([EMPTY], tls=(files.certificate, files.key)) as server:
        with pytest.raises(ControlPlaneUnreachableError, match="certificate is not trusted") as caught:
            client(server.url, tmp_path).list()
        assert "ca_bundle" in caught.value.fix
        assert not isinstance(caught.value, LostAnswerError)
        assert client(server.url, tmp_path, REQUESTS_CA_BUNDLE=str(files.ca)).list() == ()
        named = ControlPlane(ca_bundle=files.ca)
        assert client(server.url, tmp_path, plane=named, REQUESTS_CA_BUNDLE="/does/not/exist").list() == ()


def test_a_ca_bundle_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"control_plane\.ca_bundle"):
        client("https://127.0.0.1:1", tmp_path, plane=ControlPlane(ca_bundle=tmp_path / "no.pem"))
    (tmp_path / "bad.pem").write_text("not a certificate")
    with pytest.raises(ControlPlaneUnreachableError):
        client("https://127.0.0.1:1", tmp_path, CURL_CA_BUNDLE=str(tmp_path / "bad.pem")).list()


def test_https_spoken_to_a_plain_server(tmp_path: Path) -> None:
    with serving([EMPTY]) as server, pytest.raises(ControlPlaneUnreachableError, match="TLS could not be set up"):
        client(server.url.replace("http:", "https:"), tmp_path).list()


def test_a_proxy_of_the_environment_is_used_but_not_for_loopback_nor_no_proxy(tmp_path: Path) -> None:
    with serving([EMPTY]) as proxy:
        far = "http://control-plane.invalid"
        assert client(far, tmp_path, http_proxy=proxy.url).list() == ()
        assert proxy.requests[0].target.startswith("http://control-plane.invalid/v1/")
        with serving([EMPTY]) as server:
            client(server.url, tmp_path, http_proxy=proxy.url).list()
            assert len(server.requests) == 1
        with pytest.raises(ControlPlaneUnreachableError, match="does not resolve"):
            client(far, tmp_path, http_proxy=proxy.url, NO_PROXY=".invalid").list()
    assert len(proxy.requests) == 1


def test_a_proxys_password_is_not_told(tmp_path: Path) -> None:
    password = "pass" + "-of-the-proxy"
    with pytest.raises(
        ControlPlaneUnreachableError, match="the proxy cannot be used: the connection was refused"
    ) as caught:
        client("http://control-plane.invalid", tmp_path, ALL_PROXY=f"http://me:{password}@127.0.0.1:9").list()
    assert password not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_that_wants_a_password_of_its_own(tmp_path: Path) -> None:
    with serving([Reply({}, 407)]) as proxy, pytest.raises(ControlPlaneUnreachableError, match="the proxy"):
        client("https://control-plane.invalid", tmp_path, https_proxy=proxy.url).list()
    assert proxy.requests[0].method == "CONNECT"
