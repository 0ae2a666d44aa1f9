"""AWS regions and partitions, from botocore's data files, without the network and without importing botocore."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridbyoc.stack.document import Fault
from gridbyoc.stack.words import nearest, show


def data_directories() -> tuple[Path, ...]:
    """The data directories of the installed botocore; empty if it is not installed."""
    spec = importlib.util.find_spec("botocore")
    return tuple(Path(place, "data") for place in (spec.submodule_search_locations if spec else None) or ())


def partitions(directories: tuple[Path, ...] | None = None) -> list[dict[str, Any]]:
    """The AWS partitions with their regions; empty if the directories (default: botocore's) do not have them."""
    for directory in data_directories() if directories is None else directories:
        file = directory / "partitions.json"
        if file.is_file():
            return list(json.loads(file.read_text(encoding="utf-8"))["partitions"])
    return []


@functools.cache
def known_types(directories: tuple[Path, ...] | None = None) -> frozenset[str]:
    """The EC2 instance types of botocore's model. For suggestions only: the model may be older than EC2 itself."""
    for directory in data_directories() if directories is None else directories:
        for model in sorted(directory.glob("ec2/*/service-2.json.gz"), reverse=True):
            with gzip.open(model) as stream:
                return frozenset(json.load(stream)["shapes"]["InstanceType"]["enum"])
    return frozenset()


HOME_REGIONS: Mapping[str, str] = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-eusc": "eusc-de-east-1",
}
"""The region of each partition that hosts its global services (IAM); it is enabled in every account.

https://docs.aws.amazon.com/servicequotas/latest/userguide/intro.html
"""

_DIRECTIONS = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c"}


@functools.cache
def regions() -> Mapping[str, str]:
    """Region → partition (``us-west-2`` → ``aws``), as botocore knows them; empty if its data is missing."""
    found: dict[str, str] = {}
    for partition in partitions():
        found |= {name: partition["id"] for name in partition["regions"] if not name.endswith("-global")}
    return found


def partition_of(region: str) -> str | None:
    """The partition of a region, ``None`` for an unknown region."""
    return regions().get(region)


def region_fault(region: str) -> Fault | None:
    """The fault of a zone, a zone id or an unknown region; ``None`` for a known region."""
    known = regions()
    if not known or region in known:
        return None
    zone_of = _region_of_zone(region.lower())
    if zone_of:
        return Fault(f"{show(region)} is a zone, not a region", f"write `{zone_of}`")
    if region.lower() in known:
        return Fault(f"{show(region)} is not a region: they are written in lower case", f"write `{region.lower()}`")
    close = nearest(region, known)
    newer = "if the region is newer than the installed botocore, upgrade botocore"
    return Fault(f"{show(region)} is not a known AWS region", f"did you mean `{close}`?" if close else newer)


def _region_of_zone(text: str) -> str | None:
    """The region of ``us-west-2a``, of ``us-west-2-lax-1a`` and of ``usw2-az1``."""
    for region in sorted(regions(), key=len, reverse=True):
        rest = text[len(region) :]
        if text.startswith(region) and re.fullmatch(r"[a-z]|-[a-z0-9-]+", rest):
            return region
        if re.fullmatch(rf"{_zone_id_start(region)}-[a-z0-9-]+", text):
            return region
    return None


def _zone_id_start(region: str) -> str:
    """``us-northeast-2`` → ``usne2``: the prefix of the region's zone ids."""
    *area, direction, number = region.split("-")
    for word, letter in _DIRECTIONS.items():
        direction = direction.replace(word, letter)
    return "".join(area) + direction + number


_ARN = re.compile(r"arn:([^:]*):([^:]*):([^:]*):([^:]*):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Arn:
    """``arn:partition:service:region:account:resource``."""

    partition: str
    service: str
    region: str
    account: str
    resource: str


def parse_arn(text: str) -> Arn | None:
    """The parts of an ARN, ``None`` if ``text`` is not an ARN."""
    match = _ARN.fullmatch(text)
    return Arn(*match.groups()) if match else None
