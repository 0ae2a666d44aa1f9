"""``gridbyoc destroy``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, set_option, stack_argument
from gridbyoc.cli.running import choices_options, open_run

if TYPE_CHECKING:
    from gridbyoc.steps.destroy import Doomed
    from gridbyoc.steps.run import Choices


@command("destroy")
@stack_argument
@set_option
@click.option("--yes-destroy", is_flag=True, help="Approve the destruction.")
@choices_options
@pass_app
def destroy(app: App, stack_file: str, overrides: tuple[str, ...], yes_destroy: bool, choices: Choices) -> None:
    """Delete STACK_FILE's clusters, wait until they are gone, then destroy the role.

    The role goes last: the control plane needs it to take its clusters down.
    """
    from gridbyoc.steps.destroy import destroy as run_destroy

    with open_run(app, stack_file, overrides, "destroy", choices) as run:
        done = run_destroy(run, lambda doomed: yes_destroy or _ask(app, doomed))
    if app.json:
        gone = {"type": "destroyed", "clusters": list(done.clusters), "resources": done.resources}
        app.line(json.dumps(gone | {"role_arn": done.role_arn}, ensure_ascii=False))
    elif done.clusters or done.resources:
        app.line(f"Destroyed: clusters {', '.join(done.clusters) or 'none'}; {done.resources} resources of the role.")
    else:
        app.line("Nothing to destroy: the state is empty and no cluster runs through this stack's role.")


def _ask(app: App, doomed: Doomed) -> bool:
    app.note("This deletes, for good:")
    for cluster in doomed.clusters:
        app.note(f"  - cluster {cluster.name} ({cluster.status}) and what runs on it")
    app.note(f"  - the role {doomed.role_arn or '(in the state)'} with its policy, attachments and external id")
    return app.confirm("Destroy all of this?", flag="--yes-destroy")
