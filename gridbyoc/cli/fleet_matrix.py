"""``gridbyoc fleet matrix``."""

from __future__ import annotations

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError


@command("matrix", short_help="Write the shards of a CI engine's matrix.")
@click.argument("paths", nargs=-1, type=str)
@click.option("--since", default=None, metavar="REV", help="Only stacks that changed since this Git revision.")
@click.option("--untracked", is_flag=True, help="Files that Git does not know yet count as changed, too.")
@click.option(
    "--shards", type=click.IntRange(min=1), default=None, metavar="N", help="Jobs at most (default: one a stack)."
)
@click.option(
    "--for",
    "engine",
    type=click.Choice(["github", "gitlab", "argo", "json"]),
    default="json",
    show_default=True,
    help="The engine that reads it.",
)
@click.option(
    "--verb",
    type=click.Choice(["validate", "plan", "bootstrap", "drift", "status", "destroy"]),
    default="bootstrap",
    show_default=True,
    help="What the jobs will run: its last durations balance the shards.",
)
@pass_app
def matrix(
    app: App, paths: tuple[str, ...], since: str | None, untracked: bool, shards: int | None, engine: str, verb: str
) -> None:
    """Write the shards of a CI engine's matrix: the stacks in PATHS (default: here), the longest first.

    A stack has changed where its file, a base that it extends, or a file of its module has, in the working tree as in
    commits. Stack files that were deleted are told on stderr: nothing is destroyed for them.
    """
    from gridbyoc.show.matrix import matrix_text
    from gridbyoc.stack.words import escaped
    from gridbyoc.steps.fleet.matrix import Since, make_matrix

    if untracked and since is None:
        raise UsageError("--untracked needs --since.", fix="Give both, or none of them.", rerun=SAFE_NOTHING_DONE)
    wanted = Since(since, untracked) if since is not None else None
    made = make_matrix(paths or (".",), app.cwd, app.environ, since=wanted, shards=shards, verb=verb)
    for path in made.deleted:
        gone = f"{escaped(path)} was deleted, and with it nothing in AWS"
        app.note(f"warning: {gone}: destroy its stack from a revision that has it.")
    app.document(matrix_text(made, engine, verb))  # type: ignore[arg-type]  # click has checked the choice
