# ruff: noqa: E501 - a table reads best with one case a line
"""Bad input of every kind: its exit status, words for it, no traceback, and nothing created or lost."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.conftest import Tool, World, stack_text

GOOD = stack_text("bad-input", role="{name: grid-bad-input}")


@dataclass(frozen=True)
class Case:
    """One bad input: the arguments, what surrounds them, and what must come of it."""

    name: str
    status: int
    words: tuple[str, ...]
    args: tuple[str, ...] = ("bootstrap", "--yes")
    text: str | bytes | None = GOOD
    env: dict[str, str | None] = field(default_factory=dict)
    before: Callable[[Tool], object] = lambda tool: None


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def role(text: str) -> str:
    return stack_text("bad-input", role=text)


def script(name: str, text: str) -> Callable[[Tool], object]:
    def write(tool: Tool) -> None:
        path = tool.write(f"#!/bin/sh\n{text}\n", name)
        path.chmod(0o755)

    return write


def lost_credentials(content: str | None) -> Callable[[Tool], object]:
    def write(tool: Tool) -> None:
        if content is not None:
            folder = Path(tool.env["HOME"], ".grid")
            folder.mkdir(mode=0o700)
            Path(folder, "credentials.json").write_text(content)

    return write


def journal_elsewhere(tool: Tool) -> None:
    work_dir = tool.directory / ".gridbyoc" / "bad-input"
    work_dir.mkdir(parents=True)
    (work_dir / "journal.jsonl").symlink_to("/dev/full")


NO_LOGIN = {"GRID_USER_ID": None, "GRID_USERNAME": None, "GRID_API_KEY": None}
NO_AWS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
OLD = 'case "$*" in *version*) echo \'{"terraform_version": "1.4.7"}\';; esac'

FILES = (
    Case("a bundle in clear, to nowhere", 2, ("--unencrypted", "--out"), args=("plan", "--unencrypted")),
    Case("missing file", 2, ("gridbyoc.yaml", "gridbyoc new"), text=None),
    Case("empty file", 2, ("empty",), text=""),
    Case("only a comment", 2, ("empty",), text="# nothing\n"),
    Case("a list", 2, ("mapping",), text="- a\n"),
    Case("broken YAML", 2, ("gridbyoc.yaml:",), text="version: 1\nname: [\n"),
    Case("binary file", 2, ("UTF-8",), text=b"\xff\xfe\x00\x01"),
    Case("duplicate key", 2, ("name",), text=GOOD + "name: other\n"),
    Case("unknown key", 2, ("regio", "region"), text=changed("region:", "regio:")),
    Case("unknown key deep down", 2, ("instance_type", "instance_types"), text=changed("instance_types", "instance_type")),
    Case("version 2", 2, ("version",), text=changed("version: 1", "version: 2")),
    Case("zone for a region", 2, ("us-east-1a", "us-east-1"), text=changed("us-east-1", "us-east-1a")),
    Case("unknown region", 2, ("us-east-9",), text=changed("us-east-1", "us-east-9")),
    Case("stack name", 2, ("name",), text=changed("name: bad-input\n", "name: ../bad\n")),
    Case("cluster name with a dot", 2, ("bad.input", "a-z"), text=changed("- name: bad-input", "- name: bad.input")),
    Case("cluster twice", 2, ("bad-input",), text=GOOD + "  - {name: bad-input, instance_types: [t2.medium]}\n"),
    Case("arm type", 2, ("t4g.medium", "t3.medium"), text=changed("t2.medium", "t4g.medium")),
    Case("no type at all", 2, ("t2medium",), text=changed("t2.medium", "t2medium")),
    Case(
        "negative count", 2, ("overprovisioned_ondemand_count", "0"),
        text=changed("[t2.medium]", "[{name: t2.medium, overprovisioned_ondemand_count: -1}]"),
    ),
    Case("short account id", 2, ("12 digits",), text=changed("region: us-east-1", 'region: us-east-1, account_id: "123"')),
    Case("boundary of another kind", 2, ("policy",), text=role("{permissions_boundary: 'arn:aws:iam::123456789012:role/x'}")),
    Case("role name", 2, ("role.name",), text=role("{name: 'grid role'}")),
    Case("session too long", 2, ("12",), text=role("{max_session_hours: 13}")),
    Case("secret in the file", 2, ("external_id_from",), text=role("{external_id: plain-text}")),
    Case("variable of the external id is not set", 2, ("NOT_SET",), text=role("{external_id_from: {env: NOT_SET}}")),
    Case("tag of AWS", 2, ("aws:",), text=role("{tags: {'aws:x': y}}")),
    Case("dead policy", 2, ("_v2",), text=role("{managed_policies: [AmazonGuardDutyFullAccess]}")),
    Case(
        "profile that lightning does not have", 2, ("performance",),
        text=GOOD + "control_plane: {type: lightning}\n",
    ),
)  # fmt: skip

FLAGS = (
    Case("unknown command", 2, ("No such command",), args=("bootstap",)),
    Case("unknown option", 2, ("No such option",), args=("bootstrap", "--yess")),
    Case("no duration", 2, ("not a duration",), args=("bootstrap", "--yes", "--timeout", "soon")),
    Case("no format", 2, ("xml",), args=("plan", "--format", "xml")),
    Case("--set without =", 2, ("--set",), args=("plan", "--set", "aws.region")),
    Case("--set of an unknown path", 2, ("aws.regio",), args=("plan", "--set", "aws.regio=x")),
    Case("--set of a secret", 2, ("external_id",), args=("plan", "--set", "role.external_id=x")),
    Case("nobody to ask", 2, ("--yes",), args=("bootstrap",)),
    Case("a directory for a file", 2, ("directory",), args=("validate", ".")),
    Case("register without an id", 2, ("external",), args=("register", "--role-arn", "arn:aws:iam::123456789012:role/x", "c")),
    Case("register with a bad ARN", 2, ("ARN",), args=("register", "--role-arn", "x", "--external-id-env", "HOME", "c")),
    Case("an address of another kind", 2, ("ftp",), args=("bootstrap", "--yes", "--url", "ftp://127.0.0.1")),
    Case("a cluster nobody has", 1, ("no-such",), args=("clusters", "get", "no-such")),
    Case("outputs before anything is applied", 1, ("bootstrap",), args=("outputs",)),
)  # fmt: skip

SURROUNDINGS = (
    Case("no Terraform where named", 1, ("no-terraform",), env={"GRIDBYOC_TERRAFORM_BIN": "/no-terraform"}),
    Case("Terraform too old", 1, ("1.4.7", "1.5"), env={"GRIDBYOC_TERRAFORM_BIN": "./old"}, before=script("old", OLD)),
    Case("no Terraform at all", 1, ("version",), env={"GRIDBYOC_TERRAFORM_BIN": "./odd"}, before=script("odd", "echo hi")),
    Case("provider mirror missing", 1, ("no-mirror",), env={"GRIDBYOC_PROVIDER_MIRROR": "/no-mirror"}),
    Case("control plane unreachable", 1, ("127.0.0.1:9",), args=("bootstrap", "--yes", "--url", "http://127.0.0.1:9")),
    Case("wrong key", 1, ("gridbyoc login",), env={"GRID_API_KEY": "wrong-key-canary"}),
    Case("no login at all", 1, ("gridbyoc login",), env=NO_LOGIN, before=lost_credentials(None)),
    Case("credentials file lost its content", 1, ("gridbyoc login",), env=NO_LOGIN, before=lost_credentials("")),
    Case("credentials file of another kind", 1, ("gridbyoc login",), env=NO_LOGIN, before=lost_credentials("[1]")),
    Case("no AWS credentials", 1, ("Log in",), env=NO_AWS),
    Case("unknown AWS profile", 1, ("nobody",), args=("bootstrap", "--yes", "--set", "aws.profile=nobody")),
    Case("AWS unreachable", 1, ("AWS could not be reached",), env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}),
    Case(
        "another account", 4, ("123456789012", "210987654321"),
        args=("bootstrap", "--yes", "--set", "aws.account_id='210987654321'"),
    ),
    Case(
        "a type that is not offered, in a pipeline", 4, ("::error file=gridbyoc.yaml,line=8,title=GBY-O003::",),
        args=("plan",), text=changed("t2.medium", "p3.2xlarge"),
        env={"GRIDBYOC_SKIP_PREFLIGHT": "", "GITHUB_ACTIONS": "true"},
    ),
    Case("work_dir is a file", 1, (".gridbyoc",), before=lambda tool: tool.write("", ".gridbyoc")),
    Case("journal leads elsewhere", 4, ("is a symbolic link", "`rm "), before=journal_elsewhere),
)  # fmt: skip


def names(cases: tuple[Case, ...]) -> list[str]:
    return [case.name for case in cases]


def try_it(case: Case, tool: Tool, world: World) -> None:
    if isinstance(case.text, bytes):
        (tool.directory / "gridbyoc.yaml").write_bytes(case.text)
    elif case.text is not None:
        tool.write(case.text)
    case.before(tool)
    clusters = world.clusters()
    done = tool(*case.args, status=case.status, **case.env)
    for word in case.words:
        assert word in done.text, f"{word!r} is not in:\n{done.text}"
    assert "Internal error in gridbyoc" not in done.text
    assert "wrong-key-canary" not in done.text
    assert world.roles("grid-bad-input") == []
    assert world.clusters() == clusters


@pytest.mark.parametrize("case", FILES, ids=names(FILES))
def test_stack_files(case: Case, tool: Tool, world: World) -> None:
    try_it(case, tool, world)


@pytest.mark.parametrize("case", FLAGS, ids=names(FLAGS))
def test_flags(case: Case, tool: Tool, world: World) -> None:
    try_it(case, tool, world)


@pytest.mark.parametrize("case", SURROUNDINGS, ids=names(SURROUNDINGS))
def test_surroundings(case: Case, tool: Tool, world: World) -> None:
    try_it(case, tool, world)


def test_the_table_is_long_enough() -> None:
    assert len(FILES + FLAGS + SURROUNDINGS) >= 50


@contextmanager
def answering(status: int, kind: str, body: bytes) -> Iterator[str]:
    """A server on loopback that gives everybody the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name http.server calls

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_control_plane_that_answers_html(tool: Tool, world: World) -> None:
    with answering(200, "text/html", b"<html><h1>Sign in to the proxy</h1></html>") as url:
        try_it(Case("html", 1, ("not the control plane",), args=("bootstrap", "--yes", "--url", url)), tool, world)


EXPIRED = (
    b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    b"<Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error>"
    b"<RequestId>x</RequestId></ErrorResponse>"
)


def test_an_expired_session(tool: Tool, world: World) -> None:
    with answering(403, "text/xml", EXPIRED) as url:
        case = Case("expired", 1, ("GBY-A103", "ExpiredToken", "Log in"), env={"AWS_ENDPOINT_URL": url})
        try_it(case, tool, world)


def test_a_reader_that_goes_away_is_no_error(tool: Tool) -> None:
    import subprocess

    command = f"{' '.join(tool.argv('schema'))} | head -c 10"
    ran = subprocess.run(["sh", "-c", command], env=tool.env, cwd=tool.directory, capture_output=True, text=True)
    assert ran.stderr == ""


def test_errors_as_json_carry_code_and_status(tool: Tool) -> None:
    tool.write(changed("us-east-1", "us-east-1a"))
    found = tool("validate", "--format", "json", status=2)
    assert "us-east-1" in found.out
    tool.write(GOOD)
    error = tool("bootstrap", "--yes", "--format", "json", status=1, GRID_API_KEY="wrong").objects[-1]
    assert error["type"] == "error"
    assert error["code"] == "GBY-C103"
    assert error["exit_status"] == 1
