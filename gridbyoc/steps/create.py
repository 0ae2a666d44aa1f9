"""One cluster of a stack whose role is there already."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import SAFE_NOTHING_DONE, OutputMissingError, UsageError
from gridbyoc.stack.model import ClusterSpec, Stack
from gridbyoc.stack.words import did_you_mean, listed
from gridbyoc.steps.bootstrap import prove_trust, register_clusters
from gridbyoc.steps.changes import ClusterChange, cluster_changes
from gridbyoc.steps.cost import standing_cost
from gridbyoc.steps.events import Note
from gridbyoc.steps.prepare import Site, current_grant, prepare
from gridbyoc.steps.rollback import Made
from gridbyoc.steps.run import Run
from gridbyoc.steps.wait import wait_for
from gridbyoc.steps.wishes import EditBody


@dataclass(frozen=True, slots=True)
class CreatedOne:
    """What came of it. ``created`` is false for a cluster that was there already, through this stack's role."""

    cluster: Cluster
    created: bool


def create_cluster(run: Run, name: str, *, edit: EditBody | None = None) -> CreatedOne:
    """Create the cluster ``name`` of the stack file through the role in its state, and wait until it runs.

    Nothing else of the stack is touched. Raises ``UsageError`` for a name that the file does not have,
    ``OutputMissingError`` before the first apply, ``ClusterConflictError`` where the name runs through another role.
    The caller holds the stack's lock.
    """
    spec = spec_named(run.stack, name)
    site = prepare(run)
    grant = _grant(run, site)
    prove_trust(run, site, grant)
    change = _change(run, site, spec, grant)
    clusters = register_clusters(run, site, (change,), grant, edit, Made())
    cluster = wait_for(run, site.preflight.registrar, clusters)[0]
    return CreatedOne(cluster, change.action == "create")


def spec_named(stack: Stack, name: str) -> ClusterSpec:
    """The stack's cluster of that name; ``UsageError`` with the nearest one."""
    found = next((spec for spec in stack.clusters if spec.name == name), None)
    if found is not None:
        return found
    names = [spec.name for spec in stack.clusters]
    near = did_you_mean(name, names)
    raise UsageError(
        f"The stack {stack.name} has no cluster named {name!r}.",
        why=f"{stack.file or 'The stack file'} lists {listed(names)}.",
        fix=f"{near[0].upper()}{near[1:]}" if near else "Add it to the stack file, or name one of these.",
        rerun=SAFE_NOTHING_DONE,
    )


def _grant(run: Run, site: Site) -> Grant:
    with run.step("output"):
        grant = current_grant(run, site)
        if grant is None:
            raise OutputMissingError(
                f"The role of the stack {run.stack.name} is not there yet: a cluster cannot be created through it.",
                why="Nothing has been applied in this state.",
                fix="Run `gridbyoc bootstrap` first: it makes the role, and the stack's clusters with it.",
                rerun=SAFE_NOTHING_DONE,
            )
    return grant


def _change(run: Run, site: Site, spec: ClusterSpec, grant: Grant) -> ClusterChange:
    """What this one cluster needs; one that is there already is left as it is."""
    alone = replace(run.stack, clusters=(spec,))
    ours = site.roles(grant)
    found = cluster_changes(site.preflight.registrar, alone, site.preflight.clusters, grant, our_roles=ours)
    change = next(change for change in found if change.spec is not None)
    if change.cluster is None:
        run.outside.emit(Note(standing_cost(spec, run.stack.control_plane.type)))
        return change
    run.outside.emit(Note(f"The cluster {spec.name} exists already and runs through this stack's role."))
    if change.fields:
        fields = "; ".join(f"{field.field}: {field.before} -> {field.after}" for field in change.fields)
        run.outside.emit(Note(f"It is left as it is; `gridbyoc bootstrap` would change {fields}.", "warning"))
    return replace(change, action="none")
