"""The AWS quotas that limit clusters: their codes and names, and the quota that each instance type counts against."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.stack.document import Fault
from gridbyoc.stack.regions import HOME_REGIONS, known_types, partition_of
from gridbyoc.stack.words import nearest, show

ON_DEMAND = "on-demand"
SPOT = "spot"

_CONSOLE = {
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}

WITHOUT_QUOTA = ("mac", "mac-", "cc", "cg", "cr", "hi", "hs")
"""Prefixes of families without a vCPU quota. Macs run on dedicated hosts only, which have their own quotas
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-mac-instances.html); the rest are retired."""


@dataclass(frozen=True, slots=True)
class QuotaCode:
    """One quota. ``name`` is AWS's name, ``aws_default`` a new account's value (``None``: read it from the account).

    A vCPU quota has ``family_group`` and ``market`` (``on-demand``, ``spot``), and ``families``: the prefixes of the
    instance types that count against it. ``region`` is ``region``, or ``home`` if AWS keeps the quota in one region
    of the partition (``home_region``). ``counted`` is the call that returns the usage (``service:Operation``).
    ``source`` is AWS's page about the quota; ``provenance`` is the kind of source of code and name.
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
    """Every quota of ``service_quotas.csv``, in the file's order."""
    with Path(__file__).with_name("service_quotas.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_quota_code(row) for row in csv.DictReader(file))


def _quota_code(row: dict[str, str]) -> QuotaCode:
    default = int(row["aws_default"]) if row["aws_default"] else None
    texts = {key: row[key] for key in row if key not in {"families", "aws_default"}}
    return QuotaCode(**texts, families=tuple(row["families"].split()), aws_default=default)


@functools.cache
def quota_by_code(code: str) -> QuotaCode:
    """The quota with a code (``L-DB2E81BA``). Raises ``KeyError`` if the data does not have it."""
    return {quota.code: quota for quota in quota_codes()}[code]


def group_quota(family_group: str, market: str) -> QuotaCode | None:
    """The quota of a family group in a market; ``None`` if AWS has none (High Memory has no spot quota)."""
    chosen = (q for q in quota_codes() if (q.family_group, q.market) == (family_group, market))
    return next(chosen, None)


def vcpu_quota(instance_type: str, market: str = ON_DEMAND) -> QuotaCode | None:
    """The quota that an instance type (``g4dn.xlarge``) counts against in a market.

    The longest matching prefix of the family decides (``trn1`` is Trn, not T), and all its letters must match (``dl1``
    is DL, not D). ``None`` if no quota is known for it: AWS's pages disagree about a spot quota for P6.
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
    """The family group of an instance type (``Standard``, ``G-VT``, …); ``None`` for families in ``WITHOUT_QUOTA``."""
    quota = vcpu_quota(instance_type)
    return quota.family_group if quota else None


def _letters(family: str) -> str:
    """The letters before the generation: ``g4dn`` → ``g``, ``u-6tb1`` → ``u-``."""
    found = re.match(r"[a-z]+-?(?=[0-9])|[a-z]+-?", family)
    return found[0] if found else ""


def home_region(region: str) -> str:
    """The region that holds the quotas of global services (IAM, S3) in the partition of ``region``."""
    return HOME_REGIONS.get(partition_of(region) or "aws", region)


def quota_region(quota: QuotaCode, region: str) -> str:
    """The region in which to read and raise a quota for clusters in ``region``."""
    return home_region(region) if quota.region == "home" else region


def console_link(quota: QuotaCode, region: str) -> str:
    """The quota's page in the AWS console of the partition of ``region``."""
    where = quota_region(quota, region)
    domain = _CONSOLE.get(partition_of(where) or "aws", "console.aws.amazon.com")
    return f"https://{where}.{domain}/servicequotas/home/services/{quota.service}/quotas/{quota.code}"


_FORM = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "metal")
_SIZE = re.compile(r"nano|micro|small|medium|large|[0-9]{0,3}xlarge|metal(-[0-9]{1,3}xl)?")
# Graviton families have a g right after the generation (m6g, c7gn, x2gd, im4gn); a1 is older than that rule.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
# Grace CPUs (p6e-gb200) and Apple silicon (mac2, mac-m4) are Arm as well.
_ARM = re.compile(r"a1|[a-z]+[0-9]+g[a-z-]*|[a-z0-9]+-g[bh][0-9]+|mac(?!1$)[a-z0-9-]*")
_SIBLINGS = {
    "a1": ("m6i", "m5"),
    "t4g": ("t3",),
    "g5g": ("g5", "g4dn"),
    "x2gd": ("x2iedn", "x2idn"),
    "im4gn": ("i4i",),
    "is4gen": ("i4i", "d3en"),
}
_ORDER = {size: rank for rank, size in enumerate(_SIZES)}


