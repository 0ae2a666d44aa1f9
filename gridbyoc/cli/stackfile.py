"""``gridbyoc new``, ``validate`` and ``schema``: the stack file itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_stack_file
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import DEFAULT_STACK, FORMATS, command, pass_app, set_option, stack_argument
from gridbyoc.cli.reporting import ci_option
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, FileError, StackError, UsageError
from gridbyoc.vendors import DEFAULT_VENDOR, VENDORS

if TYPE_CHECKING:
    from gridbyoc.cli.reporting import Reporting
    from gridbyoc.errors import Problem
    from gridbyoc.stack.document import Fault
    from gridbyoc.stack.starter import Starter


LARGEST = 4 * 1024 * 1024
"""The most bytes that are read of a schema to compare it."""

_CHOICES = (
    click.option("--name", default=None, help="The stack's name (default: my-stack)."),
    click.option("--region", default=None, help="The AWS region (default: us-east-1)."),
    click.option("--profile", default=None, help="The AWS profile to use (default: boto3's own chain)."),
    click.option("--account-id", default=None, metavar="ID", help="Refuse to run in any other AWS account."),
    click.option(
        "--type",
        "type_",
        type=click.Choice((*VENDORS, "manual")),
        default=None,
        help="The control plane's API; manual: a vendor without one.",
    ),
    click.option("--vendor", default=None, metavar="NAME", help="The vendor's name (--type manual)."),
    click.option("--trust", default=None, metavar="ARN", help="The vendor's role, or account id (--type manual)."),
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
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@pass_app
def new(
    app: App, /, file: str, force: bool, type_: str | None, instance_types: str | None, **given: str | None
) -> None:
    """Write a commented starter stack file to FILE (default: gridbyoc.yaml; - is standard output).

    On a terminal it asks for values that no option gives; otherwise it uses the defaults. It replaces a file only with
    --force.
    """
    from gridbyoc.show.stackfile import NEW, Starting
    from gridbyoc.stack.files import write_atomic
    from gridbyoc.stack.load import load
    from gridbyoc.stack.sandbox_mark import in_sandbox
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
        app.show(NEW, Starting(None, text))
        return
    write_atomic(path, text, mode=0o644)
    app.show(NEW, Starting(file, sandboxed=in_sandbox(app.environ)))


def _check_target(path: Path, file: str, force: bool) -> None:
    if not path.parent.is_dir():
        raise UsageError(
            f"There is no directory {path.parent}.",
            fix="Create it first, or name another path.",
            rerun=SAFE_NOTHING_DONE,
        )
    if path.is_dir():
        raise UsageError(f"{file} is a directory.", fix="Name a file in it.", rerun=SAFE_NOTHING_DONE)
    if path.exists() and not force:
        raise UsageError(
            f"{file} already exists.",
            fix="Name another file, or give --force to replace it.",
            rerun=SAFE_NOTHING_DONE,
        )


def _named(error: StackError, file: str) -> tuple[Problem, ...]:
    """The problems under the file's own name (the text is checked before the file exists)."""
    from dataclasses import replace

    return tuple(replace(problem, file=file) for problem in error.problems)


