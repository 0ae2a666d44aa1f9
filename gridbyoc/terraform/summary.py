"""What a plan would do and what an apply did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gridbyoc.terraform.events import ChangeSummary, OutputsEvent, PlannedChange, ResourceChange, ResourceDrift
from gridbyoc.terraform.transcript import Transcript


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """A plan: the counts, each change, what was changed outside of Terraform, and the outputs that would change.

    Changes are sorted by address, outputs by name: Terraform reports them in the order in which its workers finish.

    ``has_changes`` is Terraform's own word (``-detailed-exitcode``); it may be true for outputs alone.
    """

    add: int
    change: int
    destroy: int
    changes: tuple[ResourceChange, ...]
    drift: tuple[ResourceChange, ...]
    outputs: tuple[str, ...]
    has_changes: bool
    imported: int = 0


@dataclass(frozen=True, slots=True)
class ApplySummary:
    """What an apply or a destroy did."""

    add: int
    change: int
    destroy: int
    imported: int = 0

    def __str__(self) -> str:
        return f"{self.add} added, {self.change} changed, {self.destroy} destroyed"


NOTHING_DONE = ApplySummary(0, 0, 0)
"""Of an apply that had nothing to do."""
_NOTHING = ChangeSummary(0, 0, 0)


def in_order(changes: Iterable[ResourceChange]) -> tuple[ResourceChange, ...]:
    """The changes by address; a deposed object has the address of the current one."""
    return tuple(sorted(changes, key=lambda change: (change.address, change.action, change.reason)))


def plan_summary(said: Transcript, *, has_changes: bool) -> PlanSummary:
    """The summary of a plan's transcript."""
    counts = next(iter(reversed(said.kept(ChangeSummary))), _NOTHING)
    outputs = next(iter(reversed(said.kept(OutputsEvent))), OutputsEvent(()))
    return PlanSummary(
        add=counts.add,
        change=counts.change,
        destroy=counts.destroy,
        changes=in_order(event.change for event in said.kept(PlannedChange)),
        drift=in_order(event.change for event in said.kept(ResourceDrift)),
        outputs=tuple(sorted(outputs.changed)),
        has_changes=has_changes,
        imported=counts.imported,
    )


def apply_summary(said: Transcript) -> ApplySummary:
    """The summary of an apply's transcript; the plan inside of it does not count."""
    done = [event for event in said.kept(ChangeSummary) if event.operation != "plan"]
    counts = done[-1] if done else _NOTHING
    return ApplySummary(counts.add, counts.change, counts.destroy, counts.imported)
