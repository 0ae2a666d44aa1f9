"""The proof of what was granted: the live role against what the stack file says, and against what must not be."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import gridbyoc
from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveDocument, LiveRole, read_live_role
from gridbyoc.aws.policy import digest
from gridbyoc.aws.trust import accepted_in, external_ids_written
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError
from gridbyoc.operations.accepted_ids import NO_ROTATION, Rotation, rotation_of
from gridbyoc.operations.prepare import read_state
from gridbyoc.operations.run import Run
from gridbyoc.operations.verdict import Verdict, worst
from gridbyoc.operations.verify_grants import GRANTS, NEEDS, Grants, attached, grants_of, own_policy
from gridbyoc.operations.verify_model import RoleSubject, VerifyFinding
from gridbyoc.operations.verify_trust import ADMISSIONS, READINGS, trust_of
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.defaults import trusted_account_of
from gridbyoc.stack.files import write_atomic
from gridbyoc.stack.redaction import redacted
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform import read_outputs


@dataclass(frozen=True, slots=True)
class Proof:
    """The findings, and what they are about. ``external_id`` is for redaction; it never shows."""

    stack: str
    role: LiveRole
    caller: Caller
    trusted_account_id: str | None
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
    state = read_state(run)
    outputs = read_outputs(state.outputs)
    session, caller = run.account()
    _guard_role(caller, outputs.role_arn)
    role = read_live_role(session, outputs.role_arn)
    stack, time = run.stack, now()
    own_module = stack.terraform.module is None
    # Only where another id is accepted: a proof needs no control plane otherwise.
    others = accepted_in(role.trust.document) - {outputs.external_id}
    rotation = rotation_of(run, state, outputs.role_arn) if others and own_module else NO_ROTATION
    names = (stack.name, stack.aws.region, *(cluster.name for cluster in stack.clusters))
    subject = RoleSubject(
        role, outputs.external_id, stack.role, stack.aws.region, time, own_module, rotation=rotation, names=names
    )
    findings = verify(subject)
    trusted = trusted_account_of(stack.role)
    return Proof(stack.name, role, caller, trusted, outputs.external_id, findings, time, rotation)


def verify(subject: RoleSubject) -> tuple[VerifyFinding, ...]:
    """Judge a live role against the stack file's ``role`` section. Pure: everything has been read."""
    trust = trust_of(subject)
    grants = grants_of(subject)
    found = [question(trust) for question in ADMISSIONS]
    found += [reading(trust) for reading in READINGS]
    found += [check(grants) for check in GRANTS if _is_told(subject, check)]
    secrets = (subject.external_id, *external_ids_written(subject.role.trust.document))
    return tuple(_finished(finding, secrets) for finding in found)


def _is_told(subject: RoleSubject, check: Callable[[Grants], VerifyFinding]) -> bool:
    """Whether anything says what the role should have: the stack file, or the facts of its control plane."""
    if not subject.own_module and (check is own_policy or (check is attached and subject.declared.vendor is None)):
        return False
    return subject.declared.vendor is not None or check not in NEEDS


def _guard_role(caller: Caller, role_arn: str) -> None:
    account = role_arn.split(":")[4]
    if caller.account_id != account:
        raise AccountMismatchError(
            f"The AWS credentials belong to account {caller.account_id}, the role is in {account}.",
            why=f"A role's policies can be read in its own account only; the caller is {caller.arn}.",
            fix=f"Use credentials of account {account}.",
            rerun=SAFE_NOTHING_DONE,
        )


def _finished(finding: VerifyFinding, secrets: Collection[Secret]) -> VerifyFinding:
    """Nothing quotes a condition's value; should somebody have put an id into a ``Sid`` or a name, it goes too."""
    detail, *statements = (redacted(text, secrets) for text in (finding.detail.rstrip("."), *finding.statements))
    return replace(finding, detail=detail, statements=tuple(statements))


FORMAT = "gridbyoc-attestation/1"
DIGESTS = (
    "SHA-256 of the document as UTF-8 JSON with sorted keys and no white space (jq -cS, without the line's end), after "
    "every value of sts:ExternalId, and every text that is the external id, has been replaced by [secret]"
)
LIMITS = (
    "Service control policies, resource control policies and session policies are not seen from the role's account, "
    "and may forbid more.",
    "Needed actions are examples of what each policy is there for, not a list of every call.",
)


