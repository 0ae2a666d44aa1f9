"""What the tests of the preflight's checks share: a scene of given parts, an EC2 and an IAM that answer from data."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.errors import ControlPlaneUnreachableError, GridbyocError, TerraformNotFoundError
from gridbyoc.operations.finding import Finding
from gridbyoc.operations.preflight.examine import examine
from gridbyoc.operations.preflight.model import Check, Machine, PreflightContext, Shared, set_scene
from gridbyoc.stack.model import Stack

SESSION = boto3.session.Session()
"""One for all: making it takes longer than a test."""
NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
CALLER = Caller("123456789012", "arn:aws:iam::123456789012:user/ada")


def _absent() -> Any:
    raise TerraformNotFoundError("There is no terraform.", fix="Install one.")


def scene_of(
    stack: Stack | None,
    *,
    work_dir: Path = Path("/nowhere"),
    registrar: Any = None,
    **clients: Any,
) -> PreflightContext:
    """A scene with these parts; ``clients`` are those of the AWS session, by the service's name."""

    def connect() -> Any:
        if registrar is None:
            raise ControlPlaneUnreachableError("There is no control plane.")
        if isinstance(registrar, GridbyocError):
            raise registrar
        return registrar

    machine = Machine({}, Path("/nowhere"), time.monotonic, lambda _seconds: None, lambda: NOW)
    scene = set_scene(stack, machine, work_dir=work_dir, find_binary=_absent, connect=connect)
    made = {(name, scene.region): client for name, client in clients.items()}
    session = AwsSession(SESSION, scene.region, _clients=made)
    return replace(scene, session=Shared(lambda: session), caller=Shared(lambda: CALLER))


def results(scene: PreflightContext, checks: tuple[Check, ...]) -> dict[str, list[Finding]]:
    """What the checks find, by code."""
    found: dict[str, list[Finding]] = {}
    for finding in examine(scene, checks):
        found.setdefault(finding.code, []).append(finding)
    return found


def verdicts(found: Mapping[str, list[Finding]]) -> dict[str, str]:
    """Each code and its findings' verdicts."""
    return {code: " ".join(finding.verdict for finding in findings) for code, findings in found.items()}


def refusal(operation: str, code: str = "UnauthorizedOperation") -> ClientError:
    """AWS's no."""
    return ClientError({"Error": {"Code": code, "Message": "You are not authorized."}}, operation)


@dataclass
class Ec2:
    """An EC2 with these types offered by region and by zone; ``types`` are DescribeInstanceTypes' own rows."""

    region: Collection[str]
    by_zone: Mapping[str, Collection[str]]
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)

    def get_paginator(self, operation: str) -> Any:
        return _Pages(self, operation)

    def describe_availability_zones(self) -> dict[str, Any]:
        self.calls.append("zones")
        return {"AvailabilityZones": [{"ZoneName": name} for name in self.by_zone]}

    def pages(self, operation: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if operation in self.refused:
            raise refusal(operation)
        filters = {each["Name"]: each["Values"] for each in request["Filters"]}
        named = filters.get("instance-type")
        if operation == "describe_instance_types":
            self.calls.append("types")
            yield {
                "InstanceTypes": [row(name, **self.types.get(name, {})) for name in named or () if self._known(name)]
            }
            return
        zone = filters["location"][0] if request["LocationType"] == "availability-zone" else None
        self.calls.append(f"offers {zone or 'region'}" + ("" if named else ", all"))
        there = self.by_zone.get(zone, ()) if zone else self.region
        # two pages, as EC2 cuts a long answer
        half = sorted(name for name in there if named is None or name in named)
        for part in (half[::2], half[1::2]):
            yield {"InstanceTypeOfferings": [{"InstanceType": name} for name in part]}

    def _known(self, name: str) -> bool:
        return name in self.region


@dataclass
class _Pages:
    ec2: Ec2
    operation: str

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        return self.ec2.pages(self.operation, request)


def row(
    name: str, *, vcpus: int = 2, gib: float = 4, gpus: int = 0, maker: str = "NVIDIA", arch: str = "x86_64",
    current: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """One row of DescribeInstanceTypes."""
    gpu = {"GpuInfo": {"Gpus": [{"Count": gpus, "Manufacturer": maker}]}} if gpus else {}
    return {
        "InstanceType": name,
        "CurrentGeneration": current,
        "VCpuInfo": {"DefaultVCpus": vcpus},
        "MemoryInfo": {"SizeInMiB": int(gib * 1024)},
        "ProcessorInfo": {"SupportedArchitectures": [arch]},
        **gpu,
    }
