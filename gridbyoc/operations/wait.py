"""Waiting for clusters: until they run, or until they are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from gridbyoc.control_plane import wait_until
from gridbyoc.control_plane.model import Cluster, Phase, Registrar
from gridbyoc.errors import InterruptedRunError
from gridbyoc.operations.events import ClusterProgress, Note
from gridbyoc.operations.run import Run
from gridbyoc.vendors import facts_of


def wait_for(run: Run, registrar: Registrar, clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """Wait until every cluster runs (they get ready side by side); as they are where ``--no-wait`` was given."""
    with run.step("wait") as step:
        if not run.choices.wait:
            step.skipped = True
            step.detail = "not asked to wait"
            return clusters
        if clusters and all(cluster.status == "running" for cluster in clusters):
            step.skipped = True
            step.detail = "every cluster runs already"
            return clusters
        began = run.outside.clock()
        return tuple(_wait_one(run, registrar, cluster, "running", began) for cluster in clusters)


def delete_and_wait(run: Run, registrar: Registrar, clusters: Iterable[Cluster]) -> None:
    """Ask for the deletion of each cluster, then wait until all are gone."""
    doomed = tuple(clusters)
    with run.step("delete") as step:
        step.skipped = not doomed
        for cluster in doomed:
            if cluster.desired_state is not Phase.DELETED:
                with run.effect("delete", cluster=cluster.name, id=cluster.id):
                    registrar.delete(cluster.id)
        began = run.outside.clock()
        for cluster in doomed:
            _wait_one(run, registrar, cluster, "deleted", began)
            run.journal.write("cluster_gone", cluster=cluster.name, id=cluster.id)
        step.detail = f"{', '.join(cluster.name for cluster in doomed)} gone" if doomed else "no cluster"


def _wait_one(
    run: Run, registrar: Registrar, cluster: Cluster, target: Literal["running", "deleted"], began: float
) -> Cluster:
    grace = run.choices.failed_grace
    default_grace = facts_of(run.stack.control_plane.type).duration.failed_grace_seconds
    try:
        return wait_until(
            registrar,
            cluster,
            target=target,
            timeout=max(0.0, run.wait_timeout - (run.outside.clock() - began)),
            failed_grace=default_grace if grace is None else grace,
            poll_interval=run.choices.poll_interval,
            clock=run.outside.clock,
            sleep=run.outside.sleep,
            on_progress=_progress(run, cluster.name),
            on_trouble=lambda error, _seconds: run.outside.emit(Note(f"{error.what} {error.why}".strip(), "warning")),
        )
    except KeyboardInterrupt:
        way_on = "`gridbyoc bootstrap`" if target == "running" else "`gridbyoc destroy`"
        raise InterruptedRunError(
            f"Interrupted while waiting for the cluster {cluster.name}; the control plane goes on by itself.",
            fix=f"Go on with `gridbyoc clusters wait {cluster.name}` or {way_on}.",
            rerun="A re-run is safe: it goes on from what exists.",
        ) from None


def _progress(run: Run, name: str) -> Callable[[Cluster | None, float], None]:
    def report(cluster: Cluster | None, seconds: float) -> None:
        status, reason = (cluster.status, cluster.reason) if cluster else ("not listed yet", "")
        run.outside.emit(ClusterProgress(name, status, reason, seconds))

    return report
