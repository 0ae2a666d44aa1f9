"""``gridbyoc status``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument, url_option
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.words import instant

if TYPE_CHECKING:
    from gridbyoc.operations.role_policies import RolePolicies
    from gridbyoc.operations.status import Status


@command("status")
@stack_argument
@set_option
@profile_option
@terraform_options
@url_option
@pass_app
def status(app: App, stack_file: str, overrides: tuple[str, ...], terraform_bin: str | None, url: str | None) -> None:
    """Show where STACK_FILE stands: the last run, the role, the clusters, and what to do next.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.report import cluster_object
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.status import stack_status

    with open_run(app, stack_file, overrides, "status", Choices(terraform_bin, url), lock=False) as run:
        found = stack_status(run)
    if app.json:
        clusters = [cluster_object(cluster) for cluster in found.clusters]
        last = asdict(found.last_run) if found.last_run else None
        rest = {"role_arn": found.role_arn, "trust": found.trust, "holder": found.holder, "unknown": found.unknown}
        policies = found.policies.as_json() if found.policies else None
        app.object({"last_run": last, **rest, "policies": policies, "clusters": clusters, "next": found.next_step})
        return
    for line in status_lines(found, utc_now()):
        app.line(line)


def status_lines(found: Status, now: datetime) -> list[str]:
    """What was found, a line for each fact, the next step last; ``now`` tells how long ago the last run was."""
    last = found.last_run
    lines = ["last run  none"]
    if last:
        ended = "done" if last.code is None else last.code
        lines = [f"last run  {last.verb} at {instant(last.began, now)}: {ended} (last step: {last.last_step})"]
        lines += [f"          begun and not known to be done: {effect}" for effect in last.open_effects]
    lines += [f"lock      {found.holder}"] if found.holder else []
    lines += [f"role      {found.role_arn or 'none'}", f"trust     {found.trust}"]
    lines += _policies(found.policies) if found.policies else []
    lines += [f"cluster   {c.name}: {c.status}" + (f" ({c.reason})" if c.reason else "") for c in found.clusters]
    lines += [] if found.clusters else ["cluster   none"]
    lines += [f"unknown   {side}: {reason}" for side, reason in found.unknown.items()]
    return [*lines, f"next      {found.next_step}"]


def _policies(found: RolePolicies) -> list[str]:
    lines = [f"policy    {subject} {detail}" for subject, detail in found.differences()]
    lines += [f"policy    {name} is accepted by the stack file" for name in found.accepted]
    return lines or ([] if found.unknown else ["policies  as the stack file lists them"])
