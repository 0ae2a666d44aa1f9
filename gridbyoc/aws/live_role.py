"""Read a live role from AWS: its attributes, trust policy, policies and boundary.

Only this module reads a role and its policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import unquote

from botocore.exceptions import ClientError

from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import SAFE_NOTHING_DONE, TrustError
from gridbyoc.stack.background import Readers

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


T = TypeVar("T")
DocumentKind = Literal["trust", "inline", "attached", "boundary"]
READERS = 8
"""How many documents to read in parallel: a role has about a dozen, with two calls each."""

DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
PASSING_CODES = frozenset(
    {
        "NoSuchEntity",
        "RequestLimitExceeded",
        "ServiceFailure",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    }
)
"""Codes of transient failures (deleted in between, or throttled after all retries): unknown, like a denied read."""

NOT_ASKED = "it was not asked for"
"""Why a document was not read if only the policy's ARN counts."""
_ROLE_FIELDS = ("Arn", "RoleId", "Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
_POLICY_FIELDS = ("Arn", "PolicyId", "Path", "Description", "DefaultVersionId")


@dataclass(frozen=True, slots=True)
class LiveDocument:
    """One policy document. ``document`` is ``None`` if it could not be read; ``unread`` says why.

    ``name`` is an inline policy's name or a managed policy's ARN; ``version`` a managed policy's default version.
    ``attributes`` are a managed policy's attributes under IAM's names, with the tags as a mapping under ``tags``.
    """

    kind: DocumentKind
    name: str
    document: Mapping[str, Any] | None = field(repr=False)
    version: str | None = None
    unread: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """Its name for messages."""
        if self.kind == "trust":
            return "the trust policy"
        short = self.name.rsplit("/", 1)[-1]
        return {"boundary": "the boundary", "inline": "inline policy", "attached": "policy"}[self.kind] + f" {short}"


@dataclass(frozen=True, slots=True)
class LiveRole:
    """The role. ``policies`` are its inline and attached policies.

    ``unlisted_attached`` and ``unlisted_inline`` say why some policies may be missing. ``unread`` says why the role
    itself could not be read; then trust, session duration and boundary are unknown. ``attributes`` are under IAM's
    names, with the tags as a mapping under ``tags``.
    """

    arn: str
    trust: LiveDocument
    policies: tuple[LiveDocument, ...]
    boundary: LiveDocument | None = None
    max_session_seconds: int | None = None
    unlisted_attached: str = ""
    unlisted_inline: str = ""
    unread: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def unlisted(self) -> str:
        """Why a list of its policies could not be read; empty if both were read."""
        return self.unlisted_attached or self.unlisted_inline

    @property
    def unknown(self) -> tuple[str, ...]:
        """The reason for each unknown part of the role; empty if everything was read."""
        parts = (("the role", self.unread), ("its attached policies", self.unlisted_attached),
                 ("its inline policies", self.unlisted_inline))  # fmt: skip
        documents = (self.trust, *self.policies, *((self.boundary,) if self.boundary else ()))
        unread = [(each.title, each.unread) for each in documents if each.unread != NOT_ASKED]
        return tuple(dict.fromkeys(f"{what}: {why}" for what, why in (*parts, *unread) if why))

    @property
    def name(self) -> str:
        """The role's name, without its path."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ..."""
        return self.arn.split(":")[1]

    @property
    def account_id(self) -> str:
        """The account it is in."""
        return self.arn.split(":")[4]


def read_live_role(session: AwsSession, role_arn: str, *, every_document: bool = True) -> LiveRole:
    """Read the role and all its documents (``iam:GetRole``, ``List*RolePolicies``, ``GetPolicy*``, ``GetRolePolicy``).

    ``every_document`` ``False``: do not read the documents of AWS managed policies and the boundary; only their ARNs
    count. Parts that the caller may not read have the reason in ``unread``. Raises ``TrustError`` if there is no such
    role, ``AwsError`` if AWS cannot be reached.
    """
    name = role_arn.rsplit("/", 1)[-1]
    iam = session.iam()
    readers = Readers(READERS)
    with domain_errors(f"The role {name} could not be read"):
        asked = readers.submit(lambda: _role(iam, role_arn))
        listing = readers.submit(lambda: _listed(lambda: _inline(iam, name)))
        attached, unlisted_attached = _listed(lambda: _attached(iam, name))
        role = asked.result()
        inline, unlisted_inline = listing.result()
        limit: str | None = (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        boundary = readers.submit(lambda: _boundary(iam, str(limit), every_document)) if limit else None
        own = readers.submit_all(lambda policy: _own(iam, name, policy), inline)
        managed = readers.map(lambda arn: _attached_policy(iam, arn, every_document), attached)
        return LiveRole(
            arn=role_arn,
            trust=_trust(role),
            policies=(*managed, *(each.result() for each in own)),
            boundary=boundary.result() if boundary else None,
            max_session_seconds=role.get("MaxSessionDuration"),
            unlisted_attached=unlisted_attached,
            unlisted_inline=unlisted_inline,
            unread=role.get("unread", ""),
            attributes={} if "unread" in role else _some(role, _ROLE_FIELDS),
        )


def read_managed(session: AwsSession, arns: Collection[str]) -> tuple[LiveDocument, ...]:
    """The default version of each managed policy (``iam:GetPolicy*``, in parallel), in the order of ``arns``.

    A policy that the caller may not read has the reason in ``unread``. Raises ``AwsError`` if AWS cannot be reached.
    """
    if not arns:
        return ()
    iam = session.iam()
    with domain_errors("The managed policies could not be read"):
        return tuple(Readers(READERS).map(lambda arn: _managed(iam, arn, "attached"), arns))


def decoded(document: object) -> Mapping[str, Any]:
    """Parse a document from botocore, which is an object or URL-encoded text. ``ValueError`` for anything else."""
    found = json.loads(unquote(document)) if isinstance(document, str) else document
    if not isinstance(found, Mapping):
        raise ValueError("not a JSON object")
    return found


def find_role(iam: IAMClient, name: str) -> Mapping[str, Any] | None:
    """The role from ``iam:GetRole``; ``None`` if IAM has no role with that name. Raises ``ClientError``."""
    try:
        return {**iam.get_role(RoleName=name)["Role"]}
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return None
        raise


@dataclass(frozen=True, slots=True)
class RoleLook:
    """The answer to ``iam:GetRole``: ``role`` as IAM describes it, or ``None`` if no role has that name.

    ``refused``: IAM did not allow the call. Whether the role exists is unknown then.
    """

    role: Mapping[str, Any] | None = field(default=None, repr=False)
    refused: bool = False


def look_at_role(session: AwsSession, name: str) -> RoleLook:
    """Look a role up by its name, without its path. Raises ``AwsError`` if IAM cannot be reached."""
    with domain_errors(f"The role {name} could not be read"):
        try:
            return RoleLook(find_role(session.iam(), name))
        except ClientError as error:
            if error_code(error) in DENIED_CODES:
                return RoleLook(refused=True)
            raise


def _role(iam: IAMClient, role_arn: str) -> Mapping[str, Any]:
    """The role from ``iam:GetRole``, or the reason under ``unread``. Raises ``TrustError`` if it does not exist."""
    name = role_arn.rsplit("/", 1)[-1]
    try:
        role = find_role(iam, name)
    except ClientError as error:
        return {"unread": unread_reason(error)}
    if role is None:
        raise _missing(role_arn, f"IAM knows no role {name} in the caller's account.")
    if role["Arn"] != role_arn:
        raise _missing(role_arn, f"IAM knows the name {name} as {role['Arn']}.")
    return role


def _missing(role_arn: str, why: str) -> TrustError:
    return TrustError(
        f"The role {role_arn} does not exist.",
        why=why,
        fix="Check its ARN, and use credentials of its account. `gridbyoc bootstrap` creates a stack's role again.",
        rerun=SAFE_NOTHING_DONE,
    )


def unread_reason(error: ClientError) -> str:
    """Why something could not be read (not permitted, throttled); every other error is raised again."""
    code = error_code(error)
    if code in DENIED_CODES:
        return f"the caller may not call iam:{error.operation_name}"
    if code in PASSING_CODES:
        return f"iam:{error.operation_name} answered {code}"
    raise error


def _trust(role: Mapping[str, Any]) -> LiveDocument:
    if "unread" in role:
        return LiveDocument("trust", "trust", None, unread=str(role["unread"]))
    return _document("trust", "trust", lambda: (role["AssumeRolePolicyDocument"], {}))


def _listed(names: Callable[[], Iterator[str]]) -> tuple[list[str], str]:
    try:
        return list(names()), ""
    except ClientError as error:
        return [], unread_reason(error)


def _attached(iam: IAMClient, name: str) -> Iterator[str]:
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name):
        yield from (policy["PolicyArn"] for policy in page["AttachedPolicies"])


def _inline(iam: IAMClient, name: str) -> Iterator[str]:
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=name):
        yield from page["PolicyNames"]


