"""The proof of what a stack's role grants.

The live role compared with the stack file, and tried for unwanted access.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveRole, read_live_role
from gridbyoc.aws.trust import accepted_in, external_ids_written
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError
from gridbyoc.operations.accepted_ids import NO_ROTATION, Rotation, rotation_of
from gridbyoc.operations.attestation import attested, attested_role, write_document
from gridbyoc.operations.finding import Finding, Verdict, holds, worst
from gridbyoc.operations.prepare import read_state
from gridbyoc.operations.run import Run
from gridbyoc.operations.verify_grants import GRANTS, NEEDS, UNSAID, Grants, grants_of, own_policy
from gridbyoc.operations.verify_model import RoleSubject
from gridbyoc.operations.verify_trust import ADMISSIONS, READINGS, trust_of
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.defaults import trusted_account_of
from gridbyoc.stack.redaction import redacted
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import read_outputs


@dataclass(frozen=True, slots=True)
class Proof:
    """The findings, and what they are about. ``external_id`` is used for redaction only.

    ``places``: by code, the place in the stack file that it is about. ``further``: the other roles by name, if the
    module makes several; ``role`` is the first.
    """

    stack: str
    role: LiveRole
    caller: Caller
    trusted_account_id: str | None
    external_id: Secret
    findings: tuple[Finding, ...]
    time: datetime
    rotation: Rotation = NO_ROTATION
    places: Mapping[str, StackPlace] = field(default_factory=dict)
    further: Mapping[str, LiveRole] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[LiveRole, ...]:
        """Every judged role."""
        return (self.role, *self.further.values())

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the findings."""
        return worst(finding.verdict for finding in self.findings)

    def holds(self, *, strict: bool) -> bool:
        """``holds`` of its findings."""
        return holds(self.findings, strict=strict)


def prove(run: Run, *, now: Callable[[], datetime] = utc_now) -> Proof:
    """Read the outputs from the state and the role from AWS, and judge the role. Changes nothing.

    Raises ``OutputMissingError`` before the first apply, ``AccountMismatchError`` for credentials of another account,
    ``TrustError`` if there is no such role, ``AwsError`` if AWS cannot be reached.
    """
    state = read_state(run)
    outputs = read_outputs(state.outputs)
    session, caller = run.account()
    roles = {}
    for name, arn in outputs.every_role.items():
        guard_role(caller, arn)
        roles[name] = read_live_role(session, arn)
    role = next(iter(roles.values()))
    stack, time = run.stack, now()
    own_module = stack.terraform.module is None
    # Only if another id is accepted: otherwise a proof does not need the control plane.
    others = accepted_in(role.trust.document) - {outputs.external_id}
    rotation = rotation_of(run, state, outputs.role_arn) if others and own_module else NO_ROTATION
    names = (stack.name, stack.aws.region, *(cluster.name for cluster in stack.clusters))
    subject = RoleSubject(
        role, outputs.external_id, stack.role, stack.aws.region, time, own_module, rotation=rotation, names=names
    )
    findings = tuple(
        _of_role(finding, name if len(roles) > 1 else "")
        for name, each in roles.items()
        for finding in verify(replace(subject, role=each))
    )
    trusted = trusted_account_of(stack.role)
    further = {name: each for name, each in roles.items() if each is not role}
    return Proof(
        stack.name,
        role,
        caller,
        trusted,
        outputs.external_id,
        findings,
        time,
        rotation,
        _places(run, findings),
        further,
    )


def _of_role(finding: Finding, name: str) -> Finding:
    """The finding with the name of its role, if there are several."""
    return replace(finding, role=name)


StackPlace = tuple[str, "int | None"]
"""A file, and the line if known."""

KEYS: Mapping[str, str] = {
    "GBY-V001": "trusted_account_id",
    "GBY-V006": "trusted_principals",
    "GBY-V007": "trusted_principals_without_external_id",
    "GBY-V014": "external_id_from",
    "GBY-V020": "managed_policies",
    "GBY-V024": "permissions_boundary",
    "GBY-V025": "known_policies",
    "GBY-V026": "max_session_hours",
    "GBY-V027": "statements",
}
"""The key of ``role`` in the stack file that a code is about; codes without a key are about the whole section."""


def _places(run: Run, findings: Collection[Finding]) -> dict[str, StackPlace]:
    origin = run.origin
    if origin is None:
        return {}
    return {each.code: origin(("role", KEYS[each.code]) if each.code in KEYS else ("role",)) for each in findings}


def verify(subject: RoleSubject) -> tuple[Finding, ...]:
    """Judge a live role against the stack file's ``role`` section. Pure: everything was read before."""
    trust = trust_of(subject)
    grants = grants_of(subject)
    found = [question(trust) for question in ADMISSIONS]
    found += [reading(trust) for reading in READINGS]
    found += [check(grants) for check in GRANTS if _is_told(subject, check)]
    secrets = (subject.external_id, *external_ids_written(subject.role.trust.document))
    return tuple(without_ids(finding, secrets) for finding in found)


def _is_told(subject: RoleSubject, check: Callable[[Grants], Finding]) -> bool:
    """Whether anything declares what the check compares with: the stack file, or the facts of the control plane."""
    unsaid = (own_policy, *(UNSAID if subject.declared.vendor is None else ()))
    if not subject.own_module and check in unsaid:
        return False
    return subject.declared.vendor is not None or check not in NEEDS


def guard_role(caller: Caller, role_arn: str) -> None:
    """Raise ``AccountMismatchError`` if the role is in another account or partition than the caller."""
    partition, account = role_arn.split(":")[1], role_arn.split(":")[4]
    if caller.account_id != account:
        raise AccountMismatchError(
            f"The AWS credentials belong to account {caller.account_id}, the role is in {account}.",
            why=f"A role's policies can be read in its own account only; the caller is {caller.arn}.",
            fix=f"Use credentials of account {account}, or let somebody who has them run this command.",
            rerun=SAFE_NOTHING_DONE,
        )
    if caller.partition != partition:
        raise AccountMismatchError(
            f"The AWS credentials belong to the partition {caller.partition}, the role is in {partition}.",
            why=f"One partition cannot be read with credentials of another; the caller is {caller.arn}.",
            fix=f"Write the ARN as IAM shows it, or use credentials of the partition {partition}.",
            rerun=SAFE_NOTHING_DONE,
        )


def without_ids(finding: Finding, secrets: Collection[Secret]) -> Finding:
    """The finding with external ids redacted.

    No finding quotes a condition's value, but a ``Sid`` or a name may contain an id.
    """
    detail, *statements = (redacted(text, secrets) for text in (finding.detail.rstrip("."), *finding.statements))
    return replace(finding, detail=detail, statements=tuple(statements))


def attestation(proof: Proof) -> dict[str, Any]:
    """The attestation document.

    Role, caller, time, digests and findings. It never contains the external id or its digest.

    ``further_roles``: the other roles, if the module makes several.
    """
    secrets = (proof.external_id,)
    checked = [f.verdict in ("pass", "fail") for f in proof.findings if f.code == "GBY-V001"]
    document = attested(
        proof,
        secrets,
        about={"stack": proof.stack},
        expected={
            "trusted_account_id": proof.trusted_account_id,
            "external_id_checked": bool(checked) and all(checked),
        },
    )
    further = {name: {"role_arn": role.arn, **attested_role(role, secrets)} for name, role in proof.further.items()}
    return {**document, "further_roles": further} if further else document


def write_attestation(path: Path, proof: Proof) -> None:
    """Write it atomically, readable by its owner only. Raises ``FileError``."""
    write_document(path, attestation(proof))
