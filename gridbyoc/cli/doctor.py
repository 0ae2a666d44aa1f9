"""``gridbyoc doctor``."""

from __future__ import annotations

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, pass_app, profile_option, stack_option, url_option
from gridbyoc.cli.running import open_scene, terraform_options
from gridbyoc.errors import ExitStatus


@command("doctor", formats=("table", "json", "jsonl", "markdown"))
@stack_option
@profile_option
@click.option("--only", multiple=True, metavar="CODE", help="Only these checks: a code, a prefix of codes, or a group.")
@click.option("--skip", multiple=True, metavar="CODE", help="All but these checks.")
@click.option("--strict", is_flag=True, help="Warnings and unknown findings block, too.")
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
    """Check what a bootstrap needs: tools, identity, permissions, policies, quotas, offerings, control plane.

    With a stack file it checks the file's region, account guard, instance types and control plane; without one, the
    environment's. Ends with status 4 if a finding fails. Checks that could not be completed do not block, except with
    --strict. docs/preflight.md explains every code.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.preflight.catalogue import CHECKS, KINDS
    from gridbyoc.operations.preflight.examine import blocks, examine, selection
    from gridbyoc.show.preflight import PREFLIGHT, Examined

    wanted = selection(KINDS, only, skip)
    scene = open_scene(app, stack_file, url=url, terraform_bin=terraform_bin)
    findings = examine(scene, CHECKS, wanted=wanted)
    blocked = blocks(findings, strict=strict)
    if not findings and scene.stack is None:
        app.note("Without a stack file there are no policies and no instance types to check: name one with --stack.")
    app.show(PREFLIGHT, Examined(findings, scene.region, blocked), scene.stack.name if scene.stack else None)
    if not blocked:
        tell_next(app, "doctor" if scene.stack else "doctor without a stack")
    return int(ExitStatus.PREFLIGHT_BLOCKED) if blocked else int(ExitStatus.DONE)
