"""``gridbyoc outputs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.show.output import Output, Screen

if TYPE_CHECKING:
    from gridbyoc.stack.secret import Secret

OutputName = Literal["role_arn", "role_name", "external_id"]


class OutputsBody(TypedDict):
    """The outputs in the state; the external id is ``[secret]`` without --reveal.

    ``roles``: each role's ARN by its name, if the module makes several; ``role_arn`` is the first of them.
    """

    role_arn: str
    role_name: str
    external_id: str
    roles: dict[str, str]


class OutputBody(TypedDict):
    """One output (``outputs --name``)."""

    name: OutputName
    value: str


def _write(values: OutputsBody, screen: Screen) -> None:
    screen.line(f"role_arn = {values['role_arn']}")
    screen.line(f"role_name = {values['role_name']}")
    screen.line(f"external_id = {values['external_id']}")
    for name, arn in values["roles"].items():
        screen.line(f"roles.{name} = {arn}")


def _outputs_json(values: OutputsBody) -> OutputsBody:
    return values


def _output_json(one: OutputBody) -> OutputBody:
    return one


OUTPUTS = Output("outputs", _outputs_json, _write)
OUTPUT = Output("output", _output_json, lambda one, screen: screen.line(one["value"]))


def mask_in_github(app: App, secret: Secret) -> None:
    """GitHub hides the value in the job's log from here on.

    On stderr, which it reads too: `X=$(gridbyoc outputs ...)` and a pipe to jq would swallow the command on stdout.
    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#masking-a-value-in-a-log
    """
    if app.environ.get("GITHUB_ACTIONS") == "true":
        from gridbyoc.show.ci import mask_command

        app.command(mask_command(secret.reveal()))


@command("outputs")
@stack_argument
@set_option
@profile_option
@click.option("--reveal", is_flag=True, help="Show the external id (masked in a GitHub job's log).")
@click.option(
    "--name", type=click.Choice(["role_arn", "role_name", "external_id"]), help="Only this value, without its name."
)
@terraform_options
@pass_app
def outputs(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    reveal: bool,
    name: OutputName | None,
    terraform_bin: str | None,
) -> None:
    """Show the outputs in STACK_FILE's state: role ARN, role name, and external id ([secret] unless --reveal).

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.prepare import read_state
    from gridbyoc.operations.run import Choices
    from gridbyoc.terraform import read_outputs

    with open_run(app, stack_file, overrides, "outputs", Choices(terraform_bin), lock=False) as run:
        found = read_outputs(read_state(run).outputs)
    external_id = found.external_id.reveal() if reveal else str(found.external_id)
    if reveal:
        mask_in_github(app, found.external_id)
    values: OutputsBody = {
        "role_arn": found.role_arn,
        "role_name": found.role_name or "",
        "external_id": external_id,
        "roles": dict(found.roles),
    }
    if name:
        app.show(OUTPUT, OutputBody(name=name, value=values[name]), run.stack.name)
    else:
        app.show(OUTPUTS, values, run.stack.name)
        tell_next(app, "outputs")
