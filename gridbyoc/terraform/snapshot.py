"""What a state document says of itself: enough to tell whether two of them are the same, and which is newer."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Lineage, serial, the addresses of all instances, and a SHA-256 of their attributes and of the outputs.

    The digest holds no secret that could be read back, and is for comparing only.
    """

    lineage: str
    serial: int
    addresses: frozenset[str]
    digest: str
    empty: bool

    def same_content(self, other: Snapshot) -> bool:
        """Both hold the same instances with the same attributes, and the same outputs."""
        return self.digest == other.digest and self.addresses == other.addresses


def snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    """A state document (version 4, as ``state pull`` prints it); an empty mapping is a state that is not there."""
    instances = dict(_instances(document))
    outputs = document.get("outputs")
    outputs = outputs if isinstance(outputs, dict) else {}
    content = json.dumps([instances, outputs], sort_keys=True, separators=(",", ":"))
    serial = document.get("serial")
    return Snapshot(
        lineage=str(document.get("lineage") or ""),
        serial=serial if isinstance(serial, int) else 0,
        addresses=frozenset(instances),
        digest=hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest(),
        empty=not instances and not outputs,
    )


def seed_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """An empty state of the same lineage, older than any: what a remote place is given before its first state."""
    kept = {name: state[name] for name in ("version", "terraform_version", "lineage")}
    return {**kept, "serial": 0, "outputs": {}, "resources": []}


def whole(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state with a lineage, whatever else it says: one without would be written over any other."""
    needed = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "outputs": {}, "resources": []}
    return {**needed, **state, "lineage": state.get("lineage") or str(uuid.uuid4())}


def _instances(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    # https://developer.hashicorp.com/terraform/language/state (its format: Terraform's statefile/version4.go)
    resources = document.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        if not isinstance(resource, dict):
            continue
        parts = [resource.get("module"), "data" if resource.get("mode") == "data" else None]
        parts += [resource.get("type"), resource.get("name")]
        address = ".".join(str(part) for part in parts if part)
        for instance in resource.get("instances") or []:
            key = instance.get("index_key")
            marks = ("" if key is None else f"[{json.dumps(key)}]") + str(instance.get("deposed") or "")
            yield address + marks, instance.get("attributes", instance.get("attributes_flat"))
