"""The command that is named after a success: each can be typed, and names the file that was given."""

from __future__ import annotations

import ast
import io
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import gridbyoc.cli
from gridbyoc.aws.leftovers import HOLDS_DATA, Ledger, Leftover
from gridbyoc.cli.app import App
from gridbyoc.cli.bundle import show
from gridbyoc.cli.main import cli
from gridbyoc.cli.next_step import (
    FOLLOWING,
    after_cluster,
    after_fleet,
    after_leftovers,
    after_report,
    command_line,
    tell_next,
)
from gridbyoc.cli.options import command, set_option, stack_argument, stack_option, url_option
from gridbyoc.cli.running import terraform_options
from gridbyoc.cli.stackfile import new
from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.operations.bundle.file import BUNDLE
from gridbyoc.operations.fleet.model import Member, Outcome, Result
from gridbyoc.operations.fleet.run import FleetReport
from gridbyoc.operations.report import Report
from tests.unit.command_lines import named_in, values_of
from tests.unit.test_bundle_file import HEADER, PAYLOAD

ARGUMENTS = {"apply": ("my x.bundle",), "clusters wait": ("ml",)}
"""Of the commands that cannot do without."""


def app_in(directory: Path, **changes: Any) -> App:
    return App({}, directory, directory, io.StringIO(), io.StringIO(), io.StringIO(), **changes)


def said(app: App) -> str:
    assert isinstance(app.stderr, io.StringIO)
    return app.stderr.getvalue()


def after(directory: Path, tell: Callable[[App], None], *words: str, **changes: Any) -> str:
    """What is said on stderr where ``tell`` is the end of a command that was typed with ``words``."""

    @command("some")
    @stack_argument
    @set_option
    @terraform_options
    @url_option
    @click.pass_obj
    def some(app: App, **_given: object) -> None:
        tell(app)

    app = app_in(directory, **changes)
    CliRunner().invoke(some, list(words), obj=app, standalone_mode=False, catch_exceptions=False)
    return said(app)


@pytest.mark.parametrize("name", sorted({name for name, _ in FOLLOWING.values()}))
@pytest.mark.parametrize("file", ["stacks/my team.yaml", "-odd.yaml", "o'clock.yaml"])
def test_each_is_a_command_of_ours_with_all_that_was_typed(name: str, file: str) -> None:
    typed = {"stack_file": file, "overrides": ("aws.region=eu-west-1", "role.name=a b"), "url": "http://127.0.0.1:80"}
    typed |= {"paths": ("stacks", file), "names": ("old",), "tags": ("team=a b",), "dialect": "lightning"}
    line = command_line(name, ARGUMENTS.get(name, ()), typed)
    found = values_of(line)
    as_typed = f"./{file}" if file.startswith("-") else file
    takes = {param.name for param in leaf(name).params}
    assert {"stack_file", "paths", "file"} & takes
    if "stack_file" in takes:
        assert found["stack_file"] in (file, as_typed)
    if "paths" in takes:
        assert found["paths"] == ("stacks", as_typed)
    for each in {"overrides", "url", "names", "tags", "dialect"} & takes:
        assert found[each] == typed[each]


def leaf(name: str) -> click.Command:
    found: click.Command = cli
    for word in name.split():
        if isinstance(found, click.Group):
            found = found.get_command(click.Context(found), word) or found
    return found


def test_what_was_not_typed_is_not_named() -> None:
    assert command_line("plan", (), {}) == "gridbyoc plan"
    assert command_line("doctor", (), {}) == "gridbyoc doctor"


def test_the_line_repeats_what_was_typed_and_nothing_else(tmp_path: Path) -> None:
    def end(app: App) -> None:
        tell_next(app, "plan")

    assert after(tmp_path, end) == "Next: `gridbyoc bootstrap` applies the plan.\n"
    words = ("stacks/a b.yaml", "--set", "aws.region=eu-west-1", "--url", "http://127.0.0.1:80")
    (line,) = named_in(after(tmp_path, end, *words))
    found = values_of(line)
    assert line.startswith("gridbyoc bootstrap 'stacks/a b.yaml' --")
    assert (found["overrides"], found["url"], found["terraform_bin"]) == ((words[2],), words[4], None)


@pytest.mark.parametrize("changes", [{"format": "json"}, {"format": "markdown"}, {"format": "sarif"}])
def test_only_text_names_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert after(tmp_path, lambda app: tell_next(app, "plan"), **changes) == ""


def test_a_stack_file_from_standard_input_cannot_be_read_again(tmp_path: Path) -> None:
    assert after(tmp_path, lambda app: tell_next(app, "validate"), "-") == ""


def test_a_groups_own_option_is_repeated(tmp_path: Path) -> None:
    @click.group("outer")
    @stack_option
    def outer(stack_file: str | None) -> None:
        """Takes the file, as ``quotas`` does."""

    @outer.command("inner")
    @stack_option
    @click.pass_obj
    def inner(app: App, stack_file: str | None) -> None:
        tell_next(app, "quotas request")

    app = app_in(tmp_path)
    CliRunner().invoke(outer, ["--stack", "a.yaml", "inner"], obj=app, standalone_mode=False, catch_exceptions=False)
    assert "`gridbyoc quotas status --stack a.yaml`" in said(app)


def cluster(status: Any) -> Cluster:
    return Cluster(id="c-1", name="ml", phase=Phase(status))


def report(changed: bool, status: Any) -> Report:
    return Report("s", "1" * 12, "arn:aws:iam::1:role/r", "r", changed, {}, (cluster(status),), {}, {})


