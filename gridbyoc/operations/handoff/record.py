"""What the journal records of a handoff, and whether the handed-over role is still the same."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gridbyoc.terraform import Outputs

EFFECT = "handoff"
"""Its name in the journal."""
_N, _R, _P = 2**14, 8, 1
HandoffStanding = Literal["unchanged", "changed", "unknown"]


def new_salt() -> bytes:
    """A salt for one fingerprint."""
    return os.urandom(16)


def fingerprint(value: Mapping[str, Any] | str, salt: bytes) -> str:
    """A digest of a trust policy or an external id that reveals nothing about it.

    An external id chosen by the user may be short, and the rest of the policy is known, so a plain SHA-256 could be
    searched. So the digest is salted and slow.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return f"scrypt:{salt.hex()}:{hashlib.scrypt(text, salt=salt, n=_N, r=_R, p=_P, dklen=32).hex()}"


def is_of(recorded: str, value: Mapping[str, Any] | str) -> bool:
    """Whether the fingerprint was made from this value; ``False`` for a text that is not a fingerprint."""
    try:
        salt = bytes.fromhex(recorded.split(":")[1])
    except (ValueError, IndexError):
        return False
    # as bytes: compare_digest refuses a text with other characters than ASCII
    return hmac.compare_digest(fingerprint(value, salt).encode(), recorded.encode("utf-8", "surrogatepass"))


def all_arns(roles: Mapping[str, str]) -> str:
    """The ARNs of all roles in the journal's form."""
    return ", ".join(roles.values())


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The newest handoff in the journal.

    ``role_arn``: the ARNs of all roles, if there are several. ``how``: as a ``file`` or a ``page``; a page does not
    expire. ``standing``: whether the role and its external id are still those handed over, and admitted.
    """

    time: str
    how: str
    role_arn: str
    expires: str | None
    standing: HandoffStanding = "unknown"

    def expired(self, now: datetime) -> bool:
        """Whether the file has expired."""
        try:
            return self.expires is not None and now >= datetime.fromisoformat(self.expires)
        except (ValueError, TypeError):
            return True


def last_handoff(
    records: Iterable[Mapping[str, Any]],
    outputs: Outputs | None,
    trusts: Mapping[str, Mapping[str, Any] | None],
    *,
    admitted: bool | None,
) -> HandedOver | None:
    """The newest completed handoff, compared with the current role.

    ``trusts``: each role's live trust policy, ``None`` if it could not be read. ``admitted``: whether they admit the
    control plane with the current external id, ``None`` if that is unknown.
    """
    done = [each for each in records if each.get("type") == "effect_done" and each.get("effect") == EFFECT]
    if not done:
        return None
    last = done[-1]
    same = outputs is not None and last.get("role") == all_arns(outputs.every_role)
    if not same or outputs is None or not is_of(str(last.get("id")), outputs.external_id.reveal()):
        standing: HandoffStanding = "changed"
    elif admitted is not None:
        standing = "unchanged" if admitted else "changed"
    else:
        standing = "unchanged" if is_of(str(last.get("trust")), trusts) else "unknown"
    expires = last.get("expires")
    return HandedOver(
        str(last.get("time")),
        str(last.get("how")),
        str(last.get("role")),
        str(expires) if expires is not None else None,
        standing,
    )