def is_arm(instance_type: str) -> bool:
    """Whether the type's family runs on Arm (``t4g.medium``, ``c7gn.large``), by the rules of AWS's names."""
    return bool(_ARM.fullmatch(instance_type.partition(".")[0]))


def instance_type_fault(name: str) -> Fault | None:
    """The fault of a name that is not ``family.size``, or is an Arm type: control planes run only amd64 images."""
    if not _FORM.fullmatch(name):
        return _malformed(name)
    family, _, size = name.partition(".")
    if is_arm(name):
        sibling = amd64_sibling(name)
        advice = f"the nearest amd64 type is `{sibling}`" if sibling else "choose a type of an Intel or AMD family"
        return Fault(f"`{name}` is an Arm type: clusters run only amd64", advice)
    if not _SIZE.fullmatch(size):
        close = nearest(size, [*_SIZES, *(f"{count}xlarge" for count in (2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 48))])
        hint = f"did you mean `{family}.{close}`?" if close else "sizes are `medium`, `xlarge`, `8xlarge`, `metal`, …"
        return Fault(f"`{name}` has no size that EC2 knows", hint)
    return None


def _malformed(name: str) -> Fault:
    better = name.strip().lower()
    if _FORM.fullmatch(better):
        return Fault(f"{show(name)} is not an instance type", f"write `{better}`")
    close = nearest(name, known_types())
    hint = f"did you mean `{close}`?" if close else "it is written family.size, such as `t2.medium`"
    return Fault(f"{show(name)} is not an instance type", hint)


def amd64_sibling(name: str) -> str | None:
    """The amd64 type nearest to an Arm type (``t4g.medium`` → ``t3.medium``); ``None`` if there is none."""
    family, _, size = name.partition(".")
    known = known_types()
    for candidate in _sibling_families(family):
        if f"{candidate}.{size}" in known:
            return f"{candidate}.{size}"
        larger = [other for other in known if other.startswith(f"{candidate}.") and _rank(other) > _rank(name)]
        if larger:
            return min(larger, key=_rank)
    return None


def _sibling_families(family: str) -> Iterator[str]:
    """``m6gd`` → m6id, m6i, m6a, then the generations before and after."""
    yield from _SIBLINGS.get(family, ())
    match = re.fullmatch(r"([a-z]+)([0-9]+)g([a-z]*)", family)
    if match:
        letters, generation, rest = match[1], int(match[2]), match[3]
        for number in (generation, generation - 1, generation + 1):
            yield from dict.fromkeys((f"{letters}{number}i{rest}", f"{letters}{number}i", f"{letters}{number}a"))


def _rank(name: str) -> tuple[int, int]:
    """A sort key for sizes: nano < … < xlarge < 2xlarge < … < metal."""
    size = name.partition(".")[2]
    count = re.match(r"[0-9]+", size)
    word = "xlarge" if count else size.partition("-")[0]
    return _ORDER.get(word, len(_SIZES)), int(count[0]) if count else 1
