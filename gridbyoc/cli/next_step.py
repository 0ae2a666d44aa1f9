"""The command to run after one that succeeded: which one, and how it is typed.

``FOLLOWING`` is the order of the commands; the functions below it decide where that depends on the result.
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
    "plan": ("bootstrap", "carries the plan out"),
    "plan --out": ("apply", "carries out exactly this plan"),
    "bootstrap": ("verify", "proves what the role grants"),
    "outputs": ("verify", "proves what the role grants"),
    "handoff": ("status", "tells when it was handed over, and whether it still stands"),
    "verify": ("drift", "compares everything else with the stack file"),
    "drift": ("plan", "shows what bootstrap would change"),
    "not running yet": ("clusters wait", "waits until the cluster runs"),
    "leftovers": ("leftovers --delete", "shows them again, asks, and deletes them"),
    "leftovers with data": ("leftovers --delete --delete-data", "asks, and deletes what holds data, too"),
    "quotas": ("quotas request", "asks AWS for more"),
    "quotas request": ("quotas status", "shows where the requests stand"),
    "quotas granted": ("doctor", "checks what a bootstrap needs"),
    "state init": ("plan", "shows what bootstrap would change"),
    "state init with a state elsewhere": ("state migrate", "moves the state there"),
    "state migrate": ("plan", "shows that nothing else has changed"),
    "state push": ("status", "shows where the stack stands"),
    "state unlock": ("status", "shows where the stack stands"),
    "fleet validate": ("fleet plan", "shows what bootstrap would change"),
    "fleet plan": ("fleet bootstrap --yes", "carries out creation and change"),
    "fleet bootstrap": ("fleet verify", "proves what the roles grant"),
    "fleet verify": ("fleet drift", "compares everything else with the stack files"),
    "fleet drift": ("fleet plan", "shows what bootstrap would change"),
}
"""What succeeded → the command that follows, and what that does. What is not in it has nothing to follow."""

_REPEATED = ("stack_file", "overrides", "url", "terraform_bin", "dialect", "names", "tags", "paths")
"""Parameters that mean the same to each command that has them; what was typed of them is typed again."""


def tell_next(app: App, after: str, *arguments: str, stack_file: str | None = None, sets: Sequence[str] = ()) -> None:
    """Name the command that follows ``after`` on stderr, in text output alone, where it can be typed.

    ``arguments`` are its own; ``stack_file`` and ``sets`` (``--set``) stand for what was typed of them, where the
    command had them from elsewhere. A stack file from standard input is gone: nothing is named.
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
    """``gridbyoc COMMAND`` as a shell takes it, with what was ``typed`` of the parameters that it has as well."""
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
    """What the command line says of the parameters that are repeated; a group's own come before its command's."""
    if context is None:
        return
    yield from _typed(context.parent)
    for name in _REPEATED:
        value = context.params.get(name)
        if value and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            yield name, value


def after_login(app: App, stack_file: str | None) -> None:
    """``stack_file``: the one that was given, or is in the directory."""
    tell_next(app, "login" if stack_file else "login without a stack")


def after_report(app: App, report: Report, *, sets: Sequence[str] = ()) -> None:
    """After a bootstrap, an apply or a rotation; nothing where nothing was changed and every cluster runs."""
    waiting = next((cluster for cluster in report.clusters if cluster.status != "running"), None)
    if waiting:
        after_cluster(app, waiting)
    elif report.changed:
        tell_next(app, "bootstrap", sets=sets)


def after_cluster(app: App, cluster: Cluster) -> None:
    """After a cluster was created or changed; nothing where it is not on its way to running."""
    if cluster.status in ("queued", "pending", "configuring"):
        tell_next(app, "not running yet", cluster.name)


def after_leftovers(app: App, ledger: Ledger) -> None:
    """Nothing where nothing is left that could be deleted."""
    from gridbyoc.aws.leftovers import HOLDS_DATA

    if any(not one.kept and not one.holds_data for one in ledger.leftovers):
        tell_next(app, "leftovers")
    elif any(one.kept in ("", HOLDS_DATA) for one in ledger.leftovers):
        tell_next(app, "leftovers with data")


def after_bundle(app: App, bundle: str, names: Sequence[str]) -> None:
    """After a bundle was shown; ``names`` are those of the files that its stack is made of.

    Nothing where none of them, or more than one, is in the directory: which one to name is not in the bundle.
    """
    here = [name for name in names if Path(app.cwd, name).is_file()]
    if DEFAULT_STACK in here:
        tell_next(app, "plan --out", bundle)
    elif len(here) == 1:
        tell_next(app, "plan --out", bundle, stack_file=here[0])


def after_fleet(app: App, report: FleetReport) -> None:
    """Nothing where a stack failed, where no plan changes anything, and where nothing has drifted."""
    outcomes = set(report.counts())
    key = f"fleet {report.verb}"
    wanted = "changes" if report.verb in ("plan", "drift") else "done"
    if key in FOLLOWING and wanted in outcomes and outcomes <= {"done", "changes", "skipped"}:
        tell_next(app, key)