@command("validate", formats=(*FORMATS, "sarif"))
@stack_argument
@set_option
@ci_option
@pass_app
def validate(app: App, stack_file: str, overrides: tuple[str, ...], reporting: Reporting) -> int:
    """List every problem of STACK_FILE: file, line, path, what is allowed. Asks neither AWS nor the control plane.

    Ends with status 2 if there are problems. --format sarif writes a SARIF 2.1.0 log for code scanning.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.show.stackfile import VALIDATE, Validated
    from gridbyoc.stack.load import read

    try:
        loaded = read(stack_file, overrides=overrides, environ=app.environ, stdin=app.stdin, cwd=app.cwd, home=app.home)
    except StackError as error:
        if app.format == "text":
            raise
        found = [("error", problem) for problem in error.problems]
        reporting.problems(found)
        app.show(VALIDATE, Validated(stack_file, app.cwd, None, found, reporting.placed))
        return int(ExitStatus.USAGE)
    found = [("warning", problem) for problem in loaded.warnings]
    reporting.problems(found)
    app.show(VALIDATE, Validated(stack_file, app.cwd, loaded.stack, found, reporting.placed), loaded.stack.name)
    tell_next(app, "validate")
    return int(ExitStatus.DONE)


@command("schema")
@click.option("--check", "file", metavar="FILE", default=None, help="End with status 3 if FILE differs from it.")
@click.option(
    "--output",
    "output",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[NAME]",
    help="The schema of a command's JSON output instead; without NAME: list them.",
)
@pass_app
def schema(app: App, file: str | None, output: str | None) -> int:
    """Print the stack file's JSON Schema (2020-12), for editors and other tools.

    With --check it only says whether FILE still equals this schema. With --output NAME it prints the schema of a
    command's --format json or jsonl output; NAME is the document's `type`.
    """
    from gridbyoc.show.stackfile import SCHEMA, SCHEMA_CHECK, SCHEMAS, SchemaCompared, SchemaDocument, output_schemas
    from gridbyoc.stack.schema import schema_text

    if output is not None and file is not None:
        raise UsageError("--check and --output cannot go together.", rerun=SAFE_NOTHING_DONE)
    if output == "":
        app.show(SCHEMAS, output_schemas())
        return int(ExitStatus.DONE)
    if output is not None:
        app.show(SCHEMA, SchemaDocument(output, _output_schema(output)))
        return int(ExitStatus.DONE)
    text = schema_text().rstrip("\n")
    if file is None:
        app.show(SCHEMA, SchemaDocument("stack_file", text))
        return int(ExitStatus.DONE)
    differs = _held(app, file).rstrip("\n") != text
    app.show(SCHEMA_CHECK, SchemaCompared(file, differs))
    return int(ExitStatus.CHANGES_PENDING) if differs else int(ExitStatus.DONE)


def _output_schema(name: str) -> str:
    from gridbyoc.show.stackfile import output_schema, output_schemas
    from gridbyoc.stack.words import nearest

    text = output_schema(name)
    if text is None:
        close = nearest(name, output_schemas())
        near = f"Did you mean {close}? " if close else ""
        raise UsageError(
            f"There is no output {name[:80]!r}.",
            fix=f"{near}`gridbyoc schema --output` lists them.",
            rerun=SAFE_NOTHING_DONE,
        )
    return text


def _held(app: App, file: str) -> str:
    from gridbyoc.stack.files import read_text

    text = read_text(app.cwd / file, LARGEST)
    if text is None:
        raise FileError(f"There is no file {file}.", fix="`gridbyoc schema` writes one.", rerun=SAFE_NOTHING_DONE)
    return text.replace("\r\n", "\n")


TextCheck = Callable[[str], "Fault | None"]


_UNFIT = {
    "manual": frozenset({"cluster", "instance_types", "performance_profile"}),
    "other": frozenset({"vendor", "trust"}),
}
"""Choices that apply to vendors without an API only, or to the others only."""


def ask_starter(app: App, given: Mapping[str, str | None]) -> Starter:
    """The starter's values: from options, from answers on a terminal, or defaults."""
    from gridbyoc.stack.starter import Starter

    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    unfit = _UNFIT["manual" if chosen.get("type") == "manual" else "other"] & chosen.keys()
    if unfit and (app.interactive is False or "type" in chosen):
        option = min(unfit).replace("_", "-")
        kind = chosen.get("type", DEFAULT_VENDOR)
        raise UsageError(f"--{option} cannot go together with --type {kind}.", rerun=SAFE_NOTHING_DONE)
    if app.interactive:
        chosen |= _answers(app, chosen)
    if "instance_types" in chosen:
        chosen["instance_types"] = tuple(_split(chosen["instance_types"]))
    return Starter(**chosen)


