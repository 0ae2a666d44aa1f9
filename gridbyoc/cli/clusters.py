"""``gridbyoc clusters``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_cluster
from gridbyoc.cli.next_step import after_cluster
from gridbyoc.cli.options import command, default_stack_file, group, load_stack, pass_app, read_stack, stack_option
from gridbyoc.cli.plane import cluster_named, plane_of, plane_options, registrar_of, secret_from_env, secret_from_file
from gridbyoc.cli.running import choices_options, open_run, wait_options
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, GridbyocError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gridbyoc.control_plane.edit import Edited
    from gridbyoc.control_plane.model import Cluster, Grant, Registrar
    from gridbyoc.control_plane.wait import Target
    from gridbyoc.operations.clusters import Draft, FileChange
    from gridbyoc.operations.run import Choices
    from gridbyoc.stack.model import ClusterSpec, ControlPlane, DialectName, Stack
    from gridbyoc.stack.secret import Secret


@dataclass(frozen=True, slots=True)
class Subject:
    """The cluster to edit, and the stack file and its entry for the cluster, if there are any."""

    registrar: Registrar
    plane: ControlPlane
    draft: Draft
    stack: Stack | None
    spec: ClusterSpec | None

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.draft.cluster.name


@command("edit")
@click.argument("name", shell_complete=complete_cluster)
@click.option("--write", is_flag=True, help="Also write the change into the stack file.")
@click.option("--yes", "-y", is_flag=True, help="Approve the change.")
@plane_options
@pass_app
def edit(
    app: App, name: str, write: bool, yes: bool, stack_file: str | None, url: str | None, dialect: DialectName | None
) -> None:
    """Open the cluster NAME (its name or id) in $VISUAL or $EDITOR, show the changes, and apply them.

    Settings that gridbyoc does not know are not shown and stay as they are. Role and external id belong to the stack:
    bootstrap and rotate change them.
    """
    _refuse_blind(app, yes=yes)
    subject = _subject(app, name, stack_file, url, dialect)
    if write:
        _refuse_write(app, subject)
    edited = _edited(app, subject)
    if not edited.changes:
        _tell(app, subject, subject.draft.cluster, edited, None)
        return
    for field in edited.changes:
        app.note(f"  ~ {field.field}: {field.before} -> {field.after}")
    change = _file_change(app, subject, edited) if write else None
    _ask(app, subject, edited, change, yes=yes)
    cluster = _carry_out(app, subject, edited, change, url)
    _tell(app, subject, cluster, edited, change)
    _warn(app, subject, cluster, change, write=write)
    after_cluster(app, cluster)


def _refuse_blind(app: App, *, yes: bool) -> None:
    """Raise before the editor opens, so that nobody's edit is lost."""
    if not app.interactive and not yes:
        raise ApprovalRequiredError(
            "An edit needs approval, but there is no terminal to ask on.",
            fix="Run again with --yes, and with EDITOR set to a program that edits without a terminal.",
            rerun=SAFE_NOTHING_DONE,
        )


def _subject(app: App, name: str, stack_file: str | None, url: str | None, dialect: DialectName | None) -> Subject:
    from gridbyoc.operations.clusters import open_draft
    from gridbyoc.stack.model import ControlPlane

    found = default_stack_file(app, stack_file)
    stack: Stack | None = load_stack(app, found) if found else None
    plane = stack.control_plane if stack else ControlPlane()
    if dialect is not None and dialect != plane.type:
        plane = ControlPlane(type=dialect)
    registrar = registrar_of(app, plane, url)
    draft = open_draft(registrar, cluster_named(registrar, name).id, plane.api)
    spec = next((spec for spec in stack.clusters if spec.name == draft.cluster.name), None) if stack else None
    return Subject(registrar, plane, draft, stack, spec)


