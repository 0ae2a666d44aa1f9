"""Quotas of the account: their limits, their usage, and requests to raise them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from gridbyoc.aws.offerings import type_facts
from gridbyoc.aws.session import AwsSession, domain_errors, error_code
from gridbyoc.errors import AwsError
from gridbyoc.stack.background import Readers
from gridbyoc.stack.service_quotas import (
    ON_DEMAND,
    SPOT,
    QuotaCode,
    quota_by_code,
    quota_codes,
    quota_region,
    vcpu_quota,
)

OPEN_STATUSES = frozenset({"PENDING", "CASE_OPENED"})
"""The statuses of a request that AWS has not decided yet.
https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_RequestedServiceQuotaChange.html"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota's limit. ``value`` is ``None`` if it could not be read; ``why`` says why.

    ``name`` is AWS's current name of the quota; ``adjustable``: whether it can be raised (``None``: unknown).
    """

    value: float | None
    name: str = ""
    adjustable: bool | None = None
    why: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """The usage of a quota. ``value`` is ``None`` if it could not be counted; ``why`` says why.

    For a quota per zone, ``value`` is the usage of the fullest zone and ``least`` that of the emptiest; for others,
    ``least`` is ``None``. ``limit`` is the limit that the counting call also returns, if it does.
    """

    value: int | None
    least: int | None = None
    limit: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class QuotaReading:
    """A quota's limit and usage in ``region``, the region in which it is read and raised."""

    quota: QuotaCode
    region: str
    limit: Limit
    use: Use


@dataclass(frozen=True, slots=True)
class AccountQuotas:
    """Readings by code, and the vCPUs of the instance types that the region offers.

    ``vcpus`` is ``None`` if they could not be read; ``vcpus_why`` says why.
    """

    readings: Mapping[str, QuotaReading]
    vcpus: Mapping[str, int] | None
    vcpus_why: str = ""


@dataclass(frozen=True, slots=True)
class Increase:
    """A request to raise a quota. ``status`` is AWS's (``PENDING``, ``CASE_OPENED``, ``APPROVED``, ``DENIED``, …).

    ``case_id`` is the AWS Support case, empty if there is none. Times are in UTC, ``None`` if AWS does not return them.
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
        """Whether AWS has not decided yet."""
        return self.status in OPEN_STATUSES


APPLIED = "servicequotas:GetServiceQuota"
DEFAULT = "servicequotas:GetAWSDefaultServiceQuota"


def read_limit(session: AwsSession, quota: QuotaCode) -> Limit:
    """The limit for clusters in the session's region. Never raises ``AwsError``: an unreadable limit has no value.

    If the account has no applied value for the quota, AWS's default applies:
    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html
    """
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        with domain_errors(f"The quota {quota.code} could not be read"):
            client = session.client("service-quotas", quota_region(quota, session.region))
            try:
                return _limit(client.get_service_quota(**asked)["Quota"], APPLIED)
            except ClientError as error:
                if error_code(error) != "NoSuchResourceException":
                    raise
            return _limit(client.get_aws_default_service_quota(**asked)["Quota"], DEFAULT)
    except AwsError as error:
        return Limit(None, why=reason(error), source=APPLIED)


def reason(error: AwsError) -> str:
    """Why something could not be read, in one line."""
    return error.why or error.what


def _limit(found: Mapping[str, Any], source: str) -> Limit:
    value = found.get("Value")
    # Service Quotas returns a reason instead of a value if it may not query the service.
    trouble = dict(found.get("ErrorReason") or {})
    why = "" if value is not None else str(trouble.get("ErrorMessage") or "Service Quotas gave no value.")
    return Limit(
        None if value is None else float(value), str(found.get("QuotaName", "")), found.get("Adjustable"), why, source
    )


Count = Callable[[AwsSession], Mapping[str, Use]]
"""Counts the usage in the session's region, by quota code."""

NAT_STATES = ["pending", "available", "deleting"]
"""The states in which a gateway counts.
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-gateways"""

