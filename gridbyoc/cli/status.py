"""``gridbyoc status``."""

from __future__ import annotations

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.stack.clock import utc_now


@command("status")
@stack_argument
@set_option
@profile_option
@terraform_options
@url_option
@pass_app
def status(app: App, stack_file: str, overrides: tuple[str, ...], terraform_bin: str | None, url: str | None) -> None:
    """Show STACK_FILE's status: the last run, the role, the clusters, and what to do next.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.status import stack_status
    from gridbyoc.show.status import status_output

    with open_run(app, stack_file, overrides, "status", Choices(terraform_bin, url), lock=False) as run:
        found = stack_status(run)
    app.show(status_output(utc_now()), found, run.stack.name)
