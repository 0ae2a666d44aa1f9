"""``gridbyoc fleet``: many stacks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_stack_file
from gridbyoc.cli.next_step import after_fleet
from gridbyoc.cli.options import FORMATS, Command, Group, command, pass_app
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, FileError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from gridbyoc.operations.fleet.model import Member, Verb
    from gridbyoc.operations.fleet.run import FleetOptions, FleetReport
    from gridbyoc.show.fleet import Engine


@command("matrix", short_help="Write the shards of a CI engine's matrix.")
@click.argument("paths", nargs=-1, type=str, shell_complete=complete_stack_file)
@click.option("--since", default=None, metavar="REV", help="Only stacks that changed since this Git revision.")
@click.option("--untracked", is_flag=True, help="Files that Git does not track yet count as changed, too.")
@click.option(
    "--shards", type=click.IntRange(min=1), default=None, metavar="N", help="The most jobs (default: one per stack)."
)
@click.option(
    "--for",
    "engine",
    type=click.Choice(["github", "gitlab", "argo", "shell", "json"]),
    default="json",
    show_default=True,
    help="The engine that reads it; shell: lines for `read -r` (--per-stack).",
)
@click.option("--per-stack", is_flag=True, help="One entry for each stack, as the jobs of `gridbyoc pipeline` need it.")
@click.option("--stack", "only", default="", metavar="NAME", help="Only the stack of this name (empty: all).")
@click.option(
    "--verb",
    type=click.Choice(["validate", "plan", "bootstrap", "drift", "status", "destroy"]),
    default="bootstrap",
    show_default=True,
    help="What the jobs will run: its last durations balance the shards.",
)
@click.option(
    "--environment",
    default="production",
    show_default=True,
    metavar="NAME",
    help="Of stacks that GRIDBYOC_ENVIRONMENTS does not name (--per-stack).",
)
@pass_app
def matrix(
    app: App,
    /,
    paths: tuple[str, ...],
    since: str | None,
    untracked: bool,
    shards: int | None,
    engine: Engine,
    verb: str,
    per_stack: bool,
    only: str,
    environment: str,
) -> None:
    """Write the shards of a CI engine's matrix: the stacks in PATHS (default: here), longest first.

    A stack has changed if its file, a base, or a file of its module has changed, in the working tree or in commits.
    Deleted stack files are reported on stderr: nothing is destroyed for them.

    --per-stack writes one entry for each stack with name, file, region, audience and control plane. It refuses stacks
    that jobs cannot tell apart or that keep their state on one machine.
    """
    from gridbyoc.operations.fleet.matrix import Since, make_matrix
    from gridbyoc.operations.fleet.pipeline_stacks import pipeline_stacks
    from gridbyoc.show.fleet import check_stack_count, matrix_output, stacks_output
    from gridbyoc.stack.words import escaped

    _check_matrix(engine, untracked=untracked and since is None, shards=shards, per_stack=per_stack)
    wanted = Since(since, untracked) if since is not None else None
    made = make_matrix(paths or (".",), app.cwd, app.environ, since=wanted, shards=shards, verb=verb, only=only)
    for path in made.deleted:
        gone = f"{escaped(path)} was deleted, but nothing in AWS was"
        app.note(f"warning: {gone}: destroy its stack from a revision that has it.")
    if per_stack:
        check_stack_count(len(made.members), engine)
        found = pipeline_stacks(made.members, app.cwd, app.environ, app.home, environment=environment, warn=app.note)
        app.show(stacks_output(engine), found)
    else:
        app.show(matrix_output(engine, verb), made)


def _check_matrix(engine: Engine, *, untracked: bool, shards: int | None, per_stack: bool) -> None:
    """Raise ``UsageError`` for options that do not go together. ``untracked``: it was given without ``--since``."""
    if untracked:
        raise UsageError("--untracked needs --since.", fix="Give both, or neither.", rerun=SAFE_NOTHING_DONE)
    if per_stack and shards is not None:
        raise UsageError("--per-stack and --shards cannot go together.", rerun=SAFE_NOTHING_DONE)
    if engine == "shell" and not per_stack:
        raise UsageError("--for shell needs --per-stack.", fix="Give both, or neither.", rerun=SAFE_NOTHING_DONE)
    if engine == "gitlab" and per_stack:
        fix = "`gridbyoc pipeline gitlab --child` writes the jobs of each stack."
        raise UsageError("--per-stack has no effect on gitlab.", fix=fix, rerun=SAFE_NOTHING_DONE)


VERBS = {
    "validate": ("stackfile", "List every problem of each stack file."),
    "plan": ("plan", "Show what bootstrap would change, for each stack."),
    "bootstrap": ("bootstrap", "Take each stack to running clusters."),
    "drift": ("drift", "Show where both sides differ from the stack files; status 3 if they do."),
    "verify": ("verify", "Prove what each stack's role grants; status 4 if a finding fails."),
    "status": ("status", "Show each stack's status, and what to do next."),
    "report": ("report", "Write one HTML page about all stacks, and a page for each."),
    "destroy": ("destroy", "Delete each stack's clusters and its role."),
}
FORWARDED = frozenset(
    {
        *(
            "overrides",
            "profile",
            "exit_code",
            "terraform_bin",
            "url",
            "yes",
            "yes_destroy",
            "rollback",
            "refresh",
            "no_wait",
        ),
        *("delete_data", "no_control_plane", "wait_timeout", "poll_interval", "failed_grace", "lock_timeout"),
        *("only", "skip", "strict", "skip_preflight"),
        *("no_checks", "no_drift", "local", "deadline"),
    }
)
"""The single verbs' options that make sense for many stacks; they come from those commands unchanged."""