NO_LOCAL_ZONES = [{"Name": "zone-type", "Values": ["availability-zone"]}]
"""Excludes Local and Wavelength Zones that the account has opted in to: no cluster is created there.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeAvailabilityZones.html"""


def pages(client: Any, operation: str, key: str, **arguments: object) -> Iterator[Any]:  # noqa: ANN401 - any service
    """Every element of the list ``key``, over all pages."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key) or ()


def _auto_scaling(session: AwsSession) -> Mapping[str, Use]:
    told = session.client("autoscaling").describe_account_limits()
    names = {"L-CDE20ADC": "AutoScalingGroups", "L-6B80B8FA": "LaunchConfigurations"}
    return {
        code: Use(int(told[f"NumberOf{name}"]), limit=float(told[f"MaxNumberOf{name}"])) for code, name in names.items()
    }


def _iam(session: AwsSession) -> Mapping[str, Use]:
    told = session.client("iam").get_account_summary()["SummaryMap"]
    per_role = told.get("AttachedPoliciesPerRoleQuota")
    return {
        "L-FE177D64": Use(int(told["Roles"]), limit=_number(told.get("RolesQuota"))),
        "L-E95E4862": Use(int(told["Policies"]), limit=_number(told.get("PoliciesQuota"))),
        "L-0DA4ABF3": Use(0, limit=_number(per_role)),
    }


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _vpcs(session: AwsSession) -> Mapping[str, Use]:
    """Count the account's own VPCs. EC2 also lists shared VPCs, which count against their owner's quota.

    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html
    """
    account = session.client("sts").get_caller_identity()["Account"]
    found = pages(session.client("ec2"), "describe_vpcs", "Vpcs")
    return {"L-F678F1CE": Use(sum(vpc.get("OwnerId", account) == account for vpc in found))}


def _addresses(session: AwsSession) -> Mapping[str, Use]:
    """Count Elastic IPs, without those from the account's own pools or managed by a service."""
    found = session.client("ec2").describe_addresses()["Addresses"]
    counted = [
        address
        for address in found
        if address.get("PublicIpv4Pool", "amazon") == "amazon"
        and not address.get("CustomerOwnedIpv4Pool")
        and not address.get("ServiceManaged")
    ]
    return {"L-0263D0A3": Use(len(counted))}


def _nat_gateways(session: AwsSession) -> Mapping[str, Use]:
    """Count gateways per zone, because the quota is per zone; return the fullest and the emptiest zone."""
    client = session.client("ec2")
    states = [{"Name": "state", "Values": NAT_STATES}]
    subnets = [
        str(gateway.get("SubnetId"))
        for gateway in pages(client, "describe_nat_gateways", "NatGateways", Filters=states)
        if gateway.get("SubnetId")
    ]
    if not subnets:
        return {"L-FE5A380F": Use(0, least=0)}
    chosen = [{"Name": "subnet-id", "Values": sorted(set(subnets))}]
    zones = {
        str(subnet["SubnetId"]): str(subnet["AvailabilityZone"])
        for subnet in pages(client, "describe_subnets", "Subnets", Filters=chosen)
    }
    asked = client.describe_availability_zones(Filters=NO_LOCAL_ZONES)["AvailabilityZones"]
    every = [str(zone["ZoneName"]) for zone in asked]
    in_zone = Counter(zones[subnet] for subnet in subnets if subnet in zones)
    counts = [in_zone[zone] for zone in {*every, *in_zone}]
    return {"L-FE5A380F": Use(max(counts), least=min(counts))}


def _buckets(session: AwsSession) -> Mapping[str, Use]:
    return {"L-DC2B2D3D": Use(sum(1 for _ in pages(session.client("s3"), "list_buckets", "Buckets")))}


def _clusters(session: AwsSession) -> Mapping[str, Use]:
    return {"L-1194D53C": Use(sum(1 for _ in pages(session.client("eks"), "list_clusters", "clusters")))}


