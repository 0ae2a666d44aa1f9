"""Which clusters a list shows: the filters of the clients, and what those get that have none."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from gridbyoc.sandbox.api.answers import phase_name
from gridbyoc.sandbox.api.app import flag
from gridbyoc.sandbox.api.failures import invalid
from gridbyoc.sandbox.api.fields import camel
from gridbyoc.sandbox.api.record import DELETED
from gridbyoc.sandbox.api.service import Seen

_PHASES = {
    f"CLUSTER_STATE_{name}"
    for name in ("UNSPECIFIED", "QUEUED", "PENDING", "RUNNING", "FAILED", "DELETED", "CONFIGURING", "OFFLINE")
}
_TYPES = {f"CLUSTER_TYPE_{name}" for name in ("UNSPECIFIED", "GLOBAL", "BYOC", "LEGACY", "BYOM", "SLURM")}

UNFILTERING_AGENT = "Grid-CLI-0.0.1"
"""What every client since the grid CLI calls itself; those of 2022 and 2023 always send a filter when they list."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """The four repeated parameters, each in either spelling, and whether CONFIGURING may be told."""

    phases: frozenset[str]
    not_phases: frozenset[str]
    types: frozenset[str]
    not_types: frozenset[str]
    configuring: bool
    show_deleted: bool

    @classmethod
    def of_request(cls) -> ListFilter:
        """Read from the query; ``ApiError`` 400 for a value that is no name of its kind."""
        phases, not_phases = _values("phaseIn", _PHASES), _values("phaseNotIn", _PHASES)
        return cls(
            phases,
            not_phases,
            _values("clusterTypeIn", _TYPES),
            _values("clusterTypeNotIn", _TYPES),
            configuring=flag("includeConfiguringState"),
            # Who does not filter is shown the deleted ones too, but for those who cannot filter.
            show_deleted=bool(phases or not_phases) or not _cannot_filter(),
        )

    def passes(self, seen: Seen) -> bool:
        """Whether the cluster is listed."""
        phase = phase_name(seen, configuring=self.configuring)
        kind = seen.record.spec["clusterType"]
        return (
            (not self.phases or phase in self.phases)
            and phase not in self.not_phases
            and (not self.types or kind in self.types)
            and kind not in self.not_types
            and (self.show_deleted or seen.phase != DELETED)
        )


def agent() -> str:
    """The client's User-Agent."""
    return request.headers.get("User-Agent", "")


def _cannot_filter() -> bool:
    """Whether this is a client since 2024: it has no filters left, and other parameters instead."""
    parameters = {camel(name) for name in request.args}
    return bool(
        parameters & {"includeConfiguringState", "orgId", "projectId"}
        or "project_id" in (request.view_args or {})
        or agent() == UNFILTERING_AGENT
    )


def _values(name: str, allowed: set[str]) -> frozenset[str]:
    found = [value for key, value in request.args.items(multi=True) if camel(key) == name]
    for value in found:
        if value not in allowed:
            raise invalid(f"parsing list {name!r}: {value[:80]!r} is not a name of that kind")
    return frozenset(found)
