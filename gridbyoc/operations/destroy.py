"""Destroy a stack: its clusters, their leftovers, the role and the local files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gridbyoc.aws.leftovers import DeletionPatience
from gridbyoc.control_plane.model import Cluster
from gridbyoc.control_plane.registrar import refuse_unasked
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ApprovalRequiredError,
    ClusterConflictError,
)
from gridbyoc.operations.events import Note
from gridbyoc.operations.fingerprint import forget_beside_state
from gridbyoc.operations.import_orphans import import_orphans
from gridbyoc.operations.journal import JOURNAL
from gridbyoc.operations.leftovers import FoundLeftovers, LeftoversRequest, delete_leftovers, find_leftovers, mark_data
from gridbyoc.operations.local_files import remove_local_files
from gridbyoc.operations.lock import HOLDER, LOCK
from gridbyoc.operations.prepare import PreparedStack, current_grant, prepare, rerender
from gridbyoc.operations.protection import refuse_if_protected
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_removal import ApproveRemoval, approve_removal, remove_state
from gridbyoc.operations.wait import delete_and_wait, refuse_new_deletions
from gridbyoc.stack.words import counted

KEPT_FILES = frozenset({JOURNAL, LOCK, HOLDER})
"""Files of a work_dir that stay: the journal, which records the stack's past clusters, and the lock that is held."""


@dataclass(frozen=True, slots=True)
class DestroyPlan:
    """What a destroy would delete: clusters that run through the role, the role, and leftovers of past clusters."""

    clusters: tuple[Cluster, ...]
    role_arn: str | None
    has_resources: bool
    found: FoundLeftovers
    roles: frozenset[str] = frozenset()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to destroy, on either side."""
        return not self.clusters and not self.has_resources and not self.found.ledger.leftovers


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a destroy deleted, and which leftovers remain (``left.ledger.clear``: provably none).

    ``state_versions``: how many versions of the state were deleted from S3; ``None`` if none were to be deleted.
    ``vendor``: one without an API, of which nobody looked for leftovers.
    ``deleting``: the clusters that were not waited for (``--no-wait``); the next destroy continues after it.
    """

    stack: str
    clusters: tuple[str, ...]
    resources: int
    role_arn: str | None
    left: FoundLeftovers
    state_versions: int | None = None
    vendor: str = ""
    deleting: tuple[Cluster, ...] = ()


def destroy(
    run: Run,
    approve: Callable[[DestroyPlan], bool],
    *,
    delete_data: bool = False,
    with_state: ApproveRemoval | None = None,
) -> Destroyed:
    """Delete the stack's clusters and wait until they no longer exist, then their leftovers, the role and local files.

    The control plane needs the role to delete a cluster. The role is therefore deleted after the clusters, and not
    while one still exists. Resources that hold data stay unless ``delete_data``. ``with_state`` is asked whether to
    delete the state from S3 as well; that happens once everything else is provably deleted. The caller holds the lock.
    A protected stack is refused before anything is read.
    """
    refuse_if_protected(run, "destroy its clusters and its role")
    site = prepare(run)
    refuse_unasked(site.preflight.registrar, "destroy the role")
    if site.without_api:
        vendor = run.stack.control_plane.vendor
        run.outside.emit(
            Note(f"What {vendor} made in the account is not looked for: nobody says what that is.", "warning")
        )
    site = import_orphans(run, site)
    rerender(run, site)
    doomed = _destroy_plan(run, site)
    refuse_new_deletions(run, doomed.clusters)
    with run.asking():
        approved = doomed.nothing or approve(doomed)
    if not approved:
        raise ApprovalRequiredError("The destruction was not approved.", rerun=SAFE_NOTHING_DONE)
    if with_state:
        approve_removal(run, with_state)
    if deleting := delete_and_wait(run, site.preflight.registrar, doomed.clusters):
        return Destroyed(run.stack.name, (), 0, doomed.role_arn, doomed.found, deleting=deleting)
    left = _delete_leftovers(run, site, doomed, delete_data=delete_data)
    _refuse_while_needed(site, doomed)
    resources = 0
    with run.step("destroy") as step:
        step.skipped = not doomed.has_resources
        if doomed.has_resources:
            with run.effect("destroy", role=doomed.role_arn):
                resources = site.runner.destroy().destroy
        step.detail = f"{counted(resources, 'resource')} destroyed"
    versions = None
    if not (left.ledger.clear and with_state):
        forget_beside_state(run)
    if left.ledger.clear:
        versions = remove_state(run, site.runner, site.state.lineage) if with_state else None
        _remove_local_files(run)
    elif with_state:
        run.outside.emit(Note("The state stays: not all leftovers of its clusters are deleted yet.", "warning"))
    names = tuple(cluster.name for cluster in doomed.clusters)
    return Destroyed(run.stack.name, names, resources, doomed.role_arn, left, versions, run.stack.control_plane.vendor)


