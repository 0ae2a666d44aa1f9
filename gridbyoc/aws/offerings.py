"""The EC2 instance types that a region or a zone offers, and their properties (``ec2:DescribeInstanceType*``)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridbyoc.aws.session import AwsSession, domain_errors

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeInfoTypeDef

MOST_VALUES = 200
"""EC2's limit of filter values in one call
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html)."""


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """An instance type's properties. ``gpu_maker`` is EC2's name (``NVIDIA``), empty without GPUs; memory is in MiB.

    ``architectures`` are EC2's names (``x86_64``, ``arm64``); ``current``: AWS lists it as current generation.
    """

    name: str
    vcpus: int
    memory: int
    gpus: int = 0
    gpu_maker: str = ""
    architectures: tuple[str, ...] = ("x86_64",)
    current: bool = True


def offered_types(session: AwsSession, names: Collection[str] = (), *, zone: str | None = None) -> frozenset[str]:
    """The types among ``names`` (default: all) that ``zone`` (default: the session's region) offers.

    ``ec2:DescribeInstanceTypeOfferings``; raises ``AwsError``.
    """
    with domain_errors(f"EC2 did not say which instance types {zone or session.region} offers"):
        ec2: EC2Client = session.client("ec2")
        pages = ec2.get_paginator("describe_instance_type_offerings")
        where: FilterTypeDef = {"Name": "location", "Values": [zone or session.region]}
        return frozenset(
            item["InstanceType"]
            for some in _portions(names)
            for page in pages.paginate(
                LocationType="availability-zone" if zone else "region",
                Filters=[where, _named(some)] if some else [where],
            )
            for item in page["InstanceTypeOfferings"]
        )


def zone_names(session: AwsSession) -> tuple[str, ...]:
    """The account's zones in the region (``ec2:DescribeAvailabilityZones``). Raises ``AwsError``."""
    with domain_errors(f"EC2 did not say which zones {session.region} has"):
        ec2: EC2Client = session.client("ec2")
        return tuple(sorted(zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]))


def type_facts(session: AwsSession, names: Collection[str]) -> dict[str, TypeFacts]:
    """The properties of types by name, without types that the region does not know.

    Calls ``ec2:DescribeInstanceTypes`` with a filter, because in a list of names one unknown type fails the whole
    call. Raises ``AwsError``.
    """
    if not names:
        return {}
    with domain_errors("EC2 did not say what the instance types are"):
        ec2: EC2Client = session.client("ec2")
        pages = ec2.get_paginator("describe_instance_types")
        found = [
            _facts(item)
            for some in _portions(names)
            for page in pages.paginate(Filters=[_named(some)])
            for item in page["InstanceTypes"]
        ]
    return {facts.name: facts for facts in found}


def _named(names: list[str]) -> FilterTypeDef:
    return {"Name": "instance-type", "Values": names}


def _portions(names: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    yield ordered[:MOST_VALUES]
    for start in range(MOST_VALUES, len(ordered), MOST_VALUES):
        yield ordered[start : start + MOST_VALUES]


def _facts(item: InstanceTypeInfoTypeDef) -> TypeFacts:
    gpus = item.get("GpuInfo", {}).get("Gpus", [])
    return TypeFacts(
        name=item["InstanceType"],
        vcpus=item.get("VCpuInfo", {}).get("DefaultVCpus", 0),
        memory=item.get("MemoryInfo", {}).get("SizeInMiB", 0),
        gpus=sum(gpu.get("Count", 0) for gpu in gpus),
        gpu_maker=gpus[0].get("Manufacturer", "") if gpus else "",
        architectures=tuple(item.get("ProcessorInfo", {}).get("SupportedArchitectures", [])),
        current=item.get("CurrentGeneration", True),
    )
