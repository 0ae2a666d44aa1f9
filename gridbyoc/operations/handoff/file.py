"""The content of a handoff: all that somebody without AWS permissions needs to register a cluster through a role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, HandoffError, HandoffExpiredError, HandoffKeyError
from gridbyoc.operations.sealed_file import TEXT, SealedFormat, object_of, or_null
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import minute

_PLANE = object_of(type=TEXT, url=TEXT, vendor=TEXT)
HANDOFF = SealedFormat(
    noun="handoff",
    key_variable="GRIDBYOC_HANDOFF_KEY",
    file_error=HandoffError,
    key_error=HandoffKeyError,
    again="ask for a new handoff",
    make="Ask whoever made the role for one: `gridbyoc handoff --out FILE` writes it.",
    distrust="Do not use it. Check who can write to the place that it came from, and ask for a new handoff.",
    same_key="Ask whoever made the handoff for its key.",
    header=object_of(
        stack=TEXT, created=TEXT, expires=TEXT, tool=TEXT, control_plane=_PLANE, encryption=or_null({"type": "object"})
    ),
    payload=object_of(
        stack=TEXT,
        role_arn=TEXT,
        roles={"type": "object", "additionalProperties": TEXT},
        external_id=TEXT,
        region=TEXT,
        account_id=TEXT,
        control_plane=object_of(type=TEXT, url=TEXT, vendor=TEXT, org_id=or_null(TEXT)),
        by=TEXT,
        created=TEXT,
        expires=TEXT,
        trust=TEXT,
        tool=TEXT,
    ),
)


@dataclass(frozen=True, slots=True)
class Handoff:
    """The role of a stack, and the control plane that will assume it.

    ``roles``: the ARN of each role by its name; ``role_arn`` is the first, and usually the only one. ``vendor``: the
    name of a vendor without an API (``control_plane`` ``manual``, ``url`` empty); else "". ``by``: the ARN of the
    identity that made the handoff. ``trust``: the fingerprint of the live trust policy that was proven
    (``record.fingerprint``). ``tool``: the version of gridbyoc.
    """

    stack: str
    role_arn: str
    roles: Mapping[str, str]
    external_id: Secret
    region: str
    account_id: str
    control_plane: str
    url: str
    vendor: str
    org_id: str | None
    by: str
    created: datetime
    expires: datetime
    trust: str
    tool: str

    @property
    def recipient(self) -> str:
        """Who will assume the role, in words."""
        return self.vendor or f"{self.control_plane} at {self.url}"


def pack_handoff(handoff: Handoff, key: Secret) -> bytes:
    """The file's bytes. The plain header contains no secret, no role and no account."""
    plane = {"type": handoff.control_plane, "url": handoff.url, "vendor": handoff.vendor}
    both = {
        "stack": handoff.stack,
        "created": handoff.created.isoformat(timespec="seconds"),
        "expires": handoff.expires.isoformat(timespec="seconds"),
        "tool": handoff.tool,
    }
    payload = {
        **both,
        "role_arn": handoff.role_arn,
        "roles": dict(handoff.roles),
        "external_id": handoff.external_id.reveal(),
        "region": handoff.region,
        "account_id": handoff.account_id,
        "control_plane": {**plane, "org_id": handoff.org_id},
        "by": handoff.by,
        "trust": handoff.trust,
    }
    return HANDOFF.pack({**both, "control_plane": plane}, payload, key)


def open_handoff(data: bytes, key: Secret | None, now: datetime) -> Handoff:
    """The handoff in these bytes, authenticated and not expired ``now``.

    Raises ``HandoffError``, ``HandoffKeyError``, ``WrongFileKindError``, ``HandoffExpiredError``.
    """
    _, payload = HANDOFF.unpack(data, key)
    plane = payload["control_plane"]
    handoff = Handoff(
        stack=payload["stack"],
        role_arn=payload["role_arn"],
        roles=payload["roles"],
        external_id=Secret(payload["external_id"]),
        region=payload["region"],
        account_id=payload["account_id"],
        control_plane=plane["type"],
        url=plane["url"],
        vendor=plane["vendor"],
        org_id=plane["org_id"],
        by=payload["by"],
        created=_time(payload, "created"),
        expires=_time(payload, "expires"),
        trust=payload["trust"],
        tool=payload["tool"],
    )
    if now >= handoff.expires:
        raise HandoffExpiredError(
            f"The handoff of the stack {handoff.stack} expired at {minute(handoff.expires)}.",
            why=f"It was made at {minute(handoff.created)} by {handoff.by}; it is {minute(now)} on this machine.",
            fix="Ask for a new one (`gridbyoc handoff --out FILE`). If you have registered a cluster with it, "
            "`gridbyoc clusters wait NAME` waits for that.",
            rerun=SAFE_NOTHING_DONE,
        )
    return handoff


def _time(payload: Mapping[str, Any], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(payload[name])
        if found.tzinfo is not None:
            return found
    except ValueError:
        pass
    raise HandoffError(
        "The file is not a handoff that can be used.",
        why=f"Its payload is invalid at /{name} (not a time with a zone).",
        fix=HANDOFF.make,
        rerun=SAFE_NOTHING_DONE,
    )
