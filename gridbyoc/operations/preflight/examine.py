"""Run the preflight checks in parallel, under one deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from gridbyoc.aws import AwsSession, Caller, guard_account
from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.errors import SAFE_NOTHING_DONE, AwsCredentialsError, GridbyocError, PreflightBlockedError, UsageError
from gridbyoc.operations.events import FindingMade, Note
from gridbyoc.operations.finding import WORST, Finding, FindingKind
from gridbyoc.operations.preflight.identity import CALLER
from gridbyoc.operations.preflight.model import Check, PreflightContext, Shared, preflight_context
from gridbyoc.operations.run import Checks, Run
from gridbyoc.stack.background import Background
from gridbyoc.stack.model import no_values
from gridbyoc.stack.words import counted, nearest, place_text
from gridbyoc.terraform import Binary

DEADLINE = 30.0
"""Seconds for all checks together: a check that has not answered by then is unknown."""

BECAUSE = {"because": CALLER.code}
"""Facts of a finding that is unknown because there are no usable AWS credentials."""

Wanted = Callable[[str], bool]


def examine(
    scene: PreflightContext, checks: Sequence[Check], *, wanted: Wanted = lambda _code: True, deadline: float = DEADLINE
) -> tuple[Finding, ...]:
    """Run every check that gives a wanted code; findings in the order of their codes.

    A check that fails with an error or takes too long (``deadline`` seconds from now) becomes a finding, never an
    exception.
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
    """If the credentials fail, every AWS check is unknown for that reason: only the finding on credentials says so."""
    failed = any(finding.code == CALLER.code and finding.verdict == "fail" for finding in found)
    for finding in found:
        of_credentials = failed and finding.verdict == "unknown" and finding.facts == BECAUSE
        yield replace(finding, detail=f"not asked: see {CALLER.code}", fix="") if of_credentials else finding


def blocks(findings: Iterable[Finding], *, strict: bool = False) -> bool:
    """Whether a finding fails; with ``strict``, whether any does not pass."""
    return any(f.verdict != "pass" if strict else f.verdict == "fail" for f in findings)


def guarded(kinds: Iterable[FindingKind], part: Iterable[Finding]) -> Iterator[Finding]:
    """Run one part of a check: after an error its ``kinds`` are unknown, and the other parts continue."""
    try:
        yield from part
    except GridbyocError as error:
        yield from (_untold(kind, error) for kind in kinds)


def _findings(scene: PreflightContext, check: Check) -> tuple[Finding, ...]:
    found: list[Finding] = []
    try:
        found.extend(check.look(scene))
    except Exception as error:  # a bug in a check must not stop a run that would work
        told = {finding.code for finding in found}
        found += [_untold(kind, error) for kind in check.kinds if kind.code not in told]
    return tuple(found)


def _untold(kind: FindingKind, error: Exception) -> Finding:
    if isinstance(error, GridbyocError):
        facts = BECAUSE if isinstance(error, AwsCredentialsError) else no_values()
        return Finding(kind, "unknown", f"{error.what} {error.why}".strip(), fix=error.fix, facts=facts)
    read = f"this check has an internal error ({type(error).__name__}), or received an answer that makes no sense"
    return Finding(kind, "unknown", read, fix="Please report it, with `gridbyoc version`; the other checks are valid.")


def _too_late(kinds: Iterable[FindingKind], deadline: float) -> list[Finding]:
    fix = "Run `gridbyoc doctor` again; if this repeats, check the network and the proxy."
    return [Finding(kind, "unknown", f"no answer within {deadline:g} s", fix=fix) for kind in kinds]


def _order(finding: Finding) -> tuple[str, int, str]:
    return finding.code, WORST.index(finding.verdict), finding.subject


def selection(kinds: Sequence[FindingKind], only: Sequence[str], skip: Sequence[str]) -> Callable[[str], bool]:
    """A test whether a code is among ``only`` (all if empty) and not among ``skip``.

    A word is a code (``GBY-Q001``), a prefix of several (``GBY-Q``), or a group (``quotas``), in upper or lower case.
    Raises ``UsageError`` if a word selects nothing.
    """
    chosen = _codes(kinds, only) if only else {kind.code for kind in kinds}
    left_out = _codes(kinds, skip)
    return lambda code: code in chosen and code not in left_out


