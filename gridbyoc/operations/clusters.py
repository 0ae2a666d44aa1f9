"""Creating and editing clusters outside a run of bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gridbyoc.control_plane.changes import refuse_change
from gridbyoc.control_plane.edit import Edited, differences, edited_spec, hidden_fields, spec_text
from gridbyoc.control_plane.model import Cleaner, Cluster, Grant, Registrar
from gridbyoc.control_plane.parse import child
from gridbyoc.control_plane.parse import cluster as parsed_cluster
from gridbyoc.errors import SAFE_NOTHING_DONE, ControlPlaneError, FileError, OutputMissingError, StackError, UsageError
from gridbyoc.operations.bootstrap import prove_trust, register_clusters
from gridbyoc.operations.changes import ClusterChange, cluster_changes, standing_cost
from gridbyoc.operations.events import Note
from gridbyoc.operations.options import EditBody
from gridbyoc.operations.prepare import PreparedStack, current_grant, prepare
from gridbyoc.operations.register import spec_named
from gridbyoc.operations.rollback import CreatedResources
from gridbyoc.operations.run import Run
from gridbyoc.operations.wait import wait_for
from gridbyoc.stack.edit import changed_text, entry_text, flow, type_data
from gridbyoc.stack.files import file_error, write_atomic
from gridbyoc.stack.model import ClusterSpec, DialectName, InstanceType, PerformanceProfile, Stack


@dataclass(frozen=True, slots=True)
class CreatedOne:
    """The stack's cluster. ``created`` is false if it already existed, through this stack's role."""

    cluster: Cluster
    created: bool


def create_cluster(run: Run, name: str, *, edit: EditBody | None = None) -> CreatedOne:
    """Create the cluster ``name`` of the stack file through the role in its state, and wait until it runs.

    The rest of the stack is not touched. Raises ``UsageError`` if the file has no such cluster, ``OutputMissingError``
    before the first apply, ``ClusterConflictError`` if the name runs through another role. The caller holds the stack's
    lock.
    """
    spec = spec_named(run.stack, name)
    site = prepare(run)
    grant = _grant(run, site)
    prove_trust(run, site, grant)
    change = _change(run, site, spec, grant)
    clusters = register_clusters(run, site, (change,), grant, edit, CreatedResources())
    cluster = wait_for(run, site.preflight.registrar, clusters)[0]
    return CreatedOne(cluster, change.action == "create")


def _grant(run: Run, site: PreparedStack) -> Grant:
    with run.step("output"):
        grant = current_grant(run, site)
        if grant is None:
            raise OutputMissingError(
                f"The role of the stack {run.stack.name} does not exist yet: no cluster can be created through it.",
                why="Nothing has been applied in this state.",
                fix="Run `gridbyoc bootstrap` first: it creates the role and the stack's clusters.",
                rerun=SAFE_NOTHING_DONE,
            )
    return grant


def _change(run: Run, site: PreparedStack, spec: ClusterSpec, grant: Grant) -> ClusterChange:
    """The change this one cluster needs. An existing cluster is left unchanged."""
    alone = replace(run.stack, clusters=(spec,))
    ours = site.roles(grant)
    found = cluster_changes(site.preflight.registrar, alone, site.preflight.clusters, grant, our_roles=ours)
    change = next(change for change in found if change.spec is not None)
    if change.cluster is None:
        run.outside.emit(Note(standing_cost(spec, run.stack.control_plane.type)))
        return change
    run.outside.emit(Note(f"The cluster {spec.name} already exists and runs through this stack's role."))
    if change.fields:
        fields = "; ".join(f"{field.field}: {field.before} -> {field.after}" for field in change.fields)
        run.outside.emit(Note(f"It is left unchanged; `gridbyoc bootstrap` would change {fields}.", "warning"))
    return replace(change, action="none")


_PROFILES: Mapping[str, PerformanceProfile] = {"default": "default", "cost-saving": "cost-saving"}
LoadText = Callable[[str], Stack]
"""Parses text as if it were in the stack file's place. Raises ``StackError``."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A cluster as text to edit. ``hidden`` lists the fields that the text does not show."""

    cluster: Cluster
    text: str
    hidden: tuple[str, ...]

    def edited(self, text: str) -> Edited:
        """Apply the edited text: the whole new spec and the changes. ``edited_spec`` says which edits it refuses."""
        return edited_spec(text, child(self.cluster.raw, "spec"))

    def after(self, edited: Edited) -> Cluster:
        """The cluster with the edit applied."""
        return parsed_cluster({**self.cluster.raw, "spec": edited.body}, Cleaner())


def open_draft(registrar: Registrar, cluster_id: str, dialect: DialectName) -> Draft:
    """Read the cluster anew. Raises ``ControlPlaneError`` if it cannot be changed."""
    cluster = registrar.get(cluster_id)
    refuse_change(cluster, dialect)
    if cluster.role_arn is None:
        raise ControlPlaneError(
            f"Cluster {cluster.name} cannot be edited: it does not run in an AWS account of yours.",
            why=f"It is of the type {cluster.cluster_type} and names no role.",
            rerun=SAFE_NOTHING_DONE,
        )
    spec = child(cluster.raw, "spec")
    return Draft(cluster, spec_text(spec), hidden_fields(spec))


def unchanged_since(registrar: Registrar, draft: Draft) -> Cluster:
    """Read the cluster again. Raises ``ControlPlaneError`` if it has changed, so that no change is overwritten."""
    now = registrar.get(draft.cluster.id)
    before, there = child(draft.cluster.raw, "spec"), child(now.raw, "spec")
    if there != before:
        fields = ", ".join(change.field for change in differences(before, there))
        raise ControlPlaneError(
            f"The cluster {now.name} was changed at the control plane while it was edited here.",
            why=f"Changed at the control plane: {fields or 'the order of a list'}.",
            fix="Run this again: it starts from the current cluster.",
            rerun=SAFE_NOTHING_DONE,
        )
    return now


