"""``gridbyoc register``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.clusters import show_cluster
from gridbyoc.cli.next_step import after_cluster
from gridbyoc.cli.options import command, pass_app
from gridbyoc.cli.plane import plane_of, plane_options, registrar_of, secret_from_env, secret_from_file
from gridbyoc.cli.running import wait_options
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Created, Grant, Registrar
    from gridbyoc.stack.model import ClusterSpec, DialectName
    from gridbyoc.stack.secret import Secret


@command("register")
@click.argument("name")
@click.option("--role-arn", required=True, help="The ARN of the role that the control plane assumes.")
@click.option(
    "--external-id-file", default=None, metavar="FILE", help="A file that holds the external id; - is standard input."
)
@click.option(
    "--external-id-env", default=None, metavar="VARIABLE", help="The environment variable that holds the external id."
)
@click.option("--region", default="us-east-1", show_default=True, help="The AWS region of the cluster.")
@click.option("--instance-types", default=None, metavar="A,B", help="Instance types, separated by commas.")
@click.option("--cost-savings", is_flag=True, help="Use the cost-saving performance profile.")
@click.option("--edit-before-creation", is_flag=True, help="Open $VISUAL or $EDITOR on the request first.")
@click.option("--wait", is_flag=True, help="Wait until the cluster runs.")
@plane_options
@wait_options
@pass_app
def register(
    app: App,
    name: str,
    role_arn: str,
    external_id_file: str | None,
    external_id_env: str | None,
    region: str,
    instance_types: str | None,
    cost_savings: bool,
    edit_before_creation: bool,
    wait: bool,
    stack_file: str | None,
    url: str | None,
    dialect: DialectName | None,
    wait_timeout: float | None,
    poll_interval: float,
    failed_grace: float | None,
) -> None:
    """Create the cluster NAME through a role that you have already.

    The external id comes from --external-id-file, --external-id-env or a question without echo; never from the
    command line, where others could see it. Safe to run again: a cluster of that name and role is taken as it is.
    """
    from gridbyoc.cli.watching import WaitChoices, watch
    from gridbyoc.control_plane.model import Grant

    spec = _spec(name, instance_types, cost_savings)
    grant = Grant(role_arn, _external_id(app, external_id_file, external_id_env), region)
    plane = plane_of(app, stack_file, dialect)
    registrar = registrar_of(app, plane, url)
    created = _create(app, registrar, spec, grant, edit=edit_before_creation)
    cluster = created.cluster
    if wait:
        choices = WaitChoices(wait_timeout, poll_interval, failed_grace)
        cluster = watch(app, registrar, cluster, dialect=plane.type, target="running", choices=choices)
    show_cluster(app, cluster, one_line=True)
    after_cluster(app, cluster)


def _spec(name: str, instance_types: str | None, cost_savings: bool) -> ClusterSpec:
    from gridbyoc.control_plane.rules import check_unique
    from gridbyoc.stack.model import ClusterSpec, InstanceType

    types = tuple(item.strip() for item in (instance_types or "").split(",") if item.strip())
    if instance_types is not None and not types:
        raise UsageError("--instance-types names none.", fix="Name some, or leave it out.", rerun=SAFE_NOTHING_DONE)
    check_unique(types)
    return ClusterSpec(name, tuple(InstanceType(item) for item in types), "cost-saving" if cost_savings else None)


def _external_id(app: App, path: str | None, variable: str | None) -> Secret:
    from gridbyoc.stack.secret import Secret

    if path and variable:
        raise UsageError("--external-id-file and --external-id-env cannot go together.", rerun=SAFE_NOTHING_DONE)
    if path:
        return secret_from_file(app, path, "external id")
    if variable:
        return secret_from_env(app, variable, "external id")
    if not app.interactive:
        raise UsageError(
            "No external id was given, and there is no terminal to ask on.",
            fix="Give it with --external-id-file or --external-id-env.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Secret(app.prompt("External id", hidden=True).strip())


def _create(app: App, registrar: Registrar, spec: ClusterSpec, grant: Grant, *, edit: bool) -> Created:
    from gridbyoc.control_plane.rules import check_grant

    check_grant(grant.role_arn, grant.external_id, grant.region)
    registrar.check(spec)
    body = None
    if edit:
        from gridbyoc.cli.editing import edit_request

        body = edit_request(app, registrar.request(spec, grant))
    created = registrar.create(spec, grant, body=body)
    if created.adopted:
        _say(app, f"The cluster {created.cluster.name} existed already with this role: it is taken as it is.")
        for change in registrar.diff(created.cluster, spec, grant) if body is None else ():
            _say(app, f"It differs from what was asked for: {change.field}: {change.before} -> {change.after}.")
    else:
        _say(app, f"The cluster {created.cluster.name} ({created.cluster.id}) was created.")
    return created


def _say(app: App, text: str) -> None:
    if app.json:
        app.record({"type": "note", "message": text, "level": "info"})
    else:
        app.note(text)
