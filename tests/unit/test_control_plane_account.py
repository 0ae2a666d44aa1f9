"""Where address and credentials come from, and which wins."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridbyoc.control_plane import connect
from gridbyoc.control_plane.credentials import ApiCredentials, Username, resolve_credentials
from gridbyoc.control_plane.settings import (
    check_grant,
    check_unique,
    credentials_path,
    read_user_file,
    resolve_url,
    update_user_file,
)
from gridbyoc.errors import AuthenticationError, ExitStatus, FileError, UntrustedAddressError, UsageError
from gridbyoc.stack.model import ControlPlane, DialectName
from gridbyoc.stack.secret import Secret
from tests.unit.fakes import ROLE

CANARY = "canary-key-000"


def put(path: Path, content: Any, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(mode)
    return path


def grid_file(home: Path, **fields: Any) -> Path:
    return put(credentials_path("grid", home), {"UserID": "file-id", "APIKey": CANARY, **fields})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    grid_file(tmp_path)
    env = {"GRID_USER_ID": "env-id", "GRID_API_KEY": "env-key", "GRID_USERNAME": "ada"}
    found = resolve_credentials("grid", env, tmp_path)
    assert found == ApiCredentials("env-id", Secret("env-key"), "GRID_USER_ID and GRID_API_KEY")
    named = resolve_credentials("grid", {"GRID_USERNAME": "ada", "GRID_API_KEY": "env-key"}, tmp_path)
    assert named == Username("ada", Secret("env-key"), "GRID_USERNAME and GRID_API_KEY")
    found = resolve_credentials("lightning", {"LIGHTNING_USER_ID": "l", "LIGHTNING_API_KEY": "k"}, tmp_path)
    assert isinstance(found, ApiCredentials)
    assert found.user_id == "l"


def test_the_files_of_both_clients(tmp_path: Path) -> None:
    path = grid_file(tmp_path)
    assert resolve_credentials("grid", {"GRID_USERNAME": "ada"}, tmp_path) == ApiCredentials(
        "file-id", Secret(CANARY), str(path)
    )
    put(credentials_path("lightning", tmp_path), {"username": "ada", "user_id": "l-id", "api_key": "k\n"})
    found = resolve_credentials("lightning", {}, tmp_path)
    assert found == ApiCredentials("l-id", Secret("k"), str(credentials_path("lightning", tmp_path)))
    assert CANARY not in repr(resolve_credentials("grid", {}, tmp_path))


@pytest.mark.parametrize(
    ("env", "file", "found"),
    [
        ({"LIGHTNING_API_KEY": "k"}, None, ApiCredentials(None, Secret("k"), "LIGHTNING_API_KEY")),
        (
            {"LIGHTNING_USER_ID": "u", "LIGHTNING_API_KEY": "k", "LIGHTNING_AUTH_TOKEN": "t"}, None,
            ApiCredentials(None, Secret("t"), "LIGHTNING_AUTH_TOKEN"),
        ),
        ({}, {"user_id": "", "api_key": "k"}, ApiCredentials(None, Secret("k"), "FILE")),
        ({}, {"user_id": "u", "api_key": "k", "auth_token": "t"}, ApiCredentials(None, Secret("t"), "FILE")),
        ({}, {"user_id": "u", "api_key": "k", "auth_token": ""}, ApiCredentials("u", Secret("k"), "FILE")),
        ({"LIGHTNING_CREDENTIAL_PATH": "kept.json"}, None, ApiCredentials("there", Secret("k"), "KEPT")),
    ],
)  # fmt: skip
def test_lightnings_tokens_as_its_own_client_takes_them(
    env: dict[str, str], file: dict[str, str] | None, found: ApiCredentials, tmp_path: Path
) -> None:
    kept = put(tmp_path / "kept.json", {"user_id": "there", "api_key": "k"})
    path = credentials_path("lightning", tmp_path)
    put(path, file or {"user_id": "not-this", "api_key": "not-this"})
    env = {name: str(kept) if value == "kept.json" else value for name, value in env.items()}
    source = {"FILE": str(path), "KEPT": str(kept)}.get(found.source, found.source)
    assert resolve_credentials("lightning", env, tmp_path) == replace(found, source=source)


@pytest.mark.parametrize("mode, warned", [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_a_warning(mode: int, warned: bool, tmp_path: Path) -> None:
    path = grid_file(tmp_path)
    path.chmod(mode)
    found = resolve_credentials("grid", {}, tmp_path)
    assert isinstance(found, ApiCredentials)
    assert bool(found.warnings) is warned
    told: list[str] = []
    connect(ControlPlane(), url="http://example.com", environ={}, home=tmp_path, on_warning=told.append)
    assert [("chmod 600" in text, "unencrypted" in text) for text in told] == [(True, False)] * warned + [(False, True)]
    connect(ControlPlane(), url="http://127.0.0.1:1", environ={}, home=tmp_path)


@pytest.mark.parametrize(
    "env", [{"GRID_USER_ID": "x"}, {"GRID_API_KEY": CANARY}, {"GRID_API_KEY": CANARY, "GRID_USER_ID": " "}]
)
def test_half_an_environment_is_an_error(env: dict[str, str], tmp_path: Path) -> None:
    grid_file(tmp_path)
    with pytest.raises(AuthenticationError, match="but not") as caught:
        resolve_credentials("grid", env, tmp_path)
    assert CANARY not in str(vars(caught.value))


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "not valid JSON"), (b"{", "not valid JSON"), (b"\xff\xff", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        ({}, "UserID is missing"), ({"UserID": "x"}, "APIKey is missing"),
        ({"UserID": "x", "APIKey": 3}, "APIKey is missing"),
        ({"UserID": " ", "APIKey": "y"}, "UserID is missing"), ((CANARY + "{").encode(), "not valid JSON"),
    ],
)  # fmt: skip
def test_a_corrupt_file_is_an_error_in_words(content: Any, why: str, tmp_path: Path) -> None:
    put(credentials_path("grid", tmp_path), content)
    with pytest.raises(AuthenticationError, match="cannot be used") as caught:
        resolve_credentials("grid", {}, tmp_path)
    assert why in caught.value.why
    assert "gridbyoc login" in caught.value.fix
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + str(vars(caught.value))


def test_no_file_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match="no credentials") as caught:
        resolve_credentials("lightning", {}, tmp_path)
    assert "LIGHTNING_USER_ID" in caught.value.fix
    credentials_path("grid", tmp_path).mkdir(parents=True)
    with pytest.raises(AuthenticationError) as caught:
        resolve_credentials("grid", {}, tmp_path)
    assert "cannot be read" in caught.value.why


@pytest.mark.parametrize("user_id", ["a:b", "a\x00b", "a\x1b[0m"])
def test_an_id_that_would_change_the_header(user_id: str, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match="is not valid"):
        resolve_credentials("grid", {"GRID_USER_ID": user_id, "GRID_API_KEY": "k"}, tmp_path)


def test_where_the_address_comes_from(tmp_path: Path) -> None:
    assert resolve_url("grid", None, None, {}, tmp_path) == "https://platform.grid.ai"
    assert resolve_url("lightning", None, None, {}, tmp_path) == "https://lightning.ai"
    put(tmp_path / ".grid/settings.json", {"grid_url": "https://settings/"})
    assert resolve_url("grid", None, None, {}, tmp_path) == "https://settings"
    assert resolve_url("lightning", None, None, {"GRID_URL": "https://no"}, tmp_path) == "https://lightning.ai"
    env = {"GRID_URL": "https://env/", "LIGHTNING_CLOUD_URL": "https://cloud"}
    assert resolve_url("grid", None, None, env, tmp_path) == "https://env"
    assert resolve_url("lightning", None, None, env, tmp_path) == "https://cloud"
    put(credentials_path("lightning", tmp_path), {"url": "https://kept/"})
    assert resolve_url("lightning", None, None, {}, tmp_path) == "https://kept"
    assert resolve_url("grid", None, "https://settings", env, tmp_path) == "https://settings"
    assert resolve_url("grid", "https://flag", "https://stack", env, tmp_path) == "https://flag"


@pytest.mark.parametrize("dialect", ["grid", "lightning"])
def test_a_stack_files_address_gets_the_key_only_where_the_user_names_it_too(
    dialect: DialectName, tmp_path: Path
) -> None:
    own, variable = {
        "grid": ("https://platform.grid.ai", "GRID_URL"),
        "lightning": ("https://lightning.ai", "LIGHTNING_CLOUD_URL"),
    }[dialect]
    stored = (tmp_path / ".grid/settings.json") if dialect == "grid" else credentials_path(dialect, tmp_path)
    name = "grid_url" if dialect == "grid" else "url"

    def told(url: str, **env: str) -> str:
        return resolve_url(dialect, None, url, env, tmp_path)

    assert told(own) == own
    assert told(f"{own}:443/") == f"{own}:443"
    assert told("https://Corp.example/x/", **{variable: "https://corp.example:443/x"}) == "https://corp.example/x"
    for url in ("https://evil.example", own.replace("https", "http"), f"{own}.evil.example", f"{own}:444", f"{own}/x"):
        with pytest.raises(UntrustedAddressError, match=url) as caught:
            told(url)
        assert caught.value.exit_status is ExitStatus.PREFLIGHT_BLOCKED
        assert f"`export {variable}={url}`" in caught.value.fix
        with pytest.raises(UntrustedAddressError) as caught:
            told(url, **{variable: "https://corp.example"})
        assert f'`--url "${variable}"`' in caught.value.fix
        assert resolve_url(dialect, url, url, {}, tmp_path) == url
    put(stored, {name: "https://corp.example/"})
    assert told("https://corp.example") == "https://corp.example"
    for kept in (b"{", {name: 3}, {name: "not a url"}, {name: "https://other"}):
        put(stored, kept)
        with pytest.raises(UntrustedAddressError):
            told("https://corp.example", **{variable: "not a url"})


def test_credentials_of_the_environment_need_no_file_that_can_be_read(tmp_path: Path) -> None:
    put(credentials_path("lightning", tmp_path), b"{")
    assert resolve_url("lightning", None, None, {}, tmp_path) == "https://lightning.ai"


def test_an_address_that_cannot_be_used_says_where_it_came_from(tmp_path: Path) -> None:
    for flag, stack, env, words in (
        ("x", None, {}, "--url"),
        (None, "x", {}, "control_plane.url"),
        (None, None, {"GRID_URL": "x"}, "GRID_URL"),
    ):
        with pytest.raises(UsageError, match=words):
            resolve_url("grid", flag, stack, env, tmp_path)
    put(tmp_path / ".grid/settings.json", {"grid_url": "x"})
    with pytest.raises(UsageError, match=r"settings\.json"):
        resolve_url("grid", None, None, {}, tmp_path)
    put(tmp_path / ".grid/settings.json", b"{")
    with pytest.raises(FileError, match="not valid JSON"):
        resolve_url("grid", None, None, {}, tmp_path)
    assert resolve_url("grid", "https://flag", None, {}, tmp_path) == "https://flag"


def test_other_keys_of_a_file_survive_and_a_corrupt_one_is_written_anew(tmp_path: Path) -> None:
    path = put(tmp_path / ".grid" / "settings.json", {"theme": "dark", "context": "old"}, 0o644)
    update_user_file(path, {"context": "new"})
    assert json.loads(path.read_text()) == {"theme": "dark", "context": "new"}
    assert path.stat().st_mode & 0o777 == 0o600
    put(path, b"{")
    update_user_file(path, {"context": "new"})
    assert read_user_file(path).values == {"context": "new"}


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = put(tmp_path / "home", b"a file")
    with pytest.raises(FileError):
        update_user_file((blocked / ".grid/settings.json"), {})
    directory = tmp_path / ".grid/settings.json"
    directory.mkdir(parents=True)
    with pytest.raises(FileError, match="cannot be read"):
        update_user_file(directory, {})


@pytest.mark.parametrize(
    "role, external_id, region, words",
    [
        ("arn:aws:iam::1:role/x", "xx", "us-east-1", "not the ARN of an IAM role"),
        ("arn:aws:iam::123456789012:user/x", "xx", "us-east-1", "not the ARN"),
        (ROLE + "\n", "xx", "us-east-1", "not the ARN"),
        (ROLE, "x", "us-east-1", "external id is not valid"),
        (ROLE, "bad canary", "us-east-1", "external id is not valid"),
        (ROLE, "xx", "us-west-2a", "is a zone, not a region"),
        (ROLE, "xx", "mars", "not a known AWS region"),
    ],
)
def test_the_forms_of_a_grant(role: str, external_id: str, region: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        check_grant(role, Secret(external_id), region)
    assert "canary" not in str(vars(caught.value))


def test_forms_that_are_fine() -> None:
    for role in (ROLE, "arn:aws-us-gov:iam::123456789012:role/a/b/grid", "arn:aws-cn:iam::123456789012:role/x"):
        check_grant(role, Secret("a-b_c=.@:/+,"), "us-gov-west-1")
    check_unique(("t3.large", "u-6tb1.metal"))
    with pytest.raises(UsageError, match="twice"):
        check_unique(("t3.large", "m5.large", "t3.large"))
