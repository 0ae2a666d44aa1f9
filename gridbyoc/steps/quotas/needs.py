"""What new clusters need of each quota, beside what is in use already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gridbyoc.stack.model import ClusterSpec, DialectName, InstanceType, Role
from gridbyoc.stack.role_defaults import managed_policies_of, statements_of
from gridbyoc.stack.service_quotas import ON_DEMAND, SPOT, QuotaCode, quota_by_code, vcpu_quota
from gridbyoc.vendors import facts_of

GROUPS, LAUNCH_CONFIGURATIONS = "L-CDE20ADC", "L-6B80B8FA"
ROLES, POLICIES, PER_ROLE = "L-FE177D64", "L-E95E4862", "L-0DA4ABF3"
VPCS, ADDRESSES, GATEWAYS = "L-F678F1CE", "L-0263D0A3", "L-FE5A380F"
BUCKETS, EKS = "L-DC2B2D3D", "L-1194D53C"
FIXED = (GROUPS, LAUNCH_CONFIGURATIONS, ROLES, POLICIES, PER_ROLE, VPCS, ADDRESSES, GATEWAYS, EKS, BUCKETS)
"""The quotas that every cluster needs, whatever its instance types."""

MARKETS = (ON_DEMAND, SPOT)
RECOMMENDED_VCPUS = 1000
RECOMMENDED = {GROUPS: 800}
ROOM = {VPCS: 5, BUCKETS: 5}
"""The service's guide: limits of "1000+" for every instance family and of 800 Auto Scaling groups; room for 5 VPCs and
5 buckets."""

PER_CLUSTER = {ROLES: 15, POLICIES: 15, VPCS: 1, ADDRESSES: 1, GATEWAYS: 1, EKS: 1, BUCKETS: 1}
"""Of each new cluster. Roles and policies as in the guide; one VPC, EKS cluster and bucket are what one cluster is made
of; one NAT gateway with its address is the least that a VPC with private subnets has, and only the least is proven."""


OWN_LIST = ", of the control plane's own list, which works without"

OFFERED = "`gridbyoc doctor --only offerings` names types that can be had."


@dataclass(frozen=True, slots=True)
class Need:
    """What must be free of a quota. ``words`` say what for; ``soft`` is a need whose shortage only warns.

    ``unsure`` says why it may be more than ``headroom``, which is then the least it can be; ``advice`` what to do then.
    """

    headroom: int = 0
    words: str = ""
    soft: bool = False
    unsure: str = ""
    advice: str = ""


NOTHING = Need()


def types_of(spec: ClusterSpec, dialect: DialectName) -> tuple[InstanceType, ...]:
    """A cluster's instance types; the control plane's own list where none is named (Lightning's is not known)."""
    if spec.instance_types:
        return spec.instance_types
    return tuple(InstanceType(name) for name in facts_of(dialect).default_instance_types)


def quotas_of(types: Iterable[str]) -> tuple[QuotaCode, ...]:
    """The quotas to look at for clusters of these instance types: the fixed ones, then theirs by market."""
    named = [vcpu_quota(name, market) for market in MARKETS for name in types]
    return (*(quota_by_code(code) for code in FIXED), *dict.fromkeys(quota for quota in named if quota))


def fixed_needs(clusters: Sequence[ClusterSpec], dialect: DialectName, has_role: bool | None) -> dict[str, Need]:
    """Of the quotas in ``FIXED``, for ``clusters``, none of which stands yet.

    ``has_role`` ``False``: the stack's role is to be made, too (the guide's 15 hold it); ``None``: that is not known,
    and a shortage only warns.
    """
    count = len(clusters)
    needs = {
        code: Need(each * count, f"{each * count} for {_clusters(count)}")
        for code, each in PER_CLUSTER.items()
        if count
    }
    groups = sum(len(types_of(spec, dialect)) * len(MARKETS) for spec in clusters)
    if groups:
        needs[GROUPS] = Need(groups, f"one for each instance type and market of {_clusters(count)}", soft=True)
    if not count and has_role is not True:
        role = Need(1, "the stack's role", soft=has_role is None)
        needs |= {ROLES: role, POLICIES: role}
    return needs


def per_role_need(role: Role, has_role: bool | None) -> Need:
    """How many managed policies the stack's role is given: those listed, and its own."""
    if has_role:
        return NOTHING
    return Need(
        len(managed_policies_of(role)) + bool(statements_of(role)),
        "the policies of the stack's role",
        soft=has_role is None,
    )


def vcpu_needs(
    clusters: Sequence[ClusterSpec], dialect: DialectName, vcpus: Mapping[str, int] | None, why: str = ""
) -> dict[str, Need]:
    """By quota code. Each cluster must be able to start the largest of its types in every family group and market.

    On-demand, what it keeps running (``overprovisioned_ondemand_count``) comes on top. Without ``vcpus`` one vCPU is
    the least there can be, and ``why`` says why they are not known. A cluster that names no types works without some of
    the control plane's own: these needs are soft.
    """
    parts: dict[str, list[Need]] = {}
    for spec in clusters:
        for market in MARKETS:
            for code, types in _by_quota(types_of(spec, dialect), market).items():
                need = _cluster_need(types, market, vcpus, why)
                named = need if spec.instance_types else replace(need, words=f"{need.words}{OWN_LIST}", soft=True)
                parts.setdefault(code, []).append(named)
    return {code: _sum(needs) for code, needs in parts.items()}


def _by_quota(types: Iterable[InstanceType], market: str) -> dict[str, list[InstanceType]]:
    found: dict[str, list[InstanceType]] = {}
    for item in types:
        quota = vcpu_quota(item.name, market)
        if quota:
            found.setdefault(quota.code, []).append(item)
    return found


def _cluster_need(types: Sequence[InstanceType], market: str, vcpus: Mapping[str, int] | None, why: str) -> Need:
    names = ", ".join(item.name for item in types)
    if vcpus is None:
        return Need(1, names, unsure=f"The vCPUs of {names} could not be read: {why}")
    offered = [item for item in types if item.name in vcpus]
    if not offered:
        return Need(0, names, unsure=f"The region does not offer {names}.", advice=OFFERED)
    largest = max(offered, key=lambda item: vcpus[item.name])
    kept = [item for item in offered if item.overprovisioned_ondemand_count and market == ON_DEMAND]
    more = sum(item.overprovisioned_ondemand_count * vcpus[item.name] for item in kept)
    words = [f"{largest.name} {vcpus[largest.name]}"]
    words += [f"{item.overprovisioned_ondemand_count} {item.name} kept running" for item in kept]
    return Need(vcpus[largest.name] + more, ", ".join(words))


def _sum(every: Sequence[Need]) -> Need:
    """Of what clusters name, all of it; what is soft counts where nothing else does."""
    needs = [need for need in every if not need.soft] or every
    return Need(
        sum(need.headroom for need in needs),
        ", ".join(dict.fromkeys(need.words for need in needs)) + (f", {len(needs)} clusters" if len(needs) > 1 else ""),
        soft=all(need.soft for need in needs),
        unsure=" ".join(dict.fromkeys(need.unsure for need in needs if need.unsure)),
        advice=" ".join(dict.fromkeys(need.advice for need in needs if need.advice)),
    )


def _clusters(count: int) -> str:
    return "the new cluster" if count == 1 else f"{count} new clusters"
