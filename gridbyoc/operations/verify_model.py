"""What a proof is made of: findings, and what is known of the role and of what the stack file says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gridbyoc.aws.live_role import LiveDocument, LiveRole
from gridbyoc.aws.policy import Policy, PolicyDocumentError, parse_policy, unreadable
from gridbyoc.operations.accepted_ids import NO_ROTATION, Rotation
from gridbyoc.operations.verdict import Verdict
from gridbyoc.stack.model import Role
from gridbyoc.stack.secret import Secret


@dataclass(frozen=True, slots=True)
class VerifyFinding:
    """One check of the proof: a stable code, what was found, what to do, and the statements that decided it."""

    code: str
    check: str
    verdict: Verdict
    detail: str
    fix: str = ""
    statements: tuple[str, ...] = ()
    role: str = ""


@dataclass(frozen=True, slots=True)
class RoleSubject:
    """What is judged: the live role, and the stack file's word on it.

    ``own_module`` is whether the role is made by the gridbyoc module, so that what the stack file does not name is not
    meant to be there. ``now`` is a time with a zone. ``rotation``: what shows that further external ids are meant to be
    accepted. ``names``: the stack's and its clusters', which an external id should not be made of.
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
        """How bad something is that the stack file does not name."""
        return "fail" if self.own_module else "warn"

    @property
    def untrusted(self) -> Verdict:
        """How bad a principal is that the stack file does not name: that of a vendor without an API names them all."""
        return "fail" if self.declared.vendor is None else self.undeclared


def policy_of(document: LiveDocument) -> Policy:
    """The document as a ``Policy``; one that could not be read, or not be understood, may allow and deny anything."""
    if document.document is None:
        return unreadable(document.title, f"it could not be read ({document.unread})")
    kind: Literal["trust", "identity"] = "trust" if document.kind == "trust" else "identity"
    try:
        return parse_policy(document.document, name=document.title, kind=kind)
    except PolicyDocumentError as error:
        return unreadable(document.title, f"it could not be understood ({error.what})")
