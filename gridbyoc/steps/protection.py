"""``protect: true`` in the stack file: nothing of the stack is destroyed or replaced, whatever is approved."""

from __future__ import annotations

from gridbyoc.errors import SAFE_NOTHING_DONE, ProtectedStackError
from gridbyoc.steps.run import Run

PLACE = ("protect",)


def protection(run: Run) -> str:
    """Where the stack file says so, as ``FILE:LINE``; empty where it does not."""
    if not run.stack.protect:
        return ""
    file, line = run.origin(PLACE) if run.origin else (str(run.stack.file or "the stack file"), None)
    return f"{file}:{line}" if line else file


def refuse_if_protected(run: Run, would: str, *, rerun: str = SAFE_NOTHING_DONE) -> None:
    """Raise ``ProtectedStackError`` for a protected stack. ``would``: what would be done, as `destroy the role`."""
    place = protection(run)
    if place:
        raise ProtectedStackError(
            f"The stack {run.stack.name} is protected: this would {would}.",
            why=f"`protect: true` stands in {place}.",
            fix="If it is meant, take that line out of the stack file (through review, as any change), then run again.",
            rerun=rerun,
        )
