"""What the tests of the stack file share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack.load import Loaded, load, read
from gridbyoc.stack.model import Stack

HEAD = "version: 1\nname: ml\n"
CLUSTERS = "clusters: [{name: ml}]\n"
NOWHERE = Path("/nonexistent-home")


def stack_of(text: str, *overrides: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Stack:
    """The stack of a text on standard input."""
    return load("-", overrides=overrides, environ=environ or {}, stdin=text, cwd=cwd or NOWHERE, home=NOWHERE)


def loaded(text: str, *overrides: str, cwd: Path | None = None) -> Loaded:
    """The same, with its warnings."""
    return read("-", overrides=overrides, environ={}, stdin=text, cwd=cwd or NOWHERE, home=NOWHERE)


def problems_of(
    text: str | bytes,
    *overrides: str,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Sequence[Problem]:
    """The problems of a text; none where it is valid."""
    try:
        load("-", overrides=overrides, environ=environ or {}, stdin=text, cwd=cwd or NOWHERE, home=NOWHERE)
    except StackError as error:
        return error.problems
    return ()
