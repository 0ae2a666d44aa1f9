"""A stack file that is pointed at another place for its state keeps everything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.operations.state_place import backend_changes, point_at, snippet
from gridbyoc.stack.load import load
from gridbyoc.stack.model import LocalBackend, S3Backend, Stack
from tests.unit.fakes import stack

S3 = S3Backend("states", "k", "us-west-2")
TEXT = """\
version: 1
name: demo  # the wiki's name
clusters: [{name: demo}]
terraform:
  # who pays: team ml
  aws_provider_version: "~> 5.100"
"""


def loaded(file: Path) -> LocalBackend | S3Backend:
    found = load(str(file), environ={}, stdin=None, cwd=file.parent, home=file.parent)
    backend: LocalBackend | S3Backend = found.terraform.backend
    return backend


@pytest.mark.parametrize("tail", ["", "  backend: {local: {}}\n", "  backend:\n    local: {}  # for now\n"])
def test_to_s3_and_back_with_comments_kept(tmp_path: Path, tail: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(TEXT + tail)
    assert point_at(stack_in(file), S3)
    assert loaded(file) == S3
    assert "# the wiki's name" in file.read_text()
    assert "# who pays: team ml" in file.read_text()
    assert not point_at(stack_in(file), S3)
    other = replace(S3, key="other", kms_key_id="alias/k")
    assert point_at(stack_in(file), other)
    assert loaded(file) == other
    assert point_at(stack_in(file), LocalBackend())
    assert loaded(file) == LocalBackend()
    assert not point_at(stack_in(file), LocalBackend())


def stack_in(file: Path) -> Stack:
    settings = stack().terraform
    return replace(stack(), terraform=replace(settings, backend=loaded(file)), file=file)


def test_settings_that_are_not_asked_about_stay() -> None:
    found = replace(S3, profile="ops", dynamodb_table="locks", encrypt=False)
    assert backend_changes(found, replace(found, key="new")) == {("terraform", "backend", "s3", "key"): "new"}


def test_standard_input_gets_lines_to_paste() -> None:
    assert not point_at(stack(), S3)
    assert snippet(S3).splitlines() == [
        "terraform:",
        "  backend:",
        "    s3:",
        "      bucket: states",
        "      key: k",
        "      region: us-west-2",
    ]
    assert snippet(LocalBackend()).splitlines()[-1].split() == ["local:", "{}"]