def _destroy_plan(run: Run, site: PreparedStack) -> DestroyPlan:
    grant = current_grant(run, site)
    # Outputs may be missing after an interrupted apply or destroy; the state still has the role.
    role_arn = grant.role_arn if grant else site.standing.role_arn
    roles = site.roles(grant) | ({role_arn} if role_arn else set())
    clusters = site.preflight.clusters
    ours = tuple(cluster for cluster in clusters if cluster.role_arn in roles)
    names = {spec.name for spec in run.stack.clusters}
    for cluster in clusters:
        if cluster.name in names and cluster not in ours:
            run.outside.emit(
                Note(f"The cluster {cluster.name} runs through another role: it is left alone.", "warning")
            )
    return DestroyPlan(ours, role_arn, site.state.has_resources, _find(run, site, (), role_arn), roles)


def _find(run: Run, site: PreparedStack, clusters: tuple[Cluster, ...], role_arn: str | None) -> FoundLeftovers:
    preflight = site.preflight
    every = dict.fromkeys((*((role_arn,) if role_arn else ()), *(site.outputs.roles.values() if site.outputs else ())))
    wanted = LeftoversRequest(clusters=clusters, roles=tuple(every))
    return find_leftovers(run, preflight.session, preflight.caller, preflight.registrar, wanted)


def _delete_leftovers(run: Run, site: PreparedStack, doomed: DestroyPlan, *, delete_data: bool) -> FoundLeftovers:
    found = _find(run, site, doomed.clusters, doomed.role_arn) if doomed.clusters else doomed.found
    if not found.ledger.leftovers:
        return found
    shown = found if delete_data else mark_data(found)
    preflight = site.preflight
    patience = DeletionPatience(min(run.choices.poll_interval, 20.0), deleting=run.wait_timeout)
    rest = delete_leftovers(
        run, preflight.session, preflight.registrar, shown, delete_data=delete_data, patience=patience
    )
    return FoundLeftovers(found.search, rest, found.live)


def _refuse_while_needed(site: PreparedStack, doomed: DestroyPlan) -> None:
    """Refuse if a cluster still needs the role. Lists again: a cluster may have been created meanwhile."""
    listed = site.preflight.registrar.list()
    needing = [c.name for c in listed if c.role_arn in doomed.roles]
    if needing:
        raise ClusterConflictError(
            f"The role stays: {', '.join(needing)} still needs it.",
            why="Without its role the control plane cannot delete a cluster, and its resources would stay forever.",
            fix="Wait until `gridbyoc clusters list` no longer shows it, then run destroy again.",
            rerun=SAFE_RESUMES,
        )


def _remove_local_files(run: Run) -> None:
    """Remove all files except the journal, the lock, and files that gridbyoc did not make."""
    for path in remove_local_files(run.work_dir, KEPT_FILES):
        run.outside.emit(Note(f"{path} was not made by gridbyoc: it stays."))
