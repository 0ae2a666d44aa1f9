"""Shared parts for click: command classes, the App on the context, common options."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_stack_file
from gridbyoc.stack.words import nearest

if TYPE_CHECKING:
    from gridbyoc.stack.load import Loaded
    from gridbyoc.stack.model import Stack

F = TypeVar("F", bound=Callable[..., Any])

pass_app = click.make_pass_decorator(App)
"""Passes the ``App`` to a command as its first argument."""


def _set(field: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def callback(context: click.Context, _param: click.Parameter, value: object) -> object:
        if value is not None and value is not False and isinstance(context.obj, App):
            changed: dict[str, Any] = {field: False if field == "interactive" else value}
            context.obj = replace(context.obj, **changed)
        return value

    return callback


def _common_options(formats: Sequence[str]) -> list[click.Parameter]:
    return [
        click.Option(
            ["--format"],
            type=click.Choice(formats),
            default=None,
            expose_value=False,
            callback=_set("format"),
            help=f"The output format (default: {formats[0]}); json: one document, jsonl: events as they happen.",
        ),
        click.Option(
            ["--no-input"], is_flag=True, expose_value=False, callback=_set("interactive"), help="Never ask anything."
        ),
        click.Option(
            ["--debug"], is_flag=True, expose_value=False, callback=_set("debug"), help="Show tracebacks of errors."
        ),
    ]


FORMATS = ("text", "json", "jsonl")


class Command(click.Command):
    """A command with the common options ``--format``, ``--no-input``, ``--debug``.

    ``formats`` are the values of ``--format``; the first one is the default.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own signature
        formats: Sequence[str] = FORMATS,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_common_options(formats))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the command returns
        """Run the command, then write the document of ``--format json``; an error includes the document instead."""
        return _delivered(ctx, super().invoke(ctx))


class Group(click.Group):
    """A group whose commands are ``Command``."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click, but the error for an unknown command suggests the nearest one, including those not loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            near = nearest(args[0], self.list_commands(ctx))
            if near is None:
                raise
        raise click.UsageError(f"No such command '{args[0]}'. Did you mean '{near}'?", ctx)


class ActingGroup(Group):
    """A group that runs on its own if no subcommand is named; it has the common options of a command."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own signature
        super().__init__(*args, **{"invoke_without_command": True, **kwargs})
        self.params.extend(_common_options(FORMATS))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the command returns
        """Like ``Command.invoke``."""
        return _delivered(ctx, super().invoke(ctx))


def _delivered(context: click.Context, result: Any) -> Any:  # noqa: ANN401 - as above
    if isinstance(context.obj, App):
        context.obj.deliver()
    return result


command = functools.partial(click.command, cls=Command)
"""``@command("name")``: a command outside a group."""

group = functools.partial(click.group, cls=Group)
"""``@group("name")``: a group."""


DEFAULT_STACK = "gridbyoc.yaml"


_STACK = f"{__name__}.stack"
"""The key in a command's context for the value of ``--stack``."""


def stack_argument(function: F) -> F:
    """``[STACK_FILE]`` or ``-f FILE``: default ``$GRIDBYOC_STACK``, then ``gridbyoc.yaml``; ``-`` is standard input."""
    return stack_file_argument(default=DEFAULT_STACK)(function)


def stack_file_argument(default: str | None) -> Callable[[F], F]:
    """``stack_argument`` with another default; ``UsageError`` if argument and option name two files."""

    def decorate(function: F) -> F:
        with_argument = click.argument(
            "stack_file",
            envvar="GRIDBYOC_STACK",
            default=default,
            required=False,
            type=str,
            callback=_one_stack_file,
            shell_complete=complete_stack_file,
        )
        with_option = click.option(
            "-f", "--stack", "stack", expose_value=False, is_eager=True, metavar="FILE", callback=_keep_stack,
            shell_complete=complete_stack_file, help="The same as STACK_FILE.",
        )  # fmt: skip
        return with_argument(with_option(function))

    return decorate


def _keep_stack(context: click.Context, _param: click.Parameter, value: str | None) -> None:
    context.meta[_STACK] = value


def _one_stack_file(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    named: str | None = context.meta.get(_STACK)
    if named is None:
        return value
    typed = context.get_parameter_source(str(param.name)) is click.core.ParameterSource.COMMANDLINE
    if typed and value != named:
        raise click.UsageError(f"Two stack files are named: {value} and --stack {named}.")
    context.set_parameter_source(str(param.name), click.core.ParameterSource.COMMANDLINE)  # as if it were typed there
    return named


def stack_option(function: F) -> F:
    """``--stack FILE`` for commands whose argument is something else; ``None`` if it is not given."""
    return click.option(
        "-f",
        "--stack",
        "stack_file",
        envvar="GRIDBYOC_STACK",
        default=None,
        type=str,
        metavar="FILE",
        shell_complete=complete_stack_file,
        help="The stack file (default: gridbyoc.yaml if it exists).",
    )(function)


def set_option(function: F) -> F:
    """``--set PATH=VALUE``, many times: overrides of the stack file."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Override a value of the stack file, e.g. aws.region=eu-west-1; may be repeated.",
    )(function)


def profile_option(function: F) -> F:
    """``--profile NAME``: the AWS profile of every session and of Terraform, like ``--set aws.profile=NAME``."""
    return click.option(
        "--profile",
        expose_value=False,
        metavar="NAME",
        callback=_set("profile"),
        help="The AWS profile to use (overrides stack file and environment).",
    )(function)


def url_option(function: F) -> F:
    """``--url``: the control plane's address, before the stack file's and the environment's."""
    return click.option(
        "--url", default=None, metavar="URL", help="The control plane's address (overrides file and environment)."
    )(function)


def default_stack_file(app: App, given: str | None) -> str | None:
    """``given``, otherwise ``gridbyoc.yaml`` if the current directory has one, otherwise ``None``."""
    if given:
        return given
    candidate = Path(app.cwd, "gridbyoc.yaml")
    return str(candidate) if candidate.exists() else None


def load_stack(app: App, stack_file: str, overrides: tuple[str, ...] = ()) -> Stack:
    """Read and check a stack file (``-``: stdin), with warnings on stderr; ``StackError`` with every problem."""
    return read_stack(app, stack_file, overrides).stack


def read_stack(
    app: App, stack_file: str, overrides: tuple[str, ...] = (), *, any_instance_type: bool = False
) -> Loaded:
    """Like ``load_stack``, with the places of its values.

    ``any_instance_type``: accept types that no cluster can run on.
    """
    from gridbyoc.stack.load import read

    if app.profile:
        overrides = (*overrides, f"aws.profile={app.profile}")
        app.note(f"AWS profile: {app.profile} (--profile)")
    loaded = read(
        stack_file,
        overrides=overrides,
        environ=app.environ,
        stdin=app.stdin,
        cwd=app.cwd,
        home=app.home,
        any_instance_type=any_instance_type,
    )
    for warning in loaded.warnings:
        app.note(f"warning: {warning}")
    return loaded
