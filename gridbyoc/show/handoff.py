"""A written handoff and the plain header of one, as text and as JSON, without the external id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from gridbyoc.operations.handoff.file import Handoff
from gridbyoc.operations.vendor_handover import THEN, WAY_OF_THE_ID
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import instant, minute, visible


@dataclass(frozen=True, slots=True)
class WrittenHandoff:
    """A handoff, and the file that holds it."""

    handoff: Handoff
    file: str


class PlaneBody(TypedDict):
    """The control plane that will assume the role.

    ``vendor``: the name of a vendor without an API; its ``url`` is "".
    """

    type: str
    url: str
    vendor: str


class WrittenHandoffBody(TypedDict):
    """A handoff that was written.

    ``by``: the ARN of the identity that made it. ``trust``: the fingerprint of the trust policy that was proven.
    """

    file: str
    role_arn: str
    roles: dict[str, str]
    region: str
    account_id: str
    control_plane: PlaneBody
    by: str
    created: str
    expires: str
    trust: str
    tool: str


def _written_json(written: WrittenHandoff) -> WrittenHandoffBody:
    made = written.handoff
    return {
        "file": written.file,
        "role_arn": made.role_arn,
        "roles": dict(made.roles),
        "region": made.region,
        "account_id": made.account_id,
        "control_plane": {"type": made.control_plane, "url": made.url, "vendor": made.vendor},
        "by": made.by,
        "created": made.created.isoformat(),
        "expires": made.expires.isoformat(),
        "trust": made.trust,
        "tool": made.tool,
    }


def _write_written(written: WrittenHandoff, screen: Screen) -> None:
    made = written.handoff
    screen.line(f"Wrote {written.file}, encrypted with the key in GRIDBYOC_HANDOFF_KEY.")
    for word, value in (
        ("stack", made.stack),
        *made.roles.items(),
        ("region", made.region),
        ("for", made.recipient),
        ("by", made.by),
        ("valid", f"until {minute(made.expires)}"),
    ):
        screen.line(f"  {word:<8} {value}")
    takes = "bundle show --reveal FILE" if made.vendor else "register --handoff FILE NAME"
    screen.line("Send the file, and the key by another way. The other person runs:")
    screen.line(f"  gridbyoc {takes}")


HANDOFF_WRITTEN = Output("handoff", _written_json, _write_written)


class HandoffPageBody(TypedDict):
    """What to send to the vendor, with **the external id in clear**, and how."""

    control_plane: PlaneBody
    role_arn: str
    roles: dict[str, str]
    account_id: str
    region: str
    external_id: str
    how: list[str]


def _how(made: Handoff) -> list[str]:
    if made.vendor:
        return [WAY_OF_THE_ID, THEN]
    return ["`gridbyoc register --handoff FILE NAME` sends all of it to the control plane: nobody has to type it."]


def _page_json(made: Handoff) -> HandoffPageBody:
    return {
        "control_plane": {"type": made.control_plane, "url": made.url, "vendor": made.vendor},
        "role_arn": made.role_arn,
        "roles": dict(made.roles),
        "account_id": made.account_id,
        "region": made.region,
        "external_id": made.external_id.reveal(),
        "how": _how(made),
    }


def _write_page(made: Handoff, screen: Screen) -> None:
    screen.line(visible(f"Send to {made.recipient}:"))
    for word, value in (
        *made.roles.items(),
        ("account", made.account_id),
        ("region", made.region),
        ("external id", made.external_id.reveal()),
    ):
        screen.line(visible(f"  {word:<12} {value}"))  # whoever has the key may have written a second line into it
    for line in _how(made):
        screen.line(line)


HANDOFF_PAGE = Output("handoff_page", _page_json, _write_page)
"""Only for callers that the user has asked to reveal the external id."""


class HandoffHeaderBody(TypedDict):
    """The plain header of a handoff, readable without the key.

    Nothing vouches for it: only ``register``, with the key, proves it.
    """

    format: int
    created: str
    expires: str
    tool: str
    control_plane: PlaneBody
    encrypted: bool


def _header_json(header: Mapping[str, Any]) -> HandoffHeaderBody:
    plane = header["control_plane"]
    return {
        "format": header["format"],
        "created": header["created"],
        "expires": header["expires"],
        "tool": header["tool"],
        "control_plane": {"type": plane["type"], "url": plane["url"], "vendor": plane["vendor"]},
        "encrypted": header["encryption"] is not None,
    }


def header_lines(header: Mapping[str, Any]) -> list[str]:
    """The lines of the header, made printable: anybody may have written its text."""
    plane = header["control_plane"]
    lines = [
        f"stack      {header['stack']}",
        f"made       {instant(header['created'])} by gridbyoc {header['tool']}",
        f"valid      until {instant(header['expires'])}",
        f"for        {plane['vendor'] or plane['type'] + ' at ' + plane['url']}",
        f"encrypted  {header['encryption'].get('cipher') if header['encryption'] else 'no: it cannot be used'}",
    ]
    return [visible(line) for line in lines]


def _write_header(header: Mapping[str, Any], screen: Screen) -> None:
    for line in header_lines(header):
        screen.line(line)


HANDOFF_HEADER = Output("handoff_header", _header_json, _write_header)
