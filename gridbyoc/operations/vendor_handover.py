"""What a person sends to a vendor without an API, once the role exists and its trust is proven."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gridbyoc.stack.model import Stack

WAY_OF_THE_ID = (
    "The external id goes into the vendor's console form, or through a one-time link: never by mail, chat or ticket."
)
SEND_ID = f"{WAY_OF_THE_ID} `gridbyoc handoff --reveal` shows it with the rest, and records that it was handed over."
SEND_OWN_ID = (
    "The external id is that of role.external_id_from. If the vendor does not have it yet, it goes into "
    "the vendor's console form, or through a one-time link: never by mail, chat or ticket."
)
THEN = "Never send keys. Last step: let the vendor confirm that it works; gridbyoc cannot check that."


@dataclass(frozen=True, slots=True)
class VendorHandover:
    """The recipient and the data to send: the ARN of each role by its name, the AWS account, the region.

    It does not contain the external id; ``external_id`` says how the vendor gets it.
    """

    vendor: str
    roles: Mapping[str, str]
    account_id: str
    region: str
    external_id: str


def handover_of(stack: Stack, account_id: str, roles: Mapping[str, str]) -> VendorHandover | None:
    """The handover for a stack whose vendor has no API.

    ``None`` for other stacks, whose control plane gets the role by a request.
    """
    plane = stack.control_plane
    if plane.type != "manual":
        return None
    how = SEND_OWN_ID if stack.role.external_id is not None else SEND_ID
    return VendorHandover(plane.vendor, dict(roles), account_id, stack.aws.region, how)
