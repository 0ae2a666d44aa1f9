"""The proof of what was granted: the live role against what the stack file says, and against what must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from gridbyoc.aws import Caller, caller_identity, guard_account
from gridbyoc.aws.live_role import LiveRole, read_live_role
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError
from gridbyoc.stack.model import Role
from gridbyoc.stack.role_defaults import trusted_account_of
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.prepare import open_runner
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
    outputs = open_runner(run)[0].output()
    session = run.open_session()
    caller = caller_identity(session)
    guard_account(caller, run.stack.aws.account_id)
    _guard_role(caller, outputs.role_arn)
    role = read_live_role(session, outputs.role_arn)
    time = now()
    own_module = run.stack.terraform.module is None
    findings = verify(
        role, outputs.external_id, run.stack.role, region=run.stack.aws.region, now=time, own_module=own_module
    )
    trusted = trusted_account_of(run.stack.role)
    return Proof(run.stack.name, role, caller, trusted, outputs.external_id, findings, time)


def verify(
    role: LiveRole, external_id: Secret, declared: Role, *, region: str, now: datetime, own_module: bool = True
) -> tuple[VerifyFinding, ...]:
    """Judge a live role against the stack file's ``role`` section. Pure: everything has been read.

    ``own_module`` ``False``: another module made the role, so what the stack file does not name is a warning only.
    """
    subject = Subject(role, external_id, declared, region, now, own_module)
    trust = trust_of(subject)
    grants = grants_of(subject)
    found = [question(trust) for question in ADMISSIONS]
    found += [reading(trust) for reading in READINGS]
    found += [check(grants) for check in GRANTS if own_module or check is not own_policy]
    return tuple(_finished(finding, external_id) for finding in found)


def _guard_role(caller: Caller, role_arn: str) -> None:
    account = role_arn.split(":")[4]
    if caller.account_id != account:
        raise AccountMismatchError(
            f"The AWS credentials belong to account {caller.account_id}, the role is in {account}.",
            why=f"A role's policies can be read in its own account only; the caller is {caller.arn}.",
            fix=f"Use credentials of account {account}.",
            rerun=SAFE_NOTHING_DONE,
        )


def _finished(finding: VerifyFinding, external_id: Secret) -> VerifyFinding:
    """Nothing quotes a condition's value; should somebody have put the id into a ``Sid`` or a name, it goes too."""
    statements = tuple(map(external_id.hidden_in, finding.statements))
    return replace(finding, detail=external_id.hidden_in(finding.detail.rstrip(".")), statements=statements)
