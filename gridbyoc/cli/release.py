"""``gridbyoc release``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.running import lock_option, open_run, terraform_options

if TYPE_CHECKING:
    from gridbyoc.operations.release import Left


@command("release")
@stack_argument
@set_option
@profile_option
@click.option("--yes", "-y", is_flag=True, help="Approve the release.")
@lock_option
@terraform_options
@url_option
@pass_app
def release(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    yes: bool,
    lock_timeout: float | None,
    terraform_bin: str | None,
    url: str | None,
) -> None:
    """Release STACK_FILE's stack from gridbyoc; its role, clusters, state and work_dir stay unchanged.

    Prints what stays, and how to continue with Terraform by hand. From then on every command that could change the
    stack from this work_dir ends with status 4, until `gridbyoc adopt ROLE_ARN STACK_FILE` takes it back.
    """
    from gridbyoc.operations.release import release as run_release
    from gridbyoc.operations.run import Choices
    from gridbyoc.show.release import RELEASED

    choices = Choices(terraform_bin, url, lock_timeout=lock_timeout)
    with open_run(app, stack_file, overrides, "release", choices) as run:
        name = run.stack.name
        done = run_release(run, lambda left: yes or _ask(app, name, left))
    app.show(RELEASED, done, name)


def _ask(app: App, stack: str, left: Left) -> bool:
    from gridbyoc.show.release import left_lines

    app.note(f"gridbyoc will no longer change the stack {stack}. This stays unchanged:")
    for line in left_lines(left):
        app.note(f"  {line}")
    return app.confirm("Release the stack?", flag="--yes")
