"""``gridbyoc bootstrap``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import after_report
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import (
    brief_option,
    choices_options,
    cluster_option,
    finish_option,
    open_run,
    preflight_options,
)

if TYPE_CHECKING:
    from gridbyoc.operations.options import BootstrapOptions, EditBody
    from gridbyoc.operations.review.review import Review
    from gridbyoc.operations.run import Checks, Choices
    from gridbyoc.stack.model import Stack


class Yes(NamedTuple):
    """The approvals given on the command line."""

    create_and_change: bool = False
    destroy: bool = False


@command("bootstrap")
@stack_argument
@set_option
@profile_option
@cluster_option
@click.option("--yes", "-y", is_flag=True, help="Approve creation and change (never destruction).")
@click.option("--yes-destroy", is_flag=True, help="Approve destruction and replacement as well.")
@click.option("--rollback", is_flag=True, help="If the registration is refused, destroy what this run created.")
@click.option("--refresh", is_flag=True, help="Run Terraform even if nothing has changed since the last run.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the clusters to run.")
@click.option("--edit-before-creation", is_flag=True, help="Open $VISUAL or $EDITOR on each new cluster's request.")
@brief_option
@preflight_options
@finish_option
@choices_options
@pass_app
def bootstrap(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    cluster_names: tuple[str, ...],
    yes: bool,
    yes_destroy: bool,
    rollback: bool,
    refresh: bool,
    edit_before_creation: bool,
    brief: bool,
    checks: Checks | None,
    choices: Choices,
) -> None:
    """Take STACK_FILE to running clusters: role, registration, wait.

    Safe to run again at any time: what exists is kept, what differs is changed, what is missing is created. If both
    sides and the file are as the last run left them, it ends in about a second. With --cluster, the stack's other
    clusters are left alone; a change of a role that they use is refused (status 4). The default STACK_FILE is
    $GRIDBYOC_STACK or gridbyoc.yaml; - reads standard input.
    """
    from gridbyoc.operations.options import BootstrapOptions

    editor = _editor(app) if edit_before_creation else None
    choices = replace(choices, checks=checks, refresh=refresh, clusters=cluster_names)
    carry_out(
        app, stack_file, overrides, choices, Yes(yes, yes_destroy), BootstrapOptions(editor, rollback), brief=brief
    )


def carry_out(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    choices: Choices,
    yes: Yes,
    options: BootstrapOptions,
    *,
    brief: bool = False,
    alter: Callable[[Stack], Stack] | None = None,
    verb: str = "bootstrap",
) -> None:
    """Run a bootstrap of ``stack_file`` (after ``alter``) under its lock, as ``verb``, and show its report."""
    from gridbyoc.operations.options import Approval

    approval = Approval(yes.create_and_change, yes.destroy, lambda review: ask(app, review, brief=brief))
    with open_run(app, stack_file, overrides, verb, choices) as run:
        from gridbyoc.operations.converged import short_way

        altered = replace(run, stack=alter(run.stack)) if alter else run
        report = short_way(altered, options)
        if report is None:
            from gridbyoc.operations.bootstrap import long_way  # here: the short way does not need these imports

            report = long_way(altered, approval, options)
    from gridbyoc.show.report import REPORT

    app.show(REPORT, report, report.stack)
    after_report(app, report)


def ask(app: App, review: Review, *, brief: bool) -> bool:
    """Show a plan's review and ask for approval; ``ApprovalRequiredError`` without a terminal."""
    from gridbyoc.show.plan import plan_lines

    for line in plan_lines(review, brief=brief):
        app.note(line)
    return app.confirm("Apply these changes?", flag="--yes (and --yes-destroy if anything is destroyed)")


def _editor(app: App) -> EditBody:
    from gridbyoc.cli.editing import edit_request

    return lambda _spec, body: edit_request(app, body)
