"""Open a run of a stack: the stack file, the lock, the view, the journal; and the options for it."""

from __future__ import annotations

import functools
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from gridbyoc import __version__
from gridbyoc.cli.app import App
from gridbyoc.cli.completion import complete_cluster
from gridbyoc.cli.options import default_stack_file, read_stack, url_option
from gridbyoc.stack.clock import utc_now

if TYPE_CHECKING:
    from gridbyoc.operations.preflight.model import PreflightContext
    from gridbyoc.operations.run import Checks, Choices, Run


F = TypeVar("F", bound=Callable[..., Any])

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on, not before
    """``90m``, ``30s``, ``1.5h``, ``7d``, or seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as a float; click's own error for anything else."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration: write 90m, 30s, 1.5h, 7d or seconds", param, ctx)
        return float(match[1]) * UNITS[match[2]]


def terraform_options(function: F) -> F:
    """``--terraform-bin``."""
    return click.option(
        "--terraform-bin",
        default=None,
        metavar="PATH",
        help="The terraform or tofu to run (default: $GRIDBYOC_TERRAFORM_BIN, PATH, then the embedded one).",
    )(function)


WAIT_OPTIONS = (
    click.option(
        "--failed-grace",
        type=Duration(),
        default=None,
        help="How long FAILED may last before it is final (default: 0s; for lightning, which retries, 10m).",
    ),
    click.option(
        "--poll-interval",
        type=Duration(),
        default="5s",
        show_default=True,
        envvar="GRIDBYOC_POLL_INTERVAL",
        help="The first pause between polls; it grows to 60s.",
    ),
    click.option(
        "--timeout",
        "wait_timeout",
        type=Duration(),
        default=None,
        help="How long to wait for clusters (default: the control plane's: grid 90m, lightning 3h).",
    ),
)


def wait_options(function: F) -> F:
    """``--timeout`` (as ``wait_timeout``), ``--poll-interval``, ``--failed-grace``, in seconds."""
    return cast(F, _with(WAIT_OPTIONS, function))


def lock_option(function: F) -> F:
    """``--lock-timeout``, in seconds; ``None`` if it is not given."""
    return click.option(
        "--lock-timeout",
        type=Duration(),
        default=None,
        help="How long to wait for another run of the stack (default: 0.5s on this machine, 10s for the state's lock).",
    )(function)


def choices_options(function: F) -> F:
    """Options for Terraform, address and waiting: the command gets them as ``choices``, a ``Choices``."""

    @functools.wraps(function)
    def with_choices(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        from gridbyoc.operations.run import Choices

        names = {"terraform_bin", "url", "wait_timeout", "poll_interval", "failed_grace", "lock_timeout"}
        chosen = {name: options.pop(name) for name in names}
        chosen["no_control_plane"] = options.pop("no_control_plane", False)
        chosen["finishing"] = options.pop("finish", False)
        wait = not options.pop("no_wait", False)
        return function(*args, choices=Choices(wait=wait, **chosen), **options)

    return cast(F, wait_options(terraform_options(lock_option(url_option(with_choices)))))


no_control_plane_option = click.option(
    "--no-control-plane",
    is_flag=True,
    help="Ask no control plane: you assert that nothing runs through the role, or inform the vendor yourself (rotate).",
)
"""``--no-control-plane``, for actions that a stack without clusters refuses if nobody can be asked."""


finish_option = click.option(
    "--finish", is_flag=True, hidden=True, help="Finish a run that did not wait: request the deletion of no cluster."
)
"""``--finish``, for the second part of a stack's run in a fleet; the command gets it in ``choices``."""


def cluster_option(function: F) -> F:
    """``--cluster NAME`` (repeatable): the command gets the names as ``cluster_names``."""
    return click.option(
        "--cluster",
        "cluster_names",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_cluster,
        help="Only this cluster of the stack (may be repeated), and the role if no other cluster uses it.",
    )(function)


def brief_option(function: F) -> F:
    """``--brief``."""
    return click.option(
        "--brief", is_flag=True, help="Show only the sentences of a plan: no resource addresses and attributes."
    )(function)


