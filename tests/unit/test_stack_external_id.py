"""The external id of the user's own: found, judged, never shown."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbyoc.errors import StackError
from gridbyoc.stack.secret import Secret
from tests.unit.stack_helpers import CLUSTERS, HEAD, problems_of, stack_of

FROM_ENV = HEAD + CLUSTERS + "role: {external_id_from: {env: ID}}\n"
FROM_FILE = HEAD + CLUSTERS + "role: {external_id_from: {file: id}}\n"
CANARY = "canary-9f3a/b=c"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_from_a_variable_and_from_a_file(tmp_path: Path, end: str) -> None:
    (tmp_path / "id").write_bytes((CANARY + end).encode())
    assert stack_of(FROM_ENV, environ={"ID": CANARY + end}).role.external_id == Secret(CANARY)
    assert stack_of(FROM_FILE, cwd=tmp_path).role.external_id == Secret(CANARY)


def test_it_does_not_show_in_the_stack() -> None:
    stack = stack_of(FROM_ENV, environ={"ID": CANARY})
    assert CANARY not in repr(stack) + str(stack) + str(dataclasses.replace(stack, name="x"))


BAD_VALUES = [
    ("", "an empty value"),
    ("\n", "an empty value"),
    ("x", "not an external id"),
    (f" {CANARY}", "white space"),
    (f"{CANARY}\n\n", "white space"),
    (f"{CANARY} {CANARY}", "not an external id"),
    (f"{CANARY}é", "not an external id"),
    (f"{CANARY}٣", "not an external id"),
    (CANARY * 100, "it has 1500 characters"),
]


@pytest.mark.parametrize("value, words", BAD_VALUES, ids=[repr(value)[:20] for value, _ in BAD_VALUES])
def test_values_that_are_none(tmp_path: Path, value: str, words: str) -> None:
    (tmp_path / "id").write_text(value, encoding="utf-8")
    for text, key in ((FROM_ENV, "env"), (FROM_FILE, "file")):
        (problem,) = problems_of(text, environ={"ID": value}, cwd=tmp_path)
        assert (problem.line, problem.path) == (4, f"role.external_id_from.{key}")
        assert words in problem.message
        assert CANARY not in str(problem)


SECRETS = [
    "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "GRID_API_KEY", "LIGHTNING_API_KEY",
    "GRIDBYOC_BUNDLE_KEY", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CI_JOB_JWT", "VAULT_TOKEN", "npm_token",
    "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "SOME_SECRET", "ORG_SECRET_ID", "SSH_PRIVATE", "GPG_PASSPHRASE", "MY_APIKEY",
    "DATABASE_URL", "SENTRY_DSN", "GOOGLE_CREDENTIALS", "GH_PAT", "STORAGE_CONNECTION_STRING", "KEY", "SESSION_COOKIE",
]  # fmt: skip
OWN = ["ID", "X", "EXTERNAL_ID", "GRID_EXTERNAL_ID", "OWN_ID", "EXT", "ExternalId", "SECRET_EXTERNAL_ID", "KEYSTONE_ID",
       "EXTERNAL_ID_KEY", "TF_external_id", "GRID_USER_ID", "MONKEY_NAME", "AUTHOR_ID"]  # fmt: skip


@pytest.mark.parametrize("is_set", [True, False])
def test_a_variable_that_is_named_like_another_secret_is_not_read(is_set: bool) -> None:
    for name in SECRETS:
        text = FROM_ENV.replace("env: ID", f"env: {name}")
        (problem,) = problems_of(text, environ={name: CANARY} if is_set else {})
        assert problem.path == "role.external_id_from.env"
        assert problem.message == f"`{name}` looks like the name of another secret: gridbyoc does not read it"
        assert f'`export GRID_EXTERNAL_ID="${name}"`' in problem.hint
        assert CANARY not in str(problem)


def test_other_names_are_read() -> None:
    for name in OWN:
        role = stack_of(FROM_ENV.replace("env: ID", f"env: {name}"), environ={name: CANARY}).role
        assert (role.external_id, role.external_id_variable) == (Secret(CANARY), name)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_holds_nobody_up(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "id") if kind == "pipe" else (tmp_path / "id").symlink_to("/dev/zero")
    (problem,) = problems_of(FROM_FILE, cwd=tmp_path)
    assert "not a regular file" in problem.message


@settings(deadline=None)
@given(st.text(min_size=3))
def test_no_value_is_ever_repeated(value: str) -> None:
    canary = f"{CANARY}{value}"
    try:
        shown = repr(stack_of(FROM_ENV, environ={"ID": canary}))
    except StackError as error:
        shown = repr(error) + str(error) + "".join(map(repr, error.problems)) + repr(error.__cause__)
    assert CANARY not in shown


@pytest.mark.parametrize(
    "written",
    [
        f"external_id: {CANARY}",
        f"external_id_from: {CANARY}",
        f"external_id_from: {{value: {CANARY}}}",
        f"external_id_from: {{{CANARY}: }}",
        f"external_id_from: {{env: {CANARY}}}",
        "external_id_from: {env: 123456}",
        f"external_id_from: {{env: [{CANARY}]}}",
        f"external_id_from: [{CANARY}]",
        f"externalId: {CANARY}",
    ],
)
def test_a_value_that_was_put_into_the_file_is_not_repeated(written: str) -> None:
    found = problems_of(HEAD + CLUSTERS + f"role: {{{written}}}\n")
    assert found
    assert CANARY not in "".join(map(str, found))
    assert "123456" not in "".join(map(str, found))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (problem,) = problems_of(FROM_FILE, cwd=tmp_path)
    assert f"cannot read `{tmp_path}/id`: No such file" in problem.message
    (tmp_path / "id").mkdir()
    (problem,) = problems_of(FROM_FILE, cwd=tmp_path)
    assert "is a directory" in problem.message
    (problem,) = problems_of(HEAD + CLUSTERS + 'role: {external_id_from: {file: "a\\0b"}}\n', cwd=tmp_path)
    assert "is not a path" in problem.message


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(CANARY)
    shown = [f"{secret}", f"{secret:>20}", "%s" % secret, repr([secret]), str({secret: 1})]  # noqa: UP031
    assert CANARY not in "".join(shown)
    assert {secret} == {Secret(CANARY)}
    assert secret != CANARY
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
