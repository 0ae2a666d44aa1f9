"""What of a run's events and of a plan a pipeline is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridbyoc.steps.events import Event, FindingMade
    from gridbyoc.steps.review.review import Review


def placed_finding(event: Event) -> FindingMade | None:
    """What the preflight did not let pass, and belongs to the stack file."""
    from gridbyoc.steps.events import FindingMade

    return event if isinstance(event, FindingMade) and event.path and event.verdict != "pass" else None


def warning_of(event: Event) -> str:
    """What an event warns of, in a line; empty for one that does not."""
    from gridbyoc.steps.events import FindingMade, Note

    if isinstance(event, Note):
        return event.message if event.level == "warning" else ""
    if isinstance(event, FindingMade) and event.verdict != "pass":
        return f"{event.code} {event.check}: {event.verdict}: {event.read}. {event.fix}".strip()
    return ""


def plan_outputs(found: Review, bundle: str) -> dict[str, str]:
    """A GitHub job's outputs; ``bundle`` is the file, empty where none was written."""
    plan, counts = found.plan, found.plan.terraform
    actions = [change.action for change in plan.clusters]
    return {
        "has_changes": truth(plan.has_changes),
        "adds": str((counts.add if counts else 0) + actions.count("create")),
        "changes": str((counts.change if counts else 0) + actions.count("update")),
        "destroys": str(len(plan.destroys)),
        "destroyed": "\n".join(plan.destroys),
        "bundle": bundle,
    }


def truth(value: bool) -> str:
    """As a workflow's expressions have it."""
    return "true" if value else "false"
