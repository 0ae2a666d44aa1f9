"""What an account may have, what it has, and the requests for more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gridbyoc.stack.service_quotas import QuotaCode

OPEN_STATUSES = frozenset({"PENDING", "CASE_OPENED"})
"""A request that AWS has not decided yet.
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_RequestedServiceQuotaChange.html"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota's value. ``value`` is ``None`` where it could not be read, and ``why`` says why.

    ``name`` is what AWS calls the quota now; ``adjustable`` whether it can be raised (``None``: not told).
    """

    value: float | None
    name: str = ""
    adjustable: bool | None = None
    why: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a quota is in use. ``value`` is ``None`` where it could not be counted, and ``why`` says why.

    A quota of every zone has its fullest zone in ``value`` and its emptiest in ``least``; for the others ``least`` is
    ``None``. ``limit`` is the limit that the counting call tells besides, where it does.
    """

    value: int | None
    least: int | None = None
    limit: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """A quota as it stands in ``region``, which is where it is read and raised."""

    quota: QuotaCode
    region: str
    limit: Limit
    use: Use


@dataclass(frozen=True, slots=True)
class AccountQuotas:
    """Readings by code, and the vCPUs of instance types; one that the region does not offer is not among them.

    ``vcpus`` is ``None`` where they could not be read, and ``vcpus_why`` says why.
    """

    readings: Mapping[str, QuotaReading]
    vcpus: Mapping[str, int] | None
    vcpus_why: str = ""


@dataclass(frozen=True, slots=True)
class Increase:
    """A request to raise a quota. ``status`` is AWS's word (``PENDING``, ``CASE_OPENED``, ``APPROVED``, ``DENIED``, …).

    ``case_id`` is AWS Support's, empty while there is none. Times are in UTC, ``None`` where AWS does not tell them.
    """

    id: str
    quota: QuotaCode
    region: str
    desired: float
    status: str
    case_id: str = ""
    created: datetime | None = None
    updated: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether AWS has yet to decide."""
        return self.status in OPEN_STATUSES
