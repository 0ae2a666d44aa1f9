"""The external id of the user's own: found, judged, never shown."""

from __future__ import annotations

import dataclasses
import json
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
    ("x", "no external id"),
    (f" {CANARY}", "white space"),
    (f"{CANARY}\n\n", "white space"),
    (f"{CANARY} {CANARY}", "no external id"),
    (f"{CANARY}é", "no external id"),
    (f"{CANARY}٣", "no external id"),
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
