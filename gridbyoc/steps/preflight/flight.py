"""The preflight of a run: who we are first, then every check beside Terraform's init; what fails stops the run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from gridbyoc.aws import AwsSession, Caller, guard_account
from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.errors import PreflightBlockedError
from gridbyoc.stack.words import counted, place_text
from gridbyoc.steps.background import Background
from gridbyoc.steps.events import FindingMade, Note
from gridbyoc.steps.preflight.examine import blocks, examine
from gridbyoc.steps.preflight.model import Finding
from gridbyoc.steps.preflight.scene import Scene, Shared, scene_of
from gridbyoc.steps.run import Checks, Run
from gridbyoc.terraform import Binary


@dataclass(frozen=True, slots=True)
class Preflight:
    """Who we are in AWS, and the control plane with the clusters it has."""

    session: AwsSession
    caller: Caller
    registrar: Registrar
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True, slots=True)
class Flight:
    """A preflight under way. ``basics()`` is there early; ``landed`` waits for every check.

    A context manager: where what goes on beside it fails, the rest of the preflight is nobody's business any more.
    """

    basics: Shared[Preflight]
    _work: Background[Preflight]
    _over: threading.Event

    def landed(self) -> Preflight:
        """Wait for all of it; ``PreflightBlockedError`` where a finding blocks."""
        return self._work.result()

    def __enter__(self) -> Flight:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()


def take_off(run: Run, registrar: Registrar, binary: Binary) -> Flight:
    """Begin, beside the main thread."""
    over = threading.Event()
    run = run.until(over.is_set)
    checks = run.choices.checks
    reads_only = checks is not None and checks.reads_only
    scene = scene_of(run, find_binary=lambda: binary, connect=lambda: registrar, reads_only=reads_only)
    basics = Shared(lambda: _basics(run, scene))

    def fly() -> Preflight:
        with run.step("preflight") as step:
            found = basics()
            step.detail = f"account {found.caller.account_id}, control plane {found.registrar.url}"
            if checks:
                from gridbyoc.steps.preflight.catalogue import CHECKS  # here, beside the main thread

                findings = examine(scene, CHECKS, wanted=checks.wanted)
                step.detail += f", {sum(f.verdict == 'pass' for f in findings)} of {len(findings)} findings pass"
                _tell(run, scene, findings)
                _stop(findings, checks)
        return found

    return Flight(basics, Background(fly), over)


def _basics(run: Run, scene: Scene) -> Preflight:
    caller = scene.caller()
    guard_account(caller, run.stack.aws.account_id)
    return Preflight(scene.session(), caller, scene.registrar(), scene.clusters())


def _tell(run: Run, scene: Scene, findings: Sequence[Finding]) -> None:
    for f in findings:
        file, line = scene.where(f.at)
        path = place_text(f.at) if f.at else ""
        run.outside.emit(FindingMade(f.code, f.title, f.verdict, f.read, f.needed, f.fix, path, file, line))
    untold = list(dict.fromkeys(f.code for f in findings if f.verdict == "unknown"))
    if untold:
        codes = ", ".join(untold)
        run.outside.emit(Note(f"The preflight could not tell {codes}: `gridbyoc doctor` says why.", "warning"))


def _stop(findings: Sequence[Finding], checks: Checks) -> None:
    if not blocks(findings, strict=checks.strict):
        return
    bad = [f for f in findings if (f.verdict != "pass" if checks.strict else f.verdict == "fail")]
    what = counted(len(bad), "thing")
    raise PreflightBlockedError(
        f"The preflight found {what} that {'may fail (--strict)' if checks.strict else 'would fail'}.",
        findings=tuple(_line(finding) for finding in bad),
        fix="Mend what is listed. `gridbyoc doctor` shows every finding; --skip CODE leaves one out, "
        "--skip-preflight all of them.",
    )


def _line(finding: Finding) -> str:
    needed = f"; needed: {finding.needed}" if finding.needed else ""
    fix = f". {finding.fix}" if finding.fix else ""
    return f"{finding.code} {finding.title}: {finding.read}{needed}{fix}"
