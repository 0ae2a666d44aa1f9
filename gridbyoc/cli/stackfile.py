"""``gridbyoc new``, ``validate`` and ``schema``: the stack file itself."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridbyoc import __version__
from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, pass_app, set_option, stack_argument
from gridbyoc.cli.reporting import ci_option
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, FileError, StackError, UsageError

if TYPE_CHECKING:
    from gridbyoc.cli.reporting import Reporting
    from gridbyoc.errors import Problem

LARGEST = 4 * 1024 * 1024
"""Bytes of a schema that are read to compare it."""

_CHOICES = (
    click.option("--name", default=None, help="The stack's name (default: my-stack)."),
    click.option("--region", default=None, help="The AWS region (default: us-east-1)."),
    click.option("--profile", default=None, help="The AWS profile to use (default: boto3's own chain)."),
    click.option("--account-id", default=None, metavar="ID", help="Refuse to run in any other AWS account."),
    click.option(
        "--type", "type_", type=click.Choice(["grid", "lightning"]), default=None, help="The control plane's API."
    ),
    click.option("--cluster", default=None, metavar="NAME", help="The cluster's name (default: the stack's)."),
    click.option("--instance-types", default=None, metavar="A,B", help="Instance types, separated by commas."),
    click.option(
        "--performance-profile",
        type=click.Choice(["default", "cost-saving"]),
        default=None,
        help="Always ready, or cheaper (default: cost-saving).",
    ),
)


def _with_choices(function: Any) -> Any:  # noqa: ANN401 - click's decorators take and give any function
    for option in reversed(_CHOICES):
        function = option(function)
    return function


@command("new")
@click.argument("file", default="gridbyoc.yaml", type=str)
@_with_choices
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@pass_app
def new(
    app: App, /, file: str, force: bool, type_: str | None, instance_types: str | None, **given: str | None
) -> None:
    """Write a commented starter stack file to FILE (default: gridbyoc.yaml; - is standard output).

    On a terminal it asks for what the options do not say; elsewhere it takes the defaults. It replaces nothing
    without --force.
    """
    from gridbyoc.cli.questions import ask_starter
    from gridbyoc.stack.files import write_atomic
    from gridbyoc.stack.load import load
    from gridbyoc.stack.starter import starter_text

    path = app.cwd / file
    if file != "-":
        _check_target(path, file, force)
    choices = ask_starter(app, {**given, "type": type_, "instance_types": instance_types})
    text = starter_text(choices)
    try:
        load("-", environ=app.environ, stdin=text, cwd=path.parent, home=app.home)
    except StackError as error:
        raise StackError("The choices do not make a valid stack file.", problems=_named(error, file)) from None
    if file == "-":
        app.document(text.rstrip("\n"))
        return
    write_atomic(path, text, mode=0o644)
    _tell_next(app, file)


def _check_target(path: Path, file: str, force: bool) -> None:
    if not path.parent.is_dir():
        raise UsageError(
            f"There is no directory {path.parent}.",
            fix="Make it first, or name another place.",
            rerun=SAFE_NOTHING_DONE,
        )
    if path.is_dir():
        raise UsageError(f"{file} is a directory.", fix="Name a file in it.", rerun=SAFE_NOTHING_DONE)
    if path.exists() and not force:
        raise UsageError(
            f"{file} exists already.",
            fix="Name another file, or give --force to replace it.",
            rerun=SAFE_NOTHING_DONE,
        )


def _named(error: StackError, file: str) -> tuple[Problem, ...]:
    """The problems under the file's own name (it is checked before there is one)."""
    from dataclasses import replace

    return tuple(replace(problem, file=file) for problem in error.problems)


def _tell_next(app: App, file: str) -> None:
    named = "" if file == "gridbyoc.yaml" else f" {shlex.quote(file)}"
    if app.json:
        app.object({"file": file})
        return
    app.line(f"Wrote {file}. Next:")
    app.line(f"  gridbyoc validate{named}")
    app.line(f"  gridbyoc sandbox run -- gridbyoc bootstrap --yes{named}   # try it, without an AWS account")
    app.line(f"  gridbyoc plan{named}                                      # what it would do in your account")
    app.line(f"  gridbyoc bootstrap{named}")


@command("validate", formats=("text", "json", "sarif"))
@stack_argument
@set_option
@ci_option
@pass_app
def validate(app: App, stack_file: str, overrides: tuple[str, ...], reporting: Reporting) -> int:
    """List every problem of STACK_FILE: file, line, path, what is allowed. Asks neither AWS nor the control plane.

    Ends with status 2 where there are problems. With --format json it writes a list, empty where all is well; with
    --format sarif a SARIF 2.1.0 log for code scanning.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.cli.summary import summary
    from gridbyoc.stack.load import read

    try:
        loaded = read(stack_file, overrides=overrides, environ=app.environ, stdin=app.stdin, cwd=app.cwd, home=app.home)
    except StackError as error:
        if app.format == "text":
            raise
        _list(app, reporting, [("error", problem) for problem in error.problems])
        return int(ExitStatus.USAGE)
    if app.format != "text":
        _list(app, reporting, [("warning", problem) for problem in loaded.warnings])
        return int(ExitStatus.DONE)
    reporting.problems([("warning", problem) for problem in loaded.warnings])
    for problem in loaded.warnings:
        app.note(f"warning: {problem}")
    for line in summary(loaded.stack, stack_file, app.cwd):
        app.line(line)
    tell_next(app, "validate")
    return int(ExitStatus.DONE)


def _list(app: App, reporting: Reporting, found: Sequence[tuple[str, Problem]]) -> None:
    """The problems, each with its level, in the format that was asked for; annotations beside it."""
    from gridbyoc.show.ci.sarif import sarif

    reporting.problems(found)
    if app.json:
        app.object([_object(problem, level) for level, problem in found])
    else:
        app.object(sarif(reporting.placed(found), version=__version__))


def _object(problem: Problem, level: str) -> dict[str, Any]:
    return {
        "level": level,
        "file": problem.file,
        "line": problem.line,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


@command("schema")
@click.option("--check", "file", metavar="FILE", default=None, help="End with status 3 where FILE holds another one.")
@pass_app
def schema(app: App, file: str | None) -> int:
    """Print the stack file's JSON Schema (2020-12), for editors and other tools.

    With --check it prints nothing but whether the FILE that was written from it is still the same.
    """
    from gridbyoc.stack.schema import schema_text

    text = schema_text().rstrip("\n")
    if file is None:
        app.document(text)
        return int(ExitStatus.DONE)
    differs = _held(app, file).rstrip("\n") != text
    if app.json:
        app.object({"type": "schema", "file": file, "differs": differs})
    else:
        fix = f"not the schema of this version: `gridbyoc schema > {shlex.quote(file)}`"
        app.line(f"{file} is {fix if differs else 'the schema of this version.'}")
    return int(ExitStatus.CHANGES_PENDING) if differs else int(ExitStatus.DONE)


def _held(app: App, file: str) -> str:
    from gridbyoc.stack.files import read_text

    text = read_text(app.cwd / file, LARGEST)
    if text is None:
        raise FileError(f"There is no file {file}.", fix="`gridbyoc schema` writes one.", rerun=SAFE_NOTHING_DONE)
    return text.replace("\r\n", "\n")