@pytest.mark.parametrize(
    ("changed", "status", "line"),
    [
        (True, "running", "gridbyoc verify a.yaml"),
        (True, "pending", "gridbyoc clusters wait ml --stack a.yaml"),
        (False, "pending", "gridbyoc clusters wait ml --stack a.yaml"),
        (False, "running", None),
    ],
)
def test_after_a_bootstrap(tmp_path: Path, changed: bool, status: str, line: str | None) -> None:
    text = after(tmp_path, lambda app: after_report(app, report(changed, status)), "a.yaml")
    assert named_in(text) == ([line] if line else [])


@pytest.mark.parametrize("status", ["running", "failed", "deleted"])
def test_a_cluster_that_is_at_its_end_is_not_waited_for(tmp_path: Path, status: str) -> None:
    assert after(tmp_path, lambda app: after_cluster(app, cluster(status))) == ""


def leftover(**changes: Any) -> Leftover:
    given = {"kept": "", "holds_data": False} | changes
    return Leftover("volume", "v", "arn", "v", "ml", "a tag", None, None, None, costs_money=False, order=1, **given)


@pytest.mark.parametrize(
    ("left", "line"),
    [
        ((), None),
        ((leftover(),), "gridbyoc leftovers a.yaml --delete"),
        ((leftover(kept=HOLDS_DATA, holds_data=True),), "gridbyoc leftovers a.yaml --delete --delete-data"),
        ((leftover(holds_data=True),), "gridbyoc leftovers a.yaml --delete --delete-data"),
        ((leftover(kept="by hand"),), None),
    ],
)
def test_after_leftovers_were_found(tmp_path: Path, left: tuple[Leftover, ...], line: str | None) -> None:
    (*found,) = named_in(after(tmp_path, lambda app: after_leftovers(app, Ledger(left)), "a.yaml"))
    assert [values_of(each) for each in found] == ([values_of(line)] if line else [])


@pytest.mark.parametrize(
    ("verb", "outcomes", "line"),
    [
        ("validate", ("done",), "gridbyoc fleet plan"),
        ("plan", ("done", "changes"), "gridbyoc fleet bootstrap --yes"),
        ("plan", ("done",), None),
        ("bootstrap", ("done", "skipped"), "gridbyoc fleet verify"),
        ("bootstrap", ("done", "failed"), None),
        ("verify", ("done",), "gridbyoc fleet drift"),
        ("drift", ("changes",), "gridbyoc fleet plan"),
        ("drift", ("done",), None),
        ("status", ("done",), None),
        ("destroy", ("done",), None),
    ],
)
def test_after_a_fleet(tmp_path: Path, verb: Any, outcomes: tuple[Outcome, ...], line: str | None) -> None:
    member = Member("a", tmp_path / "a.yaml", "a.yaml", "a")
    done = FleetReport(verb, 1, 1.0, tuple(Result(member, each) for each in outcomes), interrupted=False)
    assert named_in(after(tmp_path, lambda app: after_fleet(app, done))) == ([line] if line else [])


@pytest.mark.parametrize(
    ("names", "here", "line"),
    [
        (("gridbyoc.yaml",), ("gridbyoc.yaml",), "gridbyoc apply x.bundle"),
        (("a b.yaml",), ("a b.yaml",), "gridbyoc apply x.bundle 'a b.yaml'"),
        (("../base.yaml", "a.yaml"), ("a.yaml",), "gridbyoc apply x.bundle a.yaml"),
        (("a.yaml", "b.yaml"), ("a.yaml", "b.yaml"), None),
        (("a.yaml",), (), None),
    ],
)
def test_after_a_bundle_was_shown(
    tmp_path: Path, names: tuple[str, ...], here: tuple[str, ...], line: str | None
) -> None:
    digests = {**HEADER["digests"], "stack_files": dict.fromkeys(names, "0" * 64)}
    (tmp_path / "x.bundle").write_bytes(BUNDLE.pack({**HEADER, "digests": digests}, PAYLOAD, None))
    for name in here:
        (tmp_path / name).touch()
    app = app_in(tmp_path)
    CliRunner().invoke(show, ["x.bundle"], obj=app, standalone_mode=False, catch_exceptions=False)
    assert named_in(said(app)) == ([line] if line else [])


@pytest.mark.parametrize("name", ["gridbyoc.yaml", "my stack.yaml"])
def test_what_new_names_can_be_typed(tmp_path: Path, name: str) -> None:
    app = app_in(tmp_path)
    CliRunner().invoke(new, [name], obj=app, standalone_mode=False, catch_exceptions=False)
    assert isinstance(app.stdout, io.StringIO)
    lines = [line for line in app.stdout.getvalue().splitlines() if line.startswith("  gridbyoc")]
    assert len(lines) == 4
    for line in lines:
        line = line.replace("sandbox run -- gridbyoc ", "")
        assert Path(tmp_path, str(values_of(line.strip())["stack_file"])).is_file()
        assert ("gridbyoc.yaml" in shlex.split(line, comments=True)) is False


def told_in_the_code() -> Iterator[str]:
    """The texts in the calls of ``tell_next``, of all commands."""
    for file in Path(gridbyoc.cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tell_next":
                named = [each for argument in node.args for each in ast.walk(argument)]
                yield from (each.value for each in named if isinstance(each, ast.Constant))


def test_each_step_is_told_somewhere() -> None:
    fleet = {f"fleet {verb}" for verb in ("validate", "plan", "bootstrap", "verify", "drift")}
    assert set(told_in_the_code()) | fleet == set(FOLLOWING)


def test_a_stack_file_that_was_an_option_and_a_profile_are_named_again(tmp_path: Path) -> None:
    told = after(tmp_path, lambda app: tell_next(app, "validate"), "-f", "my team.yaml", profile="ops")
    assert "`gridbyoc plan 'my team.yaml' --profile ops`" in told
