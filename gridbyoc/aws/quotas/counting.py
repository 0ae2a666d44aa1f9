"""How much of each quota is in use: one call, or one and its pages, for all quotas that it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gridbyoc.aws.quotas.model import Use
from gridbyoc.aws.session import AwsSession

Count = Callable[[AwsSession], Mapping[str, Use]]
"""Counts in the session's region; by quota code."""

NAT_STATES = ["pending", "available", "deleting"]
"""A gateway counts in these.
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-gateways"""

NO_LOCAL_ZONES = [{"Name": "zone-type", "Values": ["availability-zone"]}]
"""Local and Wavelength Zones that the account has opted in to are listed with the others; no cluster is made there.
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
    """EC2 lists those as well that another account shares with this one: they are in that one's quota.

    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-sharing.html
    """
    account = session.client("sts").get_caller_identity()["Account"]
    found = pages(session.client("ec2"), "describe_vpcs", "Vpcs")
    return {"L-F678F1CE": Use(sum(vpc.get("OwnerId", account) == account for vpc in found))}


def _addresses(session: AwsSession) -> Mapping[str, Use]:
    """Addresses of the account's own pools, and those that a service manages, are not the account's to count."""
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
    """The quota holds in each zone by itself, so the fullest and the emptiest are told."""
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
"""By ``QuotaCode.counted``; the vCPUs in use are counted in ``machines``."""
