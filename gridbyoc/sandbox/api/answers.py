"""Clusters in the clients' JSON. Comments say what each client needs in order not to crash."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from typing import Any

from gridbyoc.sandbox.api.service import Seen
from gridbyoc.sandbox.api.spec import CONFIGURING, FAILED, PENDING, RUNNING, ClusterRecord, aws_section, is_direct
from gridbyoc.sandbox.settings import known_types

GRIDLET_VERSION = "sandbox"


def cluster_json(seen: Seen, *, configuring: bool = False) -> dict[str, Any]:
    """One cluster. CONFIGURING is sent only to clients that ask for it (``configuring``): it crashes older ones."""
    record = seen.record
    return {
        "id": record.id,
        "name": record.name,
        "createdAt": rfc3339(record.created_at),
        "protected": False,
        "spec": record.spec,
        "status": _status(seen, configuring=configuring),
    }


def phase_name(seen: Seen, *, configuring: bool = False) -> str:
    """The phase as an enum name: one of the five that every client knows, unless ``configuring``."""
    phase = PENDING if seen.phase == CONFIGURING and not configuring else seen.phase
    return f"CLUSTER_STATE_{phase}"


def rfc3339(seconds: float) -> str:
    """A time in protobuf's JSON format."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instance_types_json(record: ClusterRecord) -> list[dict[str, Any]]:
    """Two rows for each type of the cluster: on demand and spot. An unknown type has no price."""
    rows: list[dict[str, Any]] = []
    for entry in _instance_types(record):
        row: dict[str, Any] = {"name": entry["name"], "availability": "AVAILABILITY_AVAILABLE"}
        if known := known_types().get(entry["name"]):
            row |= {"cpu": str(known.cpu), "gpu": str(known.gpu), "memory": f"{known.memory:g}Gi"}
        rows.append(row | {"spot": False, "overprovisionedOndemandCount": entry.get("overprovisionedOndemandCount", 0)})
        rows.append(row | {"spot": True})
        if known:
            rows[-2]["hourlyCost"], rows[-1]["hourlyCost"] = known.on_demand, known.spot
    return rows


def accelerators_json(record: ClusterRecord) -> list[dict[str, Any]]:
    """The cluster's types for the clients that ask for accelerators."""
    types = known_types()
    names = [entry["name"] for entry in _instance_types(record)]
    return [
        {
            "clusterId": record.id,
            "instanceId": name,
            "slug": name,
            "displayName": name,
            "family": name.partition(".")[0],
            "acceleratorType": "GPU" if types[name].gpu else "CPU",
            "cost": types[name].on_demand,
            "spotPrice": types[name].spot,
            "enabled": True,
            "availableZones": [],
            "resources": {"cpu": types[name].cpu, "gpu": types[name].gpu, "memoryMb": int(types[name].memory * 1024)},
        }
        for name in names
        if name in types
    ]


def _instance_types(record: ClusterRecord) -> list[dict[str, Any]]:
    if not is_direct(record.spec):
        found: list[dict[str, Any]] = aws_section(record.spec)["instanceTypes"]
        return found
    names = record.spec.get("availableAccelerators") or list(known_types())
    return [{"name": name} for name in names]


def _status(seen: Seen, *, configuring: bool) -> dict[str, Any]:
    record = seen.record
    failed = seen.phase == FAILED
    status: dict[str, Any] = {
        "phase": phase_name(seen, configuring=configuring),
        "reason": record.verdict if failed else "",  # always a string: a client concatenates it
        "gridletVersion": GRIDLET_VERSION,
    }
    if is_direct(record.spec):
        state = {RUNNING: "COMPLETED", FAILED: "FAILED"}.get(seen.phase, "PENDING")
        regions = aws_section(record.spec)["regions"]
        status["awsV1RegionStatus"] = [
            {"region": region, "state": f"REGION_STATE_{state}", "reason": status["reason"]} for region in regions
        ]
    elif seen.phase == RUNNING:
        status["driverStatus"] = {"kubernetes": _kubernetes_status(record)}
    return status


def _kubernetes_status(record: ClusterRecord) -> dict[str, Any]:
    """Details of a running cluster, made up from its name. The certificates must be base64."""
    digest = hashlib.sha256(record.id.encode()).hexdigest()
    region = aws_section(record.spec)["region"]
    return {
        "ingressLoadBalancerHostname": f"{digest[:32]}.elb.{region}.example.com",
        "ingressCaCert": _certificate(),
        "monitoringClientCert": _certificate(),
        "monitoringClientKey": _certificate(),
        "eks": {"vpcId": f"vpc-{digest[:17]}"},
    }


def _certificate() -> str:
    return base64.b64encode(b"-----BEGIN SANDBOX-----\nnothing is behind this\n-----END SANDBOX-----\n").decode()
