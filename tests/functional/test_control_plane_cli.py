"""The commands that speak to the control plane: login, context, clusters, register."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gridbyoc.cli.app import App
from gridbyoc.cli.main import cli
from gridbyoc.errors import (
    ApprovalRequiredError,
    AuthenticationError,
    ClusterFailedError,
    ClusterNotFoundError,
    ExitStatus,
    FileError,
    GridbyocError,
    UnsupportedByDialectError,
    UntrustedAddressError,
    UsageError,
    WaitTimedOutError,
)
from tests.functional.fault_server import HTML, Reply, Server, serving
from tests.functional.plane import Plane
from tests.json_outputs import check_outputs

KEY = "key-canary-98765"
CANARY = "canary-external-id-77"
ROLE = "arn:aws:iam::123456789012:role/grid-cloud-x"


@dataclass
class Tool:
    """gridbyoc in this process, with an outside of its own, against a control plane in memory."""

    directory: Path
    server: Server
    plane: Plane
    env: dict[str, str]
    out: str = ""
    err: str = ""

    def __call__(self, *args: str, stdin: str = "", answers: str | None = None, **env: str | None) -> None:
        merged = {name: value for name, value in {**self.env, **env}.items() if value is not None}
        streams = io.StringIO(), io.StringIO()
        app = App(
            merged,
            self.directory / "home",
            self.directory,
            io.StringIO(stdin),
            *streams,
            interactive=answers is not None,
        )
        result = CliRunner().invoke(cli, [*args], obj=app, input=answers, standalone_mode=False)
        self.out, self.err = streams[0].getvalue(), streams[1].getvalue() + result.output
        for text in (self.out, self.err):
            assert KEY not in text
            assert CANARY not in text
        if result.exception:
            raise result.exception
        check_outputs(args, self.out)

    def fails(self, kind: type[BaseException], *args: str, **given: Any) -> Any:
        with pytest.raises(kind) as caught:
            self(*args, **given)
        return caught.value


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    plane = Plane(phase="CLUSTER_STATE_RUNNING")
    (tmp_path / "home").mkdir()
    with serving(plane) as server:
        env = {"GRID_URL": server.url, "GRID_USER_ID": "user-1", "GRID_API_KEY": KEY, "EXT": CANARY,
               "TERM": "dumb"}  # fmt: skip
        yield Tool(tmp_path, server, plane, env)


REGISTER = ("register", "ml", "--role-arn", ROLE, "--external-id-env", "EXT")


def test_register_list_get_and_wait(tool: Tool) -> None:
    tool("clusters", "list")
    assert "There are no clusters" in tool.err
    tool(*REGISTER, "--region", "eu-west-1", "--instance-types", "t3.large, m5.large", "--cost-savings", "--wait")
    assert "The cluster ml (id-1) was created" in tool.err
    assert "wait: done" in tool.err
    assert "status = running" in tool.out
    (body,) = [request.json for request in tool.server.requests if request.method == "POST"]
    assert body["spec"]["driver"]["kubernetes"]["aws"] == {
        "externalId": CANARY,
        "instanceTypes": [{"name": "t3.large"}, {"name": "m5.large"}],
        "region": "eu-west-1",
        "roleArn": ROLE,
    }
    assert body["spec"]["performanceProfile"] == "CLUSTER_PERFORMANCE_PROFILE_COST_SAVING"
    tool(*REGISTER)
    assert "used as it is" in tool.err
    assert "region: eu-west-1 -> us-east-1" in tool.err
    tool("clusters", "list")
    assert tool.out.split() == [
        "id",
        "name",
        "type",
        "status",
        "created",
        "id-1",
        "ml",
        "byoc",
        "running",
        "2026-01-02",
        "03:04",
        "UTC",
    ]
    for name in ("ml", "id-1"):
        tool("clusters", "get", name)
        assert "external_id = [secret]" in tool.out
        assert "instance_types = t3.large (offered), m5.large (offered)" in tool.out
    tool("clusters", "wait", "ml")
    assert "status = running" in tool.out


def test_json_everywhere(tool: Tool) -> None:
    tool(*REGISTER, "--wait", "--format", "jsonl")
    lines = [json.loads(line) for line in tool.out.splitlines()]
    assert lines[0]["type"] == "note"
    assert lines[-1]["cluster"]["status"] == "running"
    tool(*REGISTER, "--wait", "--format", "json")
    assert json.loads(tool.out) == lines[-1]
    assert "existed already" in tool.err
    tool("clusters", "list", "--format", "json")
    assert [cluster["name"] for cluster in json.loads(tool.out)["clusters"]] == ["ml"]
    tool("clusters", "get", "ml", "--format", "json")
    assert json.loads(tool.out)["cluster"]["role_arn"] == ROLE
    tool("clusters", "wait", "ml", "--format", "json")
    assert json.loads(tool.out)["cluster"]["id"] == "id-1"
    tool("context", "ml", "--format", "json")
    assert json.loads(tool.out)["context"] == "id-1"
    tool("context", "--format", "json")
    assert json.loads(tool.out) == {"type": "context", "context": "id-1", "name": None, "file": None}
    tool("login", "--username", "ada", "--format", "json")
    assert json.loads(tool.out)["user_id"] == "user-1"


def test_a_terminating_cluster_is_shown_as_such(tool: Tool) -> None:
    tool(*REGISTER)
    tool.plane.clusters["id-1"]["spec"]["desiredState"] = "CLUSTER_STATE_DELETED"
    tool("clusters", "list")
    assert "terminating" in tool.out
    assert tool.fails(ClusterFailedError, "clusters", "wait", "ml").exit_status is ExitStatus.CLUSTER_FAILED
    error = tool.fails(WaitTimedOutError, "clusters", "wait", "ml", "--for", "deleted", "--timeout", "0s")
    assert error.exit_status is ExitStatus.TIMED_OUT
    tool.plane.clusters.clear()
    tool("clusters", "wait", "ml", "--for", "deleted")
    assert "There is no cluster named ml" in tool.err
    assert "'ml'" in tool.fails(ClusterNotFoundError, "clusters", "wait", "ml").what


def test_a_failed_cluster_and_the_grace_of_each_dialect(tool: Tool) -> None:
    tool.plane.phase = "CLUSTER_STATE_FAILED"
    tool(*REGISTER)
    tool.plane.clusters["id-1"]["status"]["reason"] = f"\x1b[31mcannot assume with {CANARY}"
    error = tool.fails(ClusterFailedError, "clusters", "wait", "ml")
    assert "cannot assume with [secret]" in error.what
    lightning = {"LIGHTNING_CLOUD_URL": tool.server.url, "LIGHTNING_USER_ID": "u", "LIGHTNING_API_KEY": KEY}
    wait = ("clusters", "wait", "ml", "--control-plane", "lightning", "--timeout", "0.2s")
    tool.fails(WaitTimedOutError, *wait, **lightning)
    tool.fails(ClusterFailedError, *wait, "--failed-grace", "0", **lightning)


def test_trouble_while_waiting_is_a_line_and_no_end(tool: Tool) -> None:
    tool(*REGISTER)
    listed = Reply({"clusters": list(tool.plane.clusters.values())})
    tool.plane.faults += [("GET", listed, False), ("GET", HTML, False)]
    tool("clusters", "wait", "ml", "--poll-interval", "0.05s")
    assert "warning: http://127.0.0.1" in tool.err
    assert "text/html" in tool.err
    assert "status = running" in tool.out


def deletions(tool: Tool) -> list[str]:
    return [request.path for request in tool.server.requests if request.method == "DELETE"]


def test_a_cluster_is_deleted_after_an_approval_unless_the_stack_file_lists_it(tool: Tool) -> None:
    tool(*REGISTER)
    file = tool.directory / "gridbyoc.yaml"
    file.write_text("version: 1\nname: x\naws: {region: us-east-1}\nclusters:\n  - name: other\n  - name: ml\n")
    refused = tool.fails(UsageError, "clusters", "delete", "ml", "--yes-destroy")
    assert "gridbyoc.yaml:6" in str(refused)
    assert "bootstrap --yes-destroy" in refused.fix
    file.write_text(file.read_text().replace("  - name: ml\n", ""))
    tool.fails(ApprovalRequiredError, "clusters", "delete", "ml")
    tool.fails(ApprovalRequiredError, "clusters", "delete", "ml", answers="yes\n")
    assert deletions(tool) == []
    tool("clusters", "delete", "ml", "--no-wait", answers="ml\n")
    assert len(deletions(tool)) == 1
    assert "The cluster ml is being deleted." in tool.err
    tool.fails(WaitTimedOutError, "clusters", "delete", "ml", "--timeout", "0.2s", "--poll-interval", "0.05s")
    assert len(deletions(tool)) == 1  # it is on its way: nobody is asked, and nothing asked for, again
    tool.plane.clusters.clear()
    tool.fails(ClusterNotFoundError, "clusters", "delete", "ml", "--yes-destroy")


@pytest.mark.parametrize(
    "args, kind, words",
    [
        (("--external-id-file", "x"), UsageError, "cannot go together"),
        (("--role-arn", "arn"), UsageError, "not the ARN"),
        (("--region", "us-west-2a"), UsageError, "is a zone"),
        (("--instance-types", " , "), UsageError, "--instance-types is empty"),
        (("--instance-types", "t3"), UnsupportedByDialectError, "not an instance type"),
        (("--instance-types", "m6g.large"), UnsupportedByDialectError, "Arm"),
        (("--instance-types", "t3.large,t3.large"), UsageError, "twice"),
        (("--external-id-env", "NOT_SET"), UsageError, "that --external-id-env names holds no external id"),
        (("--url", "ftp://x"), UsageError, "--url"),
        (("--stack", "none.yaml"), GridbyocError, "none.yaml"),
    ],
)
def test_bad_registrations_send_nothing(
    tool: Tool, args: tuple[str, ...], kind: type[GridbyocError], words: str
) -> None:
    assert words in tool.fails(kind, *REGISTER, *args).what
    assert tool.server.requests == []


def test_the_external_id_from_a_file_standard_input_or_a_question(tool: Tool) -> None:
    base = REGISTER[:4]
    (tool.directory / "id.txt").write_text(CANARY + "\n")
    tool(*base, "--external-id-file", "id.txt")
    tool.plane.clusters.clear()
    tool(*base, "--external-id-file", "-", stdin=CANARY + "\n")
    tool.plane.clusters.clear()
    tool(*base, answers=CANARY + "\n")
    bodies = [request.json for request in tool.server.requests if request.method == "POST"]
    assert [body["spec"]["driver"]["kubernetes"]["aws"]["externalId"] for body in bodies] == [CANARY] * 3
    (tool.directory / "empty").touch()
    (tool.directory / "bytes").write_bytes(b"\xff\xfe")
    assert "is empty" in tool.fails(UsageError, *base, "--external-id-file", "empty").what
    assert "UTF-8" in tool.fails(FileError, *base, "--external-id-file", "bytes").what
    assert "No such file" in tool.fails(FileError, *base, "--external-id-file", "missing").what
    assert "no terminal" in tool.fails(UsageError, *base).what


def editor(tool: Tool, code: str) -> str:
    """An EDITOR that runs ``code`` on ``text``, the file's content, and writes what becomes of it."""
    script = tool.directory / "editor.py"
    script.write_text(f"import sys; p = sys.argv[1]; text = open(p).read()\n{code}\nopen(p, 'w').write(text)\n")
    return f"{sys.executable} {script}"


