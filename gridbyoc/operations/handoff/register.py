"""The second person's side: register a cluster through the role of a handoff, without asking AWS."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridbyoc.control_plane.model import Created, Grant, Registrar
from gridbyoc.control_plane.settings import own_address, same_address
from gridbyoc.control_plane.wire import wanted_of
from gridbyoc.errors import SAFE_NOTHING_DONE, HandoffMismatchError
from gridbyoc.operations.events import Emit, Note
from gridbyoc.operations.handoff.file import Handoff
from gridbyoc.operations.register import EditRequest, register_cluster
from gridbyoc.stack.model import ClusterSpec, ControlPlane, Stack
from gridbyoc.stack.words import listed, minute
from gridbyoc.vendors import VENDORS, facts_of


def plane_of_handoff(
    handoff: Handoff, dialect: str | None, url: str | None, environ: Mapping[str, str], home: Path
) -> ControlPlane:
    """The handoff's control plane. Raises ``HandoffMismatchError`` unless this machine is set up for the same one.

    ``dialect`` and ``url`` are the command line's. The API key is never sent to an address that only the handoff names.
    """
    known = next((vendor for vendor in VENDORS if vendor == handoff.control_plane), None)
    if known is None:
        whose = f"{handoff.vendor}, which has no API" if handoff.vendor else f"{handoff.control_plane!r}"
        raise HandoffMismatchError(
            f"The handoff of the stack {handoff.stack} is for {whose}: gridbyoc cannot register clusters there.",
            why=f"This version of gridbyoc registers clusters with {listed(VENDORS)}.",
            fix="Send its contents to that vendor: `gridbyoc bundle show --reveal FILE` prints them.",
            rerun=SAFE_NOTHING_DONE,
        )
    if dialect is not None and dialect != known:
        raise HandoffMismatchError(
            f"The handoff is for another control plane: its API is {known}, but --control-plane names {dialect}.",
            fix="Leave --control-plane out, or use a handoff for the other control plane.",
            rerun=SAFE_NOTHING_DONE,
        )
    own = own_address(known, url, environ, home)
    if not same_address(handoff.url, own):
        variable = facts_of(known).address.variable
        raise HandoffMismatchError(
            f"The handoff is for another control plane: {handoff.url}; this machine uses {own}.",
            why="Somebody else may have made the file. The key is sent only to the address of --url, the environment, "
            f"the last `gridbyoc login` or else the service's own: here {own}.",
            fix=f"If you trust the address of the handoff: `export {variable}={shlex.quote(handoff.url)}`, or --url. "
            "Otherwise ask for a handoff for your control plane.",
            rerun=SAFE_NOTHING_DONE,
        )
    return ControlPlane(type=known, url=None, org_id=handoff.org_id)


def check_stack(handoff: Handoff, expected: str | None, stack: Stack | None) -> None:
    """Raise ``HandoffMismatchError`` unless the handoff is for the stack of ``--expect-stack`` and the stack file.

    The stack file must name the same control plane, too.
    """
    named = {"--expect-stack": expected, "the stack file": stack.name if stack else None}
    for source, name in named.items():
        if name is not None and name != handoff.stack:
            raise HandoffMismatchError(
                f"The handoff is for the stack {handoff.stack}, but {source} names {name}.",
                why=f"It holds the role {handoff.role_arn}.",
                fix=f"Use a handoff for {name}, or leave {source} out if you mean {handoff.stack}.",
                rerun=SAFE_NOTHING_DONE,
            )
    if stack is not None and stack.control_plane.type != handoff.control_plane:
        raise HandoffMismatchError(
            f"The handoff is for the control plane {handoff.control_plane}, but the stack file names "
            f"{stack.control_plane.type}.",
            fix="Correct control_plane.type, or use a handoff that was made after the change.",
            rerun=SAFE_NOTHING_DONE,
        )


def register_handed_over(
    handoff: Handoff, registrar: Registrar, spec: ClusterSpec, emit: Emit, *, edit: EditRequest | None = None
) -> Created:
    """Create the cluster, or adopt the existing one with the same role; see ``register_cluster``."""

    def edited(body: Mapping[str, Any]) -> Mapping[str, Any]:
        after = edit(body) if edit else body
        if wanted_of(after).role_arn != handoff.role_arn:
            raise HandoffMismatchError(
                "The edited request names another role than the handoff.",
                why=f"The handoff holds {handoff.role_arn}.",
                fix="Leave the role as it is, or use `gridbyoc register --role-arn`.",
                rerun=SAFE_NOTHING_DONE,
            )
        return after

    for line in handoff_lines(handoff):
        emit(Note(line))
    grant = Grant(handoff.role_arn, handoff.external_id, handoff.region)
    return register_cluster(registrar, spec, grant, emit, edit=edited if edit else None)


def handoff_lines(handoff: Handoff) -> tuple[str, ...]:
    """The handoff, who made it and until when it is valid, without the external id."""
    return (
        f"Stack {handoff.stack}: role {handoff.role_arn}, region {handoff.region}, for {handoff.recipient}.",
        f"Handed over by {handoff.by} at {minute(handoff.created)}, valid until {minute(handoff.expires)}.",
    )
