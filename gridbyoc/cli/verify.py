"""``gridbyoc verify``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import FORMATS, command, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.errors import SAFE_NOTHING_DONE, ExitStatus, UsageError

if TYPE_CHECKING:
    from gridbyoc.operations.verify import Proof
    from gridbyoc.stack.secret import Secret


@command("verify", formats=(*FORMATS, "sarif"))
@stack_argument
@set_option
@profile_option
@click.option("--role", metavar="ARN", default=None, help="A role that gridbyoc did not create; needs no stack file.")
@click.option(
    "--principal",
    "principals",
    multiple=True,
    metavar="ARN",
    help="With --role: whom it should trust: an account (12 digits or root ARN), role or user; repeatable.",
)
@click.option(
    "--external-id-env", metavar="VAR", default=None, help="With --role: the environment variable with the external id."
)
@click.option(
    "--external-id-file",
    metavar="FILE",
    default=None,
    help="With --role: the file with the external id; - is standard input.",
)
@click.option("--region", default=None, help="With --role: the region to call AWS in (default: the environment's).")
@click.option("--attestation", metavar="FILE", default=None, help="Also write the proof as a JSON document to file.")
@click.option("--strict", is_flag=True, help="Fail on warnings and unknown findings, too.")
@terraform_options
@pass_app
@click.pass_context
def verify(
    context: click.Context,
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    role: str | None,
    principals: tuple[str, ...],
    external_id_env: str | None,
    external_id_file: str | None,
    region: str | None,
    attestation: str | None,
    strict: bool,
    terraform_bin: str | None,
) -> int:
    """Prove what STACK_FILE's role grants: its live trust policy and permissions, judged by IAM's own rules.

    The control plane must get in with the external id; without it, with another id, or from another account nobody
    may. Ends with status 4 if a finding fails. --format sarif writes a SARIF 2.1.0 log for code scanning.

    With --role it judges a role that another tool or a vendor created, without stack file, state or Terraform: the
    principals named with --principal must get in, nobody else, and nobody without an external id.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    if role is not None:
        named = context.get_parameter_source("stack_file") is click.core.ParameterSource.COMMANDLINE
        foreign = {"STACK_FILE": named, "--set": bool(overrides), "--terraform-bin": terraform_bin is not None}
        _refuse(foreign, "{} cannot go with --role.", "Leave it out: --role uses no stack file and no Terraform.")
        identifier = _external_id(app, external_id_env, external_id_file)
        return _verify_role(app, role, principals, identifier, region, attestation, strict=strict)
    lone = {
        "--principal": bool(principals),
        "--external-id-env": external_id_env is not None,
        "--external-id-file": external_id_file is not None,
        "--region": region is not None,
    }
    _refuse(
        lone,
        "{} needs --role ARN.",
        "Name the role, or leave it out: for a stack, the stack file says whom the role trusts, and the region.",
    )
    return _verify_stack(app, stack_file, overrides, terraform_bin, attestation, strict=strict)


def _refuse(given: Mapping[str, bool], what: str, fix: str) -> None:
    wrong = next((name for name, there in given.items() if there), None)
    if wrong is not None:
        raise UsageError(what.format(wrong), fix=fix, rerun=SAFE_NOTHING_DONE)


def _verify_stack(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    terraform_bin: str | None,
    attestation: str | None,
    *,
    strict: bool,
) -> int:
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.verify import prove, write_attestation
    from gridbyoc.show.verify import VERIFY

    with open_run(app, stack_file, overrides, "verify", Choices(terraform_bin), lock=False) as run:
        proof = prove(run)
    if attestation is not None:
        write_attestation(Path(app.cwd, attestation), proof)
        app.note(f"The attestation is in {attestation}.")
    app.show(VERIFY, _placed(app, proof, stack_file) if app.format == "sarif" else proof, proof.stack)
    if proof.holds(strict=strict):
        tell_next(app, "verify")
    return int(ExitStatus.DONE if proof.holds(strict=strict) else ExitStatus.PREFLIGHT_BLOCKED)


def _placed(app: App, proof: Proof, stack_file: str) -> Proof:
    """The proof with file paths relative to the repository's root; the stack file for values that are not in a file."""
    from gridbyoc.cli.reporting import Reporting

    find = Reporting(app, "none").in_repository
    whole = (find(stack_file), None)
    places = {code: (find(file), line) if find(file) else whole for code, (file, line) in proof.places.items()}
    return replace(proof, places=places)


def _external_id(app: App, variable: str | None, file: str | None) -> Secret | None:
    """The external id from the variable or file, if one was given.

    Raises ``UsageError``, without quoting it, if it is malformed.
    """
    from gridbyoc.cli.plane import secret_from_env, secret_from_file
    from gridbyoc.stack.external_id import EXTERNAL_ID_FORM

    if variable is not None and file is not None:
        raise UsageError("--external-id-file and --external-id-env cannot go together.", rerun=SAFE_NOTHING_DONE)
    if variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise UsageError(  # it may be the external id itself, so it is not repeated
            "The value of --external-id-env is not the name of an environment variable.",
            fix="Give the variable's name, not the external id.",
            rerun=SAFE_NOTHING_DONE,
        )
    if variable is None and file is None:
        return None
    found = (
        secret_from_file(app, file, "external id")
        if file is not None
        else secret_from_env(app, variable or "", "external id", "--external-id-env")
    )
    if not EXTERNAL_ID_FORM.fullmatch(found.reveal()):
        raise UsageError(
            "The external id that was given is not valid.",
            fix="An external id has 2 to 1224 letters, digits and `_+=,.@:/-`.",
            rerun=SAFE_NOTHING_DONE,
        )
    return found


def _verify_role(
    app: App,
    role_arn: str,
    names: tuple[str, ...],
    external_id: Secret | None,
    region: str | None,
    attestation: str | None,
    *,
    strict: bool,
) -> int:
    from gridbyoc.aws import open_session
    from gridbyoc.operations.verify_role import expected_principals, prove_role, write_role_attestation
    from gridbyoc.show.verify import VERIFY_ROLE

    if not names:
        raise UsageError(
            "--role needs --principal: whom the role should trust.",
            fix="Give it for each account, role or user that the vendor names, such as --principal 123456789012.",
            rerun=SAFE_NOTHING_DONE,
        )
    principals = expected_principals(role_arn, names)
    session = open_session(_region(app, region, role_arn), app.profile)
    proof = prove_role(session, role_arn, principals, external_id)
    if attestation is not None:
        write_role_attestation(Path(app.cwd, attestation), proof)
        app.note(f"The attestation is in {attestation}.")
    app.show(VERIFY_ROLE, proof)
    return int(ExitStatus.DONE if proof.holds(strict=strict) else ExitStatus.PREFLIGHT_BLOCKED)


def _region(app: App, region: str | None, role_arn: str) -> str:
    """The region for STS; IAM is global in its partition."""
    from gridbyoc.aws.identity import own_region
    from gridbyoc.stack.defaults import REGION
    from gridbyoc.stack.regions import HOME_REGIONS, region_fault

    if region is None:
        return own_region(app.environ, app.profile) or HOME_REGIONS.get(role_arn.split(":")[1], REGION)
    fault = region_fault(region)
    if fault is not None:
        raise UsageError(f"--region {fault.message}.", fix=f"{fault.hint}.".capitalize(), rerun=SAFE_NOTHING_DONE)
    return region
