"""``protect: true``: where it stands is named, and nothing but the file takes it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridbyoc.errors import ProtectedStackError
from gridbyoc.stack.load import read
from gridbyoc.steps.protection import protection, refuse_if_protected
from gridbyoc.steps.run import Run
from tests.unit.fakes import Time
from tests.unit.test_run_parts import make_run

BODY = "version: 1\nname: a\nclusters: [{name: a}]\n"


def run_of(directory: Path, text: str) -> Run:
    file = directory / "gridbyoc.yaml"
    file.write_text(text)
    loaded = read(file.name, environ={}, cwd=directory)
    return replace(make_run(directory, [], Time()), stack=loaded.stack, origin=loaded.origin)


def test_the_refusal_names_file_and_line(tmp_path: Path) -> None:
    run = run_of(tmp_path, BODY + "protect: true\n")
    with pytest.raises(ProtectedStackError) as error:
        refuse_if_protected(run, "destroy the role")
    assert error.value.what == "The stack a is protected: this would destroy the role."
    assert error.value.why == "`protect: true` stands in gridbyoc.yaml:4."
    assert int(error.value.exit_status) == 4
    with pytest.raises(ProtectedStackError):
        refuse_if_protected(replace(run, origin=None), "destroy the role")


def test_a_base_protects_and_the_file_itself_may_say_otherwise(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("# company\nprotect: true\n")
    assert protection(run_of(tmp_path, BODY + "extends: base.yaml\n")) == "base.yaml:2"
    assert protection(run_of(tmp_path, BODY + "extends: base.yaml\nprotect: false\n")) == ""
    assert protection(run_of(tmp_path, BODY)) == ""
