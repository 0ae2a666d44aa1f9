"""The checks, carried out side by side under one deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from gridbyoc.errors import AwsCredentialsError, GridbyocError
from gridbyoc.stack.model import no_values
from gridbyoc.steps.background import Background
from gridbyoc.steps.preflight.identity_kinds import CALLER
from gridbyoc.steps.preflight.model import Check, Finding, Kind
from gridbyoc.steps.preflight.scene import Scene
from gridbyoc.steps.verdict import WORST

DEADLINE = 30.0
"""Seconds for all of them together: what has not answered by then is unknown."""

BECAUSE = {"because": CALLER.code}
"""Of a finding that is unknown because there are no usable AWS credentials."""

Wanted = Callable[[str], bool]


def examine(
    scene: Scene, checks: Sequence[Check], *, wanted: Wanted = lambda _code: True, deadline: float = DEADLINE
) -> tuple[Finding, ...]:
    """Carry out every check that gives a wanted code; findings in the order of their codes.

    A check that cannot be carried out is a finding, never an exception, and so is one that takes too long
    (``deadline`` seconds from now).
    """
    ends = scene.machine.clock() + deadline
    chosen = [check for check in checks if any(wanted(kind.code) for kind in check.kinds)]
    running = [(check, Background(lambda check=check: _findings(scene, check))) for check in chosen]  # type: ignore[misc]  # a default argument binds the loop's value
    found: list[Finding] = []
    for check, work in running:
        in_time = work.ended(max(ends - scene.machine.clock(), 0.0))
        found += work.result() if in_time else _too_late(check.kinds, deadline)
    return tuple(sorted(_told_once([each for each in found if wanted(each.code)]), key=_order))


def _told_once(found: Sequence[Finding]) -> Iterator[Finding]:
    """Where the credentials fail, every look at AWS is unknown for that one reason: it is told where it fails."""
    failed = any(finding.code == CALLER.code and finding.verdict == "fail" for finding in found)
    for finding in found:
        of_credentials = failed and finding.verdict == "unknown" and finding.facts == BECAUSE
        yield replace(finding, read=f"not asked: see {CALLER.code}", fix="") if of_credentials else finding


def blocks(findings: Iterable[Finding], *, strict: bool = False) -> bool:
    """Whether a finding fails; ``strict``: whether any does not pass."""
    return any(f.verdict != "pass" if strict else f.verdict == "fail" for f in findings)


def guarded(kinds: Iterable[Kind], part: Iterable[Finding]) -> Iterator[Finding]:
    """One part of a check: where it ends with an error, ``kinds`` are unknown, and the other parts go on."""
    try:
        yield from part
    except GridbyocError as error:
        yield from (_untold(kind, error) for kind in kinds)


def _findings(scene: Scene, check: Check) -> tuple[Finding, ...]:
    found: list[Finding] = []
    try:
        found.extend(check.look(scene))
    except Exception as error:  # a fault of a check's own must not stop a run that would work
        told = {finding.code for finding in found}
        found += [_untold(kind, error) for kind in check.kinds if kind.code not in told]
    return tuple(found)


def _untold(kind: Kind, error: Exception) -> Finding:
    if isinstance(error, GridbyocError):
        facts = BECAUSE if isinstance(error, AwsCredentialsError) else no_values()
        return Finding(kind, "unknown", f"{error.what} {error.why}".strip(), fix=error.fix, facts=facts)
    read = f"this check has a fault of its own ({type(error).__name__}), or was given an answer that makes no sense"
    return Finding(kind, "unknown", read, fix="Please report it, with `gridbyoc version`; the other checks stand.")


def _too_late(kinds: Iterable[Kind], deadline: float) -> list[Finding]:
    fix = "Run `gridbyoc doctor` again; if it stays so, check the network and the proxy."
    return [Finding(kind, "unknown", f"no answer within {deadline:g} s", fix=fix) for kind in kinds]


def _order(finding: Finding) -> tuple[str, int, str]:
    return finding.code, WORST.index(finding.verdict), finding.subject
