"""``gridbyoc verify``."""

from __future__ import annotations

from pathlib import Path

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import open_run, terraform_options
from gridbyoc.errors import ExitStatus


@command("verify")
@stack_argument
@set_option
@profile_option
@click.option("--attestation", metavar="FILE", default=None, help="Also write the proof as a JSON document to file.")
@click.option("--strict", is_flag=True, help="Warnings and unknown findings fail, too.")
@terraform_options
@pass_app
def verify(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    attestation: str | None,
    strict: bool,
    terraform_bin: str | None,
) -> int:
    """Prove what STACK_FILE's role grants: its live trust policy and permissions, judged by IAM's own rules.

    With the external id the control plane gets in; without it, with another one, or from another account nobody does.
    Ends with status 4 where a finding fails.

    Only reads, needs no lock, and leaves nothing behind (docs/reading.md).
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.verify import prove
    from gridbyoc.show.verify import VERIFY

    with open_run(app, stack_file, overrides, "verify", Choices(terraform_bin), lock=False) as run:
        proof = prove(run)
    if attestation is not None:
        from gridbyoc.operations.verify import write_attestation

        write_attestation(Path(app.cwd, attestation), proof)
        app.note(f"The attestation is in {attestation}.")
    app.show(VERIFY, proof, proof.stack)
    if proof.holds(strict=strict):
        tell_next(app, "verify")
    return int(ExitStatus.DONE if proof.holds(strict=strict) else ExitStatus.PREFLIGHT_BLOCKED)
