"""Suggest the next command after one that succeeded, ready to be typed.

``FOLLOWING`` is the order of the commands; the functions below choose if that depends on the result.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import DEFAULT_STACK

if TYPE_CHECKING:
    from gridbyoc.aws.leftovers import Ledger
    from gridbyoc.control_plane.model import Cluster
    from gridbyoc.operations.fleet.run import FleetReport
    from gridbyoc.operations.report import Report

FOLLOWING: Mapping[str, tuple[str, str]] = {
    "login": ("doctor", "checks what a bootstrap needs"),
    "login without a stack": ("new", "writes a stack file"),
    "doctor": ("plan", "shows what bootstrap would change"),
    "doctor without a stack": ("new", "writes a stack file"),
    "validate": ("plan", "shows what bootstrap would change"),
    "render": ("plan", "shows what bootstrap would change"),
    "plan": ("bootstrap", "applies the plan"),
    "plan --out": ("apply", "applies exactly this plan"),
    "bootstrap": ("verify", "proves what the role grants"),
    "bootstrap --cluster": ("status", "shows what is left of the stack"),
    "outputs": ("verify", "proves what the role grants"),
    "handoff": ("status", "shows when it was handed over, and whether it is still valid"),
    "verify": ("drift", "compares everything else with the stack file"),
    "drift": ("plan", "shows what bootstrap would change"),
    "not running yet": ("clusters wait", "waits until the cluster runs"),
    "leftovers": ("leftovers --delete", "shows them again, asks, and deletes them"),
    "leftovers with data": ("leftovers --delete --delete-data", "asks, and deletes what holds data, too"),
    "quotas": ("quotas request", "requests more from AWS"),
    "quotas request": ("quotas status", "shows the status of the requests"),
    "quotas granted": ("doctor", "checks what a bootstrap needs"),
    "state init": ("plan", "shows what bootstrap would change"),
    "state init with a state elsewhere": ("state migrate", "moves the state there"),
    "state migrate": ("plan", "shows that nothing else has changed"),
    "state push": ("status", "shows the stack's status"),
    "state unlock": ("status", "shows the stack's status"),
    "fleet validate": ("fleet plan", "shows what bootstrap would change"),
    "fleet plan": ("fleet bootstrap --yes", "applies creation and change"),
    "fleet bootstrap": ("fleet verify", "proves what the roles grant"),
    "fleet verify": ("fleet drift", "compares everything else with the stack files"),
    "fleet drift": ("fleet plan", "shows what bootstrap would change"),
}
"""What succeeded, with the command that follows and its purpose. Commands not listed here have no next step."""

_REPEATED = ("stack_file", "overrides", "cluster_names", "url", "terraform_bin", "dialect", "names", "tags", "paths")
"""Parameters that mean the same in each command that has them; their typed values are repeated."""


def tell_next(app: App, after: str, *arguments: str, stack_file: str | None = None, sets: Sequence[str] = ()) -> None:
    """Name the command that follows ``after`` on stderr: only in text output, and only if it can be typed.

    ``arguments`` are its own. ``stack_file`` and ``sets`` (``--set``) replace typed values, for a command that had them
    from elsewhere. A stack file from standard input cannot be repeated: nothing is named.
    """
    if app.format not in ("text", "table"):
        return
    typed = dict(_typed(click.get_current_context()))
    typed |= {"stack_file": stack_file} if stack_file else {}
    typed |= {"overrides": tuple(sets)} if sets else {}
    typed |= {"profile": app.profile} if app.profile else {}
    if typed.get("stack_file") == "-":
        return
    command, does = FOLLOWING[after]
    app.note(f"Next: `{command_line(command, arguments, typed)}` {does}.")


def command_line(command: str, arguments: Sequence[str], typed: Mapping[str, Any]) -> str:
    """``gridbyoc COMMAND`` for a shell, with the ``typed`` values of the parameters that it has as well."""
    from gridbyoc.cli.main import cli

    words = command.split()
    target: click.Command = cli
    for word in words:
        if isinstance(target, click.Group):
            target = target.get_command(click.Context(target), word) or target
    options: list[str] = []
    for param in target.params:
        value = typed.get(str(param.name))
        if not value:
            continue
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(param, click.Argument):
            arguments = (*arguments, *(f"./{each}" if each.startswith("-") else each for each in values))
        else:
            options += [word for each in values for word in (max(param.opts, key=len), each)]
    return shlex.join(("gridbyoc", *words, *arguments, *options))


def _typed(context: click.Context | None) -> Iterator[tuple[str, Any]]:
    """The typed values of the repeated parameters; a group's come before its command's."""
    if context is None:
        return
    yield from _typed(context.parent)
    for name in _REPEATED:
        value = context.params.get(name)
        if value and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            yield name, value


def after_login(app: App, stack_file: str | None) -> None:
    """``stack_file`` was given or is in the directory."""
    tell_next(app, "login" if stack_file else "login without a stack")


def after_report(app: App, report: Report, *, sets: Sequence[str] = ()) -> None:
    """After a bootstrap, an apply or a rotation; nothing if nothing was changed and every cluster runs."""
    waiting = next((cluster for cluster in report.clusters if cluster.status != "running"), None)
    if waiting:
        after_cluster(app, waiting)
    elif report.changed:
        tell_next(app, "bootstrap --cluster" if report.left_out else "bootstrap", sets=sets)


def after_cluster(app: App, cluster: Cluster) -> None:
    """After a cluster was created or changed; nothing unless it is on its way to running."""
    if cluster.status in ("queued", "pending", "configuring"):
        tell_next(app, "not running yet", cluster.name)


def after_leftovers(app: App, ledger: Ledger) -> None:
    """After a search for leftovers; nothing if nothing is left that could be deleted."""
    from gridbyoc.aws.leftovers import HOLDS_DATA

    if any(not one.kept and not one.holds_data for one in ledger.leftovers):
        tell_next(app, "leftovers")
    elif any(one.kept in ("", HOLDS_DATA) for one in ledger.leftovers):
        tell_next(app, "leftovers with data")


def after_bundle(app: App, bundle: str, names: Sequence[str]) -> None:
    """After a bundle was shown; ``names`` are its stack's files.

    Nothing if none of them, or more than one, is in the directory: the bundle does not say which one to name.
    """
    here = [name for name in names if Path(app.cwd, name).is_file()]
    if DEFAULT_STACK in here:
        tell_next(app, "plan --out", bundle)
    elif len(here) == 1:
        tell_next(app, "plan --out", bundle, stack_file=here[0])


def after_fleet(app: App, report: FleetReport) -> None:
    """After a fleet's run; nothing if a stack failed, no plan changes anything, or nothing has drifted."""
    outcomes = set(report.counts())
    key = f"fleet {report.verb}"
    wanted = "changes" if report.verb in ("plan", "drift") else "done"
    if key in FOLLOWING and wanted in outcomes and outcomes <= {"done", "changes", "skipped"}:
        tell_next(app, key)
