"""EC2's regions and zones.

Shape: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html and API_DescribeAvailabilityZones
(botocore ``ec2``). moto answers with every region whatever is asked, takes no filter and no name that is none, counts
three regions as always on that have to be opted in to, and leaves ``OptInStatus`` out of the zones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbyoc.sandbox.api.trust import matches
from gridbyoc.sandbox.aws_extra.answer import AwsError
from gridbyoc.sandbox.aws_extra.caller import Caller

ALWAYS_ON = frozenset(
    ("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
     "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
     "us-east-2", "us-west-1", "us-west-2")
)  # fmt: skip
"""Regions of before March 2019: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html"""


def describe_regions(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """The regions that are enabled, or all of them."""
    names = given.get("RegionNames") or []
    regions = [_region(region, caller.region) for region in _ec2(caller).regions]
    unknown = sorted(set(names) - {region["RegionName"] for region in regions})
    if unknown:
        raise AwsError("InvalidParameterValue", f"Invalid region names: {', '.join(unknown)}")
    chosen = [
        region
        for region in chosen_by(regions, given.get("Filters"), _REGION_FILTERS)
        if region["RegionName"] in names or (not names and (given.get("AllRegions") or region["OptInStatus"] != _OFF))
    ]
    return {"Regions": chosen}


def describe_availability_zones(caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """The region's zones, which moto knows, with whether they are enabled."""
    found = _ec2(caller).describe_availability_zones(None, given.get("ZoneNames"), given.get("ZoneIds"))
    return {"AvailabilityZones": chosen_by([_zone(zone) for zone in found], given.get("Filters"), _ZONE_FILTERS)}


def chosen_by(items: Sequence[dict[str, Any]], filters: Any, names: Mapping[str, str]) -> list[dict[str, Any]]:  # noqa: ANN401 -- as parsed
    """Those that EC2's ``Filters`` let through; ``names`` maps a filter to the member that it looks at."""
    wanted = {each["Name"]: each.get("Values") or [] for each in filters or []}
    if unknown := sorted(set(wanted) - set(names)):
        raise AwsError("InvalidParameterValue", f"The filter '{unknown[0]}' is invalid")
    return [
        item
        for item in items
        if all(any(matches(value, item[names[name]]) for value in values) for name, values in wanted.items())
    ]


_OFF = "not-opted-in"
_REGION_FILTERS = {"endpoint": "Endpoint", "opt-in-status": "OptInStatus", "region-name": "RegionName"}
_ZONE_FILTERS = {
    "group-name": "GroupName",
    "opt-in-status": "OptInStatus",
    "region-name": "RegionName",
    "state": "State",
    "zone-id": "ZoneId",
    "zone-name": "ZoneName",
    "zone-type": "ZoneType",
}


def _region(region: Any, here: str) -> dict[str, Any]:  # noqa: ANN401 -- moto's object
    status = "opt-in-not-required" if region.name in ALWAYS_ON else "opted-in" if region.name == here else _OFF
    return {"RegionName": region.name, "Endpoint": region.endpoint, "OptInStatus": status}


def _zone(zone: Any) -> dict[str, Any]:  # noqa: ANN401 -- moto's object
    return {
        "RegionName": zone.region_name,
        "ZoneName": zone.name,
        "ZoneId": zone.zone_id,
        "ZoneType": zone.zone_type,
        "State": zone.state,
        "Messages": [],
        "OptInStatus": "opt-in-not-required",
        "GroupName": f"{zone.region_name}-zg-1",
        "NetworkBorderGroup": zone.region_name,
    }


def _ec2(caller: Caller) -> Any:  # noqa: ANN401 -- moto's backend
    from moto.ec2.models import ec2_backends

    try:
        return ec2_backends[caller.account_id][caller.region]
    except KeyError:  # AWS has no endpoint for such a region
        raise AwsError("InvalidParameterValue", f"Invalid region names: {caller.region}") from None