def _answers(app: App, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Ask for the missing values, in the order of the file; an empty answer to an optional question means none."""
    from gridbyoc.stack import defaults
    from gridbyoc.stack.regions import region_fault
    from gridbyoc.stack.rules import cluster_name_fault
    from gridbyoc.stack.rules.manual import vendor_fault
    from gridbyoc.stack.rules.terraform import account_id_fault, stack_name_fault
    from gridbyoc.stack.starter import cluster_name
    from gridbyoc.vendors import facts_of

    known: dict[str, Any] = dict(chosen)

    def ask(key: str, question: str, default: str, check: TextCheck) -> None:
        if key not in known and (answer := _ask(app, question, default, check)):
            known[key] = answer

    ask("name", "Stack name", defaults.STACK_NAME, stack_name_fault)
    ask("region", "AWS region", defaults.REGION, region_fault)
    ask("profile", "AWS profile (empty: the usual credentials)", "", _anything)
    ask("account_id", "AWS account id, as a guard (empty: none)", "", lambda text: account_id_fault(text))
    types = (*VENDORS, "manual")
    question = f"Control plane ({', '.join(VENDORS)}; manual: a vendor without an API)"
    ask("type", question, DEFAULT_VENDOR, lambda text: _one_of(text, types))
    dialect = known["type"]
    if dialect == "manual":
        ask("vendor", "The vendor's name", "", vendor_fault)
        ask("trust", "Who may assume the role (the ARN of the vendor's role, or its account id)", "", _anything)
        return known
    ask("cluster", "Cluster name", cluster_name(known["name"]), lambda text: cluster_name_fault(text, dialect))
    if facts_of(dialect).has_profiles:
        profiles = ("cost-saving", "default")
        question = "Performance profile (cost-saving: about $10 a day, default: about $50)"
        ask("performance_profile", question, profiles[0], lambda text: _one_of(text, profiles))
    ask("instance_types", "Instance types", ",".join(defaults.INSTANCE_TYPES), _types_fault)
    return known


def _ask(app: App, question: str, default: str, check: TextCheck) -> str:
    """Ask until the answer is valid."""
    while True:
        answer = app.prompt(question, default=default).strip()
        fault = check(answer) if answer else None
        if fault is None:
            return answer
        app.note(f"  {fault.message}" + (f" ({fault.hint})" if fault.hint else ""))


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _anything(_text: str) -> None:
    return None


def _one_of(text: str, allowed: tuple[str, ...]) -> Fault | None:
    from gridbyoc.stack.document import Fault
    from gridbyoc.stack.words import did_you_mean, listed

    return None if text in allowed else Fault(f"must be {listed(allowed)}", did_you_mean(text, allowed))


def _types_fault(text: str) -> Fault | None:
    from gridbyoc.stack.service_quotas import instance_type_fault

    return next(filter(None, map(instance_type_fault, _split(text))), None)


@command("fmt")
@click.argument("files", nargs=-1, type=str, shell_complete=complete_stack_file)
@click.option("--check", is_flag=True, help="Write nothing; end with status 3 if a file would change.")
@pass_app
def fmt(app: App, files: tuple[str, ...], check: bool) -> int:
    """Format stack FILES (default: gridbyoc.yaml): indentation, blank lines, the end of the file.

    Comments, order, quotes and values stay unchanged. Prints the names of the files that were (or would be) changed.
    """
    from gridbyoc.show.stackfile import FMT

    changed = tuple(_changed(app, files or (DEFAULT_STACK,), check=check))
    app.show(FMT, changed)
    return int(ExitStatus.CHANGES_PENDING) if check and changed else int(ExitStatus.DONE)


def _changed(app: App, files: tuple[str, ...], *, check: bool) -> Iterator[str]:
    """Read all files before writing the first: if one cannot be formatted, the others stay unchanged, too."""
    from gridbyoc.stack.files import write_atomic

    wanted = [(name, *_laid_out(app, name)) for name in files]
    for name, file, before, after in wanted:
        if before != after:
            if not check:
                write_atomic(file, after, mode=file.stat().st_mode & 0o777)
            yield name


def _laid_out(app: App, name: str) -> tuple[Path, str, str]:
    """The file (a link stays a link), its text, and its formatted text."""
    from gridbyoc.stack.document import decode, read_source
    from gridbyoc.stack.edit import laid_out

    file = Path(app.cwd, name)
    before = decode(read_source(file, name), name)
    after = laid_out(before)
    if after is None:
        raise StackError(
            f"{name} cannot be formatted.",
            why="It is not valid YAML, not a stack file, or a new layout would change its meaning.",
            fix="`gridbyoc validate` says what is wrong with it.",
        )
    return file.resolve(), before, after