def cost_after(before: Cluster, after: Cluster, dialect: DialectName) -> str | None:
    """The standing cost after an edit; ``None`` unless the edit changes the profile or the instances kept ready."""
    spec = spec_after(ClusterSpec(before.name), before, after)
    if spec == ClusterSpec(before.name):
        return None
    profile = _PROFILES.get(after.performance_profile or "")
    return standing_cost(ClusterSpec(after.name, after.instance_types, profile), dialect)


@dataclass(frozen=True, slots=True)
class FileChange:
    """A stack file before and after; ``said`` is the cluster's entry afterwards."""

    file: Path
    before: str
    after: str
    said: ClusterSpec

    @property
    def changes(self) -> bool:
        """Whether there is anything to write: some fields that can be edited have no place in a stack file."""
        return self.after != self.before

    def check(self) -> None:
        """Raise ``FileError`` if the file has changed since it was read."""
        if _read(self.file) != self.before:
            raise _changed_meanwhile(self.file)

    def write(self) -> None:
        """Replace the file (not a link to it), with its own mode. Raises ``FileError``."""
        file = self.file.resolve()
        try:
            write_atomic(file, self.after, mode=file.stat().st_mode & 0o777)
        except (OSError, FileError) as error:
            reason = error.why if isinstance(error, FileError) else f"{error.strerror}."
        else:
            return
        raise FileError(
            f"The cluster {self.said.name} was changed, but the change could not be written into {file}.",
            why=reason,
            fix=f"Write it there before the next bootstrap, which would change it back: {said_words(self.said)}.",
        )


def file_change(stack: Stack, file: Path, before: Cluster, after: Cluster, load: LoadText) -> FileChange:
    """The change to ``file``, from which ``stack`` was read, that records the edit.

    Comments and everything else stay. The new text is loaded again and must differ by the edit only. Raises
    ``UsageError``, which says what to write, if no such text can be made, and ``FileError`` if the file has changed.
    """
    index = next(index for index, spec in enumerate(stack.clusters) if spec.name == before.name)
    said = spec_after(stack.clusters[index], before, after)
    clusters = (*stack.clusters[:index], said, *stack.clusters[index + 1 :])
    wanted, text = replace(stack, clusters=clusters, file=None), _read(file)
    if not _says(text, replace(stack, file=None), load):
        raise _changed_meanwhile(file)
    if said == stack.clusters[index]:
        return FileChange(file, text, text, said)
    for way in (_cut, _dumped):
        new = way(text, index, said)
        if new is not None and _says(new, wanted, load):
            return FileChange(file, text, new, said)
    raise UsageError(
        f"The change cannot be written into {file}.",
        why="The cluster's entry is written in a form that cannot be changed on its own.",
        fix=f"Write it by hand, then run `gridbyoc bootstrap`: {said_words(said)}.",
        rerun=SAFE_NOTHING_DONE,
    )


def _changed_meanwhile(file: Path) -> FileError:
    return FileError(
        f"{file} was changed while the cluster was edited.", fix="Run this again.", rerun=SAFE_NOTHING_DONE
    )


def said_words(spec: ClusterSpec) -> str:
    """What a stack file should say about a cluster, in the file's own keys."""
    types = flow(type_data(spec.instance_types)) if spec.instance_types else "none"
    return f"performance_profile: {spec.performance_profile or 'none'}, instance_types: {types}"


def spec_after(spec: ClusterSpec, before: Cluster, after: Cluster) -> ClusterSpec:
    """``spec`` with the changes from ``before`` to ``after``.

    Fields that the edit did not change keep the file's value.
    """
    changed = replace(spec, instance_types=_types_after(spec.instance_types, before, after))
    if before.performance_profile == after.performance_profile:
        return changed
    return replace(changed, performance_profile=_PROFILES.get(after.performance_profile or ""))


def _types_after(said: tuple[InstanceType, ...], before: Cluster, after: Cluster) -> tuple[InstanceType, ...]:
    old = {item.name: item for item in before.instance_types}
    new = {item.name: item for item in after.instance_types}
    if old == new:
        return said
    if not said:
        return after.instance_types
    names = {item.name for item in said}
    kept = [_type_after(item, old.get(item.name), new.get(item.name)) for item in said]
    added = [item for name, item in new.items() if name not in names and old.get(name) != item]
    return (*(item for item in kept if item is not None), *added)


def _type_after(said: InstanceType, old: InstanceType | None, new: InstanceType | None) -> InstanceType | None:
    """``None`` if the type was removed. A root volume size that the file omits stays omitted unless it was edited."""
    if new is None or old == new:
        return said if old == new else None
    open_size = said.root_volume_size is None and old is not None and old.root_volume_size == new.root_volume_size
    return replace(new, root_volume_size=None) if open_size else new


def _cut(text: str, index: int, said: ClusterSpec) -> str | None:
    try:
        return entry_text(text, index, said)
    except ValueError:
        return None


def _dumped(text: str, index: int, said: ClusterSpec) -> str:
    """Rewrite the whole entry, for one that other places of the file share (YAML anchors)."""
    entry = ("clusters", index)
    types, profile = type_data(said.instance_types) or None, said.performance_profile
    return changed_text(text, {(*entry, "performance_profile"): profile, (*entry, "instance_types"): types})


def _says(text: str, wanted: Stack, load: LoadText) -> bool:
    try:
        return replace(load(text), file=None) == wanted
    except StackError:
        return False


def _read(file: Path) -> str:
    """The text unchanged, line ends included."""
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise file_error("Cannot read", file, error) from None
