"""``gridbyoc destroy``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import after_leftovers
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import choices_options, finish_option, no_control_plane_option, open_run
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, UsageError

if TYPE_CHECKING:
    from gridbyoc.aws import StateObjects
    from gridbyoc.operations.destroy import DestroyPlan
    from gridbyoc.operations.run import Choices


@command("destroy")
@stack_argument
@set_option
@profile_option
@click.option("--yes-destroy", is_flag=True, help="Approve the destruction.")
@click.option("--no-wait", is_flag=True, help="Request the clusters' deletion and exit; the next destroy continues.")
@click.option("--delete-data", is_flag=True, help="Delete leftover buckets and volumes that hold data as well.")
@click.option("--with-state", is_flag=True, help="Remove the state from S3 as well, with all its versions.")
@click.option("--yes-with-state", is_flag=True, help="Approve removing the state (--with-state).")
@finish_option
@choices_options
@no_control_plane_option
@pass_app
def destroy(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    yes_destroy: bool,
    delete_data: bool,
    with_state: bool,
    yes_with_state: bool,
    choices: Choices,
) -> int:
    """Delete STACK_FILE's clusters and, once they are gone, their leftovers, the role and the local files.

    The role is deleted after the clusters: the control plane needs it to delete them. What holds data stays unless
    --delete-data. On a terminal, it asks for the stack's name. Ends with status 7 while anything of a cluster is left
    in AWS. The state stays in S3, empty, unless --with-state, which asks for the state's key.
    """
    from gridbyoc.operations.destroy import destroy as run_destroy
    from gridbyoc.show.leftovers import DESTROYED

    if yes_with_state and not with_state:
        raise UsageError("--yes-with-state needs --with-state.", rerun=SAFE_NOTHING_DONE)
    with open_run(app, stack_file, overrides, "destroy", choices) as run:
        name = run.stack.name
        done = run_destroy(
            run,
            lambda doomed: yes_destroy or _ask(app, name, doomed),
            delete_data=delete_data,
            with_state=(lambda found: yes_with_state or _ask_state(app, found)) if with_state else None,
        )
    app.show(DESTROYED, done, done.stack)
    if done.deleting:
        return int(ExitStatus.DONE)
    after_leftovers(app, done.left.ledger)
    return int(ExitStatus.DONE) if done.left.ledger.clear else int(ExitStatus.LEFTOVERS)


def _ask(app: App, stack: str, doomed: DestroyPlan) -> bool:
    from gridbyoc.show.leftovers import leftover_rows

    app.note("This deletes permanently:")
    for cluster in doomed.clusters:
        app.note(f"  - cluster {cluster.name} ({cluster.status}), its workloads and its leftovers")
    if doomed.has_resources:
        app.note(f"  - the role {doomed.role_arn or '(in the state)'} with its policy, attachments and external id")
        for arn in sorted(doomed.roles - {doomed.role_arn}):
            app.note(f"  - the role {arn}")
    if doomed.found.ledger.leftovers:
        app.note("  - leftovers of past clusters (those that hold data only with --delete-data):")
        app.note_table(*leftover_rows(doomed.found.ledger))
    return app.confirm_name("Destroy all of this?", stack, flag="--yes-destroy")


def _ask_state(app: App, found: StateObjects) -> bool:
    from gridbyoc.stack.words import counted

    versions = counted(len(found.versions), "version")
    place = f"s3://{found.bucket}/{found.key}"
    app.note(f"This permanently removes {place} with its lock and fingerprint: {versions}, no copy stays.")
    if found.digest:
        app.note(f"Its digest is removed from the DynamoDB table {found.table}, too.")
    return app.confirm_name("Remove the state after everything else was deleted?", found.key, flag="--yes-with-state")
