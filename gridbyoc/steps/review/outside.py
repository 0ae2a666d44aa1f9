"""What somebody changed outside of Terraform, and the plan would change back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbyoc.steps.review.words import Change, actions_of, after_of, before_of, drifted, resource_changes, unknowns


def changed_outside(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses, from ``terraform show -json`` of a saved plan.

    Terraform also reports as drift what only it computes (a policy's count of attachments, after each apply). So an
    attribute counts that has moved and that the plan sets, or a resource that is gone.
    """
    moved = {str(each.get("address")): each for each in drifted(shown)}
    planned = ((str(change.get("address")), change) for change in resource_changes(shown))
    return tuple(at for at, change in planned if at in moved and _undoes(moved[at], change))


def _undoes(drift: Change, planned: Change) -> bool:
    return "delete" in actions_of(drift) or bool(_moved(drift) & _moved(planned))


def _moved(change: Change) -> set[str]:
    before, after = before_of(change), after_of(change)
    moved = {name for name in {*before, *after} if _value(before.get(name)) != _value(after.get(name))}
    return moved - unknowns(change)


def _value(value: object) -> object:
    """Tags that are none are ``null`` in the state of the apply that made them, and ``{}`` when they are read."""
    return None if value in ("", [], {}) else value
