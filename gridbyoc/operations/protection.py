"""``protect: true`` in the stack file: what it keeps from being destroyed or replaced."""

from __future__ import annotations

from gridbyoc.errors import SAFE_NOTHING_DONE, ProtectedStackError
from gridbyoc.operations.run import Run

PLACE = ("protect",)


def protection(run: Run) -> str:
    """Where the stack file says ``protect: true``, as ``FILE:LINE``; empty if it does not."""
    if not run.stack.protect:
        return ""
    file, line = run.origin(PLACE) if run.origin else (str(run.stack.file or "the stack file"), None)
    return f"{file}:{line}" if line else file


def refuse_if_protected(run: Run, would: str, *, rerun: str = SAFE_NOTHING_DONE) -> None:
    """Raise ``ProtectedStackError`` if the stack is protected. ``would``: the action, such as "destroy the role"."""
    place = protection(run)
    if place:
        raise ProtectedStackError(
            f"The stack {run.stack.name} is protected: this would {would}.",
            why=f"`protect: true` stands in {place}.",
            fix="If it is intended, remove that line from the stack file (in a reviewed change), then run again.",
            rerun=rerun,
        )
