"""``gridbyoc leftovers``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import after_leftovers
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.running import Duration, open_run
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, ExitStatus, UsageError

if TYPE_CHECKING:
    from gridbyoc.aws.leftovers import DeletionPatience, Leftover
    from gridbyoc.operations.leftovers import FoundLeftovers, LeftoversRequest
    from gridbyoc.operations.run import Run


@command("leftovers")
@stack_argument
@set_option
@profile_option
@click.option("--cluster", "names", multiple=True, metavar="NAME", help="A further past cluster to look for.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="A further tag that proves ownership; without VALUE, its value is the cluster's name.",
)
@click.option("--delete", "delete_", is_flag=True, help="Delete what is found, after showing it.")
@click.option("--yes-destroy", is_flag=True, help="Approve the deletion.")
@click.option("--delete-data", is_flag=True, help="Delete what holds data, too: buckets, volumes, snapshots, images.")
@click.option(
    "--timeout", type=Duration(), default="30m", show_default=True, help="How long deleting one kind may take."
)
@click.option(
    "--poll-interval",
    type=Duration(),
    default="5s",
    show_default=True,
    envvar="GRIDBYOC_POLL_INTERVAL",
    help="The first pause between polls; it grows to 20s.",
)
@url_option
@pass_app
def leftovers(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    names: tuple[str, ...],
    tags: tuple[str, ...],
    delete_: bool,
    yes_destroy: bool,
    delete_data: bool,
    timeout: float,
    poll_interval: float,
    url: str | None,
) -> int:
    """Show what STACK_FILE's deleted clusters left in AWS, in the order in which to delete it.

    Looks for the clusters of the stack file, of its journal and of --cluster: by tags, by the bucket that the control
    plane records, and in VPCs that are proven theirs. Resources that are not provably theirs are neither shown nor
    touched. Ends with status 7 while anything is left or cannot be read, 0 if nothing is.

    Without --delete it only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.leftovers import LeftoversRequest, parse_tags
    from gridbyoc.operations.run import Choices
    from gridbyoc.show.leftovers import LEFTOVERS

    if (delete_data or yes_destroy) and not delete_:
        raise UsageError("--delete-data and --yes-destroy need --delete.", rerun=SAFE_NOTHING_DONE)
    pairs, keys = parse_tags(tags)
    wanted = LeftoversRequest(names=_checked(names), tags=pairs, keys=keys)
    with open_run(app, stack_file, overrides, "leftovers", Choices(url=url), lock=delete_) as run:
        patience = _patience(timeout, poll_interval) if delete_ else None
        found = _work(app, run, wanted, patience, yes_destroy=yes_destroy, delete_data=delete_data)
    app.show(LEFTOVERS, found, run.stack.name)
    after_leftovers(app, found.ledger)
    return int(ExitStatus.DONE) if found.ledger.clear else int(ExitStatus.LEFTOVERS)


def _work(
    app: App,
    run: Run,
    wanted: LeftoversRequest,
    patience: DeletionPatience | None,
    *,
    yes_destroy: bool,
    delete_data: bool,
) -> FoundLeftovers:
    """Find the leftovers; with ``patience`` also show, ask and delete."""
    from gridbyoc.operations.leftovers import delete_leftovers, find_leftovers, mark_data

    session, caller = run.account()
    registrar = run.registrar()
    found = find_leftovers(run, session, caller, registrar, wanted)
    if patience is None or not found.ledger.leftovers:
        return found
    shown = found if delete_data else mark_data(found)
    with run.asking():
        question = "Delete this permanently?"
        approved = _announce(app, shown) or yes_destroy or app.confirm(question, flag="--yes-destroy")
    if not approved:
        raise ApprovalRequiredError("The deletion was not approved.", rerun=SAFE_NOTHING_DONE)
    rest = delete_leftovers(run, session, registrar, found, delete_data=delete_data, patience=patience)
    return replace(found, ledger=rest)


def _announce(app: App, found: FoundLeftovers) -> bool:
    """Show what would be deleted; true if that is nothing, so that there is nothing to ask."""
    from gridbyoc.show.leftovers import leftover_rows

    doomed: tuple[Leftover, ...] = tuple(one for one in found.ledger.leftovers if not one.kept)
    app.note(f"To be deleted, in this order ({len(doomed)} of {len(found.ledger.leftovers)}):")
    app.note_table(*leftover_rows(found.ledger))
    return not doomed


def _patience(timeout: float, poll_interval: float) -> DeletionPatience:
    from gridbyoc.aws.leftovers import DeletionPatience

    return DeletionPatience(min(poll_interval, 20.0), 20.0, refused=min(300.0, timeout), deleting=timeout)


def _checked(names: tuple[str, ...]) -> tuple[str, ...]:
    if any(not name.strip() for name in names):
        raise UsageError("--cluster needs a name.", rerun=SAFE_NOTHING_DONE)
    return names
