"""Which files a stack is made of."""

from __future__ import annotations

from pathlib import Path

from gridbyoc.stack.model import Stack
from gridbyoc.stack.sources import Gallery


def files_of(stack: Stack) -> tuple[Path, ...]:
    """The stack file, then every base that it extends; none where it came from standard input."""
    return Gallery().glance(stack.file).sources if stack.file else ()
