"""One way from a result to its output: text, one JSON document, JSON lines; and the schemas that ship."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import gridbyoc
from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app
from gridbyoc.cli.stackfile import schema
from gridbyoc.errors import QuotaUndecidedError, UsageError
from gridbyoc.operations.events import Note
from gridbyoc.show.error import ERROR, FailedCommand
from gridbyoc.show.output import Format, Output
from gridbyoc.show.run import RUN
from gridbyoc.show.stackfile import output_schema, output_schemas
from tests.json_outputs import check_document, check_outputs

ROOT = Path(gridbyoc.__file__).parent.parent
EVENTS = {"step_started", "step_finished", "resource_progress", "cluster_progress", "finding_made", "note"}
EVENTS |= {"provider_progress", "wait_expected", "fleet_started", "stack_started", "stack_finished"}
GREETING: Output[str] = Output(
    "greeting",
    lambda name: {"hello": name},
    lambda name, screen: screen.line(f"hello {name}"),
    others={"markdown": lambda name, stack: f"**{name}** of {stack}"},
)


@command("greet")
@click.option("--fail", is_flag=True)
@pass_app
def greet(app: App, fail: bool) -> None:
    with app.view(RUN) as view:
        view(Note("by the way"))
    app.show(GREETING, "ada", "demo")
    if fail:
        raise QuotaUndecidedError("Too late.")


def run(tmp_path: Path, form: Format, *args: str) -> tuple[str, str, Result, App]:
    out, err = io.StringIO(), io.StringIO()
    app = App({}, tmp_path, tmp_path, io.StringIO(), out, err, format=form)
    result = CliRunner().invoke(greet, list(args), obj=app, standalone_mode=False)
    return out.getvalue(), err.getvalue(), result, app


@pytest.mark.parametrize(
    "form,expected",
    [
        ("text", "hello ada\n"),
        ("markdown", "**ada** of demo\n"),
        ("json", '{"type": "greeting", "stack": "demo", "hello": "ada"}\n'),
        (
            "jsonl",
            '{"type": "note", "message": "by the way", "level": "info"}\n'
            '{"type": "greeting", "stack": "demo", "hello": "ada"}\n',
        ),
    ],
)
def test_a_result_in_each_format(tmp_path: Path, form: Format, expected: str) -> None:
    out, err, _, _ = run(tmp_path, form)
    assert out == expected
    assert ("by the way" in err) is (form != "jsonl")


def test_an_error_takes_the_document_in(tmp_path: Path) -> None:
    out, _, result, app = run(tmp_path, "json", "--fail")
    assert (out, type(result.exception)) == ("", QuotaUndecidedError)
    told = ERROR.document(FailedCommand(QuotaUndecidedError("Too late."), app.held.document))
    assert told["result"] == {"type": "greeting", "stack": "demo", "hello": "ada"}
    out, _, _, _ = run(tmp_path, "jsonl", "--fail")
    assert json.loads(out.splitlines()[-1])["type"] == "greeting"


def printed(tmp_path: Path, *args: str) -> str:
    out = io.StringIO()
    app = App({}, tmp_path, tmp_path, io.StringIO(), out, io.StringIO())
    result = CliRunner().invoke(schema, list(args), obj=app, standalone_mode=False)
    if result.exception:
        raise result.exception
    return check_outputs(args, out.getvalue())


def test_the_schema_of_an_output(tmp_path: Path) -> None:
    assert printed(tmp_path, "--output", "verify") == output_schema("verify")
    assert json.loads(printed(tmp_path, "--output", "verify", "--format=json"))["name"] == "verify"
    listed = printed(tmp_path, "--output")
    assert all(re.search(rf"^{name} ", listed, re.M) for name in output_schemas())
    with pytest.raises(UsageError) as caught:
        printed(tmp_path, "--output", "verfy")
    assert "Did you mean verify?" in caught.value.fix
    with pytest.raises(UsageError):
        printed(tmp_path, "--output", "../../../stack/schema")


VERIFY = {
    "type": "verify",
    "stack": "demo",
    "role_arn": "arn:aws:iam::123456789012:role/a",
    "further_roles": {},
    "verdict": "pass",
    "findings": [
        {"code": "GBY-V001", "check": "a", "role": "", "verdict": "pass", "detail": "b", "fix": "", "statements": []},
    ],
}


@pytest.mark.parametrize("wrong", [{"verdict": "proven"}, {"more": 1}, {"stack": None}, {"findings": [{"code": "a"}]}])
def test_a_schema_refuses_what_is_not_so(wrong: dict[str, object]) -> None:
    check_document(VERIFY)
    with pytest.raises(AssertionError):
        check_document({**VERIFY, **wrong})


def test_every_type_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "json.md").read_text()
    assert [name for name in output_schemas() if f"`{name}`" not in text] == []
    assert set(output_schemas()) >= EVENTS


def test_a_document_that_is_written_is_the_only_one(tmp_path: Path) -> None:
    out = io.StringIO()
    app = replace(App({}, tmp_path, tmp_path, io.StringIO(), out, io.StringIO()), format="json")
    app.show(GREETING, "ada", "demo")
    app.deliver()
    app.deliver()
    assert out.getvalue().count("greeting") == 1
    assert app.held.written
