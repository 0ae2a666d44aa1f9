"""Whether the account has room: what is allowed, what is in use, what is needed, quota by quota."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gridbyoc.aws.quotas import AccountQuotas, QuotaReading
from gridbyoc.aws.quotas import Increase as Increase  # what draws the rows gets it here
from gridbyoc.stack.service_quotas import QuotaCode, console_link
from gridbyoc.steps.quotas.needs import NOTHING, RECOMMENDED, RECOMMENDED_VCPUS, ROOM, Need
from gridbyoc.steps.verdict import Verdict

UNITS = {
    "L-CDE20ADC": ("group", "groups"),
    "L-6B80B8FA": ("launch configuration", "launch configurations"),
    "L-FE177D64": ("role", "roles"),
    "L-E95E4862": ("policy", "policies"),
    "L-0DA4ABF3": ("policy on a role", "policies on a role"),
    "L-F678F1CE": ("VPC", "VPCs"),
    "L-0263D0A3": ("address", "addresses"),
    "L-FE5A380F": ("gateway in a zone", "gateways in a zone"),
    "L-DC2B2D3D": ("bucket", "buckets"),
    "L-1194D53C": ("cluster", "clusters"),
}
"""What a quota counts, of one and of many; the others count vCPUs."""


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """One quota, looked at. ``needed`` is the limit that would do; ``None`` where it cannot be told.

    ``why`` is what a warning or an unknown is about; ``pending`` the request that AWS has yet to decide.
    """

    reading: QuotaReading
    need: Need
    needed: int | None
    verdict: Verdict
    why: str = ""
    pending: Increase | None = None

    @property
    def quota(self) -> QuotaCode:
        """Which one."""
        return self.reading.quota

    @property
    def region(self) -> str:
        """Where it is read and raised."""
        return self.reading.region

    @property
    def limit(self) -> int | float | None:
        """What is allowed; a whole number as one."""
        value = self.reading.limit.value
        return None if value is None else whole(value)

    @property
    def in_use(self) -> int | None:
        """What is in use: in the fullest zone, for a quota of every zone."""
        return self.reading.use.value

    def amount(self, count: float) -> str:
        """``count`` of what the quota counts: ``1 vCPU``, ``5 VPCs``."""
        one, many = UNITS.get(self.quota.code, ("vCPU", "vCPUs"))
        return f"{whole(count)} {one if count == 1 else many}"

    @property
    def recommended(self) -> int | None:
        """The limit that the service's guide advises; never required. ``None`` where it advises nothing."""
        if self.quota.family_group:
            return RECOMMENDED_VCPUS
        room = ROOM.get(self.quota.code)
        if room is not None:
            return None if self.in_use is None else self.in_use + room
        return RECOMMENDED.get(self.quota.code)

    @property
    def console(self) -> str:
        """The quota's page in the AWS console."""
        return console_link(self.quota, self.region)


def whole(value: float) -> int | float:
    """A whole number as one: AWS has every value as a float."""
    return int(value) if float(value).is_integer() else value


def review(account: AccountQuotas, needs: Mapping[str, Need]) -> tuple[QuotaRow, ...]:
    """A row for each reading, in their order; what nothing is needed of passes."""
    return tuple(_renamed(_row(reading, needs.get(code, NOTHING))) for code, reading in account.readings.items())


def _row(reading: QuotaReading, need: Need) -> QuotaRow:
    limit, use = reading.limit.value, reading.use
    needed = None if use.value is None else use.value + need.headroom
    if not need.headroom:
        return QuotaRow(reading, need, needed, "unknown" if need.unsure else "pass", need.unsure)
    # The least that is in use: nothing where it could not be counted, the emptiest zone where zones differ.
    least = use.least if use.least is not None else use.value or 0
    if limit is not None and least + need.headroom > limit:
        return QuotaRow(reading, need, least + need.headroom, "warn" if need.soft else "fail", reading.limit.why)
    untold = next(filter(None, (reading.limit.why if limit is None else "", use.why, need.unsure)), "")
    if untold or limit is None or needed is None:
        return QuotaRow(reading, need, needed, "unknown", untold)
    if needed > limit:
        return QuotaRow(reading, need, needed, "warn", "The fullest zone has no room; another one has.")
    return QuotaRow(reading, need, needed, "pass")


def _renamed(row: QuotaRow) -> QuotaRow:
    """A code that AWS calls by another name than we do may count something else by now: worth a word."""
    name = row.reading.limit.name
    if not name or name.casefold() == row.quota.name.casefold():
        return row
    why = f"AWS calls {row.quota.code} {name!r} now; it was {row.quota.name!r}."
    return replace(row, verdict="warn" if row.verdict == "pass" else row.verdict, why=f"{row.why} {why}".strip())
