"""Wait until a cluster runs, or until it is deleted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gridbyoc.control_plane.http import is_transient
from gridbyoc.control_plane.model import Cluster, Phase, Registrar
from gridbyoc.errors import (
    SAFE_RESUMES,
    ClusterFailedError,
    ClusterNotFoundError,
    ControlPlaneError,
    WaitTimedOutError,
)
from gridbyoc.errors.cards import card_for_reason, with_known_failure
from gridbyoc.stack.clock import backoff

Target = Literal["running", "deleted"]
LONGEST_PAUSE = 60.0
GROWTH = 1.5
UNLISTED_GRACE = 300.0
"""Seconds that a cluster may be missing from the list: a service may list a new cluster late."""
DELETE_GRACE = 60.0
"""Seconds that FAILED may last during a deletion: the cluster may have been FAILED before the deletion started."""
LAST_LOOK = 1.0
_JITTER = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Rules:
    """The conditions that end a wait; times in seconds."""

    target: Target
    failed_grace: float
    unlisted_grace: float = UNLISTED_GRACE

    @property
    def grace(self) -> float:
        """How long FAILED may last, in seconds."""
        return max(self.failed_grace, DELETE_GRACE) if self.target == "deleted" else self.failed_grace


@dataclass(frozen=True, slots=True)
class Watch:
    """The observations so far. ``failed_since`` and ``missing_since`` are seconds since the wait started."""

    cluster: Cluster
    failed_since: float | None = None
    missing_since: float | None = None
    trouble: str = ""


def seen(watch: Watch, cluster: Cluster | None, now: float) -> Watch:
    """The watch after a poll: ``cluster`` as it is, or ``None`` if the control plane does not know it."""
    if cluster is None:
        return Watch(watch.cluster, None, now if watch.missing_since is None else watch.missing_since)
    if cluster.phase is Phase.FAILED:
        return Watch(cluster, now if watch.failed_since is None else watch.failed_since)
    return Watch(cluster)


def is_over(watch: Watch, rules: Rules, now: float) -> bool:
    """Whether the target is reached. Raises ``ClusterFailedError`` or ``ClusterNotFoundError`` if it cannot be."""
    missing = watch.missing_since is not None
    if rules.target == "deleted" and (missing or watch.cluster.phase is Phase.DELETED):
        return True
    if missing:
        _refuse_missing(watch, rules, now)
        return False
    if watch.failed_since is not None and now - watch.failed_since >= rules.grace:
        raise _failed(watch.cluster, rules)
    if rules.target == "deleted":
        return False
    if watch.cluster.status in {"terminating", "deleted"}:
        raise _terminating(watch.cluster)
    return watch.cluster.phase is Phase.RUNNING


def wait_until(
    registrar: Registrar,
    cluster: Cluster,
    *,
    target: Target,
    timeout: float,
    failed_grace: float = 0.0,
    poll_interval: float = 5.0,
    unlisted_grace: float = UNLISTED_GRACE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = _JITTER,
    on_progress: Callable[[Cluster | None, float], None] = lambda _cluster, _seconds: None,
    on_trouble: Callable[[ControlPlaneError, float], None] = lambda _error, _seconds: None,
) -> Cluster:
    """Poll ``cluster`` until ``target``: first at once, then with pauses from ``poll_interval`` up to 60 s.

    All times are seconds; ``timeout`` holds even if a request hangs. ``on_progress`` gets the result of every poll
    (``None``: not listed) and the time since the start, ``on_trouble`` every failed poll. A failed poll does not end
    the wait, unless the credentials are refused. Returns the cluster as last seen. Raises ``ClusterFailedError`` after
    FAILED has lasted ``failed_grace``, ``WaitTimedOutError``, ``ClusterNotFoundError`` (missing for
    ``unlisted_grace``), ``AuthenticationError``. An interrupt passes through; waiting changes nothing.
    """
    rules = Rules(target, failed_grace, unlisted_grace)
    began = clock()
    watch = Watch(cluster)
    for pause in backoff(poll_interval, GROWTH, LONGEST_PAUSE, least=0.1):
        left = timeout - (clock() - began)
        found = _look(registrar, cluster.id, max(left, LAST_LOOK))
        passed = clock() - began
        if isinstance(found, ControlPlaneError):
            watch = Watch(watch.cluster, watch.failed_since, watch.missing_since, found.what)
            on_trouble(found, passed)
        else:
            watch = seen(watch, found, passed)
            on_progress(found, passed)
            if is_over(watch, rules, passed):
                return watch.cluster
        if passed >= timeout:
            break
        sleep(min(pause * (0.9 + 0.2 * jitter()), max(timeout - passed, 0.0)))
    raise timed_out(watch, rules, timeout)


def _look(registrar: Registrar, cluster_id: str, within: float) -> Cluster | ControlPlaneError | None:
    """The cluster, ``None`` if there is none, or a transient error; other errors are raised."""
    try:
        return registrar.get(cluster_id, within=min(within, LONGEST_PAUSE))
    except ClusterNotFoundError:
        return None
    except ControlPlaneError as error:
        if not is_transient(error):
            raise
        return error


def _refuse_missing(watch: Watch, rules: Rules, now: float) -> None:
    if watch.missing_since is not None and now - watch.missing_since >= rules.unlisted_grace:
        raise ClusterNotFoundError(
            f"The control plane does not know the cluster {_name(watch.cluster)}.",
            why=f"It has not listed it for {rules.unlisted_grace:.0f} s.",
            fix="`gridbyoc clusters list` shows the clusters; it may have been deleted.",
            rerun=SAFE_RESUMES,
        )


def _failed(cluster: Cluster, rules: Rules) -> ClusterFailedError:
    what = "failed" if rules.target == "running" else "could not be deleted"
    error = ClusterFailedError(
        f"The cluster {_name(cluster)} {what}: {cluster.reason or 'the control plane gives no reason'}",
        fix="Fix the cause that the reason names, then run this again."
        if rules.target == "running"
        else "Fix the cause that the reason names, then delete it again.",
        rerun=SAFE_RESUMES,
    )
    return with_known_failure(error, card_for_reason(cluster.reason))


def _terminating(cluster: Cluster) -> ClusterFailedError:
    return ClusterFailedError(
        f"The cluster {_name(cluster)} will not run: it is {cluster.status}.",
        why="Its deletion was requested.",
        fix="Wait until it is deleted, then create it again.",
        rerun=SAFE_RESUMES,
    )


def timed_out(watch: Watch, rules: Rules, timeout: float) -> WaitTimedOutError:
    """The error for a wait that timed out."""
    state = "not listed" if watch.missing_since is not None else watch.cluster.status
    goal = "running" if rules.target == "running" else "deleted"
    return WaitTimedOutError(
        f"The cluster {_name(watch.cluster)} was not {goal} after {timeout:.0f} s; last seen: {state}.",
        why=watch.trouble or watch.cluster.reason,
        fix=f"The control plane continues by itself. To wait longer: `gridbyoc clusters wait {_name(watch.cluster)}`"
        " (--timeout sets how long)."
        if rules.target == "running"
        else "The control plane continues by itself. `gridbyoc clusters list` shows when the cluster is deleted.",
        rerun=SAFE_RESUMES,
    )


def _name(cluster: Cluster) -> str:
    return cluster.name or cluster.id
