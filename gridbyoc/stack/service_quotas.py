"""AWS's quotas that clusters run into: their codes and names, and which one an instance type counts against."""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.stack.regions import HOME_REGIONS, partition_of

ON_DEMAND = "on-demand"
SPOT = "spot"

_CONSOLE = {
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}

WITHOUT_QUOTA = ("mac", "mac-", "cc", "cg", "cr", "hi", "hs")
"""How families begin that no quota by vCPU names: Macs run on dedicated hosts only, which have quotas of their own
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-mac-instances.html); the rest are retired."""


@dataclass(frozen=True, slots=True)
class QuotaCode:
    """One quota. ``name`` is AWS's own name of it, ``aws_default`` what an account begins with (``None``: read it).

    ``family_group`` and ``market`` (``on-demand``, ``spot``) are set where it limits vCPUs, and ``families`` is then
    how the type names that count against it begin. ``region`` is ``region``, or ``home`` for a quota that is kept in
    one region of its partition (``home_region``). ``counted`` is the call that tells the use (``service:Operation``).
    ``source`` is AWS's page about it; ``provenance`` says where code and name were read.
    """

    service: str
    code: str
    name: str
    family_group: str
    market: str
    families: tuple[str, ...]
    aws_default: int | None
    region: str
    counted: str
    source: str
    provenance: str


@functools.cache
def quota_codes() -> tuple[QuotaCode, ...]:
    """Every quota of the data file beside this module, in its order."""
    with Path(__file__).with_name("service_quotas.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_quota_code(row) for row in csv.DictReader(file))


def _quota_code(row: dict[str, str]) -> QuotaCode:
    default = int(row["aws_default"]) if row["aws_default"] else None
    texts = {key: row[key] for key in row if key not in {"families", "aws_default"}}
    return QuotaCode(**texts, families=tuple(row["families"].split()), aws_default=default)


@functools.cache
def quota_by_code(code: str) -> QuotaCode:
    """The quota of a code (``L-DB2E81BA``); ``KeyError`` for one that is not in the data."""
    return {quota.code: quota for quota in quota_codes()}[code]


def group_quota(family_group: str, market: str) -> QuotaCode | None:
    """The quota of a family group in a market; ``None`` where AWS has none (High Memory has no spot)."""
    chosen = (q for q in quota_codes() if (q.family_group, q.market) == (family_group, market))
    return next(chosen, None)


def vcpu_quota(instance_type: str, market: str = ON_DEMAND) -> QuotaCode | None:
    """The quota that an instance type (``g4dn.xlarge``) counts against in a market.

    Decided by the longest beginning of the family's name (``trn1`` is Trn and not T), and by whole letters: ``dl1`` is
    DL and not D. ``None`` where no quota is named for it: P6 has no spot quota that AWS's pages agree on.
    """
    family = instance_type.partition(".")[0]
    named = [
        (len(prefix), quota)
        for quota in quota_codes()
        if quota.market == market
        for prefix in quota.families
        if _letters(prefix) == _letters(family) and family.startswith(prefix)
    ]
    return max(named, key=lambda pair: pair[0])[1] if named else None


def family_group(instance_type: str) -> str | None:
    """The family group of an instance type (``Standard``, ``G-VT``, …); ``None`` for those of ``WITHOUT_QUOTA``."""
    quota = vcpu_quota(instance_type)
    return quota.family_group if quota else None


def _letters(family: str) -> str:
    """``g4dn`` → ``g``, ``u-6tb1`` → ``u-``: what stands before the generation."""
    found = re.match(r"[a-z]+-?(?=[0-9])|[a-z]+-?", family)
    return found[0] if found else ""


def home_region(region: str) -> str:
    """The region that keeps the global services' quotas (IAM, S3) in ``region``'s partition."""
    return HOME_REGIONS.get(partition_of(region) or "aws", region)


def quota_region(quota: QuotaCode, region: str) -> str:
    """Where a quota is read and raised for clusters in ``region``."""
    return home_region(region) if quota.region == "home" else region


def console_link(quota: QuotaCode, region: str) -> str:
    """The quota's page in the AWS console, in the partition that ``region`` is in."""
    where = quota_region(quota, region)
    domain = _CONSOLE.get(partition_of(where) or "aws", "console.aws.amazon.com")
    return f"https://{where}.{domain}/servicequotas/home/services/{quota.service}/quotas/{quota.code}"
