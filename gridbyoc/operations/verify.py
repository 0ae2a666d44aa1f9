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
from gridbyoc.operations.prepare import read_state
from gridbyoc.operations.run import Run
from gridbyoc.operations.verdict import Verdict, worst
from gridbyoc.operations.verify_grants import GRANTS, NEEDS, UNSAID, Grants, grants_of, own_policy
from gridbyoc.operations.verify_model import RoleSubject, VerifyFinding
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
    findings: tuple[VerifyFinding, ...]
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
        """Whether no finding fails; if ``strict``, whether every finding passes."""
        return self.verdict == "pass" if strict else self.verdict != "fail"


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


def _of_role(finding: VerifyFinding, name: str) -> VerifyFinding:
    """The finding with the name of its role, if there are several."""
    return replace(finding, role=name, check=f"{name}: {finding.check}") if name else finding


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


def _places(run: Run, findings: Collection[VerifyFinding]) -> dict[str, StackPlace]:
    origin = run.origin
    if origin is None:
        return {}
    return {each.code: origin(("role", KEYS[each.code]) if each.code in KEYS else ("role",)) for each in findings}


def verify(subject: RoleSubject) -> tuple[VerifyFinding, ...]:
    """Judge a live role against the stack file's ``role`` section. Pure: everything was read before."""
    trust = trust_of(subject)
    grants = grants_of(subject)
    found = [question(trust) for question in ADMISSIONS]
    found += [reading(trust) for reading in READINGS]
    found += [check(grants) for check in GRANTS if _is_told(subject, check)]
    secrets = (subject.external_id, *external_ids_written(subject.role.trust.document))
    return tuple(without_ids(finding, secrets) for finding in found)


def _is_told(subject: RoleSubject, check: Callable[[Grants], VerifyFinding]) -> bool:
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


def without_ids(finding: VerifyFinding, secrets: Collection[Secret]) -> VerifyFinding:
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


@dataclass(frozen=True, slots=True)
class Question:
    """What a code asks about the role, and when its verdict is not ``pass``; Markdown."""

    code: str
    asked: str
    otherwise: str


QUESTIONS = (
    Question(
        "GBY-V001",
        "Does the control plane get in with the external id? With `--role`: does each `--principal`?",
        "fail if it does not",
    ),
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
        "Is anybody named whom the stack file, or with `--role` a `--principal`, does not declare?",
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
        "warn for one that a rotation under way keeps, unknown if that is not known, fail for any other and for a "
        "policy variable; with `--role`, fail for any besides the one given, warn for more than one if none is given",
    ),
    Question(
        "GBY-V012",
        "Is `sts:AssumeRole` all that is allowed?",
        "warn; `sts:TagSession` lets whoever assumes the role pass session tags, which override the role's own, "
        "`sts:SetSourceIdentity` lets them set a source identity, which stays",
    ),
    Question("GBY-V013", "Is an IAM user trusted by name?", "warn: its access keys may be long-lived"),
    Question(
        "GBY-V014",
        "Can the external id be guessed, or is it shared?",
        "warn if a vendor gives it to all its customers, or if it is shorter than 16 characters, or made of words, a "
        "pattern, or names that others know (account, stack, role, cluster, region)",
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
        "GBY-V026", "How long may a session last?", "warn if it is not what the stack file says (12 h by default)"
    ),
    Question(
        "GBY-V027",
        "Does the role's own policy say, in its default version, what the stack file's statements say?",
        "fail, naming the statements that only one side has",
    ),
)
