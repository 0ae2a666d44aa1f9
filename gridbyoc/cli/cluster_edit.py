"""``gridbyoc clusters edit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import after_cluster
from gridbyoc.cli.options import command, default_stack_file, load_stack, pass_app
from gridbyoc.cli.plane import cluster_named, plane_options, registrar_of
from gridbyoc.cli.running import open_run
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, GridbyocError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gridbyoc.control_plane.edit import Edited
    from gridbyoc.control_plane.model import Cluster, Registrar
    from gridbyoc.stack.model import ClusterSpec, ControlPlane, DialectName, Stack
    from gridbyoc.steps.edit import Draft, FileChange


@dataclass(frozen=True, slots=True)
class Subject:
    """The cluster at hand: where it is, and what the stack file (if there is one) says of it (if it does)."""

    registrar: Registrar
    plane: ControlPlane
    draft: Draft
    stack: Stack | None
    spec: ClusterSpec | None

    @property
    def name(self) -> str:
        """The cluster's."""
        return self.draft.cluster.name


@command("edit")
@click.argument("name")
@click.option("--write", is_flag=True, help="Write the change into the stack file as well.")
@click.option("--yes", "-y", is_flag=True, help="Approve the change.")
@plane_options
@pass_app
def edit(
    app: App, name: str, write: bool, yes: bool, stack_file: str | None, url: str | None, dialect: DialectName | None
) -> None:
    """Open the cluster NAME (its name or id) in $VISUAL or $EDITOR, show what was changed, and change it.

    What this tool does not know of the cluster is not shown and stays as it is. Role and external id belong to the
    stack: bootstrap and rotate change them.
    """
    _refuse_blind(app, yes=yes)
    subject = _subject(app, name, stack_file, url, dialect)
    if write:
        _refuse_write(app, subject)
    edited = _edited(app, subject)
    if not edited.changes:
        _tell(app, subject.draft.cluster, edited, None)
        return
    for field in edited.changes:
        app.note(f"  ~ {field.field}: {field.before} -> {field.after}")
    change = _file_change(app, subject, edited) if write else None
    _ask(app, subject, edited, change, yes=yes)
    cluster = _carry_out(app, subject, edited, change, url)
    _tell(app, cluster, edited, change)
    _warn(app, subject, cluster, change, write=write)
    after_cluster(app, cluster)


def _refuse_blind(app: App, *, yes: bool) -> None:
    """Before the editor opens, so that nobody's work is thrown away."""
    if not app.interactive and not yes:
        raise ApprovalRequiredError(
            "An edit needs an approval, and there is no terminal to ask on.",
            fix="Run again with --yes, and with EDITOR set to a program that edits by itself.",
            rerun=SAFE_NOTHING_DONE,
        )


def _subject(app: App, name: str, stack_file: str | None, url: str | None, dialect: DialectName | None) -> Subject:
    from gridbyoc.stack.model import ControlPlane
    from gridbyoc.steps.edit import open_draft

    found = default_stack_file(app, stack_file)
    stack: Stack | None = load_stack(app, found) if found else None
    plane = stack.control_plane if stack else ControlPlane()
    if dialect is not None and dialect != plane.type:
        plane = ControlPlane(type=dialect)
    registrar = registrar_of(app, plane, url)
    draft = open_draft(registrar, cluster_named(registrar, name).id, plane.type)
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
    """Why and what to do where the list of clusters is a base's, which other stacks may share; else nothing."""
    from gridbyoc.stack.extends import standing_elsewhere

    there = standing_elsewhere(file, ("clusters",), environ)
    if there is None:
        return "", ""
    where = f"{there.file}:{there.line}"
    return f"{name} stands in {where}, which {file.name} extends.", "Change it there by hand, or leave --write out."


def _edited(app: App, subject: Subject) -> Edited:
    """Until the text can be sent, where somebody can be asked; nothing that was typed is lost by a slip."""
    from gridbyoc.cli.editing import edited_text

    hidden = subject.draft.hidden
    if hidden:
        app.note(f"Not shown, and kept as they are: {', '.join(hidden)}.")
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
    """What the stack file becomes; ``None`` where what was edited has no place in it."""
    from gridbyoc.stack.load import load
    from gridbyoc.steps.edit import file_change

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
    from gridbyoc.steps.edit import cost_after

    cost = cost_after(subject.draft.cluster, subject.draft.after(edited), subject.plane.type)
    if cost:
        app.note(cost)
    where = f" and {change.file}" if change else ""
    if not yes and not app.confirm(f"Apply these changes to cluster {subject.name}{where}?", flag="--yes"):
        raise ApprovalRequiredError("The change was not approved.", rerun=SAFE_NOTHING_DONE)


def _carry_out(app: App, subject: Subject, edited: Edited, change: FileChange | None, url: str | None) -> Cluster:
    """The cluster first: what the control plane refuses is not written. Under the lock of the stack that lists it."""
    from gridbyoc.steps.edit import unchanged_since
    from gridbyoc.steps.run import Choices

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


def _tell(app: App, cluster: Cluster, edited: Edited, change: FileChange | None) -> None:
    from gridbyoc.stack.words import counted
    from gridbyoc.steps.report import cluster_object

    changes = [{"field": each.field, "before": each.before, "after": each.after} for each in edited.changes]
    if app.json:
        file = str(change.file) if change else None
        told = {"type": "edited", "changed": bool(changes), "changes": changes, "file": file}
        app.record(told | {"cluster": cluster_object(cluster)})
        return
    count = counted(len(changes), "field")
    app.line(f"The cluster {cluster.name} was changed ({count})." if changes else f"{cluster.name} is unchanged.")
    if change:
        app.line(f"{change.file} says so too; commit it.")


def _warn(app: App, subject: Subject, cluster: Cluster, change: FileChange | None, *, write: bool) -> None:
    """What the stack file still says otherwise comes back with the next bootstrap."""
    if subject.spec is None or subject.stack is None:
        return
    file = subject.stack.file or "the stack file"
    if write and change is None:
        app.note(f"Nothing of this change has a place in {file}: it is kept at the control plane alone.")
    fields = subject.registrar.diff(cluster, change.said if change else subject.spec, None)
    if fields:
        words = "; ".join(f"{field.field}: {field.before} -> {field.after}" for field in fields)
        app.note(f"warning: the next `gridbyoc bootstrap` of {file} would change {words}.")
        app.note("  Write it into the stack file (--write does so with an edit), or leave it to bootstrap.")
