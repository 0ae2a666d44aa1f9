"""``gridbyoc render`` and ``gridbyoc plan``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, set_option, stack_argument, url_option
from gridbyoc.cli.running import open_run, preflight_options, terraform_options
from gridbyoc.errors import ExitStatus

if TYPE_CHECKING:
    from gridbyoc.steps.run import Checks


@command("render")
@stack_argument
@set_option
@terraform_options
@pass_app
def render(app: App, stack_file: str, overrides: tuple[str, ...], terraform_bin: str | None) -> None:
    """Write STACK_FILE's root module into its work_dir (.gridbyoc/NAME beside the stack file).

    A person can go there and run terraform by hand.
    """
    from gridbyoc.errors import TerraformNotFoundError
    from gridbyoc.steps.prepare import render_stack
    from gridbyoc.steps.run import Choices
    from gridbyoc.terraform import find_binary

    with open_run(app, stack_file, overrides, "render", Choices(terraform_bin)) as run:
        try:
            native_lock = find_binary(terraform_bin, app.environ).s3_native_lock
        except TerraformNotFoundError:
            native_lock = True
        rendered = render_stack(run, s3_native_lock=native_lock)
    if app.json:
        app.object({"work_dir": str(run.work_dir), "changed": rendered.changed, "removed": rendered.removed})
        return
    app.line(str(run.work_dir))


@command("plan")
@stack_argument
@set_option
@click.option("--exit-code", is_flag=True, help="End with status 3 where changes are pending.")
@preflight_options
@terraform_options
@url_option
@pass_app
def plan(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    exit_code: bool,
    checks: Checks | None,
    terraform_bin: str | None,
    url: str | None,
) -> int:
    """Show what bootstrap would change: Terraform's changes and the control plane's, together.

    Changes nothing on either side. The preflight of `gridbyoc doctor` runs beside Terraform's init; what fails in it
    ends the plan with status 4.
    """
    from gridbyoc.show.plan import plan_lines, plan_object
    from gridbyoc.steps.plan import make_plan
    from gridbyoc.steps.prepare import prepare
    from gridbyoc.steps.run import Choices

    with open_run(app, stack_file, overrides, "plan", Choices(terraform_bin, url, checks=checks)) as run:
        made = make_plan(run, prepare(run))
        if made.saved:
            made.saved.unlink(missing_ok=True)
    if app.json:
        app.line(json.dumps(plan_object(made), ensure_ascii=False))
    else:
        for line in plan_lines(made):
            app.line(line)
    return int(ExitStatus.CHANGES_PENDING) if exit_code and made.has_changes else int(ExitStatus.DONE)
