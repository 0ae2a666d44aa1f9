"""The proof of what was granted: the live role against what the stack file says, and against what must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gridbyoc.aws import Caller, caller_identity, guard_account
from gridbyoc.aws.accepted import external_ids_in, external_ids_written
from gridbyoc.aws.live_role import LiveRole, read_live_role
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.overlap import NO_ROTATION, Rotation, rotation_of
from gridbyoc.steps.prepare import open_runner, read_outputs
from gridbyoc.steps.run import Run, utc_now
from gridbyoc.steps.verdict import Verdict, worst
from gridbyoc.steps.verify_grants import GRANTS, grants_of, own_policy
from gridbyoc.steps.verify_model import Subject, VerifyFinding
from gridbyoc.steps.verify_principals import READINGS
from gridbyoc.steps.verify_trust import ADMISSIONS, trust_of


@dataclass(frozen=True, slots=True)
class Proof:
    """The findings, and what they are about. ``external_id`` is for redaction; it never shows."""

    stack: str
    role: LiveRole
    caller: Caller
    trusted_account_id: str
    external_id: Secret
    findings: tuple[VerifyFinding, ...]
    time: datetime
    rotation: Rotation = NO_ROTATION

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(finding.verdict for finding in self.findings)

    def holds(self, *, strict: bool) -> bool:
        """No finding fails; ``strict``: every one passes."""
        return self.verdict == "pass" if strict else self.verdict != "fail"


def prove(run: Run, *, now: Callable[[], datetime] = utc_now) -> Proof:
    """Read the outputs from the state and the role from AWS, and judge it. Changes nothing on either side.

    Raises ``OutputMissingError`` before the first apply, ``AccountMismatchError`` for credentials of another account,
    ``TrustError`` where there is no such role, ``AwsError`` where AWS cannot be reached.
    """
    outputs = read_outputs(run)
    session = run.open_session()
    caller = caller_identity(session)
    guard_account(caller, run.stack.aws.account_id)
    _guard_role(caller, outputs.role_arn)
    role = read_live_role(session, outputs.role_arn)
    stack, time = run.stack, now()
    own_module = stack.terraform.module is None
    # Only where another id is accepted: a proof needs no control plane otherwise.
    others = external_ids_in(role.trust.document) - {outputs.external_id}
    rotation = rotation_of(run, open_runner(run)[0], outputs.role_arn) if others and own_module else NO_ROTATION
    names = (stack.name, stack.aws.region, *(cluster.name for cluster in stack.clusters))
    subject = Subject(
        role, outputs.external_id, stack.role, stack.aws.region, time, own_module, rotation=rotation, names=names
    )
    findings = verify(subject)
    trusted = trusted_account_of(stack.role)
    return Proof(stack.name, role, caller, trusted, outputs.external_id, findings, time, rotation)


def verify(subject: Subject) -> tuple[VerifyFinding, ...]:
    """Judge a live role against the stack file's ``role`` section. Pure: everything has been read."""
    trust = trust_of(subject)
    grants = grants_of(subject)
    found = [question(trust) for question in ADMISSIONS]
    found += [reading(trust) for reading in READINGS]
    found += [check(grants) for check in GRANTS if subject.own_module or check is not own_policy]
    secrets = (subject.external_id, *external_ids_written(subject.role.trust.document))
    return tuple(_finished(finding, secrets) for finding in found)


def _guard_role(caller: Caller, role_arn: str) -> None:
    account = role_arn.split(":")[4]
    if caller.account_id != account:
        raise AccountMismatchError(
            f"The AWS credentials belong to account {caller.account_id}, the role is in {account}.",
            why=f"A role's policies can be read in its own account only; the caller is {caller.arn}.",
            fix=f"Use credentials of account {account}.",
            rerun=SAFE_NOTHING_DONE,
        )


def _finished(finding: VerifyFinding, secrets: Iterable[Secret]) -> VerifyFinding:
    """Nothing quotes a condition's value; should somebody have put an id into a ``Sid`` or a name, it goes too."""
    detail, statements = finding.detail.rstrip("."), finding.statements
    for secret in secrets:
        detail, statements = secret.hidden_in(detail), tuple(map(secret.hidden_in, statements))
    return replace(finding, detail=detail, statements=statements)
