"""Wait for clusters: until they run, or until they are deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gridbyoc.control_plane import wait_until
from gridbyoc.control_plane.model import Cluster, Phase, Registrar
from gridbyoc.errors import SAFE_RESUMES, InterruptedRunError, StalePlanError
from gridbyoc.operations.cluster_times import age_of, expected_wait, record_running
from gridbyoc.operations.events import ClusterProgress, Emit, Event, Note
from gridbyoc.operations.partial import run_words
from gridbyoc.operations.run import Run
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.model import DialectName
from gridbyoc.vendors import facts_of, wait_limit


def wait_for(run: Run, registrar: Registrar, clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """Wait until every cluster runs (they start in parallel). With ``--no-wait``, returns them unchanged."""
    with run.step("wait") as step:
        if not run.choices.wait:
            step.skipped = True
            step.detail = "skipped by --no-wait"
            return clusters
        if clusters and all(cluster.status == "running" for cluster in clusters):
            step.skipped = True
            step.detail = "every cluster is already running"
            return clusters
        if not clusters:  # there may be no API either
            return ()
        began = run.outside.clock()
        plane = run.stack.control_plane.api
        run.outside.emit(expected_wait(plane, run.own_work_dir.parent))
        return tuple(_until_running(run, registrar, cluster, plane, began) for cluster in clusters)


def _until_running(run: Run, registrar: Registrar, cluster: Cluster, plane: DialectName, began: float) -> Cluster:
    """Wait for one cluster; record how long it took if it was seen to begin to run.

    The time of a cluster that already runs at the first poll is not recorded: an earlier run waited for it.
    """
    seen: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, ClusterProgress):
            seen.append(event.status)
        run.outside.emit(event)

    last = _wait_one(run, registrar, cluster, "running", began, emit)
    if seen[:1] != ["running"]:
        record_running(run.journal, plane, last.name, last.id, age_of(last, run.outside.now()))
    return last


def known_of(cluster: Cluster) -> dict[str, str | None]:
    """What the journal records of a cluster, to find what it leaves once the control plane has forgotten it."""
    made = cluster.created_at
    return {"id": cluster.id, "bucket": cluster.bucket_name, "created": made.isoformat() if made else None}


def refuse_new_deletions(run: Run, clusters: Iterable[Cluster]) -> None:
    """Raise ``StalePlanError`` if a run that finishes another would request the deletion of a cluster.

    The first run requested each deletion that was approved, and the clusters are gone since. Another cluster was
    created, or given this role, in the meantime.
    """
    new = [cluster.name for cluster in clusters if cluster.desired_state is not Phase.DELETED]
    if run.choices.finishing and new:
        raise StalePlanError(
            f"This would now also delete: {', '.join(new)}.",
            why="The stack had other clusters when this was approved; others act on it meanwhile.",
            fix="Look at `gridbyoc clusters list`. If it is meant, run the same command again.",
            rerun=SAFE_RESUMES,
        )


def delete_and_wait(run: Run, registrar: Registrar, clusters: Iterable[Cluster]) -> tuple[Cluster, ...]:
    """Request the deletion of each cluster, then wait until all are deleted; with ``--no-wait`` return them instead."""
    doomed = tuple(clusters)
    with run.step("delete") as step:
        step.skipped = not doomed
        for cluster in doomed:
            # Recorded before it is gone: a later run, which finds it no more, looks for what it left.
            if cluster.desired_state is Phase.DELETED:
                run.journal.write("cluster_leaving", cluster=cluster.name, **known_of(cluster))
                continue
            with run.effect("delete", cluster=cluster.name, **known_of(cluster)):
                registrar.delete(cluster.id)
        if doomed and not run.choices.wait:
            step.detail = f"{', '.join(cluster.name for cluster in doomed)}: requested, not waited for"
            return doomed
        began = run.outside.clock()
        for cluster in doomed:
            _wait_one(run, registrar, cluster, "deleted", began, run.outside.emit)
            run.journal.write("cluster_gone", cluster=cluster.name, id=cluster.id)
        step.detail = f"{', '.join(cluster.name for cluster in doomed)} gone" if doomed else "no cluster"
        return ()


def _wait_one(
    run: Run,
    registrar: Registrar,
    cluster: Cluster,
    target: Literal["running", "deleted"],
    began: float,
    emit: Emit,
) -> Cluster:
    outside, choices = run.outside, run.choices
    left = max(0.0, run.wait_timeout - (outside.clock() - began))
    limits = wait_limits(run.stack.control_plane.api, left, choices.poll_interval, choices.failed_grace)
    return watch_cluster(
        registrar,
        cluster,
        target,
        limits,
        emit=emit,
        clock=outside.clock,
        sleep=outside.sleep,
        now=outside.now,
        verb=run_words("bootstrap", run.only) if target == "running" else "destroy",
    )


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """How long to wait for a cluster, how often to poll, and how long FAILED may last, in seconds."""

    timeout: float
    poll_interval: float
    failed_grace: float


def wait_limits(
    dialect: DialectName, timeout: float | None, poll_interval: float, failed_grace: float | None
) -> WaitLimits:
    """The chosen limits; ``None`` takes the control plane's own."""
    return WaitLimits(
        wait_limit(dialect) if timeout is None else timeout,
        poll_interval,
        facts_of(dialect).duration.failed_grace_seconds if failed_grace is None else failed_grace,
    )


def watch_cluster(
    registrar: Registrar,
    cluster: Cluster,
    target: Literal["running", "deleted"],
    limits: WaitLimits,
    *,
    emit: Emit,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    now: Callable[[], datetime] = utc_now,
    verb: str = "",
) -> Cluster:
    """``wait_until`` with an event for each poll. An interrupt names the commands that continue (``verb`` adds one)."""

    statuses: list[str] = []

    def progress(found: Cluster | None, seconds: float) -> None:
        unlisted = "not listed yet" if target == "running" else "gone"
        status, reason = (found.status, found.reason) if found else (unlisted, "")
        statuses.append(status)
        starts = target == "running" and statuses[0] != "running"
        emit(ClusterProgress(cluster.name, status, reason, seconds, age_of(found, now()) if starts else None))

    try:
        return wait_until(
            registrar,
            cluster,
            target=target,
            timeout=limits.timeout,
            failed_grace=limits.failed_grace,
            poll_interval=limits.poll_interval,
            clock=clock,
            sleep=sleep,
            on_progress=progress,
            on_trouble=lambda error, _seconds: emit(Note(f"{error.what} {error.why}".strip(), "warning")),
        )
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"Interrupted while waiting for the cluster {cluster.name}; the control plane continues by itself.",
            fix=f"Continue with `gridbyoc clusters wait {cluster.name}`{f' or `gridbyoc {verb}`' if verb else ''}.",
            rerun=SAFE_RESUMES,
        ) from None