COUNTS: Mapping[str, Count] = {
    "autoscaling:DescribeAccountLimits": _auto_scaling,
    "iam:GetAccountSummary": _iam,
    "ec2:DescribeVpcs": _vpcs,
    "ec2:DescribeAddresses": _addresses,
    "ec2:DescribeNatGateways": _nat_gateways,
    "s3:ListAllMyBuckets": _buckets,
    "eks:ListClusters": _clusters,
}
"""The counting function by ``QuotaCode.counted``; ``read_machines`` counts vCPUs."""


Running = Mapping[tuple[str, str], int]
"""The number of running instances by type and market."""


@dataclass(frozen=True, slots=True)
class Machines:
    """vCPUs by instance type, and usage by quota code; ``None``, with the reason, if they could not be read."""

    vcpus: Mapping[str, int] | None
    in_use: Mapping[str, Use] | None
    vcpus_why: str = ""
    in_use_why: str = ""

    def use(self, code: str) -> Use:
        """The usage of a vCPU quota."""
        return Use(None, why=self.in_use_why) if self.in_use is None else self.in_use.get(code, Use(0))


def read_machines(session: AwsSession, types: Iterable[str]) -> Machines:
    """Read the running instances, then the vCPUs of their types and of ``types`` in one go. Never raises."""
    why, running = "", None
    try:
        with domain_errors("The running instances could not be read"):
            running = _running(session)
    except AwsError as error:
        why = reason(error)
    wanted = {*types, *(name for name, _ in running or ())}
    try:
        vcpus = {name: facts.vcpus for name, facts in type_facts(session, wanted).items() if facts.vcpus}
    except AwsError as error:
        unread = Use(None, why=reason(error))
        in_use = None if running is None else dict.fromkeys(_codes(running), unread)
        return Machines(None, in_use, reason(error), why)
    return Machines(vcpus, None if running is None else _in_use(running, vcpus), in_use_why=why)


def _running(session: AwsSession) -> Running:
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = pages(session.client("ec2"), "describe_instances", "Reservations", Filters=states)
    machines = [machine for reservation in found for machine in reservation["Instances"]]
    markets = ((str(machine["InstanceType"]), _market(machine)) for machine in machines)
    return Counter((name, market) for name, market in markets if market)


def _market(machine: Mapping[str, Any]) -> str:
    """The instance's market; empty if it counts in neither: on a dedicated host, or in a Capacity Block.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits
    """
    if dict(machine.get("Placement") or {}).get("Tenancy") == "host":
        return ""
    return {None: ON_DEMAND, "spot": SPOT}.get(machine.get("InstanceLifecycle"), "")


def _codes(running: Running) -> Iterator[str]:
    for name, market in running:
        quota = vcpu_quota(name, market)
        if quota:
            yield quota.code


def _in_use(running: Running, vcpus: Mapping[str, int]) -> dict[str, Use]:
    found: dict[str, Use] = {}
    for (name, market), count in sorted(running.items()):
        quota = vcpu_quota(name, market)
        if quota is None:
            continue
        before = found.get(quota.code, Use(0))
        if name not in vcpus:
            found[quota.code] = Use(None, why=f"EC2 does not say how many vCPUs a running {name} has.")
        elif before.value is not None:
            found[quota.code] = Use(before.value + count * vcpus[name])
    return found


AT_ONCE = 8
"""Parallel calls: Service Quotas answers about ten calls a second and throttles more."""


