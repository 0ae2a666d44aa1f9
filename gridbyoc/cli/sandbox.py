"""``gridbyoc sandbox``: a local AWS and a local control plane, for a session or for one command."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, group, pass_app
from gridbyoc.show.output import Output, Screen

if TYPE_CHECKING:
    from gridbyoc.sandbox import SandboxSettings

CHECK_SECONDS = 0.5


def _settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both subcommands; options that only tests need are hidden."""
    seconds = click.FloatRange(0, 86_400)
    options = (
        click.option("--create-seconds", type=seconds, envvar="GRIDBYOC_SANDBOX_CREATE_SECONDS", default=2.0,
                     hidden=True, help="Seconds from a create to RUNNING; 0: immediately."),
        click.option("--delete-seconds", type=seconds, envvar="GRIDBYOC_SANDBOX_DELETE_SECONDS", default=1.0,
                     hidden=True, help="Seconds from a delete to DELETED."),
        click.option("--region", default="us-east-1", show_default=True, help="The AWS region in the environment."),
        click.option("--state", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
                     help="Keep the control plane's clusters and key in this directory."),
        click.option("--access-log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Append each request to the control plane here, as JSON, without secrets."),
        click.option("--trusted-account", "trusted_account_id", metavar="ID",
                     help="The AWS account of the control plane (default: Grid's, or Lightning's, by the request)."),
        click.option("--api-key", envvar="GRIDBYOC_SANDBOX_API_KEY", show_envvar=True,
                     help="The API key to accept (default: random). It is valid only in this sandbox."),
        click.option("--tls", is_flag=True, help="Serve https and wss with a self-signed certificate."),
    )  # fmt: skip
    return _with(options, _account_options(command))


def _account_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the AWS account."""
    options = (
        click.option("--account", type=click.Choice(["healthy", "new"]), envvar="GRIDBYOC_SANDBOX_ACCOUNT",
                     default="healthy", show_default=True, help="The AWS account's quotas: high, or a new account's."),
        click.option("--quota", "quotas", multiple=True, metavar="SERVICE/CODE=VALUE",
                     help="One quota's value; can be repeated."),
        click.option("--quota-name", "quota_names", multiple=True, metavar="SERVICE/CODE=NAME",
                     hidden=True, help="Answer one quota under another name; can be repeated."),
        click.option("--quota-seconds", type=click.FloatRange(0, 86_400), default=5.0, hidden=True,
                     help="How long a quota request stays open."),
        click.option("--quota-outcome", type=click.Choice(["approved", "denied"]), default="approved",
                     hidden=True, help="The outcome of quota requests."),
        click.option("--enforce-iam", is_flag=True, envvar="GRIDBYOC_SANDBOX_ENFORCE_IAM",
                     help="Enforce IAM policies for every AWS key but 'test'."),
        click.option("--deny-by-scp", "denied_by_scp", multiple=True, metavar="ACTION",
                     help="An action that the organization denies, such as iam:CreateRole; can be repeated."),
        click.option("--aws-log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Append each request to the local AWS here, as JSON, without secrets."),
    )  # fmt: skip
    return _with(options, command)


def _with(options: Iterable[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(list(options)):
        command = option(command)
    return command


@group("sandbox")
def sandbox() -> None:
    """A local AWS and a local control plane, on this machine only.

    Nothing in it reaches AWS or the service. It needs the extra: pip install 'gridbyoc[sandbox]'
    """


@command("up")
@_settings_options
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The control plane's port; 0: any free one.")
@click.option("--aws-port", type=click.IntRange(0, 65_535), default=0, help="The local AWS's port; 0: any free one.")
@pass_app
def up(app: App, /, port: int, aws_port: int, **options: object) -> None:
    """Start the sandbox, print the environment that leads to it, and serve until Ctrl-C.

    A shell can read the lines: gridbyoc sandbox up > sandbox.env & then . ./sandbox.env
    """
    from gridbyoc.sandbox import running_sandbox

    stop = threading.Event()
    _on_signals(stop)
    settings = replace(_settings(options), port=port, aws_port=aws_port)
    with running_sandbox(settings) as running:
        app.show(SANDBOX, running.env)
        app.deliver()
        while not stop.wait(CHECK_SECONDS):
            running.check()
    app.note("The sandbox has stopped.")


class SandboxBody(TypedDict):
    """The environment that leads to the sandbox."""

    env: dict[str, str]


def _sandbox_json(env: Mapping[str, str]) -> SandboxBody:
    return {"env": dict(env)}


def _write(env: Mapping[str, str], screen: Screen) -> None:
    screen.line("# The sandbox is up. Ctrl-C stops it.")
    for name, value in env.items():
        screen.document(f"export {name}={shlex.quote(value)}")


SANDBOX = Output("sandbox", _sandbox_json, _write, stack="none")


@command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_settings_options
@click.argument("argv", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED, required=True)
def run(argv: tuple[str, ...], **options: object) -> None:
    """Start the sandbox, run COMMAND in it, stop it, and end with COMMAND's status.

    For example: gridbyoc sandbox run -- gridbyoc bootstrap --yes
    """
    from gridbyoc.errors import CommandNotStartedError
    from gridbyoc.sandbox import running_sandbox
    from gridbyoc.sandbox.command import run_command, with_our_commands

    try:
        with running_sandbox(_settings(options)) as running:
            environ = with_our_commands(running.environ(os.environ), running.directory / "bin")
            status = run_command(argv, environ)
    except CommandNotStartedError as error:
        click.echo(f"Error: {error.what} {error.why} {error.fix}", err=True)
        status = error.shell_status
    raise click.exceptions.Exit(status)


def _settings(options: Mapping[str, Any]) -> SandboxSettings:
    from gridbyoc.sandbox import SandboxSettings
    from gridbyoc.sandbox.settings import read_quota_names, read_quotas
    from gridbyoc.stack.secret import Secret

    given = dict(options)
    given |= {"quotas": read_quotas(given["quotas"]), "quota_names": read_quota_names(given["quota_names"])}
    key, state = given.pop("api_key"), given.pop("state")
    return SandboxSettings(**given, api_key=Secret(key) if key else None, state_dir=state.absolute() if state else None)


def _on_signals(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())


sandbox.add_command(up)
sandbox.add_command(run)
