"""``gridbyoc adopt``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, pass_app, profile_option, read_stack, stack_argument
from gridbyoc.cli.running import choices_options, open_run
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.vendors import VENDORS

if TYPE_CHECKING:
    from gridbyoc.operations.adopt import Adoption
    from gridbyoc.operations.adoptable import AdoptionRequest, TrustTerms
    from gridbyoc.operations.report import Report
    from gridbyoc.operations.review.review import Review
    from gridbyoc.operations.run import Choices, Run
    from gridbyoc.stack.model import S3Backend, Stack
    from gridbyoc.vendors import VendorType

_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/([\x21-\x7e]+/)?([A-Za-z0-9_+=,.@-]{1,64})")
_STATE = re.compile(r"s3://([a-z0-9.-]{3,63})/(.+)")


@command("adopt")
@click.argument("role_arn")
@stack_argument
@click.option("--name", default=None, help="The stack's name (default: derived from the role's).")
@click.option("--region", default=None, help="The region that the clusters run in (default: us-east-1).")
@click.option("--type", "dialect", type=click.Choice(VENDORS), default=None, help="The control plane's API.")
@click.option("--state", default=None, metavar="s3://BUCKET/KEY", help="Keep the state in S3 (default: the work_dir).")
@click.option(
    "--accept", multiple=True, metavar="POLICY", help="A policy (ARN, or name of an inline one) that stays, unmanaged."
)
@click.option("--yes", "-y", is_flag=True, help="Approve the adoption.")
@profile_option
@choices_options
@pass_app
def adopt(
    app: App,
    role_arn: str,
    stack_file: str,
    name: str | None,
    region: str | None,
    dialect: VendorType | None,
    state: str | None,
    accept: tuple[str, ...],
    yes: bool,
    choices: Choices,
) -> None:
    """Adopt the role ROLE_ARN, which was made by hand, and its clusters into a stack.

    Reads the live role and the control plane's clusters that run through it, writes a STACK_FILE that describes them,
    shows what Terraform would import, and imports it. Nothing in AWS and nothing at the control plane is changed, and
    the external id stays. An existing STACK_FILE is used unchanged. If the role cannot be adopted unchanged, ends with
    status 4 and every reason. Also takes back a stack that `gridbyoc release` has released.
    """
    from gridbyoc.operations.adopt import adopt as run_adopt
    from gridbyoc.operations.release import take_back

    if not _ROLE_ARN.fullmatch(role_arn):
        raise UsageError(
            f"{role_arn} is not the ARN of an IAM role.",
            fix="For example arn:aws:iam::123456789012:role/grid-ml; `aws iam get-role --role-name NAME` shows it.",
            rerun=SAFE_NOTHING_DONE,
        )
    if stack_file == "-":
        raise UsageError(
            "`adopt` writes the stack file, which cannot be standard input.",
            fix="Name a file.",
            rerun=SAFE_NOTHING_DONE,
        )
    file = app.cwd / stack_file
    standing = read_stack(app, stack_file, ()).stack if file.exists() else None
    asked = _request(app, role_arn, standing, name, region, dialect, _backend(state, region), accept)
    if standing is not None and _took_back(app, stack_file, role_arn, standing, choices):
        return
    trust = _look(app, asked, standing, file, choices)
    with open_run(app, stack_file, (), "adopt", choices) as run:
        adoption = run_adopt(run, role_arn, trust, lambda found: yes or _ask(app, run.stack, found))
        report = _prove_unchanged(app, run, "The role was imported, but the stack file does not describe it completely")
        take_back(run)
    _show(app, report, adoption)


def _took_back(app: App, stack_file: str, role_arn: str, standing: Stack, choices: Choices) -> bool:
    """End a release of this role if the state still holds it: compare the stack, and import nothing."""
    from gridbyoc.operations.release import holds_released_role, take_back
    from gridbyoc.operations.release_marker import read_marker
    from gridbyoc.show.report import REPORT

    if read_marker(standing.work_dir(app.cwd if standing.file is None else None)) is None:
        return False
    with open_run(app, stack_file, (), "adopt", choices) as run:
        if not holds_released_role(run, role_arn):
            return False
        report = _prove_unchanged(app, run, "The stack has changed since the release and differs from the stack file")
        take_back(run)
    app.show(REPORT, report, report.stack)
    if app.drawn:
        app.line(f"Taken back: the stack {standing.name}. The role and its external id are unchanged.")
    tell_next(app, "bootstrap")
    return True


def _request(
    app: App,
    role_arn: str,
    standing: Stack | None,
    name: str | None,
    region: str | None,
    dialect: VendorType | None,
    backend: S3Backend | None,
    accept: tuple[str, ...],
) -> AdoptionRequest:
    from gridbyoc.operations.adoptable import AdoptionRequest
    from gridbyoc.stack.defaults import REGION

    if standing is not None:
        if standing.control_plane.type == "manual":
            raise UsageError(
                "gridbyoc cannot adopt a role for a vendor without an API.",
                why="It adopts what it can judge by the facts of a control plane; of this one it knows none.",
                fix="Import this stack's role with `terraform import` in the rendered root (`gridbyoc render`).",
                rerun=SAFE_NOTHING_DONE,
            )
        role = standing.role
        accepted = frozenset({*role.known_policies, *role.known_inline_policies, *accept})
        return AdoptionRequest(
            role_arn, standing.name, standing.aws.region, standing.control_plane.type, accepted=accepted
        )
    usual = re.sub(r"[^a-z0-9._-]+", "-", role_arn.rpartition("/")[2].lower()).strip("._-")[:63].rstrip("._-")
    return AdoptionRequest(
        role_arn,
        name or usual or "adopted",
        region or REGION,
        dialect,
        app.profile or None,
        backend,
        frozenset(accept),
    )


def _backend(state: str | None, region: str | None) -> S3Backend | None:
    from gridbyoc.stack.defaults import REGION
    from gridbyoc.stack.model import S3Backend

    if state is None:
        return None
    match = _STATE.fullmatch(state)
    if match is None:
        raise UsageError(f"{state} is not of the form s3://BUCKET/KEY.", rerun=SAFE_NOTHING_DONE)
    return S3Backend(match[1], match[2], region or REGION)


def _look(app: App, asked: AdoptionRequest, standing: Stack | None, file: Path, choices: Choices) -> TrustTerms:
    """Judge the role, write the stack file if there is none, and return the trust."""
    from gridbyoc.aws import open_session, stack_session
    from gridbyoc.cli.plane import registrar_of
    from gridbyoc.operations.adopt import look
    from gridbyoc.stack.files import write_atomic
    from gridbyoc.stack.model import ControlPlane

    session = stack_session(standing.aws) if standing else open_session(asked.region, app.profile)
    found = look(
        session,
        asked,
        lambda vendor: registrar_of(app, standing.control_plane if standing else ControlPlane(vendor), choices.url),
    )
    if standing is None:
        write_atomic(file, found.stack_text, mode=0o644)
        app.note(f"Wrote {file.name}: it describes the role {asked.role_arn}.")
    return found.trust


def _ask(app: App, stack: Stack, found: Adoption) -> bool:
    for line in adoption_lines(stack.name, found):
        app.note(line)
    return app.confirm("Adopt the role?", flag="--yes")


def adoption_lines(stack: str, found: Adoption) -> list[str]:
    """The lines that describe an adoption before the question."""
    trust = found.trust
    lines = [
        f"The stack {stack} adopts the role {found.role_arn}:",
        f"  account {trust.account_id} may assume it with the external id, which stays",
    ]
    lines += [f"  {arn} may assume it with the external id" for arn in trust.principals]
    lines += [f"  {arn} may assume it without an external id" for arn in trust.without_external_id]
    lines += [f"  import {address} <- {ident}" for address, ident in found.imports.items()]
    lines += [f"  cluster {cluster.name} ({cluster.status}) stays unchanged" for cluster in found.clusters]
    return [*lines, "Nothing in AWS and nothing at the control plane is changed."]


def _prove_unchanged(app: App, run: Run, otherwise: str) -> Report:
    """Run a bootstrap that may change nothing. It completes the adoption, and later runs compare with it.

    Raises ``NotAdoptableError``, with ``otherwise``, if it would change anything.
    """
    from gridbyoc.errors import NotAdoptableError
    from gridbyoc.operations.bootstrap import long_way
    from gridbyoc.operations.options import Approval

    def refuse(review: Review) -> bool:
        from gridbyoc.show.plan import plan_lines

        for line in plan_lines(review):
            app.note(line)
        raise NotAdoptableError(
            f"{otherwise}: nothing was changed.",
            fix="Correct the stack file where it differs, then run the same command again.",
        )

    return long_way(run, Approval(create_and_change=False, destroy=False, ask=refuse))


def _show(app: App, report: Report, adoption: Adoption) -> None:
    from gridbyoc.show.report import REPORT
    from gridbyoc.stack.words import counted

    imported = counted(len(adoption.imports), "resource")
    app.show(REPORT, report, report.stack)
    if app.drawn:
        app.line(f"Adopted: {imported} imported, the role and its external id are unchanged.")
    tell_next(app, "bootstrap")