_YES_DESTROY = "--yes-destroy"
_APPROVALS = {"bootstrap": ("yes", "--yes"), "destroy": ("yes_destroy", _YES_DESTROY)}
PAGE = "gridbyoc-fleet.html"
_REPORT_HELP = f"""PATHS are stack files, directories and globs (default: the current directory).

The page has a row for each stack: state, clusters, drift, proof, preflight, cost, last run, account. Each row leads to
the stack's own page, as `gridbyoc report` writes it, in the directory {PAGE.removesuffix(".html")}-stacks beside it.
The page names what was not checked, and why something is unknown. --format markdown writes a table for a job's summary;
that and --format json write pages only with --out.

Only reads, needs no lock, and leaves nothing behind but the pages (docs/reading.md)."""
_PATIENCE = "--lock-timeout=60s"
"""A run that was just killed with its fleet may still be ending."""


class Fleet(Group):
    """Creates each verb's command when it is called, from the single verb's options and the fleet's own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in order, and ``matrix``."""
        return [*VERBS, "matrix"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the single verb's command; an unknown name gives ``None``."""
        return _command(cmd_name) if cmd_name in VERBS else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands from the table above."""
        lines = [(name, line) for name, (_, line) in VERBS.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*lines, ("matrix", str(matrix.short_help))])


@click.group("fleet", cls=Fleet)
def fleet() -> None:
    """Many stacks: validate, plan, bootstrap, drift, verify, report, destroy.

    PATHS are stack files, directories and globs. Each stack runs in its own process; a failing one does not stop the
    others. Status 0 if all succeed, otherwise the status of those that failed, or 1 if they differ.
    """


fleet.add_command(matrix)


def _command(verb: str) -> click.Command:
    module, line = VERBS[verb]
    single: click.Command = getattr(importlib.import_module(f"gridbyoc.cli.{module}"), verb)
    taken = [param for param in single.params if param.name in FORWARDED]

    @pass_app
    def callback(app: App, /, paths: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 - any option's value
        _require_approval(app, verb, given)
        wanted = _wanted(verb, _options(click.get_current_context(), taken, given), given)
        return _report(app, paths, wanted, given) if verb == "report" else _run(app, paths, wanted)

    params, formats = [*_own(verb), *taken], (*FORMATS, "markdown") if verb == "report" else FORMATS
    return Command(verb, params=params, callback=callback, help=_help(verb, line), short_help=line, formats=formats)


def _wanted(verb: str, options: tuple[str, ...], given: Mapping[str, Any]) -> FleetOptions:
    from gridbyoc.operations.fleet.model import WRITING
    from gridbyoc.operations.fleet.run import FleetOptions, WaitChosen

    names = ("url", "wait_timeout", "poll_interval", "failed_grace")
    waits = verb in WRITING and not given["no_wait"]
    return FleetOptions(
        _verb(verb),
        options,
        jobs=given["jobs"],
        fail_fast=given["fail_fast"],
        again=given.get("again", False),
        pending=verb != "plan" or given["exit_code"],
        terraform_bin=given.get("terraform_bin"),
        overrides=given.get("overrides", ()),
        wait=WaitChosen(*(given[name] for name in names)) if waits else None,
        terraform=not given.get("local", False),
    )


def _verb(verb: str) -> Verb:
    from typing import get_args

    from gridbyoc.operations.fleet.model import Verb as Verbs

    found: Verb = next(each for each in get_args(Verbs) if each == verb)
    return found


def _help(verb: str, line: str) -> str:
    if verb == "report":
        return f"{line}\n\n{_REPORT_HELP}"
    if verb not in _APPROVALS:
        return f"{line}\n\nPATHS are stack files, directories and globs (default: the current directory)."
    asks = f"Does not ask: {_APPROVALS[verb][1]} is needed."
    if verb == "destroy":
        asks = "On a terminal, asks for the number of stacks (for one: its name); otherwise --yes-destroy is needed."
    resume = "After an interrupted run, it continues with the rest; --all runs all again."
    return f"{line}\n\nPATHS are stack files, directories and globs. {asks} {resume}"


def _own(verb: str) -> list[click.Parameter]:
    jobs = "Stacks in parallel (default: by cores and free memory)."
    fast = "Start no further stack once one has failed; running ones continue."
    own: list[click.Parameter] = [
        click.Argument(["paths"], nargs=-1, required=verb in _APPROVALS, type=str, shell_complete=complete_stack_file),
        click.Option(["--jobs", "-j"], type=click.IntRange(min=1), default=None, metavar="N", help=jobs),
        click.Option(["--fail-fast"], is_flag=True, help=fast),
    ]
    if verb in _APPROVALS:
        again = "Also run stacks that an interrupted run has completed."
        own.append(click.Option(["--all", "again"], is_flag=True, help=again))
    if verb == "report":
        out = f"The file to write (default: {PAGE}; - is stdout, without the stacks' pages)."
        force = "Overwrite files that are no reports of gridbyoc."
        own += [
            click.Option(["--out", "-o"], metavar="FILE", default=None, help=out),
            click.Option(["--force"], is_flag=True, help=force),
        ]
    return own


def _require_approval(app: App, verb: str, given: dict[str, Any]) -> None:
    name, flag = _APPROVALS.get(verb, ("", ""))
    if name and not given.get(name) and not (verb == "destroy" and app.interactive):
        raise ApprovalRequiredError(
            f"`fleet {verb}` needs {flag}{' without a terminal' if verb == 'destroy' else ''}.",
            fix="Check `gridbyoc fleet plan`, then run again with it.",
            rerun=SAFE_NOTHING_DONE,
        )


def _options(context: click.Context, taken: list[click.Parameter], given: dict[str, Any]) -> tuple[str, ...]:
    """The options given on the command line; those in the environment reach each stack's run anyway."""
    source = click.core.ParameterSource.COMMANDLINE
    written = [
        text
        for param in taken
        if context.get_parameter_source(str(param.name)) is source
        for text in _written(param, given.get(str(param.name), context.obj.profile))
    ]
    if any(param.name == "lock_timeout" for param in taken) and not any(
        t.startswith("--lock-timeout") for t in written
    ):
        written.append(_PATIENCE)
    if any(param.name == "exit_code" for param in taken) and "--exit-code" not in written:
        written.append("--exit-code")
    return tuple(written)


def _written(param: click.Parameter, value: Any) -> list[str]:  # noqa: ANN401 - any option's value
    name = max(param.opts, key=len)
    if isinstance(value, bool):
        return [name] if value else list(param.secondary_opts[:1])
    values = value if param.multiple or isinstance(value, (list, tuple)) else [value]
    return [f"{name}={_text(each)}" for each in values]


def _text(value: Any) -> str:  # noqa: ANN401 - as above
    return f"{value:.3f}s" if isinstance(value, float) else str(value)


def _run(app: App, paths: tuple[str, ...], wanted: FleetOptions) -> int:
    from gridbyoc.operations.fleet.find import find_members
    from gridbyoc.operations.fleet.run import Surroundings, carry_out
    from gridbyoc.show.fleet import FLEET, FLEET_RUN
    from gridbyoc.stack.clock import utc_now

    members = find_members(paths or (".",), app.cwd, environ=app.environ)
    if wanted.verb == "destroy" and _YES_DESTROY not in wanted.options:
        _ask(app, members)
        wanted = replace(wanted, options=(*wanted.options, _YES_DESTROY))
    with app.view(FLEET_RUN) as view:
        report = carry_out(members, wanted, Surroundings(app.cwd, app.home, app.environ, view, utc_now))
    app.show(FLEET, report)
    if wanted.verb == "validate":
        _report_problems(app, report)
    if report.interrupted:
        raise _interrupted(report)
    after_fleet(app, report)
    return report.status


def _report(app: App, paths: tuple[str, ...], wanted: FleetOptions, given: Mapping[str, Any]) -> int:
    """Run ``report`` for each stack with its own file to write, then write the fleet's page over their documents."""
    from gridbyoc.cli.report import page_target, write_page
    from gridbyoc.operations.fleet.find import find_members
    from gridbyoc.operations.fleet.report import fleet_page, page_names
    from gridbyoc.operations.fleet.run import Surroundings, carry_out
    from gridbyoc.operations.page import environ_secrets
    from gridbyoc.render import data_dir
    from gridbyoc.show.fleet import FLEET_RUN
    from gridbyoc.show.page.fleet import FLEET_REPORT, fleet_html
    from gridbyoc.stack.clock import utc_now

    target = page_target(app, given["out"], PAGE, force=given["force"])
    members = find_members(paths or (".",), app.cwd, environ=app.environ)
    links: dict[Member, str] = {}
    if target is not None:
        pages = _pages_beside(target)
        names = page_names(members)
        force = ("--force",) if given["force"] else ()
        wanted = replace(wanted, own=lambda member: (f"--out={pages / names[member]}", *force))
        links = {member: f"./{quote(pages.name)}/{name}" for member, name in names.items()}
    with app.view(FLEET_RUN) as view:
        report = carry_out(members, wanted, Surroundings(app.cwd, app.home, app.environ, view, utc_now))
    page = fleet_page(report, links, utc_now(), tuple(environ_secrets(app.environ)))
    if given["out"] == "-":
        app.document(fleet_html(page, data_dir("templates")).rstrip("\n"))
    else:
        app.show(FLEET_REPORT, page)
    if report.interrupted:
        raise _interrupted(report)
    if target is not None:
        write_page(app, target, fleet_html(page, data_dir("templates")), page.made)
    return report.status


def _pages_beside(target: Path) -> Path:
    """The directory of the stacks' pages; a link is refused, because the pages would be written elsewhere."""
    from gridbyoc.stack.files import make_private_dir

    pages = target.with_name(f"{target.stem}-stacks")
    if pages.is_symlink():
        fix = "Remove it, or give --out another name."
        raise FileError(f"{pages} is a link.", why="The stacks' pages belong beside the page.", fix=fix)
    make_private_dir(pages)
    return pages


def _report_problems(app: App, report: FleetReport) -> None:
    """Report every stack's problems to the CI platform, as ``validate`` does for one stack."""
    from gridbyoc.cli.reporting import Reporting, platform_of
    from gridbyoc.errors import Problem

    documents = (result.said.get("validate", {}) for result in report.results)
    told = [each for document in documents for each in document.get("problems") or ()]
    found = [
        (each["level"], Problem(*(each[key] for key in ("file", "line", "path", "message", "hint")))) for each in told
    ]
    reporting = Reporting(app, platform_of(app.environ, "auto"))
    with reporting.telling():
        reporting.problems(found)


def _ask(app: App, members: Sequence[Member]) -> None:
    """Ask for the one stack's name, or for the number of several: nobody would check fifty names while typing them."""
    from gridbyoc.stack.words import counted, escaped

    app.note("This permanently deletes the clusters and the role of:")
    rows = [(member.label, escaped(member.shown)) for member in members]
    app.note_table(("stack", "file"), rows)
    name = members[0].label if len(members) == 1 else counted(len(members), "stack")
    if not app.confirm_name("Destroy all of this?", name, flag=_YES_DESTROY):
        raise ApprovalRequiredError("The destruction was not approved.", rerun=SAFE_NOTHING_DONE)


def _interrupted(report: FleetReport) -> InterruptedRunError:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts().items())
    resumes = report.verb in _APPROVALS
    return InterruptedRunError(
        f"The fleet's {report.verb} was interrupted: {counts}.",
        fix=f"Run the same command again{': it continues with the rest' if resumes else ''}.",
        rerun="A re-run is safe: each stack continues from what exists." if resumes else "A re-run is safe.",
    )
