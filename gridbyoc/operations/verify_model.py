"""The data of a proof: its findings, and what is known about the role and declared in the stack file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypedDict

from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.policy import Policy, PolicyDocumentError, parse_policy, unreadable
from gridbyoc.operations.accepted_ids import NO_ROTATION, Rotation
from gridbyoc.operations.finding import Finding, FindingKind, Verdict
from gridbyoc.stack.model import Role
from gridbyoc.stack.secret import Secret

ADMITTED = FindingKind(
    "GBY-V001", "role", "control plane admitted",
    "Does the control plane get in with the external id? With `--role`: does each `--principal`?",
    otherwise="fail if it does not",
)  # fmt: skip
NO_ID = FindingKind(
    "GBY-V002", "role", "no external id",
    "Is it refused without one?",
    otherwise="fail if an absent id is admitted",
)  # fmt: skip
OTHER_ID = FindingKind(
    "GBY-V003", "role", "another external id",
    "With another id: a stranger's, one that the policy names, longer, shorter, in another case, a wildcard?",
    otherwise="fail if any of them is admitted",
)  # fmt: skip
EMPTY_ID = FindingKind(
    "GBY-V004", "role", "empty external id",
    "With an empty one?",
    otherwise="fail if it is admitted",
)  # fmt: skip
ANOTHER_ACCOUNT = FindingKind(
    "GBY-V005", "role", "another account",
    "Is another account refused, even with the right id, and with every id that the policy itself names?",
    otherwise="fail if a stranger is admitted",
)  # fmt: skip
EXTRA_PRINCIPALS = FindingKind(
    "GBY-V006", "role", "extra principals",
    "Is anybody named whom the stack file, or with `--role` a `--principal`, does not declare?",
    otherwise=(
        "fail, for `*` and `NotPrincipal` too; warn for one principal of the control plane's account, and for one "
        "that was deleted"
    ),
)  # fmt: skip
UNGUARDED = FindingKind(
    "GBY-V007", "role", "principals without external id",
    "Does any principal get in without an external id?",
    otherwise="fail; warn if `trusted_principals_without_external_id` declares it",
)  # fmt: skip
WILDCARDS = FindingKind(
    "GBY-V008", "role", "wildcards",
    "Are there wildcards among principals or external ids?",
    otherwise="fail",
)  # fmt: skip
CONDITION = FindingKind(
    "GBY-V009", "role", "external id condition",
    "Does every statement ask for the external id with `StringEquals`?",
    otherwise=(
        "fail if an absent or another id meets its condition (none at all, `IfExists`, `ForAllValues:`, `Null`); "
        "warn for another operator that is as narrow"
    ),
)  # fmt: skip
NEGATIONS = FindingKind(
    "GBY-V010", "role", "negations",
    "Is `NotPrincipal` or `NotAction` used?",
    otherwise="fail in an Allow, warn in a Deny",
)  # fmt: skip
FURTHER_IDS = FindingKind(
    "GBY-V011", "role", "further external ids",
    "Is the stack's external id the only one that is accepted?",
    otherwise=(
        "warn for one that a rotation under way keeps, unknown if that is not known, fail for any other and for a "
        "policy variable; with `--role`, fail for any besides the one given, warn for more than one if none is given"
    ),
)  # fmt: skip
TRUSTED_ACTIONS = FindingKind(
    "GBY-V012", "role", "trusted actions",
    "Is `sts:AssumeRole` all that is allowed?",
    otherwise=(
        "warn; `sts:TagSession` lets whoever assumes the role pass session tags, which override the role's own, "
        "`sts:SetSourceIdentity` lets them set a source identity, which stays"
    ),
)  # fmt: skip
TRUSTED_USERS = FindingKind(
    "GBY-V013", "role", "trusted users",
    "Is an IAM user trusted by name?",
    otherwise="warn: its access keys may be long-lived",
)  # fmt: skip
STRENGTH = FindingKind(
    "GBY-V014", "role", "strength of the external id",
    "Can the external id be guessed, or is it shared?",
    otherwise=(
        "warn if a vendor gives it to all its customers, or if it is shorter than 16 characters, or made of words, "
        "a pattern, or names that others know (account, stack, role, cluster, region)"
    ),
)  # fmt: skip
ATTACHED = FindingKind(
    "GBY-V020", "role", "attached policies",
    "Are the stack file's (or the guide's) managed policies attached, and the role's own policy?",
    otherwise="fail, naming those that are missing by their whole ARN",
)  # fmt: skip
NEEDED = FindingKind(
    "GBY-V021", "role", "needed actions",
    "Do the role's policies allow what the control plane needs?",
    otherwise="fail, naming the actions and the policy that is there for them",
)  # fmt: skip
DENIALS = FindingKind(
    "GBY-V022", "role", "explicit denials",
    "Does an explicit Deny forbid any of it?",
    otherwise="fail",
)  # fmt: skip
BOUNDARY = FindingKind(
    "GBY-V023", "role", "boundary",
    "Does the permissions boundary forbid any of it?",
    otherwise="fail",
)  # fmt: skip
DECLARED_BOUNDARY = FindingKind(
    "GBY-V024", "role", "declared boundary",
    "Is the boundary the one that the stack file names?",
    otherwise="fail; warn if the stack file names none",
)  # fmt: skip
FURTHER_POLICIES = FindingKind(
    "GBY-V025", "role", "further policies",
    "Does the role have policies that the stack file does not list?",
    otherwise="fail, naming each; `pass` for those that it accepts",
)  # fmt: skip
SESSION = FindingKind(
    "GBY-V026", "role", "session length",
    "How long may a session last?",
    otherwise="warn if it is not what the stack file says (12 h by default)",
)  # fmt: skip
OWN_POLICY = FindingKind(
    "GBY-V027", "role", "own policy",
    "Does the role's own policy say, in its default version, what the stack file's statements say?",
    otherwise="fail, naming the statements that only one side has",
)  # fmt: skip
PRINCIPALS_ADMITTED = replace(ADMITTED, title="principals admitted")
"""The same question of a role that no stack made."""
KINDS = (
    ADMITTED,
    NO_ID,
    OTHER_ID,
    EMPTY_ID,
    ANOTHER_ACCOUNT,
    EXTRA_PRINCIPALS,
    UNGUARDED,
    WILDCARDS,
    CONDITION,
    NEGATIONS,
    FURTHER_IDS,
    TRUSTED_ACTIONS,
    TRUSTED_USERS,
    STRENGTH,
    ATTACHED,
    NEEDED,
    DENIALS,
    BOUNDARY,
    DECLARED_BOUNDARY,
    FURTHER_POLICIES,
    SESSION,
    OWN_POLICY,
)
"""Every finding of a proof; each asks a question of the role, in Markdown."""


class ProofFinding(TypedDict):
    """A finding of a proof; ``role`` is the role's name if a stack has several."""

    code: str
    check: str
    verdict: Verdict
    detail: str
    fix: str
    statements: list[str]
    role: str


