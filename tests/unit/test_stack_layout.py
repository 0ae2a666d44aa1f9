"""One layout for every stack file: what it says stays, and what cannot be laid out is left alone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gridbyoc.cli.app import App
from gridbyoc.cli.stackfile import fmt, schema
from gridbyoc.errors import FileError, StackError
from gridbyoc.stack.edit import laid_out
from gridbyoc.stack.schema import schema_text
from gridbyoc.stack.starter import Starter, starter_text

ROOT = Path(__file__).parent.parent.parent
UNTIDY = """

version:   1   # one
name: 'a'


# the region
aws:
      region: us-east-1
clusters:
- name: a
  instance_types:
  - t2.medium   # small
  - {name: t3.large,   overprovisioned_ondemand_count: 1}


"""
TIDY = """\
version: 1     # one
name: 'a'

# the region
aws:
  region: us-east-1
clusters:
  - name: a
    instance_types:
      - t2.medium # small
      - {name: t3.large, overprovisioned_ondemand_count: 1}
"""


def test_a_file_is_laid_out_and_keeps_its_comments_order_and_quotes() -> None:
    assert laid_out(UNTIDY) == TIDY
    assert laid_out(UNTIDY.replace("\n", "\r\n")) == TIDY
    assert laid_out(TIDY) == TIDY


def test_the_starter_and_the_examples_are_laid_out() -> None:
    for path in sorted([*(ROOT / "examples").glob("[0-9]*.yaml"), *(ROOT / "examples" / "accounts").glob("*.yaml")]):
        assert laid_out(path.read_text()) == path.read_text(), path
    manual = Starter(type="manual", vendor="Acme AI", trust="arn:aws:iam::111122223333:role/Acme")
    for starter in (Starter(), Starter(account_id="123456789012", type="lightning"), manual):
        assert laid_out(starter_text(starter)) == starter_text(starter)


@pytest.mark.parametrize(
    "text", ["", "a: [", "- a\n", "a: 1\na: 2\n", "a: 1\n---\nb: 1\n", "x", "a: !!python/x y\n", "a: \x00\n"]
)
def test_what_cannot_be_laid_out(text: str) -> None:
    assert laid_out(text) is None


SAFE = YAML(typ="safe", pure=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4), st.booleans())
def test_whatever_it_holds_is_the_same_afterwards_or_it_is_left_alone(data: dict[str, object], flow: bool) -> None:
    stream = io.StringIO()
    SAFE.default_flow_style = flow
    SAFE.dump(data, stream)
    text = stream.getvalue()
    found = laid_out(text)
    if found is not None:
        assert SAFE.load(found) == SAFE.load(text)
        assert laid_out(found) == found


def call(command: object, directory: Path, *args: str) -> tuple[str, Result]:
    out = io.StringIO()
    app = App({}, directory, directory, io.StringIO(), out, io.StringIO())
    return out.getvalue(), CliRunner().invoke(command, list(args), obj=app, standalone_mode=False)  # type: ignore[arg-type]  # a command


def test_files_are_written_or_only_named(tmp_path: Path) -> None:
    file = tmp_path / "gridbyoc.yaml"
    file.write_text(UNTIDY)
    file.chmod(0o640)
    assert call(fmt, tmp_path, "--check")[1].return_value == 3
    assert file.read_text() == UNTIDY
    assert call(fmt, tmp_path)[1].return_value == 0
    assert file.read_text() == TIDY
    assert file.stat().st_mode & 0o777 == 0o640
    assert call(fmt, tmp_path, "--check")[1].return_value == 0


@pytest.mark.parametrize(
    "content,said",
    [
        (b"a: [", "formatted"),
        (b"\xff\xfe", "UTF-16"),
        (b"\xff", "UTF-8"),
        (b"a: 1\n" * 2**18, "larger"),
        (None, "no such file"),
    ],
)
def test_one_that_cannot_be_laid_out_leaves_the_others_alone(tmp_path: Path, content: bytes | None, said: str) -> None:
    (tmp_path / "a.yaml").write_text(UNTIDY)
    if content is not None:
        (tmp_path / "b.yaml").write_bytes(content)
    error = call(fmt, tmp_path, "a.yaml", "b.yaml")[1].exception
    assert isinstance(error, StackError)
    assert said in f"{error.what} {error.problems}"
    assert (tmp_path / "a.yaml").read_text() == UNTIDY


def test_a_schema_that_was_written_is_compared(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(schema_text())
    assert call(schema, tmp_path, "--check", "s.json")[1].return_value == 0
    (tmp_path / "s.json").write_text("{}")
    assert call(schema, tmp_path, "--check", "s.json")[1].return_value == 3
    assert isinstance(call(schema, tmp_path, "--check", "no.json")[1].exception, FileError)
