"""The data of a proof: its findings, and what is known about the role and declared in the stack file."""

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
    """One check of the proof: a stable code, the result, the fix, and the statements that decided it."""

    code: str
    check: str
    verdict: Verdict
    detail: str
    fix: str = ""
    statements: tuple[str, ...] = ()
    role: str = ""


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
