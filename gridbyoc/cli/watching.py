"""Waiting for one cluster, drawn like a step of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridbyoc.cli.app import App
from gridbyoc.errors import SAFE_RESUMES, ControlPlaneError, InterruptedRunError

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Cluster, Registrar
    from gridbyoc.control_plane.wait import Target
    from gridbyoc.stack.model import DialectName
    from gridbyoc.steps.events import Emit


@dataclass(frozen=True, slots=True)
class WaitChoices:
    """``wait_options``, in seconds; ``None`` is the control plane's own."""

    timeout: float | None
    poll_interval: float
    failed_grace: float | None


def watch(
    app: App,
    registrar: Registrar,
    cluster: Cluster,
    *,
    dialect: DialectName,
    target: Target,
    choices: WaitChoices,
) -> Cluster:
    """Wait until ``target``, with events drawn; an interrupt says how to go on."""
    from gridbyoc.control_plane import wait_until
    from gridbyoc.vendors import facts_of, wait_limit

    grace = facts_of(dialect).duration.failed_grace_seconds
    with _drawn(app, cluster.name) as view:
        return wait_until(
            registrar,
            cluster,
            target=target,
            timeout=wait_limit(dialect) if choices.timeout is None else choices.timeout,
            failed_grace=grace if choices.failed_grace is None else choices.failed_grace,
            poll_interval=choices.poll_interval,
            on_progress=_progress(view, cluster.name),
            on_trouble=_trouble(view),
        )


@contextmanager
def _drawn(app: App, name: str) -> Iterator[Emit]:
    from gridbyoc.show import renderer
    from gridbyoc.steps.events import StepFinished, StepStarted

    began = time.monotonic()
    with renderer(app.json, app.stdout, app.stderr, environ=app.environ, clock=time.monotonic) as view:
        view(StepStarted("wait"))
        try:
            yield view
        except BaseException as error:
            view(StepFinished("wait", time.monotonic() - began, "failed"))
            if isinstance(error, KeyboardInterrupt):
                raise _interrupted(name) from None
            raise
        view(StepFinished("wait", time.monotonic() - began))


def _interrupted(name: str) -> InterruptedRunError:
    return InterruptedRunError(
        f"Interrupted while waiting for the cluster {name}; the control plane goes on by itself.",
        fix=f"Go on with `gridbyoc clusters wait {name}`.",
        rerun=SAFE_RESUMES,
    )


def _progress(view: Emit, name: str) -> Callable[[Cluster | None, float], None]:
    from gridbyoc.steps.events import ClusterProgress

    def report(cluster: Cluster | None, seconds: float) -> None:
        status, reason = (cluster.status, cluster.reason) if cluster else ("not listed", "")
        view(ClusterProgress(name, status, reason, seconds))

    return report


def _trouble(view: Emit) -> Callable[[ControlPlaneError, float], None]:
    from gridbyoc.steps.events import Note

    def report(error: ControlPlaneError, _seconds: float) -> None:
        view(Note(f"{error.what} Looking again.", "warning"))

    return report
