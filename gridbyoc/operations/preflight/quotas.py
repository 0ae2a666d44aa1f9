"""Check whether the account has room for the clusters that will be created."""

from __future__ import annotations

from collections.abc import Iterator

from gridbyoc.operations.finding import Finding, FindingKind
from gridbyoc.operations.preflight.model import Check, PreflightContext
from gridbyoc.operations.quotas.review import (
    NO_QUOTA,
    QuotaRow,
    fix_words,
    needed_words,
    no_quota_words,
    quota_facts,
    quota_rows,
    read_words,
    without_quota,
)
from gridbyoc.stack.service_quotas import ON_DEMAND, SPOT, quota_by_code


def _kind(number: int, title: str, meaning: str, code: str) -> FindingKind:
    return FindingKind(f"GBY-Q{number:03}", "quotas", title, meaning, quota_by_code(code).source)


VCPUS = {
    ON_DEMAND: _kind(
        1,
        "on-demand vCPUs",
        "In each family group, the largest instance type of every new cluster, and what it keeps running, must fit "
        "beside the instances that run now. Only warns for types of the control plane's own list, which a cluster "
        "without instance types gets. The guide's 1000 are shown, and never block.",
        "L-1216C47A",
    ),
    SPOT: _kind(
        2,
        "spot vCPUs",
        "In each family group, the largest instance type of every new cluster must fit beside the spot instances that "
        "run now. Only warns if the same machines fit on demand, and for types of the control plane's own "
        "list. The guide's 1000 are shown, and never block.",
        "L-34B43A08",
    ),
}
"""By market; there is a finding for each family group."""

BY_CODE = {
    "L-CDE20ADC": _kind(
        3,
        "Auto Scaling groups",
        "One group for each instance type and market of every new cluster should fit: an assumption, so only a "
        "warning. The guide's 800 are shown, and never block.",
        "L-CDE20ADC",
    ),
    "L-6B80B8FA": _kind(
        4,
        "launch configurations",
        "For information: clusters use launch templates, and newer accounts cannot make launch configurations at all. "
        "Never blocks.",
        "L-6B80B8FA",
    ),
    "L-F678F1CE": _kind(5, "VPCs", "A VPC for every new cluster must fit.", "L-F678F1CE"),
    "L-0263D0A3": _kind(
        6,
        "Elastic IPs",
        "An address for every new cluster, its minimum, must fit. Addresses of your own pools, and those that "
        "an AWS service manages, do not count.",
        "L-0263D0A3",
    ),
    "L-FE5A380F": _kind(
        7,
        "NAT gateways",
        "A gateway for every new cluster must fit into a zone: fails if no zone has room, warns if the fullest "
        "has none.",
        "L-FE5A380F",
    ),
    "L-1194D53C": _kind(8, "EKS clusters", "An EKS cluster for every new cluster must fit.", "L-1194D53C"),
    "L-DC2B2D3D": _kind(9, "S3 buckets", "A bucket for every new cluster must fit.", "L-DC2B2D3D"),
    "L-FE177D64": _kind(
        10,
        "IAM roles",
        "15 roles for every new cluster, as the guide says, or only the stack's role if just that is missing.",
        "L-FE177D64",
    ),
    "L-E95E4862": _kind(
        11,
        "IAM policies",
        "15 customer managed policies for every new cluster, as the guide says, or only the role's own if just that "
        "is missing.",
        "L-E95E4862",
    ),
}
"""By quota code. Checks of policies cover the number of policies on one role."""

KINDS = (*VCPUS.values(), *BY_CODE.values())


def _look(scene: PreflightContext) -> Iterator[Finding]:
    rows = quota_rows(scene)
    if all(row.limit is None and row.in_use is None for row in rows):
        scene.caller()  # without credentials, this raises the error that matters
    for row in rows:
        if row.quota.market or row.quota.code in BY_CODE:
            yield quota_finding(row)
    for name, market in without_quota(scene):
        facts = {"region": scene.region}
        yield Finding(VCPUS[market], "unknown", no_quota_words(name, market), fix=NO_QUOTA, subject=name, facts=facts)


def quota_finding(row: QuotaRow) -> Finding:
    """The finding for a quota's row; its numbers are the facts."""
    quota = row.quota
    return Finding(
        VCPUS[quota.market] if quota.market else BY_CODE[quota.code],
        row.verdict,
        read_words(row),
        needed_words(row),
        fix_words(row),
        source=", ".join(dict.fromkeys(filter(None, (row.reading.limit.source, quota.counted)))),
        subject=quota.family_group,
        facts=dict(quota_facts(row)),
    )


CHECKS = (Check(KINDS, _look),)