def _refuse_write(app: App, subject: Subject) -> None:
    if subject.stack is None:
        why, fix = "There is no stack file here.", "Name it with --stack, or leave --write out."
    elif subject.stack.file is None:
        why, fix = "The stack file came from standard input.", "Name it with --stack, or leave --write out."
    elif subject.spec is None:
        why = f"{subject.stack.file} has no cluster named {subject.name}."
        fix = "Name the stack file that has it with --stack, or leave --write out."
    else:
        why, fix = _in_a_base(subject.stack.file, subject.name, app.environ)
    if not why:
        return
    raise UsageError("The change cannot be written into a stack file.", why=why, fix=fix, rerun=SAFE_NOTHING_DONE)


def _in_a_base(file: Path, name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Why and fix if the list of clusters is in a base file, which other stacks may share; else two empty texts."""
    from gridbyoc.stack.extends import standing_elsewhere

    there = standing_elsewhere(file, ("clusters",), environ)
    if there is None:
        return "", ""
    where = f"{there.file}:{there.line}"
    return f"{name} is in {where}, which {file.name} extends.", "Change it there by hand, or leave --write out."


def _edited(app: App, subject: Subject) -> Edited:
    """Open the editor; on a terminal, until the text is valid, so that a typing error does not lose the edit."""
    from gridbyoc.cli.editing import edited_text

    hidden = subject.draft.hidden
    if hidden:
        app.note(f"Not shown, and unchanged: {', '.join(hidden)}.")
    text = subject.draft.text
    while True:
        text = edited_text(app, text, otherwise="edit it from a terminal")
        try:
            return subject.draft.edited(text)
        except GridbyocError as error:
            if not app.interactive:
                raise
            app.note(" ".join(filter(None, (error.what, error.why, error.fix))))
            if not app.confirm("Edit it again?", flag="--yes"):
                raise


def _file_change(app: App, subject: Subject, edited: Edited) -> FileChange | None:
    """The new content of the stack file; ``None`` if the stack file has no key for what was edited."""
    from gridbyoc.operations.clusters import file_change
    from gridbyoc.stack.load import load

    stack = subject.stack
    if stack is None or stack.file is None:
        return None
    file = stack.file
    draft = subject.draft

    def load_text(text: str) -> Stack:
        return load("-", environ=app.environ, stdin=text, cwd=file.parent, home=app.home)

    change = file_change(stack, file, draft.cluster, draft.after(edited), load_text)
    return change if change.changes else None


def _ask(app: App, subject: Subject, edited: Edited, change: FileChange | None, *, yes: bool) -> None:
    from gridbyoc.operations.clusters import cost_after

    cost = cost_after(subject.draft.cluster, subject.draft.after(edited), subject.plane.api)
    if cost:
        app.note(cost)
    where = f" and {change.file}" if change else ""
    if not yes and not app.confirm(f"Apply these changes to cluster {subject.name}{where}?", flag="--yes"):
        raise ApprovalRequiredError("The change was not approved.", rerun=SAFE_NOTHING_DONE)


def _carry_out(app: App, subject: Subject, edited: Edited, change: FileChange | None, url: str | None) -> Cluster:
    """Change the cluster, then the file, which must not hold what the control plane refuses.

    If the stack lists the cluster, its lock is held.
    """
    from gridbyoc.operations.clusters import unchanged_since
    from gridbyoc.operations.run import Choices

    registrar, stack = subject.registrar, subject.stack
    if stack is None or stack.file is None or subject.spec is None:
        return registrar.replace(unchanged_since(registrar, subject.draft), edited.body)
    with open_run(app, str(stack.file), (), "clusters edit", Choices(url=url)) as run:
        if change:
            change.check()
        now = unchanged_since(registrar, subject.draft)
        with run.effect("update", cluster=now.name, id=now.id):
            cluster = registrar.replace(now, edited.body)
        if change:
            change.write()
    return cluster


def _tell(app: App, subject: Subject, cluster: Cluster, edited: Edited, change: FileChange | None) -> None:
    from gridbyoc.show.clusters import EDITED, EditedCluster

    file = str(change.file) if change else None
    stack = subject.stack.name if subject.stack and subject.spec else None
    app.show(EDITED, EditedCluster(cluster, tuple(edited.changes), file), stack)


def _warn(app: App, subject: Subject, cluster: Cluster, change: FileChange | None, *, write: bool) -> None:
    """Warn about differences from the stack file: the next bootstrap would undo them."""
    if subject.spec is None or subject.stack is None:
        return
    file = subject.stack.file or "the stack file"
    if write and change is None:
        app.note(f"{file} has no key for this change: only the control plane has it.")
    fields = subject.registrar.diff(cluster, change.said if change else subject.spec, None)
    if fields:
        words = "; ".join(f"{field.field}: {field.before} -> {field.after}" for field in fields)
        app.note(f"warning: the next `gridbyoc bootstrap` of {file} would change {words}.")
        app.note("  Write it into the stack file (--write does so with an edit), or leave it to bootstrap.")


@group("clusters")
def clusters() -> None:
    """List, get, create, edit, delete and wait for clusters."""


@command("list")
@plane_options
@pass_app
def list_(app: App, stack_file: str | None, url: str | None, dialect: DialectName | None) -> None:
    """Show every cluster that is not deleted: id, name, type, status, time of creation (UTC)."""
    from gridbyoc.show.clusters import CLUSTERS

    app.show(CLUSTERS, registrar_of(app, plane_of(app, stack_file, dialect), url).list())


@command("get")
@click.argument("name", shell_complete=complete_cluster)
@plane_options
@pass_app
def get(app: App, name: str, stack_file: str | None, url: str | None, dialect: DialectName | None) -> None:
    """Show the cluster NAME (its name or id)."""
    from gridbyoc.show.clusters import CLUSTER

    app.show(CLUSTER, cluster_named(registrar_of(app, plane_of(app, stack_file, dialect), url), name))


@command("wait")
@click.argument("name", shell_complete=complete_cluster)
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
    """Wait until the cluster NAME (its name or id) runs, or is deleted.

    Ends with status 5 if the cluster fails, and 6 at the timeout.
    """
    from gridbyoc.cli.plane import watch
    from gridbyoc.errors import ClusterNotFoundError
    from gridbyoc.operations.wait import wait_limits
    from gridbyoc.show.clusters import CLUSTER

    plane = plane_of(app, stack_file, dialect)
    registrar = registrar_of(app, plane, url)
    try:
        cluster = cluster_named(registrar, name)
    except ClusterNotFoundError:
        if target == "running":
            raise
        app.note(f"There is no cluster named {name}.")
        app.show(CLUSTER, None)
        return
    limits = wait_limits(plane.api, wait_timeout, poll_interval, failed_grace)
    last = watch(app, plane, registrar, cluster, target, limits)
    app.show(CLUSTER, last if target == "running" else None)


@command("create")
@click.argument("name", shell_complete=complete_cluster)
@stack_option
@click.option("--no-wait", is_flag=True, help="Do not wait for the cluster to run.")
@click.option("--edit-before-creation", is_flag=True, help="Open $VISUAL or $EDITOR on the request first.")
@choices_options
@pass_app
def create(app: App, name: str, stack_file: str | None, edit_before_creation: bool, choices: Choices) -> None:
    """Create the cluster NAME of the stack file through the stack's existing role.

    `gridbyoc bootstrap` creates the role and all clusters; this command adds one cluster and changes nothing else. It
    is safe to run again: a cluster with that name and role stays as it is.
    """
    from gridbyoc.cli.editing import edit_request
    from gridbyoc.operations.clusters import create_cluster
    from gridbyoc.show.clusters import CREATED

    editor = (lambda _spec, body: edit_request(app, body)) if edit_before_creation else None
    found = default_stack_file(app, stack_file) or "gridbyoc.yaml"
    with open_run(app, found, (), "clusters create", choices) as run:
        done = create_cluster(run, name, edit=editor)
    app.show(CREATED, done.cluster, run.stack.name)
    after_cluster(app, done.cluster)


@command("delete")
@click.argument("name", shell_complete=complete_cluster)
@click.option("--yes-destroy", is_flag=True, help="Approve the deletion.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the cluster is deleted.")
@plane_options
@wait_options
@pass_app
def delete(
    app: App,
    name: str,
    yes_destroy: bool,
    no_wait: bool,
    stack_file: str | None,
    url: str | None,
    dialect: DialectName | None,
    wait_timeout: float | None,
    poll_interval: float,
    failed_grace: float | None,
) -> None:
    """Delete the cluster NAME (its name or id), and wait until it is deleted.

    A cluster that the stack file lists is not deleted: take it out of the file, and bootstrap deletes it. On a
    terminal, it asks for the cluster's name.
    """
    from gridbyoc.cli.plane import watch
    from gridbyoc.operations.wait import wait_limits
    from gridbyoc.show.clusters import CLUSTER

    plane = plane_of(app, stack_file, dialect)
    registrar = registrar_of(app, plane, url)
    cluster = cluster_named(registrar, name)
    _refuse_listed(app, stack_file, cluster)
    if cluster.status != "terminating":
        app.note(f"This deletes, for good: cluster {cluster.name} ({cluster.status}) and everything that runs on it.")
        if not yes_destroy and not app.confirm_name("Delete it?", cluster.name, flag="--yes-destroy"):
            raise ApprovalRequiredError("The deletion was not approved.", rerun=SAFE_NOTHING_DONE)
        registrar.delete(cluster.id)
    if not no_wait:
        watch(
            app, plane, registrar, cluster, "deleted", wait_limits(plane.api, wait_timeout, poll_interval, failed_grace)
        )
    app.note(f"The cluster {cluster.name} {'is being deleted' if no_wait else 'is deleted'}.")
    app.show(CLUSTER, cluster_named(registrar, cluster.id) if no_wait else None)


def _refuse_listed(app: App, stack_file: str | None, cluster: Cluster) -> None:
    """Raise ``UsageError`` if the stack file lists the cluster: the next bootstrap would create it again."""
    found = default_stack_file(app, stack_file)
    if found is None:
        return
    loaded = read_stack(app, found)
    names = [spec.name for spec in loaded.stack.clusters]
    if cluster.name not in names:
        return
    file, line = loaded.origin(("clusters", names.index(cluster.name)))
    raise UsageError(
        f"The cluster {cluster.name} is in the stack file: {file}{f':{line}' if line else ''}.",
        why="The next `gridbyoc bootstrap` would create it again.",
        fix=f"Delete its entry from `clusters` there, then run `gridbyoc bootstrap --yes-destroy {found}`, which "
        "deletes the cluster. `gridbyoc destroy` deletes the whole stack.",
        rerun=SAFE_NOTHING_DONE,
    )


for _command in (list_, get, create, edit, delete, wait):
    clusters.add_command(_command)


@command("register")
@click.argument("name", shell_complete=complete_cluster)
@click.option(
    "--handoff",
    "handoff_file",
    default=None,
    metavar="FILE",
    help="The file written by `gridbyoc handoff --out`, with role, external id and region.",
)
@click.option("--expect-stack", default=None, metavar="NAME", help="With --handoff: refuse a file for another stack.")
@click.option("--role-arn", default=None, help="The ARN of the role that the control plane assumes.")
@click.option(
    "--external-id-file", default=None, metavar="FILE", help="The file with the external id; - is standard input."
)
@click.option(
    "--external-id-env", default=None, metavar="VARIABLE", help="The environment variable with the external id."
)
@click.option("--region", default=None, help="The AWS region of the cluster (default: the handoff's, else us-east-1).")
@click.option("--instance-types", default=None, metavar="A,B", help="Instance types, separated by commas.")
@click.option("--cost-savings", is_flag=True, help="Use the cost-saving performance profile.")
@click.option("--edit-before-creation", is_flag=True, help="Open $VISUAL or $EDITOR on the request first.")
@click.option("--wait/--no-wait", default=None, help="Wait until the cluster runs (default: with --handoff only).")
@plane_options
@wait_options
@pass_app
def register(
    app: App,
    name: str,
    handoff_file: str | None,
    expect_stack: str | None,
    role_arn: str | None,
    external_id_file: str | None,
    external_id_env: str | None,
    region: str | None,
    instance_types: str | None,
    cost_savings: bool,
    edit_before_creation: bool,
    wait: bool | None,
    stack_file: str | None,
    url: str | None,
    dialect: DialectName | None,
    wait_timeout: float | None,
    poll_interval: float,
    failed_grace: float | None,
) -> None:
    """Create the cluster NAME through an existing role, yours or one that somebody handed over.

    With --handoff, role, external id, region and control plane come from the file, which is encrypted with the key in
    GRIDBYOC_HANDOFF_KEY; with --stack, the settings of the cluster come from that stack file. AWS is not asked, and no
    AWS credentials are needed (docs/two-people.md). Without --handoff, --role-arn names the role, and the external id
    comes from --external-id-file, --external-id-env or a hidden prompt; never from the command line, where others could
    see it.

    It is safe to run again: a cluster with that name and role is used as it is, and waited for.
    """
    from gridbyoc.cli.editing import edit_request
    from gridbyoc.cli.handoff import Registration, from_handoff, refuse_beside_handoff
    from gridbyoc.cli.plane import watch
    from gridbyoc.operations.wait import wait_limits
    from gridbyoc.show.clusters import CLUSTER
    from gridbyoc.show.run import RUN

    editor = (lambda body: edit_request(app, body)) if edit_before_creation else None
    spec = _spec(name, instance_types, cost_savings)
    if handoff_file is not None:
        refuse_beside_handoff(
            {"--role-arn": role_arn, "--external-id-file": external_id_file, "--external-id-env": external_id_env,
             "--region": region}
        )  # fmt: skip
        found = from_handoff(app, handoff_file, spec, expect_stack, stack_file, url, dialect)
    else:
        grant = _grant(app, role_arn, external_id_file, external_id_env, region, expect_stack)
        found = Registration(plane_of(app, stack_file, dialect), spec, grant)
    registrar = registrar_of(app, found.plane, url)
    with app.view(RUN) as view:
        created = found.create(registrar, view, editor)
    cluster = created.cluster
    if wait if wait is not None else handoff_file is not None:
        limits = wait_limits(found.plane.api, wait_timeout, poll_interval, failed_grace)
        cluster = watch(app, found.plane, registrar, cluster, "running", limits, again=found.again)
    app.show(CLUSTER, cluster, found.stack)
    after_cluster(app, cluster)


def _spec(name: str, instance_types: str | None, cost_savings: bool) -> ClusterSpec:
    from gridbyoc.control_plane.settings import check_unique
    from gridbyoc.stack.model import ClusterSpec, InstanceType

    types = tuple(item.strip() for item in (instance_types or "").split(",") if item.strip())
    if instance_types is not None and not types:
        raise UsageError(
            "--instance-types is empty.",
            fix="Name at least one instance type, or leave it out.",
            rerun=SAFE_NOTHING_DONE,
        )
    check_unique(types)
    return ClusterSpec(name, tuple(InstanceType(item) for item in types), "cost-saving" if cost_savings else None)


def _grant(
    app: App, role_arn: str | None, path: str | None, variable: str | None, region: str | None, expect_stack: str | None
) -> Grant:
    """The role given on the command line."""
    from gridbyoc.control_plane.model import Grant

    if expect_stack is not None:
        raise UsageError("--expect-stack needs --handoff.", rerun=SAFE_NOTHING_DONE)
    if role_arn is None:
        raise UsageError(
            "No role was given.", fix="Give --handoff FILE, or --role-arn and the external id.", rerun=SAFE_NOTHING_DONE
        )
    return Grant(role_arn, _external_id(app, path, variable), region or "us-east-1")


def _external_id(app: App, path: str | None, variable: str | None) -> Secret:
    from gridbyoc.stack.secret import Secret

    if path and variable:
        raise UsageError("--external-id-file and --external-id-env cannot go together.", rerun=SAFE_NOTHING_DONE)
    if path:
        return secret_from_file(app, path, "external id")
    if variable:
        return secret_from_env(app, variable, "external id", "--external-id-env")
    if not app.interactive:
        raise UsageError(
            "No external id was given, but there is no terminal to ask on.",
            fix="Give it with --external-id-file or --external-id-env.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Secret(app.prompt("External id", hidden=True).strip())
