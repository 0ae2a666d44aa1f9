"""Terraform's own events → ours."""

from __future__ import annotations

from collections.abc import Callable

from gridbyoc.steps.events import Emit, ResourceProgress
from gridbyoc.terraform import ResourceEvent, TerraformEvent


def resource_progress(emit: Emit) -> Callable[[TerraformEvent], None]:
    """A listener for the Runner that passes on what happens to resources."""

    def listen(event: TerraformEvent) -> None:
        if isinstance(event, ResourceEvent):
            emit(ResourceProgress(event.address, event.action, event.state, event.seconds))

    return listen
