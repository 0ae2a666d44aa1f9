"""The first person's side: read state and live role, prove the trust, and write the handoff."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from gridbyoc import __version__
from gridbyoc.aws.trust import Trust
from gridbyoc.control_plane.settings import address_in
from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    FileError,
    GridbyocError,
    OutputMissingError,
    TrustError,
    UsageError,
)
from gridbyoc.operations.handoff.file import HANDOFF, Handoff, pack_handoff
from gridbyoc.operations.handoff.record import EFFECT, all_arns, fingerprint, new_salt
from gridbyoc.operations.prepare import open_runner, read_state
from gridbyoc.operations.run import Run
from gridbyoc.operations.sealed_file import LARGEST
from gridbyoc.stack.extends import files_of
from gridbyoc.stack.files import file_error, read_regular, require_place, write_atomic
from gridbyoc.stack.model import DialectName, Stack
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import Outputs, read_outputs

LONGEST = timedelta(days=365)


def check_validity(seconds: float) -> timedelta:
    """How long a handoff is valid. Raises ``UsageError`` for less than a second and for more than a year."""
    if not 1 <= seconds <= LONGEST.total_seconds():
        raise UsageError(
            "A handoff is valid for at least 1s and at most 365 days.",
            fix="Give --valid-for as 7d or 12h.",
            rerun=SAFE_NOTHING_DONE,
        )
    return timedelta(seconds=seconds)


def check_out(stack: Stack, out: Path) -> None:
    """Raise ``FileError`` for a missing directory, and for a file that is not an earlier handoff of the same stack."""
    require_place(out)
    if any(out.resolve() == file.resolve() for file in files_of(stack)):
        raise _occupied(out, "the stack is read from it")
    try:
        data = read_regular(out, LARGEST)
    except FileNotFoundError:
        if not out.is_symlink():
            return
        raise _occupied(out, "it is a link") from None
    except OSError as error:
        raise file_error("Cannot read", out, error) from None
    if out.is_symlink():
        raise _occupied(out, "it is a link")
    try:
        header = HANDOFF.read_header(data)
    except GridbyocError:
        raise _occupied(out, "it is not a handoff") from None
    if header["stack"] != stack.name:
        raise _occupied(out, "it is the handoff of another stack")


def make_handoff(run: Run, valid_for: timedelta) -> Handoff:
    """Make the handoff from the state and the live role, whose trust is proven now.

    Raises ``OutputMissingError`` before the first apply, ``TrustError`` if the trust is not proven.
    """
    with run.step("output"):
        outputs = _outputs(run)
    session, caller = run.account()
    proven: dict[str, Trust] = {}
    with run.step("trust") as step:
        for role_arn in outputs.every_role.values():
            proven[role_arn] = run.live_trust(session, role_arn, outputs.external_id)
            if proven[role_arn].verdict != "admitted":
                raise _unproven(role_arn, proven[role_arn])
        step.detail = "; ".join(dict.fromkeys(trust.detail for trust in proven.values()))
    plane, outside = run.stack.control_plane, run.outside
    now = outside.now().replace(microsecond=0)
    return Handoff(
        stack=run.stack.name,
        role_arn=outputs.role_arn,
        roles=dict(outputs.every_role),
        external_id=outputs.external_id,
        region=run.stack.aws.region,
        account_id=caller.account_id,
        control_plane=plane.type,
        url="" if plane.type == "manual" else _address(run, plane.type),
        vendor=plane.vendor,
        org_id=plane.org_id,
        by=caller.arn,
        created=now,
        expires=now + valid_for,
        trust=fingerprint({arn: trust.policy for arn, trust in proven.items()}, new_salt()),
        tool=__version__,
    )


def write_handoff(run: Run, handoff: Handoff, key: Secret, out: Path) -> None:
    """Write the file, readable by its owner only, and record that in the journal. Raises ``FileError``."""
    data = pack_handoff(handoff, key)
    check_out(run.stack, out)  # again: another file may have appeared there meanwhile
    expires = handoff.expires.isoformat(timespec="seconds")
    with run.effect(EFFECT, how="file", **_recorded(handoff), expires=expires):
        write_atomic(out, data)


def _address(run: Run, api: DialectName) -> str:
    outside = run.outside
    return address_in(api, run.choices.url, run.stack.control_plane.url, outside.environ, outside.home)


def _outputs(run: Run) -> Outputs:
    runner, _ = open_runner(run)
    runner.refuse_errored()
    try:
        return read_outputs(read_state(run).outputs)
    except OutputMissingError as error:
        raise OutputMissingError(
            f"There is nothing to hand over: the state of the stack {run.stack.name} has no role.",
            why=error.why,
            fix="Run `gridbyoc bootstrap` first: it creates the role, also for a stack with `clusters: []`.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def show_handoff(run: Run, handoff: Handoff, show: Callable[[Handoff], None]) -> None:
    """Show everything, with the external id in clear, for sending it to the vendor; the journal records that."""
    with run.effect(EFFECT, how="page", **_recorded(handoff)), run.asking():
        show(handoff)


def _recorded(handoff: Handoff) -> dict[str, str]:
    """What the journal records of it; no secrets."""
    identity = fingerprint(handoff.external_id.reveal(), new_salt())
    return {"role": all_arns(handoff.roles), "trust": handoff.trust, "id": identity}


def check_revealable(stack: Stack) -> None:
    """Raise ``UsageError`` if the control plane gets the role by a request: nobody has to read the id."""
    if stack.control_plane.type != "manual":
        raise UsageError(
            "--reveal is for a vendor without an API (`control_plane.type: manual`).",
            why=f"A cluster of {stack.control_plane.type} is registered by a request: nobody has to type the id.",
            fix="Write the handoff with --out FILE: `gridbyoc register --handoff FILE NAME` reads it.",
            rerun=SAFE_NOTHING_DONE,
        )


def _unproven(role_arn: str, trust: Trust) -> TrustError:
    return TrustError(
        f"It is not proven that the role {role_arn} admits the control plane, so it is not handed over.",
        why=f"{trust.detail[0].upper()}{trust.detail[1:]}.".replace("..", "."),
        fix="`gridbyoc verify` shows whom the role trusts, `gridbyoc policy --for handoff` which permissions you need.",
        rerun=SAFE_NOTHING_DONE,
    )


def _occupied(out: Path, why: str) -> FileError:
    return FileError(
        f"{out} is not overwritten: {why}.",
        fix="Give --out another name, or remove the file if you do not need it.",
        rerun=SAFE_NOTHING_DONE,
    )