def read_quotas(session: AwsSession, quotas: Sequence[QuotaCode], types: Iterable[str] = ()) -> AccountQuotas:
    """Limit and usage of ``quotas`` for clusters in the session's region, and the vCPUs of ``types``.

    Never raises for an unreadable value: it is ``None`` in the result, with the reason.
    """
    readers = Readers(AT_ONCE)
    machines = readers.submit(lambda: read_machines(session, types))
    calls = dict.fromkeys(quota.counted for quota in quotas if not quota.family_group)
    counting = {call: readers.submit(partial(_count, session, call)) for call in calls}
    limits = {quota: readers.submit(partial(read_limit, session, quota)) for quota in quotas}
    readings = {}
    for quota in quotas:
        grouped = bool(quota.family_group)
        use = machines.result().use(quota.code) if grouped else _use(counting[quota.counted].result(), quota)
        limit = _told(limits[quota].result(), use)
        readings[quota.code] = QuotaReading(quota, quota_region(quota, session.region), limit, use)
    return AccountQuotas(readings, machines.result().vcpus, machines.result().vcpus_why)


def _count(session: AwsSession, call: str) -> Mapping[str, Use] | AwsError:
    try:
        with domain_errors(f"{call} did not answer"):
            return COUNTS[call](session)
    except AwsError as error:
        return error


def _use(counted: Mapping[str, Use] | AwsError, quota: QuotaCode) -> Use:
    if isinstance(counted, AwsError):
        return Use(None, why=reason(counted))
    return counted[quota.code]


def _told(limit: Limit, use: Use) -> Limit:
    """The limit, or the counting call's limit if Service Quotas has none."""
    if limit.value is None and use.limit is not None:
        return Limit(use.limit, source="the call that counts")
    return limit


HISTORY = "list_requested_service_quota_change_history"


def open_request(session: AwsSession, quota: QuotaCode) -> Increase | None:
    """The request for this quota that AWS has not decided yet; ``None`` if there is none. Raises ``AwsError``."""
    where = quota_region(quota, session.region)
    asked = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    with domain_errors(f"The requests for the quota {quota.code} could not be read"):
        client = session.client("service-quotas", where)
        try:
            found = list(pages(client, f"{HISTORY}_by_quota", "RequestedQuotas", **asked))
        except ClientError as error:
            if error_code(error) != "NoSuchResourceException":
                raise
            return None  # there has never been a request for this quota
        return next((each for each in (_increase(item, where) for item in found) if each.open), None)


def request_increase(session: AwsSession, quota: QuotaCode, desired: int) -> Increase | None:
    """Ask AWS for ``desired``; ``None`` if there is already an open request. Raises ``AwsError`` if AWS refuses."""
    where = quota_region(quota, session.region)
    with domain_errors(f"The quota {quota.code} ({quota.name}) could not be asked for"):
        try:
            answer = session.client("service-quotas", where).request_service_quota_increase(
                ServiceCode=quota.service, QuotaCode=quota.code, DesiredValue=float(desired)
            )
        except ClientError as error:
            if error_code(error) == "ResourceAlreadyExistsException":
                return None
            raise
        return _increase(answer["RequestedQuota"], where)


def read_request(session: AwsSession, request: Increase) -> Increase:
    """The request's current state. Raises ``AwsError``."""
    with domain_errors(f"The request {request.id} could not be read"):
        client = session.client("service-quotas", request.region)
        answer = client.get_requested_service_quota_change(RequestId=request.id)
        return _increase(answer["RequestedQuota"], request.region)


def list_requests(session: AwsSession, region: str) -> tuple[Increase, ...]:
    """Every request for one of our quotas in a region, in AWS's order. Raises ``AwsError``."""
    ours = {quota.code for quota in quota_codes()}
    with domain_errors(f"The quota requests in {region} could not be read"):
        found = list(pages(session.client("service-quotas", region), HISTORY, "RequestedQuotas"))
        return tuple(_increase(item, region) for item in found if item["QuotaCode"] in ours)


def _increase(item: Mapping[str, Any], region: str) -> Increase:
    return Increase(
        id=str(item["Id"]),
        quota=quota_by_code(str(item["QuotaCode"])),
        region=region,
        desired=float(item["DesiredValue"]),
        status=str(item["Status"]),
        case_id=str(item.get("CaseId") or ""),
        created=item.get("Created"),
        updated=item.get("LastUpdated"),
    )
