"""What a bundle says, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.control_plane.model import FieldChange
from gridbyoc.steps.bundle.basis import Basis
from gridbyoc.steps.changes import Action, ClusterChange
from gridbyoc.terraform import PlanSummary, ResourceChange
from gridbyoc.terraform.summary import in_order


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What made the plan, and from what: versions, and digests of everything that a checkout brings along."""

    tool: str
    flavour: str
    version: str
    stack_files: Mapping[str, str]
    module: str
    lock_file: str

    @classmethod
    def of_header(cls, header: Mapping[str, Any]) -> MadeFrom:
        """From a header whose shape has been checked."""
        digests, terraform = header["digests"], header["terraform"]
        files, module, lock_file = (digests[name] for name in ("stack_files", "module", "lock_file"))
        return cls(header["tool"], terraform["flavour"], terraform["version"], files, module, lock_file)


@dataclass(frozen=True, slots=True)
class PlannedCluster:
    """One control-plane change as it was planned; ``cluster`` is the id of the cluster that it is about."""

    action: Action
    name: str
    cluster: str | None = None
    fields: tuple[FieldChange, ...] = ()

    @classmethod
    def of(cls, change: ClusterChange) -> PlannedCluster:
        """What of a change can be written down."""
        return cls(change.action, change.name, change.cluster.id if change.cluster else None, change.fields)

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> PlannedCluster:
        """From an object whose shape has been checked."""
        fields = tuple(FieldChange(each["field"], each["before"], each["after"]) for each in found["fields"])
        return cls(found["action"], found["name"], found["cluster"], fields)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, read. ``plan`` is Terraform's saved plan: it holds secrets in clear, as do ``overrides`` at worst."""

    stack: str
    created: str
    made: MadeFrom
    plan: bytes = field(repr=False)
    lock_file: str | None
    overrides: tuple[str, ...] = field(repr=False)
    root: str
    environment: str
    run: str
    basis: Basis
    terraform: PlanSummary
    changes: tuple[PlannedCluster, ...]
    detaches: tuple[str, ...] = ()


def summary_of_json(found: Mapping[str, Any]) -> PlanSummary:
    """Terraform's half of the plan, from an object whose shape has been checked."""
    changes = in_order(ResourceChange(each["address"], each["action"], each["reason"]) for each in found["changes"])
    return PlanSummary(
        add=found["add"],
        change=found["change"],
        destroy=found["destroy"],
        changes=changes,
        drift=(),
        outputs=tuple(found["outputs"]),
        has_changes=found["has_changes"],
    )
