"""Compare each quota's limit with what is in use and what new clusters need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict

from gridbyoc.aws import AwsSession
from gridbyoc.aws.quotas import AccountQuotas, QuotaReading, open_request, read_quotas
from gridbyoc.aws.quotas import Increase as Increase  # what draws the rows gets it here
from gridbyoc.errors import AwsError
from gridbyoc.operations.finding import Verdict
from gridbyoc.operations.preflight.model import PreflightContext
from gridbyoc.stack.background import Background
from gridbyoc.stack.defaults import INSTANCE_TYPES, managed_policies_of, statements_of
from gridbyoc.stack.model import ClusterSpec, DialectName, InstanceType, Role, Stack
from gridbyoc.stack.service_quotas import ON_DEMAND, SPOT, QuotaCode, console_link, quota_by_code, vcpu_quota
from gridbyoc.stack.words import minute
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
"""Per new cluster. Roles and policies as in the guide; each cluster has one VPC, EKS cluster and bucket. One NAT
gateway with its address is the minimum for a VPC with private subnets, and only the minimum is proven."""


OWN_LIST = ", of the control plane's own list; a cluster works without it"

OFFERED = "`gridbyoc doctor --only offerings` names available types."


@dataclass(frozen=True, slots=True)
class QuotaNeed:
    """What must be free of a quota. ``words`` say what for; a shortage of a ``soft`` need only warns.

    ``unsure`` says why more than ``headroom`` may be needed, which is then the minimum; ``advice`` says what to do
    then.
    """

    headroom: int = 0
    words: str = ""
    soft: bool = False
    unsure: str = ""
    advice: str = ""


NOTHING = QuotaNeed()


def types_of(spec: ClusterSpec, dialect: DialectName) -> tuple[InstanceType, ...]:
    """A cluster's instance types; the control plane's own list if none is named (Lightning's is unknown)."""
    if spec.instance_types:
        return spec.instance_types
    return tuple(InstanceType(name) for name in facts_of(dialect).default_instance_types)


def quotas_of(types: Iterable[str]) -> tuple[QuotaCode, ...]:
    """The quotas to check for clusters of these instance types: the fixed ones, then those of the types by market."""
    named = [vcpu_quota(name, market) for market in MARKETS for name in types]
    return (*(quota_by_code(code) for code in FIXED), *dict.fromkeys(quota for quota in named if quota))


def fixed_needs(clusters: Sequence[ClusterSpec], dialect: DialectName, has_role: bool | None) -> dict[str, QuotaNeed]:
    """The needs of ``clusters``, none of which exists yet, for the quotas in ``FIXED``.

    ``has_role`` ``False``: the stack's role must be created, too (the guide's 15 include it). ``None``: unknown, so a
    shortage only warns.
    """
    count = len(clusters)
    needs = {
        code: QuotaNeed(each * count, f"{each * count} for {_clusters(count)}")
        for code, each in PER_CLUSTER.items()
        if count
    }
    groups = sum(len(types_of(spec, dialect)) * len(MARKETS) for spec in clusters)
    if groups:
        needs[GROUPS] = QuotaNeed(groups, f"one for each instance type and market of {_clusters(count)}", soft=True)
    if not count and has_role is not True:
        role = QuotaNeed(1, "the stack's role", soft=has_role is None)
        needs |= {ROLES: role, POLICIES: role}
    return needs


def per_role_need(role: Role, has_role: bool | None) -> QuotaNeed:
    """How many managed policies the stack's role gets: those listed, and its own."""
    if has_role:
        return NOTHING
    return QuotaNeed(
        len(managed_policies_of(role)) + bool(statements_of(role)),
        "the policies of the stack's role",
        soft=has_role is None,
    )


def vcpu_needs(
    clusters: Sequence[ClusterSpec], dialect: DialectName, vcpus: Mapping[str, int] | None, why: str = ""
) -> dict[str, QuotaNeed]:
    """vCPU needs by quota code: each cluster must be able to start its largest type in every family group and market.

    On demand, the instances that it keeps running (``overprovisioned_ondemand_count``) are added. Without ``vcpus`` the
    minimum is one vCPU, and ``why`` says why they are unknown. A cluster without instance types works without some of
    the control plane's own: these needs are soft.
    """
    parts: dict[str, list[QuotaNeed]] = {}
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


def _cluster_need(types: Sequence[InstanceType], market: str, vcpus: Mapping[str, int] | None, why: str) -> QuotaNeed:
    names = ", ".join(item.name for item in types)
    if vcpus is None:
        return QuotaNeed(1, names, unsure=f"The vCPUs of {names} could not be read: {why}")
    offered = [item for item in types if item.name in vcpus]
    if not offered:
        return QuotaNeed(0, names, unsure=f"The region does not offer {names}.", advice=OFFERED)
    largest = max(offered, key=lambda item: vcpus[item.name])
    kept = [item for item in offered if item.overprovisioned_ondemand_count and market == ON_DEMAND]
    more = sum(item.overprovisioned_ondemand_count * vcpus[item.name] for item in kept)
    words = [f"{largest.name} {vcpus[largest.name]}"]
    words += [f"{item.overprovisioned_ondemand_count} {item.name} kept running" for item in kept]
    return QuotaNeed(vcpus[largest.name] + more, ", ".join(words))


def _sum(every: Sequence[QuotaNeed]) -> QuotaNeed:
    """The sum of the hard needs; of the soft ones if there are no hard ones."""
    needs = [need for need in every if not need.soft] or every
    return QuotaNeed(
        sum(need.headroom for need in needs),
        ", ".join(dict.fromkeys(need.words for need in needs)) + (f", {len(needs)} clusters" if len(needs) > 1 else ""),
        soft=all(need.soft for need in needs),
        unsure=" ".join(dict.fromkeys(need.unsure for need in needs if need.unsure)),
        advice=" ".join(dict.fromkeys(need.advice for need in needs if need.advice)),
    )


def _clusters(count: int) -> str:
    return "the new cluster" if count == 1 else f"{count} new clusters"


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
"""Units of each quota, singular and plural; all other quotas count vCPUs."""


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """A quota with its verdict. ``needed`` is the limit that would suffice; ``None`` if unknown.

    ``why`` explains a warning or an unknown; ``pending`` is a request that AWS has not decided yet.
    """

    reading: QuotaReading
    need: QuotaNeed
    needed: int | None
    verdict: Verdict
    why: str = ""
    pending: Increase | None = None

    @property
    def quota(self) -> QuotaCode:
        """The quota of this row."""
        return self.reading.quota

    @property
    def region(self) -> str:
        """The region where the quota is read and raised."""
        return self.reading.region

    @property
    def limit(self) -> int | float | None:
        """The current limit; whole numbers as ``int``."""
        value = self.reading.limit.value
        return None if value is None else whole(value)

    @property
    def in_use(self) -> int | None:
        """What is in use: for a quota per zone, in the fullest zone."""
        return self.reading.use.value

    def amount(self, count: float) -> str:
        """``count`` with the quota's unit: ``1 vCPU``, ``5 VPCs``."""
        one, many = UNITS.get(self.quota.code, ("vCPU", "vCPUs"))
        return f"{whole(count)} {one if count == 1 else many}"

    @property
    def recommended(self) -> int | None:
        """The limit that the service's guide advises; never required. ``None`` if it advises nothing."""
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
    """Convert a whole number to ``int``: AWS returns every value as a float."""
    return int(value) if float(value).is_integer() else value


def review(account: AccountQuotas, needs: Mapping[str, QuotaNeed]) -> tuple[QuotaRow, ...]:
    """A row for each reading, in order; quotas that nobody needs pass."""
    return tuple(_renamed(_row(reading, needs.get(code, NOTHING))) for code, reading in account.readings.items())


def _row(reading: QuotaReading, need: QuotaNeed) -> QuotaRow:
    limit, use = reading.limit.value, reading.use
    needed = None if use.value is None else use.value + need.headroom
    if not need.headroom:
        return QuotaRow(reading, need, needed, "unknown" if need.unsure else "pass", need.unsure)
    # The minimum in use: zero if it could not be counted, the emptiest zone if zones differ.
    least = use.least if use.least is not None else use.value or 0
    if limit is not None and least + need.headroom > limit:
        return QuotaRow(reading, need, least + need.headroom, "warn" if need.soft else "fail", reading.limit.why)
    untold = next(filter(None, (reading.limit.why if limit is None else "", use.why, need.unsure)), "")
    if untold or limit is None or needed is None:
        return QuotaRow(reading, need, needed, "unknown", untold)
    if needed > limit:
        return QuotaRow(reading, need, needed, "warn", "The fullest zone has no room; another zone has.")
    return QuotaRow(reading, need, needed, "pass")


def _renamed(row: QuotaRow) -> QuotaRow:
    """Warn if AWS now has another name for the code: it may count something else by now."""
    name = row.reading.limit.name
    if not name or name.casefold() == row.quota.name.casefold():
        return row
    why = f"AWS now calls {row.quota.code} {name!r}; it was {row.quota.name!r}."
    return replace(row, verdict="warn" if row.verdict == "pass" else row.verdict, why=f"{row.why} {why}".strip())


def quota_rows(scene: PreflightContext) -> tuple[QuotaRow, ...]:
    """A row for every quota that the context's clusters need; raises only without AWS credentials.

    Without a stack file nothing is needed: the rows show the limits and use for the instance types of a starter.
    """
    session = scene.session()
    names = wanted_types(scene)
    reading = Background(lambda: read_quotas(session, quotas_of(names), names))
    scene.listed()  # meanwhile, list the clusters
    account = reading.result()
    if scene.stack is None:
        return tuple(_numbers(row) for row in review(account, {}))
    rows = review(account, _needs(scene, scene.stack, account))
    return _with_pending(session, (_spot_alone(row, rows, names) for row in rows))


def _needs(scene: PreflightContext, stack: Stack, account: AccountQuotas) -> dict[str, QuotaNeed]:
    """The needs by quota code.

    If the control plane cannot be asked whether a cluster exists already, all are soft, unless the stack has no role:
    then no cluster can exist.
    """
    new, dialect = scene.new_clusters(), stack.control_plane.type
    needs: dict[str, QuotaNeed] = {}
    if dialect != "manual":  # what its vendor runs is not known here
        needs |= fixed_needs(new, dialect, scene.has_role)
        needs |= vcpu_needs(new, dialect, account.vcpus, account.vcpus_why)
    if scene.listed() is None and scene.has_role is not False:
        needs = {code: replace(need, soft=True) for code, need in needs.items()}
    if stack.terraform.module is None:  # another module decides its role's policies
        needs[PER_ROLE] = per_role_need(stack.role, scene.has_role)
    return needs


def _spot_alone(row: QuotaRow, rows: Iterable[QuotaRow], names: Iterable[str]) -> QuotaRow:
    """Turn a shortage that only the spot market has into a warning: a cluster works without spot instances."""
    if row.verdict != "fail" or row.quota.market != SPOT:
        return row
    counterparts = {vcpu_quota(name) for name in names if vcpu_quota(name, SPOT) == row.quota}
    if any(other.quota in counterparts and other.verdict == "fail" for other in rows):
        return row
    return replace(row, verdict="warn", why=f"{row.why} Such machines can start on demand, but not as spot.".strip())


def wanted_types(scene: PreflightContext) -> tuple[str, ...]:
    """The instance types of every cluster of the context, each once."""
    if scene.stack is None:
        return INSTANCE_TYPES
    dialect = scene.stack.control_plane.type
    if dialect == "manual":
        return ()
    return tuple(dict.fromkeys(item.name for spec in scene.wanted for item in types_of(spec, dialect)))


def without_quota(scene: PreflightContext) -> tuple[tuple[str, str], ...]:
    """The instance types of the stack file that have no vCPU quota in AWS's list, each with the market."""
    names = wanted_types(scene) if scene.stack else ()
    return tuple((name, market) for name in names for market in MARKETS if vcpu_quota(name, market) is None)


def _numbers(row: QuotaRow) -> QuotaRow:
    """If nothing is needed, only the numbers matter: a number that could not be read is unknown."""
    why = row.reading.limit.why if row.limit is None else row.reading.use.why
    return replace(row, verdict="unknown", why=why) if row.limit is None or row.in_use is None else row


def _with_pending(session: AwsSession, rows: Iterable[QuotaRow]) -> tuple[QuotaRow, ...]:
    """The rows; those that are short get their open request."""
    found = tuple(rows)
    short = [row for row in found if row.verdict == "fail"]
    if not short:
        return found
    looking = {row.quota.code: Background(partial(_pending, session, row)) for row in short}
    pending = {code: look.result() for code, look in looking.items()}
    return tuple(replace(row, pending=pending.get(row.quota.code)) for row in found)


def _pending(session: AwsSession, row: QuotaRow) -> Increase | None:
    """The open request for a row; ``None`` if AWS cannot say, because the row does not depend on it."""
    try:
        return open_request(session, row.quota)
    except AwsError:
        return None


NO_QUOTA = "Look for it among EC2's quotas in the Service Quotas console."


def no_quota_words(instance_type: str, market: str) -> str:
    """The message for a type that no quota is known for."""
    return f"AWS names no {market} quota that {instance_type} counts against"


def read_words(row: QuotaRow) -> str:
    """``limit 5 vCPUs, 0 in use``; says what could not be read, and why."""
    limit = f"limit {row.amount(row.limit)}" if row.limit is not None else "limit unknown"
    use = f"{row.in_use} in use" if row.in_use is not None else "use unknown"
    return f"{limit}, {use}" + (f". {row.why}" if row.why else "")


def needed_words(row: QuotaRow) -> str:
    """``8 vCPUs (g4dn.xlarge 4, 1 g4dn.xlarge kept running)``, and the guide's advice if it is higher."""
    if not row.need.headroom:
        return "nothing more"
    at_least = "at least " if row.needed is None or row.need.unsure else ""
    amount = row.amount(row.need.headroom) + " free" if row.needed is None else row.amount(row.needed)
    advice = ""
    if row.recommended and row.recommended > max(row.needed or 0, row.limit or 0):
        advice = f"; the guide recommends {row.recommended}"
    return f"{at_least}{amount} ({row.need.words}){advice}"


def fix_words(row: QuotaRow) -> str:
    """The remedy for a shortage with both commands, or the open request if there is one."""
    if row.verdict == "unknown":
        return (
            row.need.advice or "Allow the call, or run again if it was throttled; `gridbyoc quotas` shows the numbers."
        )
    if row.pending is not None:
        return pending_words(row.pending, row.needed)
    if row.needed is None or row.limit is None or row.needed <= row.limit or not row.need.headroom:
        return "" if row.verdict == "pass" else f"Check at {row.console} whether it still counts the same."
    if row.reading.limit.adjustable is False:
        return f"AWS does not raise this quota ({row.console}): free some of it, or use another account or region."
    return f"`gridbyoc quotas request --code {row.quota.code}`, or `{aws_command(row, row.needed)}`; {row.console}"


def aws_command(row: QuotaRow, desired: int) -> str:
    """The AWS CLI command that requests ``desired``."""
    return (
        f"aws service-quotas request-service-quota-increase --service-code {row.quota.service} "
        f"--quota-code {row.quota.code} --desired-value {desired} --region {row.region}"
    )


def pending_words(request: Increase, needed: int | None) -> str:
    """An open request, and whether it suffices."""
    case = f", case {request.case_id}" if request.case_id else ""
    since = f" since {minute(request.created)}" if request.created else ""
    words = f"A request for {whole(request.desired)} is open{since} ({request.status}{case})"
    if needed is not None and request.desired < needed:
        return f"{words}, which is not enough: once it is decided, ask again with `gridbyoc quotas request`."
    return f"{words}; `gridbyoc quotas status` shows it."


class QuotaFacts(TypedDict):
    """The numbers of one quota; ``null`` means unknown. ``pending`` is the id of a request that AWS has not decided."""

    service: str
    quota_code: str
    quota_name: str
    region: str
    limit: float | None
    in_use: int | None
    headroom: int
    needed: int | None
    recommended: int | None
    adjustable: bool | None
    pending: str | None
    console: str


def quota_facts(row: QuotaRow) -> QuotaFacts:
    """The numbers of a row, for JSON."""
    return {
        "service": row.quota.service,
        "quota_code": row.quota.code,
        "quota_name": row.reading.limit.name or row.quota.name,
        "region": row.region,
        "limit": row.limit,
        "in_use": row.in_use,
        "headroom": row.need.headroom,
        "needed": row.needed,
        "recommended": row.recommended,
        "adjustable": row.reading.limit.adjustable,
        "pending": row.pending.id if row.pending else None,
        "console": row.console,
    }
