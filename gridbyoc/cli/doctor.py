"""``gridbyoc doctor``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, default_stack_file, pass_app, read_stack, stack_option, url_option
from gridbyoc.cli.running import now, terraform_options
from gridbyoc.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridbyoc.steps.preflight.model import Finding
    from gridbyoc.steps.preflight.scene import Scene


@command("doctor", formats=("table", "json", "markdown"))
@stack_option
@click.option("--only", multiple=True, metavar="CODE", help="Only these checks: a code, its beginning, or a group.")
@click.option("--skip", multiple=True, metavar="CODE", help="All but these checks.")
@click.option("--strict", is_flag=True, help="What is worth a warning, and what cannot be told, blocks too.")
@terraform_options
@url_option
@pass_app
def doctor(
    app: App,
    stack_file: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    strict: bool,
    terraform_bin: str | None,
    url: str | None,
) -> int:
    """Check what a bootstrap needs, side by side: tools, identity, permissions, policies, quotas, offerings, control
    plane.

    With a stack file its region, account guard, instance types and control plane are looked at; without one, the
    environment's. Changes nothing. Ends with status 4 where a finding fails; what cannot be told does not block,
    unless with --strict. docs/preflight.md explains every code.
    """
    from gridbyoc.steps.preflight.catalogue import CHECKS, KINDS
    from gridbyoc.steps.preflight.examine import blocks, examine
    from gridbyoc.steps.preflight.selection import selection

    wanted = selection(KINDS, only, skip)
    scene = _scene(app, stack_file, terraform_bin, url)
    findings = examine(scene, CHECKS, wanted=wanted)
    blocked = blocks(findings, strict=strict)
    _show(app, findings, scene.region, blocked=blocked)
    return int(ExitStatus.PREFLIGHT_BLOCKED) if blocked else int(ExitStatus.DONE)


def _scene(app: App, stack_file: str | None, terraform_bin: str | None, url: str | None) -> Scene:
    from gridbyoc.control_plane import connect
    from gridbyoc.stack.model import ControlPlane
    from gridbyoc.steps.preflight.scene import Machine, set_scene
    from gridbyoc.terraform import find_binary

    found = default_stack_file(app, stack_file)
    loaded = read_stack(app, found, any_instance_type=True) if found else None
    stack = loaded.stack if loaded else None
    machine = Machine(app.environ, app.home, time.monotonic, time.sleep, now)
    work_dir = stack.work_dir(app.cwd if stack.file is None else None) if stack else app.cwd
    plane = stack.control_plane if stack else ControlPlane()
    return set_scene(
        stack,
        machine,
        work_dir=work_dir,
        find_binary=lambda: find_binary(terraform_bin, app.environ),
        connect=lambda: connect(plane, environ=app.environ, home=app.home, url=url),
        origin=loaded.origin if loaded else None,
    )


def _show(app: App, findings: Sequence[Finding], region: str, *, blocked: bool) -> None:
    from gridbyoc.show.preflight import preflight_markdown, preflight_object, preflight_rows, preflight_summary

    if app.json:
        app.object(preflight_object(findings, region=region, blocked=blocked))
    elif app.format == "markdown":
        for line in preflight_markdown(findings, region=region):
            app.line(line)
    else:
        app.table(*preflight_rows(findings))
        app.line()
        app.line(preflight_summary(findings, region=region))