def proof_finding(finding: Finding) -> ProofFinding:
    """A finding as JSON and attestations have it."""
    return {
        "code": finding.code,
        "check": finding.title,
        "verdict": finding.verdict,
        "detail": finding.detail,
        "fix": finding.fix,
        "statements": list(finding.statements),
        "role": finding.role,
    }


@dataclass(frozen=True, slots=True)
class RoleSubject:
    """What is judged: the live role, and the stack file's declaration of it.

    ``own_module``: whether the gridbyoc module makes the role, which then must have nothing that the stack file does
    not name. ``now`` has a time zone. ``rotation``: evidence that further external ids should be accepted. ``names``:
    names of the stack and its clusters, which an external id should not contain.
    """

    role: LiveRole
    external_id: Secret
    declared: Role
    region: str
    now: datetime
    own_module: bool = True
    rotation: Rotation = NO_ROTATION
    names: tuple[str, ...] = ()

    @property
    def undeclared(self) -> Verdict:
        """The verdict on something that the stack file does not name."""
        return "fail" if self.own_module else "warn"

    @property
    def untrusted(self) -> Verdict:
        """The verdict on a principal that the stack file does not name.

        For a vendor without an API the file names all of them.
        """
        return "fail" if self.declared.vendor is None else self.undeclared


def policy_of(document: LiveDocument) -> Policy:
    """The document as a ``Policy``; one that could not be read or parsed may allow and deny anything."""
    if document.document is None:
        return unreadable(document.title, f"it could not be read ({document.unread})")
    kind: Literal["trust", "identity"] = "trust" if document.kind == "trust" else "identity"
    try:
        return parse_policy(document.document, name=document.title, kind=kind)
    except PolicyDocumentError as error:
        return unreadable(document.title, f"it could not be understood ({error.what})")
