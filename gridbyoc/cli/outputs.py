"""``gridbyoc outputs``."""

from __future__ import annotations

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import open_run, terraform_options


@command("outputs")
@stack_argument
@set_option
@profile_option
@click.option("--reveal", is_flag=True, help="Show the external id (masked in a GitHub job's log).")
@click.option("--name", type=click.Choice(["role_arn", "role_name", "external_id"]), help="Only this one, bare.")
@terraform_options
@pass_app
def outputs(
    app: App, stack_file: str, overrides: tuple[str, ...], reveal: bool, name: str | None, terraform_bin: str | None
) -> None:
    """Show what STACK_FILE's state hands on: role ARN, role name, and external id ([secret] unless --reveal).

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.prepare import read_outputs
    from gridbyoc.operations.run import Choices

    with open_run(app, stack_file, overrides, "outputs", Choices(terraform_bin), lock=False) as run:
        found = read_outputs(run)
    external_id = found.external_id.reveal() if reveal else str(found.external_id)
    if reveal and app.environ.get("GITHUB_ACTIONS") == "true":
        # GitHub hides the value in the log from here on. On stderr, which it reads too: `X=$(gridbyoc outputs ...)` and
        # a pipe to jq would swallow the command on stdout.
        # https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#masking-a-value-in-a-log
        from gridbyoc.show.ci import mask_command

        app.command(mask_command(external_id))
    values = {"role_arn": found.role_arn, "role_name": found.role_name or "", "external_id": external_id}
    if name:
        app.line(values[name])
    elif app.json:
        app.object(values)
    else:
        for key, value in values.items():
            app.line(f"{key} = {value}")
        tell_next(app, "outputs")
