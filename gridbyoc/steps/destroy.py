"""Tear a stack down: its clusters first, then the role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gridbyoc.control_plane.model import Cluster, Phase
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError
from gridbyoc.steps.events import Note
from gridbyoc.steps.prepare import Site, current_grant, prepare
from gridbyoc.steps.run import Run
from gridbyoc.steps.wait import delete_and_wait


@dataclass(frozen=True, slots=True)
class Doomed:
    """What a destroy would take away: clusters that run through the role, and whether the state has resources."""

    clusters: tuple[Cluster, ...]
    role_arn: str | None
    has_resources: bool


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a destroy took away."""

    clusters: tuple[str, ...]
    resources: int
    role_arn: str | None


def destroy(run: Run, approve: Callable[[Doomed], bool]) -> Destroyed:
    """Delete the stack's clusters, wait until they are gone, then destroy the role. The caller holds the lock.

    The control plane needs the role to take a cluster down, so the role goes last, and not at all while a
    cluster is still there.
    """
    site = prepare(run)
    doomed = _doomed(run, site)
    if not doomed.clusters and not doomed.has_resources:
        return Destroyed((), 0, None)
    if not approve(doomed):
        raise ApprovalRequiredError("The destruction was not approved.", rerun=SAFE_NOTHING_DONE)
    delete_and_wait(run, site.preflight.registrar, doomed.clusters)
    with run.step("destroy") as step:
        with run.effect("destroy", role=doomed.role_arn):
            resources = site.runner.destroy().destroy if doomed.has_resources else 0
        step.detail = f"{resources} resources destroyed"
    return Destroyed(tuple(cluster.name for cluster in doomed.clusters), resources, doomed.role_arn)


def _doomed(run: Run, site: Site) -> Doomed:
    grant = current_grant(run, site)
    live = [cluster for cluster in site.preflight.clusters if cluster.phase is not Phase.DELETED]
    ours = tuple(cluster for cluster in live if grant is not None and cluster.role_arn == grant.role_arn)
    names = {spec.name for spec in run.stack.clusters}
    for cluster in live:
        if cluster.name in names and cluster not in ours:
            run.outside.emit(
                Note(f"The cluster {cluster.name} runs through another role: it is left alone.", "warning")
            )
    return Doomed(ours, grant.role_arn if grant else None, site.runner.has_state())