def _codes(kinds: Sequence[FindingKind], words: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for word in words:
        meant = {k.code for k in kinds if k.group == word.lower() or k.code.startswith(word.upper())}
        if not meant or not word:
            raise _unknown(kinds, word)
        found |= meant
    return found


def _unknown(kinds: Sequence[FindingKind], word: str) -> UsageError:
    groups = list(dict.fromkeys(kind.group for kind in kinds))
    close = nearest(word, [*groups, *(kind.code for kind in kinds)])
    return UsageError(
        f"There is no check {word!r}.",
        fix=f"Did you mean {close}?"
        if close
        else f"Give a code such as {kinds[0].code}, or one of {', '.join(groups)}.",
        rerun=SAFE_NOTHING_DONE,
    )


@dataclass(frozen=True, slots=True)
class Preflight:
    """The caller in AWS, and the control plane with its clusters."""

    session: AwsSession
    caller: Caller
    registrar: Registrar
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True, slots=True)
class Flight:
    """A preflight in progress. ``basics()`` is available early; ``wait()`` waits for every check.

    A context manager: after an error inside, the rest of the preflight is no longer shown or recorded.
    """

    basics: Shared[Preflight]
    _work: Background[Preflight]
    _over: threading.Event

    def wait(self) -> Preflight:
        """Wait for all checks; ``PreflightBlockedError`` if a finding blocks."""
        return self._work.result()

    def __enter__(self) -> Flight:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()


def start_preflight(run: Run, registrar: Registrar, binary: Binary) -> Flight:
    """Start the preflight in the background."""
    over = threading.Event()
    run = run.muted_when(over.is_set)
    checks = run.choices.checks
    reads_only = checks is not None and checks.reads_only
    scene = preflight_context(run, find_binary=lambda: binary, connect=lambda: registrar, reads_only=reads_only)
    basics = Shared(lambda: _basics(run, scene))

    def run_checks() -> Preflight:
        with run.step("preflight") as step:
            found = basics()
            plane = "not asked" if found.registrar.unasked else found.registrar.url or "none"
            step.detail = f"account {found.caller.account_id}, control plane {plane}"
            if checks:
                from gridbyoc.operations.preflight.catalogue import CHECKS  # here, in the background thread

                findings = examine(scene, CHECKS, wanted=checks.wanted)
                step.detail += f", {sum(f.verdict == 'pass' for f in findings)} of {len(findings)} findings pass"
                _tell(run, scene, findings)
                _stop(findings, checks)
        return found

    return Flight(basics, Background(run_checks), over)


def _basics(run: Run, scene: PreflightContext) -> Preflight:
    caller = scene.caller()
    guard_account(caller, run.stack.aws.account_id, run.stack.aws.role_arn)
    return Preflight(scene.session(), caller, scene.registrar(), scene.clusters())


def _tell(run: Run, scene: PreflightContext, findings: Sequence[Finding]) -> None:
    for f in findings:
        file, line = scene.where(f.at)
        path = place_text(f.at) if f.at else ""
        run.outside.emit(FindingMade(f.code, f.title, f.verdict, f.detail, f.needed, f.fix, path, file, line))
    untold = list(dict.fromkeys(f.code for f in findings if f.verdict == "unknown"))
    if untold:
        codes = ", ".join(untold)
        run.outside.emit(Note(f"The preflight could not determine {codes}: `gridbyoc doctor` says why.", "warning"))


def _stop(findings: Sequence[Finding], checks: Checks) -> None:
    if not blocks(findings, strict=checks.strict):
        return
    bad = [f for f in findings if (f.verdict != "pass" if checks.strict else f.verdict == "fail")]
    what = counted(len(bad), "thing")
    raise PreflightBlockedError(
        f"The preflight found {what} that {'may fail (--strict)' if checks.strict else 'would fail'}.",
        findings=tuple(_line(finding) for finding in bad),
        fix="Correct what is listed. `gridbyoc doctor` shows every finding; --skip CODE leaves one out, "
        "--skip-preflight all of them.",
    )


def _line(finding: Finding) -> str:
    needed = f"; needed: {finding.needed}" if finding.needed else ""
    fix = f". {finding.fix}" if finding.fix else ""
    return f"{finding.code} {finding.title}: {finding.detail}{needed}{fix}"
