"""The preflight's options of ``plan`` and ``bootstrap``, and the words where nobody can approve."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gridbyoc.cli.app import App
from gridbyoc.cli.bootstrap import bootstrap
from gridbyoc.cli.doctor import doctor
from gridbyoc.cli.plan import plan
from gridbyoc.errors import ApprovalRequiredError, UsageError
from gridbyoc.stack.starter import Starter, starter_text


def app_in(directory: Path) -> App:
    out, err = io.StringIO(), io.StringIO()
    return App(environ={}, home=directory, cwd=directory, stdin=io.StringIO(), stdout=out, stderr=err)


@pytest.mark.parametrize("command", [plan, bootstrap])
@pytest.mark.parametrize("option", ["--only", "--skip"])
def test_a_check_that_there_is_not_is_refused_before_anything_is_written(
    tmp_path: Path, command: click.Command, option: str
) -> None:
    file = tmp_path / "gridbyoc.yaml"
    file.write_text(starter_text(Starter()))
    args = [str(file), option, "quota"]
    error = CliRunner().invoke(command, args, obj=app_in(tmp_path), standalone_mode=False).exception
    assert isinstance(error, UsageError)
    assert error.fix == "Did you mean quotas?"
    assert [each.name for each in tmp_path.iterdir()] == ["gridbyoc.yaml"]


def test_without_a_stack_file_an_empty_answer_says_why(tmp_path: Path) -> None:
    app = app_in(tmp_path)
    CliRunner().invoke(doctor, ["--only", "policies"], obj=app, standalone_mode=False, catch_exceptions=False)
    assert isinstance(app.stderr, io.StringIO)
    assert "name one with --stack" in app.stderr.getvalue()
    assert isinstance(app.stdout, io.StringIO)
    assert "nothing was checked" in app.stdout.getvalue()


def test_where_nobody_can_approve_the_advice_fits_every_command(tmp_path: Path) -> None:
    with pytest.raises(ApprovalRequiredError) as refused:
        app_in(tmp_path).confirm("Delete this?", flag="--yes-destroy")
    assert refused.value.fix == "Check what is shown above, then run again with --yes-destroy."