def test_edit_before_creation(tool: Tool) -> None:
    seen = tool.directory / "seen"
    code = f"open({str(seen)!r}, 'w').write(text); text = text.replace('t3.2xlarge', 'm5.large')"
    tool(*REGISTER, "--edit-before-creation", VISUAL=editor(tool, code))
    assert CANARY not in seen.read_text()
    assert "instance_types[m5.large].name: (absent) -> m5.large" in tool.err
    aws = next(iter(tool.plane.clusters.values()))["spec"]["driver"]["kubernetes"]["aws"]
    assert (aws["instanceTypes"][-1], aws["externalId"]) == ({"name": "m5.large"}, CANARY)
    tool.plane.clusters.clear()
    tool(*REGISTER, "--edit-before-creation", EDITOR=editor(tool, ""))
    assert "The request is unchanged" in tool.err
    assert len(tool.plane.clusters) == 1


@pytest.mark.parametrize(
    "broken",
    ["text = '{'", "text = text.replace('role_arn', 'role_am')", "sys.exit(3)", "text = b'\\xff'.decode('latin1')"],
)
def test_an_edit_that_cannot_be_sent(tool: Tool, broken: str) -> None:
    error = tool.fails(UsageError, *REGISTER, "--edit-before-creation", EDITOR=editor(tool, broken))
    assert "role_arn?" in error.fix or "not JSON" in error.what or "status 3" in error.what
    assert tool.plane.posts == 0


