"""Waiting for one cluster, drawn like a step of a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from gridbyoc.cli.app import App
from gridbyoc.errors import SAFE_RESUMES, ControlPlaneError, GridbyocError, InterruptedRunError

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Cluster, Registrar
    from gridbyoc.stack.model import DialectName
    from gridbyoc.steps.events import Emit

LIGHTNING_GRACE = 600.0


def watch(
    app: App,
    registrar: Registrar,
    cluster: Cluster,
    *,
    dialect: DialectName,
    target: Literal["running", "deleted"],
    timeout: float,
    poll_interval: float,
    failed_grace: float | None,
) -> Cluster:
    """Wait until ``target`` with events drawn; times are seconds. An interrupt says how to go on."""
    from gridbyoc.control_plane import wait_until
    from gridbyoc.show import renderer
    from gridbyoc.steps.events import StepFinished, StepStarted

    default_grace = LIGHTNING_GRACE if dialect == "lightning" else 0.0
    began = time.monotonic()
    with renderer(app.format, app.stdout, app.stderr, environ=app.environ, clock=time.monotonic) as view:
        view(StepStarted("wait"))
        try:
            last = wait_until(
                registrar,
                cluster,
                target=target,
                timeout=timeout,
                failed_grace=default_grace if failed_grace is None else failed_grace,
                poll_interval=poll_interval,
                on_progress=_progress(view, cluster.name),
                on_trouble=_trouble(view),
            )
        except (GridbyocError, KeyboardInterrupt) as error:
            view(StepFinished("wait", time.monotonic() - began, "failed"))
            raise _stopped(cluster, target) from None if isinstance(error, KeyboardInterrupt) else error
        view(StepFinished("wait", time.monotonic() - began))
    return last