def _attached_policy(iam: IAMClient, arn: str, every_document: bool) -> LiveDocument:
    if every_document or arn.split(":")[4] != "aws":
        return _managed(iam, arn, "attached")
    return LiveDocument("attached", arn, None, unread=NOT_ASKED)


def _boundary(iam: IAMClient, arn: str, every_document: bool) -> LiveDocument:
    return _managed(iam, arn, "boundary") if every_document else LiveDocument("boundary", arn, None, unread=NOT_ASKED)


def _managed(iam: IAMClient, arn: str, kind: DocumentKind) -> LiveDocument:
    def read() -> tuple[object, Mapping[str, Any]]:
        policy: Mapping[str, Any] = iam.get_policy(PolicyArn=arn)["Policy"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
        return found["PolicyVersion"]["Document"], _some(policy, _POLICY_FIELDS)

    return _document(kind, arn, read)


def _some(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}
    return {**{name: found.get(name) for name in names}, "tags": tags}


def _own(iam: IAMClient, role: str, policy: str) -> LiveDocument:
    return _document(
        "inline", policy, lambda: (iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"], {})
    )


def _document(kind: DocumentKind, name: str, read: Callable[[], tuple[object, Mapping[str, Any]]]) -> LiveDocument:
    try:
        raw, attributes = read()
        return LiveDocument(kind, name, decoded(raw), attributes.get("DefaultVersionId"), attributes=attributes)
    except ClientError as error:
        return LiveDocument(kind, name, None, unread=unread_reason(error))
    except ValueError:
        return LiveDocument(kind, name, None, unread="its document is not a JSON object")


MOST_BOUNDARIES = 20
"""Each boundary costs a call to IAM's simulator."""


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """One managed policy. ``unread`` says why it could not be read; then nothing else is known."""

    arn: str
    exists: bool = True
    attachable: bool = True
    unread: str = ""

    @property
    def name(self) -> str:
        """Its name, without its path."""
        return self.arn.rsplit("/", 1)[-1]


def managed_policies(session: AwsSession, arns: Collection[str]) -> tuple[ManagedPolicy, ...]:
    """Each managed policy (``iam:GetPolicy``, in parallel), in the order of ``arns``. Raises ``AwsError``."""
    iam = session.iam()
    with domain_errors("The managed policies could not be read"):
        return tuple(Readers(READERS).map(lambda arn: _policy(iam, arn), arns))


def likely_boundaries(session: AwsSession) -> tuple[str, ...] | None:
    """ARNs of up to 20 of the account's own policies (``iam:ListPolicies``), the likeliest boundaries first.

    Policies in use as a boundary come first, then those with "boundary" in their names. ``None`` if IAM does not list
    them. Raises ``AwsError`` if IAM cannot be reached.
    """
    with domain_errors("The account's policies could not be listed"):
        try:
            pages = session.iam().get_paginator("list_policies").paginate(Scope="Local")
            found = [policy for page in pages for policy in page["Policies"]]
        except ClientError as error:
            if error_code(error) not in DENIED_CODES | PASSING_CODES:
                raise
            return None
    found.sort(key=lambda each: "boundary" not in each["PolicyName"].lower())
    found.sort(key=lambda each: not each.get("PermissionsBoundaryUsageCount"))
    return tuple(each["Arn"] for each in found[:MOST_BOUNDARIES])


def policies_per_role(session: AwsSession) -> int | None:
    """How many managed policies one role may have in this account; ``None`` if IAM does not say.

    ``iam:GetAccountSummary``: AttachedPoliciesPerRoleQuota
    (https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html). Raises ``AwsError``.
    """
    with domain_errors("IAM did not say what the account's quotas are"):
        summary = session.iam().get_account_summary()["SummaryMap"]
    return summary.get("AttachedPoliciesPerRoleQuota")


def _policy(iam: IAMClient, arn: str) -> ManagedPolicy:
    try:
        return ManagedPolicy(arn, attachable=iam.get_policy(PolicyArn=arn)["Policy"].get("IsAttachable", True))
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return ManagedPolicy(arn, exists=False)
        return ManagedPolicy(arn, unread=unread_reason(error))