def test_editors_that_are_none(tool: Tool) -> None:
    for line in ("no-such-editor-anywhere", "'unclosed"):
        assert "failed" in tool.fails(UsageError, *REGISTER, "--edit-before-creation", EDITOR=line).what
    assert "no terminal" in tool.fails(UsageError, *REGISTER, "--edit-before-creation").what
    binary = editor(tool, "open(p, 'wb').write(b'\\xff'); sys.exit(0)")
    tool.fails(FileError, *REGISTER, "--edit-before-creation", EDITOR=binary)
    assert tool.plane.posts == 0


def test_login_and_what_follows_need_no_environment(tool: Tool) -> None:
    bare: dict[str, Any] = {"GRID_USER_ID": None, "GRID_API_KEY": None, "GRID_URL": None}
    (tool.directory / "key").write_text(KEY + "\n")
    tool("login", "--username", "ada", "--key-file", "key", "--url", tool.server.url, **bare)
    assert "Logged in as ada (user-1)" in tool.out
    tool("clusters", "list", **bare)
    (tool.directory / "home/.grid/credentials.json").chmod(0o644)
    tool("clusters", "list", **bare)
    assert "warning" in tool.err
    assert "chmod 600" in tool.err
    tool("login", "--key-stdin", stdin=KEY, **{**bare, "GRID_USERNAME": "ada", "GRID_URL": tool.server.url})
    tool("login", answers=f"ada\n{KEY}\n", **{**bare, "GRID_URL": tool.server.url})
    assert tool.server.requests[-3].json == {"apiKey": KEY, "username": "ada"}
    tool("login", "--username", "ada")
    assert "override what was just stored" in tool.err


