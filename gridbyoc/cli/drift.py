"""``gridbyoc drift``."""

from __future__ import annotations

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import FORMATS, command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.errors import ExitStatus


@command("drift", formats=(*FORMATS, "markdown"))
@stack_argument
@set_option
@profile_option
@click.option("--refresh", is_flag=True, help="Run Terraform even if nothing has changed since the last good run.")
@terraform_options
@url_option
@pass_app
def drift(
    app: App, stack_file: str, overrides: tuple[str, ...], refresh: bool, terraform_bin: str | None, url: str | None
) -> int:
    """Show where AWS, the live role and the control plane differ from STACK_FILE; status 3 if they do.

    Names the side and the attribute of each difference, with the actual and the expected value. Status 4 if there is no
    known difference, but not everything could be read. If everything is as the last good run left it, takes about a
    second and does not start Terraform.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.drift import find_drift
    from gridbyoc.operations.run import Choices
    from gridbyoc.show.drift import DRIFT

    with open_run(app, stack_file, overrides, "drift", Choices(terraform_bin, url, refresh=refresh), lock=False) as run:
        found = find_drift(run)
    app.show(DRIFT, found, run.stack.name)
    if found.differences:
        tell_next(app, "drift")
        return int(ExitStatus.CHANGES_PENDING)
    return int(ExitStatus.PREFLIGHT_BLOCKED if found.unknown else ExitStatus.DONE)
