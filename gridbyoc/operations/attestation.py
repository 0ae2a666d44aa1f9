"""The attestation of a role, a document to file.

Role, caller, time, digests and findings. It never holds the external id.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import gridbyoc
from gridbyoc.aws import Caller
from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.policy import digest, redact
from gridbyoc.aws.trust import external_ids_written
from gridbyoc.operations.finding import Finding, Verdict
from gridbyoc.operations.verify_model import proof_finding
from gridbyoc.stack.files import write_atomic
from gridbyoc.stack.redaction import redacted
from gridbyoc.stack.secret import Secret

FORMAT = "gridbyoc-attestation/1"
DIGESTS = (
    "SHA-256 of the document as UTF-8 JSON with sorted keys and no white space (jq -cS, without the newline), after "
    "every value of sts:ExternalId, and every text that is the external id, has been replaced by [secret]"
)
LIMITS = (
    "Service control policies, resource control policies and session policies are not seen from the role's account, "
    "and may forbid more.",
    "The needed actions are examples of what each policy allows, not a list of every call.",
)


class Attested(Protocol):
    """What an attestation is made from: the role, who read it and when, and the findings."""

    @property
    def role(self) -> LiveRole:
        """The live role."""

    @property
    def caller(self) -> Caller:
        """The identity that read it."""

    @property
    def time(self) -> datetime:
        """When it was judged, with a time zone."""

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the findings."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings."""


def attested(
    proof: Attested, secrets: Collection[Secret], *, about: Mapping[str, Any], expected: Mapping[str, Any]
) -> dict[str, Any]:
    """The document. ``about`` names the owner of the role, ``expected`` whom it may trust; ``secrets`` are redacted."""
    role = proof.role
    return {
        "type": FORMAT,
        "time": proof.time.isoformat(timespec="seconds"),
        "tool": {"name": "gridbyoc", "version": gridbyoc.__version__},
        "caller_arn": proof.caller.arn,
        **about,
        "partition": role.partition,
        "account_id": role.account_id,
        "role_arn": role.arn,
        **expected,
        "verdict": proof.verdict,
        "findings": [proof_finding(finding) for finding in proof.findings],
        "digests": DIGESTS,
        **attested_role(role, secrets),
        "limits": list(LIMITS),
    }


def attested_role(role: LiveRole, secrets: Collection[Secret]) -> dict[str, Any]:
    """The document's part on one role: the digests of its policies, and the longest session."""
    hidden = (*secrets, *external_ids_written(role.trust.document))

    def entry(document: LiveDocument) -> dict[str, Any]:
        found = _document(document, secrets)
        return {**found, "name": redacted(document.name, hidden)} if "name" in found else found

    return {
        "trust_policy": _document(role.trust, secrets),
        "policies": [entry(document) for document in role.policies],
        "permissions_boundary": entry(role.boundary) if role.boundary else None,
        "max_session_seconds": role.max_session_seconds,
    }


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write it atomically, readable by its owner only. Raises ``FileError``."""
    write_atomic(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _document(document: LiveDocument, secrets: Collection[Secret]) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": document.kind}
    if document.kind != "trust":
        found["name"] = document.name
    if document.version is not None:
        found["version"] = document.version
    if document.document is None:
        return {**found, "sha256": None, "unread": document.unread}
    content: object = document.document
    for secret in secrets:
        content = redact(content, secret)
    return {**found, "sha256": digest(content)}