def preflight_options(function: F) -> F:
    """``--skip-preflight``, ``--only``, ``--skip``, ``--strict``: the command gets them as ``checks``, or ``None``."""

    @functools.wraps(function)
    def with_checks(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        only, skip, strict = (options.pop(name) for name in ("only", "skip", "strict"))
        checks = _checks(only, skip, strict=strict)  # refuse a word that selects nothing before anything is written
        left_out = options.pop("skip_preflight")
        return function(*args, checks=None if left_out else checks, **options)

    return cast(F, _with(PREFLIGHT_OPTIONS, with_checks))


def _checks(only: tuple[str, ...], skip: tuple[str, ...], *, strict: bool) -> Checks:
    from gridbyoc.operations.run import Checks

    if not (only or skip):
        return Checks(strict=strict)
    from gridbyoc.operations.preflight.catalogue import KINDS
    from gridbyoc.operations.preflight.examine import selection

    return Checks(selection(KINDS, only, skip), strict)


def _with(options: Sequence[Callable[[Any], Any]], function: Callable[..., Any]) -> Callable[..., Any]:
    for option in options:
        function = option(function)
    return function


PREFLIGHT_OPTIONS = (
    click.option("--strict", is_flag=True, help="Preflight: warnings and unknown findings block, too."),
    click.option("--skip", multiple=True, metavar="CODE", help="Preflight: all but these checks."),
    click.option("--only", multiple=True, metavar="CODE", help="Preflight: only these checks (a code or a group)."),
    click.option(
        "--skip-preflight", is_flag=True, envvar="GRIDBYOC_SKIP_PREFLIGHT", help="Leave the preflight checks out."
    ),
)


@contextmanager
def open_run(
    app: App, stack_file: str, overrides: tuple[str, ...], verb: str, choices: Choices, *, lock: bool = True
) -> Iterator[Run]:
    """Load the stack, hold its lock, and show events while inside. Raises ``ReleasedStackError`` if it was released.

    Without ``lock`` the verb only reads: the run uses a private copy of the work_dir, and writes nothing there.
    """
    from gridbyoc.operations.journal import JOURNAL, Journal
    from gridbyoc.operations.lock import hold
    from gridbyoc.operations.run import Environment, Run
    from gridbyoc.show.run import RUN
    from gridbyoc.stack.files import make_private_dir

    loaded = read_stack(app, stack_file, overrides)
    # Imported here because they load the renderer, which an invalid stack file does not need.
    from gridbyoc.operations.local_files import check_work_dir, refuse_state_left_behind
    from gridbyoc.operations.partial import limited, named_clusters
    from gridbyoc.operations.release_marker import ALLOWED, refuse_released

    stack = loaded.stack
    only = named_clusters(stack, choices.clusters)
    base = app.cwd if stack.file is None else None
    work_dir = stack.work_dir(base)
    refuse_state_left_behind(replace(stack, work_root=None).work_dir(base), work_dir)
    if lock:
        make_private_dir(work_dir)
    if work_dir.exists():
        check_work_dir(work_dir)
    view = app.view(RUN)
    outside = Environment(app.environ, app.home, view, time.monotonic, time.sleep)
    journal = Journal(work_dir / JOURNAL, utc_now, uuid.uuid4().hex[:12])
    run = Run(stack, work_dir, outside, choices, journal, origin=loaded.origin)
    if not lock:
        from gridbyoc.operations.private_copy import scratch_run

        with view, scratch_run(run) as reading:
            yield reading
        return
    patience = {} if choices.lock_timeout is None else {"wait": choices.lock_timeout}
    with hold(work_dir, verb=verb, now=utc_now, **patience):
        if verb not in ALLOWED:
            refuse_released(stack, work_dir)
        with journal.of_run(verb, __version__), view:
            yield limited(run, only)


def open_scene(
    app: App, stack_file: str | None, *, url: str | None, terraform_bin: str | None = None
) -> PreflightContext:
    """A preflight context in which nothing has been requested yet; ``StackError`` if the stack file is not valid."""
    from gridbyoc.aws import open_session
    from gridbyoc.control_plane import connect
    from gridbyoc.operations.preflight.model import Machine, set_scene
    from gridbyoc.stack.model import ControlPlane
    from gridbyoc.terraform import find_binary

    found = default_stack_file(app, stack_file)
    loaded = read_stack(app, found, any_instance_type=True) if found else None
    stack = loaded.stack if loaded else None
    machine = Machine(app.environ, app.home, time.monotonic, time.sleep, utc_now)
    work_dir = stack.work_dir(app.cwd if stack.file is None else None) if stack else app.cwd
    plane = stack.control_plane if stack else ControlPlane()
    hidden = stack.secret_variables if stack else frozenset()
    environ = {name: value for name, value in app.environ.items() if name not in hidden}
    return set_scene(
        stack,
        machine,
        open_session=lambda region, profile: open_session(region, profile or app.profile),
        work_dir=work_dir,
        find_binary=lambda: find_binary(terraform_bin, environ, directory=work_dir),
        connect=lambda: connect(
            plane,
            environ=app.environ,
            home=app.home,
            url=url,
            without_key="refused" if stack is None or stack.clusters else "unknown",
        ),
        origin=loaded.origin if loaded else None,
    )
