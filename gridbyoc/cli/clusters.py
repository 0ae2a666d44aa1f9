"""``gridbyoc clusters``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.cluster_edit import edit
from gridbyoc.cli.next_step import after_cluster
from gridbyoc.cli.options import command, default_stack_file, group, pass_app, stack_option
from gridbyoc.cli.plane import cluster_named, plane_of, plane_options, registrar_of
from gridbyoc.cli.running import choices_options, open_run, wait_options

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Cluster
    from gridbyoc.control_plane.wait import Target
    from gridbyoc.stack.model import DialectName
    from gridbyoc.steps.run import Choices


@group("clusters")
def clusters() -> None:
    """List, get, create, edit and wait for clusters."""


@command("list")
@plane_options
@pass_app
def list_(app: App, stack_file: str | None, url: str | None, dialect: DialectName | None) -> None:
    """Show every cluster that is not deleted: id, name, type, status, created (UTC)."""
    from gridbyoc.cli.cluster_table import cluster_rows
    from gridbyoc.steps.report import cluster_object

    found = registrar_of(app, plane_of(app, stack_file, dialect), url).list()
    if app.json:
        app.object([cluster_object(cluster) for cluster in found])
    elif found:
        app.table(*cluster_rows(found))
    else:
        app.note("There are no clusters.")


@command("get")
@click.argument("name")
@plane_options
@pass_app
def get(app: App, name: str, stack_file: str | None, url: str | None, dialect: DialectName | None) -> None:
    """Show one cluster, NAME being its name or id."""
    show_cluster(app, cluster_named(registrar_of(app, plane_of(app, stack_file, dialect), url), name))


@command("wait")
@click.argument("name")
@click.option(
    "--for",
    "target",
    type=click.Choice(["running", "deleted"]),
    default="running",
    show_default=True,
    help="What to wait for.",
)
@plane_options
@wait_options
@pass_app
def wait(
    app: App,
    name: str,
    target: Target,
    stack_file: str | None,
    url: str | None,
    dialect: DialectName | None,
    wait_timeout: float | None,
    poll_interval: float,
    failed_grace: float | None,
) -> None:
    """Wait until the cluster NAME (its name or id) runs, or is gone.

    Ends with status 5 where the cluster fails and 6 where the time is over.
    """
    from gridbyoc.cli.watching import WaitChoices, watch
    from gridbyoc.errors import ClusterNotFoundError

    plane = plane_of(app, stack_file, dialect)
    registrar = registrar_of(app, plane, url)
    try:
        cluster = cluster_named(registrar, name)
    except ClusterNotFoundError:
        if target == "running":
            raise
        app.note(f"There is no cluster named {name}.")
        return
    choices = WaitChoices(wait_timeout, poll_interval, failed_grace)
    last = watch(app, registrar, cluster, dialect=plane.type, target=target, choices=choices)
    if target == "running":
        show_cluster(app, last, one_line=True)


@command("create")
@click.argument("name")
@stack_option
@click.option("--no-wait", is_flag=True, help="Do not wait for the cluster to run.")
@click.option("--edit-before-creation", is_flag=True, help="Open $VISUAL or $EDITOR on the request first.")
@choices_options
@pass_app
def create(app: App, name: str, stack_file: str | None, edit_before_creation: bool, choices: Choices) -> None:
    """Create the cluster NAME of the stack file through the stack's role, which is there already.

    `gridbyoc bootstrap` makes the role and all clusters; this adds one and touches nothing else. Safe to run again:
    a cluster of that name and role is left as it is.
    """
    from gridbyoc.cli.cluster_table import cluster_rows
    from gridbyoc.cli.editing import edit_request
    from gridbyoc.steps.create import create_cluster

    editor = (lambda _spec, body: edit_request(app, body)) if edit_before_creation else None
    found = default_stack_file(app, stack_file) or "gridbyoc.yaml"
    with open_run(app, found, (), "clusters create", choices) as run:
        done = create_cluster(run, name, edit=editor)
    if app.json:
        show_cluster(app, done.cluster, one_line=True)
    else:
        app.table(*cluster_rows([done.cluster]))
        after_cluster(app, done.cluster)


def show_cluster(app: App, cluster: Cluster, *, one_line: bool = False) -> None:
    """A cluster as a JSON object (on ``one_line`` after events), or field by field; the external id stays masked."""
    from gridbyoc.steps.report import cluster_object

    fields = cluster_object(cluster)
    if app.json and one_line:
        app.record({"type": "cluster", "cluster": fields})
    elif app.json:
        app.object(fields)
    else:
        from gridbyoc.control_plane.changes import type_words
        from gridbyoc.stack.words import minute

        types = [f"{item.name} ({type_words(item)})" for item in cluster.instance_types]
        for key, value in fields.items():
            shown = {"instance_types": ", ".join(types), "created": minute(cluster.created_at)}.get(key, value)
            app.line(f"{key} = {'' if shown is None else shown}")
        app.line(f"external_id = {cluster.external_id or ''}")


for _command in (list_, get, create, edit, wait):
    clusters.add_command(_command)
