"""Terraform's own events → ours."""

from __future__ import annotations

from collections.abc import Callable

from gridbyoc.steps.events import Emit, Note, ResourceProgress
from gridbyoc.terraform import Log, ResourceEvent, TerraformEvent


def resource_progress(emit: Emit) -> Callable[[TerraformEvent], None]:
    """A listener for the Runner that passes on what happens to resources, and warnings."""

    def listen(event: TerraformEvent) -> None:
        if isinstance(event, ResourceEvent):
            emit(ResourceProgress(event.address, event.action, event.state, event.seconds))
        elif isinstance(event, Log) and event.level == "warn":
            emit(Note(event.message, "warning"))

    return listen
