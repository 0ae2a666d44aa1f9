"""``gridbyoc doctor``."""

from __future__ import annotations

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, default_stack_file, load_stack, pass_app, stack_option, url_option
from gridbyoc.cli.running import terraform_options
from gridbyoc.errors import ExitStatus


@command("doctor")
@stack_option
@terraform_options
@url_option
@pass_app
def doctor(app: App, stack_file: str | None, terraform_bin: str | None, url: str | None) -> int:
    """Check what a bootstrap needs: Terraform, provider mirror, AWS credentials, control plane.

    With a stack file its profile, region, account guard and control plane are used; without one, the environment's.
    Ends with status 4 where a check fails.
    """
    from gridbyoc.steps.doctor import examine

    found = default_stack_file(app, stack_file)
    stack = load_stack(app, found) if found else None
    findings = examine(stack, environ=app.environ, home=app.home, terraform_bin=terraform_bin, url=url)
    if app.json:
        app.object(
            [
                {"code": f.code, "check": f.check, "verdict": f.verdict, "detail": f.detail, "fix": f.fix}
                for f in findings
            ]
        )
    else:
        rows = [
            [f.code, f.check, f.verdict, f.detail if f.verdict == "pass" else f"{f.detail} {f.fix}"] for f in findings
        ]
        app.table(("code", "check", "verdict", "found"), rows)
    blocked = any(finding.verdict == "fail" for finding in findings)
    return int(ExitStatus.PREFLIGHT_BLOCKED) if blocked else int(ExitStatus.DONE)
