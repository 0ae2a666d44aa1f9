"""Connect to the control plane without a stack: options, the connection, waiting, secrets from files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import default_stack_file, load_stack, stack_option, url_option
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    ClusterNotFoundError,
    FileError,
    UsageError,
)
from gridbyoc.vendors import VENDORS

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Cluster, Registrar
    from gridbyoc.control_plane.wait import Target
    from gridbyoc.operations.events import Emit
    from gridbyoc.operations.wait import WaitLimits
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
    """The stack file's control plane, if there is one, unless ``--control-plane`` names another."""
    from gridbyoc.stack.model import ControlPlane

    found = default_stack_file(app, stack_file)
    plane: ControlPlane = load_stack(app, found).control_plane if found else ControlPlane()
    return plane if dialect is None or dialect == plane.type else ControlPlane(type=dialect)


def registrar_of(app: App, plane: ControlPlane, url: str | None) -> Registrar:
    """A connection with the environment's or the stored credentials; warnings go to stderr.

    Raises ``UnsupportedByDialectError`` for a vendor without an API, because the caller needs an answer.
    """
    from gridbyoc.control_plane import connect

    if plane.type == "manual":
        raise plane.without_api()
    return connect(
        plane, environ=app.environ, home=app.home, url=url, on_warning=lambda text: app.note(f"warning: {text}")
    )


def cluster_named(registrar: Registrar, name: str) -> Cluster:
    """The cluster with that name, otherwise with that id; ``ClusterNotFoundError`` lists the existing ones."""
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
        # Only the errno may be shown: a decoding error would include the file's content.
        error = sys.exc_info()[1]
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not text in UTF-8"
    else:
        if not text.strip():
            raise UsageError(f"{path} holds no {what}: it is empty.", rerun=SAFE_NOTHING_DONE)
        return Secret(text.strip())
    raise FileError(f"The {what} cannot be read from {path}: {reason}.", rerun=SAFE_NOTHING_DONE)


def secret_from_env(app: App, name: str, what: str, option: str) -> Secret:
    """A secret's text from the environment variable ``name``, the value of ``option``; ``UsageError`` if it is not set.

    The name is not repeated: somebody may have given the secret itself.
    """
    from gridbyoc.stack.secret import Secret

    value = app.environ.get(name, "").strip()
    if not value:
        raise UsageError(
            f"The environment variable that {option} names holds no {what}: it is not set.",
            fix="Give the variable's name, and set it.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Secret(value)


def watch(
    app: App,
    plane: ControlPlane,
    registrar: Registrar,
    cluster: Cluster,
    target: Target,
    limits: WaitLimits,
    *,
    again: str = "",
) -> Cluster:
    """Wait until ``target`` and show events; an interrupt says how to continue (``again``: one more verb for it)."""
    from gridbyoc.operations.cluster_times import expected_wait
    from gridbyoc.operations.wait import watch_cluster
    from gridbyoc.stack.files import home_of, work_root_of

    with _drawn(app) as view:
        if target == "running" and cluster.status != "running":
            view(expected_wait(plane.api, home_of(app.cwd, work_root_of(app.environ))))
        return watch_cluster(
            registrar, cluster, target, limits, emit=view, clock=time.monotonic, sleep=time.sleep, verb=again
        )


@contextmanager
def _drawn(app: App) -> Iterator[Emit]:
    from gridbyoc.operations.events import StepFinished, StepStarted
    from gridbyoc.show.run import RUN

    began = time.monotonic()
    with app.view(RUN) as view:
        view(StepStarted("wait"))
        try:
            yield view
        except BaseException:
            view(StepFinished("wait", time.monotonic() - began, "failed"))
            raise
        view(StepFinished("wait", time.monotonic() - began))
