"""Which control plane a command speaks to that needs no stack: options, the connection, secrets from files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import default_stack_file, load_stack, stack_option, url_option
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    ClusterNotFoundError,
    ControlPlaneError,
    FileError,
    InterruptedRunError,
    UsageError,
)
from gridbyoc.vendors import VENDORS

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Cluster, Registrar
    from gridbyoc.control_plane.wait import Target
    from gridbyoc.operations.events import Emit
    from gridbyoc.stack.model import ControlPlane, DialectName
    from gridbyoc.stack.secret import Secret


F = TypeVar("F", bound=Callable[..., Any])
LONGEST_SECRET = 64 * 1024


def plane_options(function: F) -> F:
    """``--stack``, ``--url``, ``--control-plane``: the command gets ``stack_file``, ``url`` and ``dialect``."""
    dialect = click.option(
        "--control-plane",
        "dialect",
        type=click.Choice(VENDORS),
        default=None,
        help="The control plane's API (default: the stack file's, else grid).",
    )
    return stack_option(url_option(dialect(function)))


def plane_of(app: App, stack_file: str | None, dialect: DialectName | None) -> ControlPlane:
    """The stack file's control plane where there is one; ``--control-plane`` says otherwise."""
    from gridbyoc.stack.model import ControlPlane

    found = default_stack_file(app, stack_file)
    plane: ControlPlane = load_stack(app, found).control_plane if found else ControlPlane()
    return plane if dialect is None or dialect == plane.type else ControlPlane(type=dialect)


def registrar_of(app: App, plane: ControlPlane, url: str | None) -> Registrar:
    """A connection with the environment's or the stored credentials; warnings go to stderr."""
    from gridbyoc.control_plane import connect

    return connect(
        plane, environ=app.environ, home=app.home, url=url, on_warning=lambda text: app.note(f"warning: {text}")
    )


def cluster_named(registrar: Registrar, name: str) -> Cluster:
    """The cluster of that name, else of that id; ``ClusterNotFoundError`` that says what there is."""
    from gridbyoc.control_plane.wire import pick

    clusters = registrar.list()
    found = pick(clusters, name) or next((cluster for cluster in clusters if cluster.id == name), None)
    if found is None:
        names = ", ".join(sorted(cluster.name for cluster in clusters))
        raise ClusterNotFoundError(
            f"There is no cluster named {name!r}.",
            why=f"The control plane at {registrar.url} has {names or 'no clusters'}.",
            fix="`gridbyoc clusters list` shows them.",
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def secret_from_file(app: App, path: str, what: str) -> Secret:
    """A secret's text from ``path`` (``-``: standard input), without the line's end; ``UsageError`` if it is empty."""
    from gridbyoc.stack.secret import Secret

    try:
        text = app.stdin.read(LONGEST_SECRET) if path == "-" else Path(app.cwd, path).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        # The errno is all that may be told: a decoding error would carry the file's content along.
        error = sys.exc_info()[1]
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not text in UTF-8"
    else:
        if not text.strip():
            raise UsageError(f"{path} holds no {what}: it is empty.", rerun=SAFE_NOTHING_DONE)
        return Secret(text.strip())
    raise FileError(f"The {what} cannot be read from {path}: {reason}.", rerun=SAFE_NOTHING_DONE)


def secret_from_env(app: App, name: str, what: str) -> Secret:
    """A secret's text from the environment variable ``name``; ``UsageError`` if it is not set."""
    from gridbyoc.stack.secret import Secret

    value = app.environ.get(name, "").strip()
    if not value:
        raise UsageError(f"The environment variable {name} holds no {what}: it is not set.", rerun=SAFE_NOTHING_DONE)
    return Secret(value)


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
    from gridbyoc.operations.events import StepFinished, StepStarted
    from gridbyoc.show.run import RUN

    began = time.monotonic()
    with app.view(RUN) as view:
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
    from gridbyoc.operations.events import ClusterProgress

    def report(cluster: Cluster | None, seconds: float) -> None:
        status, reason = (cluster.status, cluster.reason) if cluster else ("not listed", "")
        view(ClusterProgress(name, status, reason, seconds))

    return report


def _trouble(view: Emit) -> Callable[[ControlPlaneError, float], None]:
    from gridbyoc.operations.events import Note

    def report(error: ControlPlaneError, _seconds: float) -> None:
        view(Note(f"{error.what} Looking again.", "warning"))

    return report
