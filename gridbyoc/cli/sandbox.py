"""``gridbyoc sandbox``: a local AWS and a local control plane, for a session or for one command."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_scenario
from gridbyoc.cli.options import command, group, pass_app
from gridbyoc.errors import SAFE_NOTHING_DONE, CommandNotStartedError, UsageError
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.files import WORK_ROOT
from gridbyoc.stack.sandbox_mark import SANDBOX_MARK
from gridbyoc.stack.words import counted, json_text

if TYPE_CHECKING:
    from gridbyoc.sandbox import Sandbox, SandboxSettings
    from gridbyoc.sandbox.scenario.model import Scenario

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
        click.option("--scenario", "scenario_name", metavar="NAME|FILE", shell_complete=complete_scenario,
                     help="Play the faults of a scenario (`gridbyoc sandbox scenarios` lists them)."),
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
        click.option("--member-account", "member_accounts", multiple=True, metavar="ID",
                     help="A further AWS account with the role OrganizationAccountAccessRole; can be repeated."),
        click.option("--session-seconds", type=click.FloatRange(1, 43_200), hidden=True,
                     help="How long a session of a role lasts."),
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

    The lines are for programs and CI jobs. At a terminal, use `gridbyoc sandbox shell`.
    """
    from gridbyoc.sandbox import running_sandbox

    stop = threading.Event()
    _on_signals(stop)
    settings = replace(_settings(app, options), port=port, aws_port=aws_port)
    with running_sandbox(settings) as running:
        app.show(SANDBOX, {**running.env, SANDBOX_MARK: str(running.directory)})
        app.deliver()
        while not stop.wait(CHECK_SECONDS):
            running.check()
        tell_played(app, settings.scenario, running.played())
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
@pass_app
def run(app: App, /, argv: tuple[str, ...], **options: object) -> None:
    """Start the sandbox, run COMMAND in it, stop it, and end with COMMAND's status.

    For example: gridbyoc sandbox run -- gridbyoc bootstrap --yes
    """
    _run_in_sandbox(app, _settings(app, options), lambda _running, environ: (argv, environ))


@command("shell")
@_settings_options
@pass_app
def shell(app: App, /, **options: object) -> None:
    """Start the sandbox and your shell in it; leaving the shell ends the sandbox.

    The prompt begins with (sandbox). The sandbox's variables are set again after your shell's own files, and before
    each prompt. It knows bash, zsh, fish and sh ($SHELL), and ends with the shell's status.
    """
    from gridbyoc.sandbox.shell import shell_command

    if not app.interactive:
        raise UsageError(
            "A shell needs a terminal.",
            fix="Run one command instead: `gridbyoc sandbox run -- COMMAND`.",
            rerun=SAFE_NOTHING_DONE,
        )

    def in_shell(running: Sandbox, environ: dict[str, str]) -> tuple[tuple[str, ...], dict[str, str]]:
        kept = (*running.env, SANDBOX_MARK, WORK_ROOT, TERRAFORM_BIN)
        ours = {name: environ[name] for name in kept if name in environ}
        found = shell_command(app.environ, ours, running.directory / "shell", running.directory / "bin", app.home)
        app.note("The sandbox is up. `exit` ends this shell and the sandbox.")
        return found.argv, {**environ, **found.env}

    _run_in_sandbox(app, _settings(app, options), in_shell)


TERRAFORM_BIN = "GRIDBYOC_TERRAFORM_BIN"


def _run_in_sandbox(
    app: App,
    settings: SandboxSettings,
    prepare: Callable[[Sandbox, dict[str, str]], tuple[tuple[str, ...], dict[str, str]]],
) -> None:
    """Run the command that ``prepare`` returns, and end with its status.

    ``prepare`` gets the sandbox and its environment, and may add to the environment.
    """
    from gridbyoc.sandbox import running_sandbox
    from gridbyoc.sandbox.command import run_command, with_our_commands

    try:
        with running_sandbox(settings) as running:
            environ = with_our_commands(running.environ(app.environ), running.directory / "bin")
            environ[SANDBOX_MARK] = str(running.directory)
            if settings.scenario:
                environ |= rehearsal_environ(settings.scenario, running, environ)
            argv, environ = prepare(running, environ)
            status = run_command(argv, environ)
            tell_played(app, settings.scenario, running.played(), status)
    except CommandNotStartedError as error:
        click.echo(f"Error: {error.what} {error.why} {error.fix}", err=True)
        status = error.shell_status
    raise click.exceptions.Exit(status)


