"""A sandbox's mark, what is refused and ignored under it, and the start-up files of its shell."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner

from gridbyoc.cli.account import context, login
from gridbyoc.cli.app import App
from gridbyoc.control_plane.settings import resolve_url
from gridbyoc.errors import OutsideSandboxError, UsageError
from gridbyoc.sandbox.shell import shell_command
from gridbyoc.stack.load import read
from gridbyoc.stack.loopback import is_loopback
from gridbyoc.stack.model import S3Backend
from gridbyoc.stack.sandbox_mark import SANDBOX_MARK, check_environment

MARKED = {SANDBOX_MARK: "/tmp/s", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "GRID_URL": "http://127.0.0.1:2"}
FILE = """\
version: 1
name: mine
aws: {region: us-west-2, account_id: "999999999999", profile: admin}
clusters: [{name: mine}]
control_plane: {url: "https://platform.grid.ai"}
terraform: {backend: {s3: {bucket: b-b-b, key: k, region: us-west-2, profile: admin}}}
"""


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:5", True), ("https://localhost", True), ("http://[::1]:5", True),
        ("https://iam.amazonaws.com", False), ("http://127.0.0.1.example.com", False), ("127.0.0.1", False),
        ("http://[", False), ("", False), ("http://user@127.0.0.1@evil.example", False),
    ],
)  # fmt: skip
def test_loopback_is_known_by_its_address(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(
    "changed",
    [
        {"AWS_ENDPOINT_URL": ""},
        {"AWS_ENDPOINT_URL": "https://iam.amazonaws.com"},
        {"AWS_ENDPOINT_URL_IAM": "https://iam.amazonaws.com"},
        {"AWS_S3_ENDPOINT": "https://s3.amazonaws.com"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/x"},
    ],
)
def test_an_environment_that_leads_out_of_the_sandbox_is_refused(changed: dict[str, str]) -> None:
    check_environment(MARKED)
    check_environment({name: value for name, value in {**MARKED, **changed}.items() if name != SANDBOX_MARK})
    with pytest.raises(OutsideSandboxError, match="no longer leads to the sandbox"):
        check_environment({**MARKED, **changed})


def test_no_control_plane_but_the_sandboxs_is_used(tmp_path: Path) -> None:
    assert resolve_url("grid", None, None, MARKED, tmp_path) == "http://127.0.0.1:2"
    real = "https://platform.grid.ai"
    unset = {name: value for name, value in MARKED.items() if name != "GRID_URL"}
    for explicit, in_file, environ in ((real, None, MARKED), (None, real, MARKED), (None, None, unset)):
        with pytest.raises(OutsideSandboxError):
            resolve_url("grid", explicit, in_file, environ, tmp_path)
        assert resolve_url("grid", explicit, in_file, {}, tmp_path) == real


@pytest.mark.parametrize("args", [("login", "--username", "ada"), ("context", "ml")])
def test_the_users_own_login_stays_as_it_is(args: tuple[str, ...], tmp_path: Path) -> None:
    environ = {**MARKED, "GRID_API_KEY": "key", "GRID_USER_ID": "user"}
    app = App(environ, tmp_path, tmp_path, io.StringIO(), io.StringIO(), io.StringIO())
    command = {"login": login, "context": context}[args[0]]
    with pytest.raises(OutsideSandboxError, match="stay as they are"):
        CliRunner().invoke(command, list(args[1:]), obj=app, standalone_mode=False, catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_the_users_accounts_in_a_stack_file_are_ignored_in_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FILE)
    loaded = read(tmp_path / "mine.yaml", environ=MARKED)
    aws, backend = loaded.stack.aws, loaded.stack.terraform.backend
    assert (aws.account_id, aws.profile, aws.region, loaded.stack.control_plane.url) == (None, None, "us-west-2", None)
    assert isinstance(backend, S3Backend)
    assert (backend.bucket, backend.profile) == ("b-b-b", None)
    ignored = [warning.path for warning in loaded.warnings if "ignored in the sandbox" in warning.message]
    assert ignored == ["aws.account_id", "aws.profile", "control_plane.url", "terraform.backend.s3.profile"]
    outside = read(tmp_path / "mine.yaml", environ={})
    assert (outside.stack.aws.account_id, outside.warnings) == ("999999999999", ())


@pytest.mark.parametrize(
    ("shell", "argument", "variable"),
    [
        ("/bin/bash", "--rcfile", None),
        ("/usr/bin/zsh", "-i", "ZDOTDIR"),
        ("/usr/bin/fish", "--init-command", None),
        ("/bin/dash", "-i", "ENV"),
        ("", "-i", "ENV"),
    ],
)
def test_each_shell_gets_the_variables_after_its_own_files(
    shell: str, argument: str, variable: str | None, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    found = shell_command({"SHELL": shell}, MARKED, files, tmp_path / "bin", tmp_path)
    assert found.argv[0] == (shell or "/bin/sh")
    assert argument in found.argv
    assert set(found.env) == ({variable} if variable else set())
    text = "".join(path.read_text() for path in files.iterdir())
    assert "AWS_ENDPOINT_URL" in text
    assert "(sandbox) " in text


def test_a_shell_with_unknown_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Your shell is /bin/csh"):
        shell_command({"SHELL": "/bin/csh"}, MARKED, tmp_path / "files", tmp_path, tmp_path)
