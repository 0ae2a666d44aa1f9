"""A proof as a JSON document that a security team can file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gridbyoc
from gridbyoc.aws.live_role import LiveDocument
from gridbyoc.aws.policy import digest
from gridbyoc.stack.files import write_atomic
from gridbyoc.stack.secret import Secret
from gridbyoc.steps.verify import Proof
from gridbyoc.steps.verify_model import VerifyFinding

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
        "findings": [finding_object(finding) for finding in proof.findings],
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


def finding_object(finding: VerifyFinding) -> dict[str, Any]:
    """A finding as a JSON object."""
    return {
        "code": finding.code,
        "check": finding.check,
        "verdict": finding.verdict,
        "detail": finding.detail,
        "fix": finding.fix,
        "statements": list(finding.statements),
    }


def _document(document: LiveDocument, external_id: Secret) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": document.kind}
    if document.kind != "trust":
        found["name"] = document.name
    if document.version is not None:
        found["version"] = document.version
    if document.document is None:
        return {**found, "sha256": None, "unread": document.unread}
    return {**found, "sha256": digest(document.document, external_id)}
