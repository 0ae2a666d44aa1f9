"""``gridbyoc render`` and ``gridbyoc plan``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.bundle import key_for
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import FORMATS, command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.reporting import report_options
from gridbyoc.cli.running import brief_option, cluster_option, open_run, preflight_options, terraform_options
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, UsageError
from gridbyoc.show.output import Output

if TYPE_CHECKING:
    from gridbyoc.cli.reporting import Reporting
    from gridbyoc.operations.review.review import Review
    from gridbyoc.operations.run import Checks, Run
    from gridbyoc.render.work_dir import Rendered
    from gridbyoc.stack.secret import Secret


class RenderBody(TypedDict):
    """The root module's directory, and its files that were written and removed."""

    work_dir: str
    changed: list[str]
    removed: list[str]


def _render_json(rendered: Rendered) -> RenderBody:
    return {
        "work_dir": str(rendered.work_dir),
        "changed": list(rendered.changed),
        "removed": list(rendered.removed),
    }


RENDER: Output[Rendered] = Output("render", _render_json, lambda done, screen: screen.line(str(done.work_dir)))


@command("render")
@stack_argument
@set_option
@terraform_options
@pass_app
def render(app: App, stack_file: str, overrides: tuple[str, ...], terraform_bin: str | None) -> None:
    """Write STACK_FILE's root module into its work_dir (.gridbyoc/NAME beside the stack file).

    You can run terraform there by hand.
    """
    from gridbyoc.errors import TerraformNotFoundError
    from gridbyoc.operations.prepare import render_stack
    from gridbyoc.operations.run import Choices

    with open_run(app, stack_file, overrides, "render", Choices(terraform_bin)) as run:
        try:
            native_lock = run.find_binary().s3_native_lock
        except TerraformNotFoundError:
            native_lock = True
        rendered = render_stack(run, s3_native_lock=native_lock)
    app.show(RENDER, rendered, run.stack.name)
    tell_next(app, "render")


@command("plan", formats=(*FORMATS, "markdown"))
@stack_argument
@set_option
@profile_option
@cluster_option
@click.option("--exit-code", is_flag=True, help="End with status 3 if changes are pending.")
@click.option("--out", default=None, metavar="FILE", help="Write a bundle for `gridbyoc apply FILE`.")
@click.option("--unencrypted", is_flag=True, help="Leave the bundle's secrets in plain text.")
@brief_option
@report_options
@preflight_options
@terraform_options
@url_option
@pass_app
def plan(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    cluster_names: tuple[str, ...],
    exit_code: bool,
    out: str | None,
    unencrypted: bool,
    brief: bool,
    checks: Checks | None,
    terraform_bin: str | None,
    url: str | None,
    reporting: Reporting,
) -> int:
    """Show what bootstrap would change: Terraform's changes and the control plane's, together.

    Changes nothing on either side. The preflight of `gridbyoc doctor` runs in parallel with Terraform's init; a failing
    check ends the plan with status 4. With --out, another job can apply exactly what was shown; the bundle is encrypted
    with the key in GRIDBYOC_BUNDLE_KEY.
    """
    from gridbyoc.operations.run import Choices

    if unencrypted and not out:
        raise UsageError("--unencrypted needs --out.", rerun=SAFE_NOTHING_DONE)
    key = key_for(app, unencrypted=unencrypted) if out else None
    asked = PlanOutputs(out, stack_file, url, overrides, key, reporting, brief)
    reading = replace(checks, reads_only=True) if checks else None
    choices = Choices(terraform_bin, url, checks=reading, clusters=cluster_names)
    with open_run(app, stack_file, overrides, "plan", choices) as run:
        found = _made(app, asked.reporting.watching(run), asked)
    _show(app, found, asked)
    return int(ExitStatus.CHANGES_PENDING) if exit_code and found.plan.has_changes else int(ExitStatus.DONE)


class PlanOutputs(NamedTuple):
    """The outputs of a plan: a bundle in ``out``, reports; and the options that it was made with."""

    out: str | None
    stack_file: str
    url: str | None
    overrides: tuple[str, ...]
    key: Secret | None
    reporting: Reporting
    brief: bool


def _made(app: App, run: Run, asked: PlanOutputs) -> Review:
    """Plan; while the saved plan exists, review it and put it into a bundle."""
    from gridbyoc.operations.bundle.make import check_bundleable, make_bundle
    from gridbyoc.operations.plan import make_plan
    from gridbyoc.operations.prepare import prepare
    from gridbyoc.operations.review.review import review_of
    from gridbyoc.stack.files import remove, write_atomic
    from gridbyoc.stack.model import LocalBackend

    if asked.out:
        check_bundleable(run.stack, app.cwd / asked.out)
    site = prepare(run)
    made = make_plan(run, site)
    try:
        found = review_of(run, site, made, asked.reporting.warnings)
        if asked.out:
            data = make_bundle(run, site, made, overrides=asked.overrides, key=asked.key)
            write_atomic(app.cwd / asked.out, data)
            if isinstance(run.stack.terraform.backend, LocalBackend):
                app.note("note: The state is local, so this bundle can be applied in this work_dir only.")
        return found
    finally:
        if made.saved:
            remove(made.saved)


def _show(app: App, found: Review, asked: PlanOutputs) -> None:
    from gridbyoc.show.plan import plan_output

    asked.reporting.planned(found, bundle=asked.out or "", brief=asked.brief)
    app.show(plan_output(brief=asked.brief), found, found.stack)
    if asked.out:
        app.note(f"Wrote {asked.out}.")
        tell_next(app, "plan --out", asked.out)
    elif found.plan.has_changes:
        tell_next(app, "plan")