def rehearsal_environ(scenario: Scenario, running: Sandbox, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables of a rehearsal.

    Work_dirs are inside the sandbox: the state of a real role stays as it is. For steps on Terraform, a program in
    front of it plays them.
    """
    found = {} if environ.get(WORK_ROOT) else {WORK_ROOT: str(running.directory / "work")}
    if any(step.side == "terraform" for step in scenario.steps):
        from gridbyoc.sandbox.scenario.terraform import write_wrapper
        from gridbyoc.terraform.binary import find_binary

        real = find_binary(None, environ).argv
        wrapper = write_wrapper(scenario.steps, real, running.directory / "terraform", running.played_file)
        found[TERRAFORM_BIN] = str(wrapper)
    return found


def tell_played(app: App, scenario: Scenario | None, played: Mapping[int, int], status: int | None = None) -> None:
    """Say which steps were played, which were not, and how ``bootstrap`` should end."""
    if scenario is None:
        return
    app.note(f"Scenario {scenario.name}: {scenario.title}.")
    if scenario.account:
        app.note(f"  account: the quotas of a {scenario.account} account")
    for quota, value in (scenario.quotas or {}).items():
        app.note(f"  account: the quota {quota} is {value:g}")
    if scenario.steps and not played:
        reached = ", ".join(dict.fromkeys(step.request for step in scenario.steps))
        app.note(f"  the scenario played nothing: the run never reached {reached}")
        return
    for index, step in enumerate(scenario.steps):
        times = counted(played[index], "time") if index in played else "not played"
        app.note(f"  {times}: {step}")
    if scenario.ends and status is not None:
        code = f" ({scenario.ends.code})" if scenario.ends.code else ""
        again = "" if scenario.ends.again is None else f", and run again with {scenario.ends.again}"
        app.note(f"  status {status}; `gridbyoc bootstrap --yes` should end with {scenario.ends.status}{code}{again}")
    if scenario.expect:
        app.note(f"  expect: {scenario.expect}")


@command("scenarios")
@click.argument("name", required=False, shell_complete=complete_scenario)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of scenario files, for editors.")
@pass_app
def scenarios(app: App, /, name: str | None, *, schema: bool) -> None:
    """List the scenarios that ship; with NAME, print that scenario's file.

    A copy of a file is the start of a scenario of your own:
    gridbyoc sandbox scenarios aws-throttling > my-scenario.yaml
    """
    from gridbyoc.sandbox.scenario.model import load_scenario, scenario_schema, shipped, shipped_text

    if schema:
        app.document(json_text(scenario_schema(), indent=2))
    elif name is None:
        app.show(SCENARIOS, shipped())
    elif app.drawn:
        app.document(shipped_text(name).rstrip("\n"))
    else:
        app.show(SCENARIOS, (load_scenario(name, app.cwd),))


class ScenarioBody(TypedDict):
    """A scenario: its name, what it plays, what to expect. ``status`` is how ``bootstrap`` ends; ``null``: not said."""

    name: str
    title: str
    plays: str
    expect: str
    status: int | None


class ScenariosBody(TypedDict):
    """The scenarios that ship."""

    scenarios: list[ScenarioBody]


def _scenarios_json(found: tuple[Scenario, ...]) -> ScenariosBody:
    return {
        "scenarios": [
            {
                "name": each.name,
                "title": each.title,
                "plays": each.plays,
                "expect": each.expect,
                "status": each.ends.status if each.ends else None,
            }
            for each in found
        ]
    }


def _write_scenarios(found: tuple[Scenario, ...], screen: Screen) -> None:
    screen.table(
        ("scenario", "title", "status"),
        [(each.name, each.title, str(each.ends.status) if each.ends else "") for each in found],
    )


SCENARIOS = Output("scenarios", _scenarios_json, _write_scenarios, stack="none")


def _settings(app: App, options: Mapping[str, Any]) -> SandboxSettings:
    from gridbyoc.sandbox import SandboxSettings
    from gridbyoc.sandbox.settings import read_quota_names, read_quotas
    from gridbyoc.stack.secret import Secret

    given = dict(options)
    given |= {"quotas": read_quotas(given["quotas"]), "quota_names": read_quota_names(given["quota_names"])}
    key, state, named = given.pop("api_key"), given.pop("state"), given.pop("scenario_name")
    if named:
        from gridbyoc.sandbox.scenario.model import load_scenario

        scenario = load_scenario(named, app.cwd)
        given |= {"scenario": scenario, "quotas": {**(scenario.quotas or {}), **given["quotas"]}}
        given["account"] = scenario.account or given["account"]
    return SandboxSettings(**given, api_key=Secret(key) if key else None, state_dir=state.absolute() if state else None)


def _on_signals(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())


for each in (up, run, shell, scenarios):
    sandbox.add_command(each)
