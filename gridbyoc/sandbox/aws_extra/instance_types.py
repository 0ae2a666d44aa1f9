"""EC2's instance types, and where they are offered.

Shape: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html and
API_DescribeInstanceTypeOfferings.html (botocore ``ec2``). The data is moto's, which was read from AWS. moto describes
every type in every region, all on one page; here a type that is not offered in the region does not exist there.
For a region that moto has no offerings of, every type is offered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.sandbox.aws_extra.answer import AwsError
from gridbyoc.sandbox.aws_extra.caller import Caller
from gridbyoc.sandbox.aws_extra.paging import page_of
from gridbyoc.sandbox.aws_extra.places import chosen_by

_OFFERING_FILTERS = {"location": "Location", "instance-type": "InstanceType"}


def describe_instance_types(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """The region's types, or those that are named. An unknown name is an error, as it is in EC2."""
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    names = set(given.get("InstanceTypes") or [])
    offered = {each["InstanceType"] for each in _offerings(caller.region, "region")}
    if unknown := sorted(names - offered):
        raise AwsError(
            "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        )
    filters = {each["Name"]: each.get("Values") or [] for each in given.get("Filters") or []}
    found = ec2_backends[caller.account_id][caller.region].describe_instance_types(None, filters or None)
    chosen = sorted({each["InstanceType"] for each in found} & (names or offered))
    return page_of("InstanceTypes", [INSTANCE_TYPES[name] for name in chosen], given)


def describe_instance_type_offerings(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """Where types are offered: the region, its zones, or its zones by id. Filters take wildcards."""
    offerings = _offerings(caller.region, str(given.get("LocationType") or "region"))
    chosen = chosen_by(offerings, given.get("Filters"), _OFFERING_FILTERS)
    return page_of("InstanceTypeOfferings", chosen, {"MaxResults": 1000, **given})


def _offerings(region: str, location_type: str) -> list[dict[str, Any]]:
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

    if location_type not in INSTANCE_TYPE_OFFERINGS:
        raise AwsError("InvalidParameterValue", f"Invalid value '{location_type}' for LocationType")
    known: list[dict[str, Any]] | None = INSTANCE_TYPE_OFFERINGS[location_type].get(region)
    if known is not None:
        return known
    return [{"InstanceType": name, "Location": region, "LocationType": location_type} for name in INSTANCE_TYPES]
