"""``gridbyoc drift``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app, set_option, stack_argument, url_option
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.errors import ExitStatus

if TYPE_CHECKING:
    from gridbyoc.steps.drift import DriftFound


@command("drift")
@stack_argument
@set_option
@terraform_options
@url_option
@pass_app
def drift(app: App, stack_file: str, overrides: tuple[str, ...], terraform_bin: str | None, url: str | None) -> int:
    """Show where AWS, the live role and the control plane differ from STACK_FILE; status 3 when they do.

    Status 4 when nothing is known to differ and not everything could be read. Only reads, and works while another run
    holds the stack.
    """
    from gridbyoc.steps.drift import find_drift
    from gridbyoc.steps.run import Choices

    with open_run(app, stack_file, overrides, "drift", Choices(terraform_bin, url), lock=False) as run:
        found = find_drift(run)
    if app.json:
        listed = [{"side": d.side, "subject": d.subject, "detail": d.detail} for d in found.differences]
        rest = {"unknown": found.unknown, "remarks": found.remarks}
        app.line(json.dumps({"type": "drift", "drift": listed, **rest}, ensure_ascii=False))
    else:
        _show(app, found)
    if found.differences:
        return int(ExitStatus.CHANGES_PENDING)
    return int(ExitStatus.PREFLIGHT_BLOCKED if found.unknown else ExitStatus.DONE)


def _show(app: App, found: DriftFound) -> None:
    if found.differences:
        app.table(("side", "subject", "drift"), [(d.side, d.subject, d.detail) for d in found.differences])
    elif found.none:
        app.line("No drift: AWS, the live role and the control plane are as the stack file asks.")
    for reason in found.unknown:
        app.line(f"Not known: {reason}.")
    for remark in found.remarks:
        app.line(remark)