def test_logins_that_fail(tool: Tool) -> None:
    bare: dict[str, Any] = {"GRID_USER_ID": None, "GRID_API_KEY": None}
    tool.fails(UsageError, "login", **bare)
    tool.fails(UsageError, "login", "--username", "a", **bare)
    tool.fails(UsageError, "login", "--username", "a", "--key-file", "x", "--key-stdin", **bare)
    assert "No user name was given" in tool.fails(UsageError, "login", answers=" \n", **bare).what
    tool.fails(AuthenticationError, "login", "--username", "a", GRID_API_KEY="wrong")
    assert list((tool.directory / "home").iterdir()) == []


def test_context(tool: Tool) -> None:
    tool("context")
    assert "No default cluster is set" in tool.out
    tool.fails(ClusterNotFoundError, "context", "ml")
    tool(*REGISTER)
    tool("context", "ml", GRID_CLUSTER_ID="other")
    assert "The default cluster is ml (id-1)" in tool.out
    assert "GRID_CLUSTER_ID=other in the environment overrides" in tool.err
    tool("context")
    assert tool.out.strip() == "id-1"
    tool.fails(UnsupportedByDialectError, "context", "ml", "--control-plane", "lightning")


def test_the_stack_file_names_the_control_plane(tool: Tool) -> None:
    text = (
        f"version: 1\nname: demo\naws: {{region: us-east-1}}\nclusters: [{{name: ml}}]\n"
        f"control_plane: {{type: lightning, url: '{tool.server.url}'}}\n"
    )
    (tool.directory / "gridbyoc.yaml").write_text(text)
    env = {"LIGHTNING_USER_ID": "u", "LIGHTNING_API_KEY": KEY}
    refused = tool.fails(UntrustedAddressError, "clusters", "list", **env)
    assert refused.exit_status is ExitStatus.PREFLIGHT_BLOCKED
    assert f"`export LIGHTNING_CLOUD_URL={tool.server.url}`" in refused.fix
    assert tool.server.requests == []
    env["LIGHTNING_CLOUD_URL"] = tool.server.url
    tool("clusters", "list", **env)
    assert tool.server.requests[-1].target == "/v1/core/clusters"
    tool("clusters", "list", "--control-plane", "grid", **env)
    assert "phaseNotIn" in tool.server.requests[-1].target
    tool(*REGISTER, **env)
    assert next(iter(tool.plane.clusters.values()))["spec"]["driver"] == "AWS"


def test_a_key_is_not_typed_for_an_address_that_only_a_stack_file_names(tool: Tool) -> None:
    text = "version: 1\nname: demo\nclusters: [{name: ml}]\ncontrol_plane: {url: https://evil.example}\n"
    (tool.directory / "gridbyoc.yaml").write_text(text)
    bare = {"GRID_URL": None, "GRID_USER_ID": None}
    refused = tool.fails(UntrustedAddressError, "login", "--username", "ada", **bare)
    assert "https://evil.example" in refused.what
    assert tool.server.requests == []
    assert list((tool.directory / "home").iterdir()) == []
    tool("login", "--username", "ada", "--url", tool.server.url, **bare)
    tool.fails(UntrustedAddressError, "clusters", "list", **bare)
    (tool.directory / "gridbyoc.yaml").write_text(text.replace("https://evil.example", f"{tool.server.url}/"))
    tool("clusters", "list", **bare, GRID_API_KEY=None)
    assert tool.server.requests[-1].path == "/v1/core/clusters"


def test_as_a_process_netrc_does_not_win_and_errors_have_their_status(tool: Tool) -> None:
    home = tool.directory / "home"
    (home / ".netrc").write_text("machine 127.0.0.1 login wrong password wrong\n")
    (home / ".netrc").chmod(0o600)
    base = {name: value for name, value in os.environ.items() if not name.startswith(("GRID", "LIGHTNING", "HTTP"))}

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "gridbyoc", *args]
        whole = {**base, **tool.env, "HOME": str(home), **env}
        return subprocess.run(
            argv, env=whole, cwd=tool.directory, capture_output=True, text=True, check=False, timeout=60
        )

    assert run("clusters", "list").returncode == 0
    assert tool.server.requests[-1].headers["Authorization"].startswith("Basic dXNlci0x")
    half = run("clusters", "list", GRID_API_KEY="")
    assert half.returncode == 1
    assert "error[GBY-C003]" in half.stderr
    assert "Traceback" not in half.stderr