def attestation(proof: Proof) -> dict[str, Any]:
    """The document: whom, what, when, digests and findings. It never holds the external id, nor a digest of it."""
    role = proof.role
    return {
        "type": FORMAT,
        "time": proof.time.isoformat(timespec="seconds"),
        "tool": {"name": "gridbyoc", "version": gridbyoc.__version__},
        "caller_arn": proof.caller.arn,
        "stack": proof.stack,
        "partition": role.partition,
        "account_id": role.account_id,
        "role_arn": role.arn,
        "trusted_account_id": proof.trusted_account_id,
        "external_id_checked": any(f.code == "GBY-V001" and f.verdict in ("pass", "fail") for f in proof.findings),
        "verdict": proof.verdict,
        "findings": [asdict(finding) for finding in proof.findings],
        "digests": DIGESTS,
        "trust_policy": _document(role.trust, proof.external_id),
        "policies": [_document(document, proof.external_id) for document in role.policies],
        "permissions_boundary": _document(role.boundary, proof.external_id) if role.boundary else None,
        "max_session_seconds": role.max_session_seconds,
        "limits": list(LIMITS),
    }


def write_attestation(path: Path, proof: Proof) -> None:
    """Write it, all or nothing, readable by its owner alone. Raises ``FileError``."""
    import json

    write_atomic(path, json.dumps(attestation(proof), indent=2, ensure_ascii=False) + "\n")


def _document(document: LiveDocument, external_id: Secret) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": document.kind}
    if document.kind != "trust":
        found["name"] = document.name
    if document.version is not None:
        found["version"] = document.version
    if document.document is None:
        return {**found, "sha256": None, "unread": document.unread}
    return {**found, "sha256": digest(document.document, external_id)}


@dataclass(frozen=True, slots=True)
class Question:
    """What a code asks of the role, and what its other verdicts mean; Markdown."""

    code: str
    asked: str
    otherwise: str


QUESTIONS = (
    Question("GBY-V001", "Does the control plane get in with the external id?", "fail if it does not"),
    Question("GBY-V002", "Is it refused without one?", "fail if an absent id is admitted"),
    Question(
        "GBY-V003",
        "With another one: a stranger's, one that the policy names, longer, shorter, in another case, a wildcard?",
        "fail if any of them is admitted",
    ),
    Question("GBY-V004", "With an empty one?", "fail if it is admitted"),
    Question(
        "GBY-V005",
        "Is another account refused, even with the right id, and with every id that the policy itself names?",
        "fail if a stranger is admitted",
    ),
    Question(
        "GBY-V006",
        "Is anybody named whom the stack file does not declare?",
        "fail, for `*` and `NotPrincipal` too; warn for one principal of the control plane's account, and for one that "
        "was deleted",
    ),
    Question(
        "GBY-V007",
        "Does any principal get in without an external id?",
        "fail; warn if `trusted_principals_without_external_id` declares it",
    ),
    Question("GBY-V008", "Are there wildcards among principals or external ids?", "fail"),
    Question(
        "GBY-V009",
        "Does every statement ask for the external id with `StringEquals`?",
        "fail if an absent or another id meets its condition (none at all, `IfExists`, `ForAllValues:`, `Null`); warn "
        "for another operator that is as narrow",
    ),
    Question("GBY-V010", "Is `NotPrincipal` or `NotAction` used?", "fail in an Allow, warn in a Deny"),
    Question(
        "GBY-V011",
        "Is the stack's external id the only one that is accepted?",
        "warn for one that a rotation under way keeps, unknown where that cannot be told, fail for any other and for a "
        "policy variable",
    ),
    Question(
        "GBY-V012",
        "Is `sts:AssumeRole` all that is allowed?",
        "warn; `sts:TagSession` lets who assumes the role pass session tags, which override the role's own, "
        "`sts:SetSourceIdentity` lets them set a source identity, which stays",
    ),
    Question("GBY-V013", "Is an IAM user trusted by name?", "warn: its access keys may be long-lived"),
    Question(
        "GBY-V014",
        "Can the external id be guessed, or is it shared?",
        "warn if it is shorter than 16 characters, or made of words, a pattern, or names that others know (account, "
        "stack, role, cluster, region)",
    ),
    Question(
        "GBY-V020",
        "Are the stack file's (or the guide's) managed policies attached, and the role's own policy?",
        "fail, naming those that are missing by their whole ARN",
    ),
    Question(
        "GBY-V021",
        "Do the role's policies allow what the control plane needs?",
        "fail, naming the actions and the policy that is there for them",
    ),
    Question("GBY-V022", "Does an explicit Deny forbid any of it?", "fail"),
    Question("GBY-V023", "Does the permissions boundary forbid any of it?", "fail"),
    Question(
        "GBY-V024", "Is the boundary the one that the stack file names?", "fail; warn if the stack file names none"
    ),
    Question(
        "GBY-V025",
        "Does the role have policies that the stack file does not list?",
        "fail, naming each; `pass` for those that it accepts",
    ),
    Question(
        "GBY-V026", "How long may a session last?", "warn where it is not what the stack file says (12 h by default)"
    ),
    Question(
        "GBY-V027",
        "Does the role's own policy say, in its default version, what the stack file's statements say?",
        "fail, naming the statements that only one side has",
    ),
)
