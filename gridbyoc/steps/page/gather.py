"""Everything that a page shows, read side by side under one deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import TypeVar

import gridbyoc
from gridbyoc.aws.accepted import external_ids_written
from gridbyoc.errors import GridbyocError, InterruptedRunError
from gridbyoc.render import standing_ids
from gridbyoc.stack.secret import Secret
from gridbyoc.steps import events
from gridbyoc.steps.background import Background
from gridbyoc.steps.drift import DriftFound, find_drift
from gridbyoc.steps.journal import JOURNAL, read_journal
from gridbyoc.steps.page.granted import declared_grant, live_grant
from gridbyoc.steps.page.history import past_runs
from gridbyoc.steps.page.model import Granted, Page, Reading
from gridbyoc.steps.preflight.catalogue import CHECKS
from gridbyoc.steps.preflight.examine import examine
from gridbyoc.steps.preflight.model import Finding
from gridbyoc.steps.preflight.scene import scene_of
from gridbyoc.steps.prepare import read_outputs
from gridbyoc.steps.run import Run
from gridbyoc.steps.status import stack_status
from gridbyoc.steps.verify import Proof, prove
from gridbyoc.steps.verify_model import Subject
from gridbyoc.terraform import Outputs

T = TypeVar("T")
DEADLINE = 120.0
"""Seconds for all of it: Terraform's plan, which drift needs, is the slowest piece."""

PATIENCE = 10.0
"""Seconds for a Terraform that is to stop, after the deadline or Ctrl-C."""

SECRET_NAMES = ("SECRET", "TOKEN", "API_KEY", "PASSWORD", "EXTERNAL_ID", "ACCESS_KEY")
"""What the name of a variable holds whose value must not show."""

NOT_ASKED = "it was left out (--no-checks)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; ``deadline`` are seconds for everything together."""

    checks: bool = True
    deadline: float = DEADLINE


def gather(run: Run, wanted: Wanted) -> Page:
    """Read everything; nothing is changed on either side. What cannot be read is in the page with the reason.

    Raises nothing of its own: a stack that was never applied, services out of reach and a damaged journal are pages.
    """
    quiet = replace(run, outside=replace(run.outside, emit=_say_nothing))
    clock, ends = run.outside.clock, run.outside.clock() + wanted.deadline
    with ExitStack() as leaving:
        outputs = Background(lambda: read_outputs(quiet))
        status = Background(lambda: _after(outputs, lambda: stack_status(quiet)))
        proof = Background(lambda: _after(outputs, lambda: prove(quiet, now=run.outside.now)))
        drift = _drifting(quiet, leaving)
        findings = Background(lambda: _findings(quiet, wanted))

        def read(work: Background[T]) -> Reading[T]:
            return reading(work, max(ends - clock(), 0.0), wanted.deadline)

        proven = read(proof)
        return Page(
            run.stack,
            run.outside.now(),
            gridbyoc.__version__,
            _granted(run, proven),
            read(status),
            proven,
            read(drift),
            read(findings) if wanted.checks else Reading(None, NOT_ASKED),
            past_runs(read_journal(run.work_dir / JOURNAL)),
            _secrets(run, proven, read(outputs)),
        )


def reading(work: Background[T], seconds: float, deadline: float) -> Reading[T]:
    """What a piece of work came to within ``seconds``; ``deadline`` is for the words."""
    if not work.ended(seconds):
        return Reading(None, f"no answer within {deadline:g} s")
    try:
        return Reading(work.result())
    except GridbyocError as error:
        return Reading(None, f"{error.what} {error.why}".strip())
    except Exception as error:  # a fault in one piece must not cost the others
        return Reading(None, f"gridbyoc ran into a fault of its own ({type(error).__name__})")


def _say_nothing(_event: events.Event) -> None:
    """Steps run beside each other here: nobody could follow them on a terminal."""


def _after(outputs: Background[Outputs], look: Callable[[], T]) -> T:
    """Terraform meets a remote state once, before two of us read it; ``look`` says itself what is wrong there."""
    with suppress(GridbyocError):
        outputs.result()
    return look()


def _drift(run: Run, stop: Event) -> DriftFound:
    def listen(_event: events.Event) -> None:
        # Terraform is stopped by whoever raises at one of its lines.
        if stop.is_set():
            raise InterruptedRunError("Nobody waits for it any more.")

    return find_drift(replace(run, outside=replace(run.outside, emit=listen)))


def _drifting(run: Run, leaving: ExitStack) -> Background[DriftFound]:
    stop = Event()
    drift = Background(lambda: _drift(run, stop))
    leaving.callback(_end, drift, stop)
    return drift


def _end(drift: Background[DriftFound], stop: Event) -> None:
    """Stop it, and its Terraform, before the copy that they work on is removed."""
    stop.set()
    drift.ended(PATIENCE)


def _findings(run: Run, wanted: Wanted) -> tuple[Finding, ...]:
    if not wanted.checks:
        return ()
    return examine(scene_of(run, find_binary=run.find_binary, connect=run.connect, reads_only=True), CHECKS)


def _granted(run: Run, proven: Reading[Proof]) -> Granted:
    proof = proven.value
    if proof is None:
        return declared_grant(run.stack)
    stack = run.stack
    own_module = stack.terraform.module is None
    subject = Subject(proof.role, proof.external_id, stack.role, stack.aws.region, proof.time, own_module)
    return live_grant(replace(subject, rotation=proof.rotation))


def _secrets(run: Run, proven: Reading[Proof], outputs: Reading[Outputs]) -> tuple[Secret, ...]:
    """Every external id that is known on our side or in the live trust policy, and the environment's keys."""
    proof, override = proven.value, run.stack.role.external_id
    found = [*((override,) if override else ()), *standing_ids(run.work_dir), *_environ(run.outside.environ)]
    found += [outputs.value.external_id] if outputs.value else []
    if proof is not None:
        found += [proof.external_id, *(external_ids_written(proof.role.trust.document))]
    return tuple(dict.fromkeys(found))


def _environ(environ: Mapping[str, str]) -> Iterator[Secret]:
    for name, value in environ.items():
        if value and any(word in name.upper() for word in SECRET_NAMES) and not name.endswith("_FILE"):
            yield Secret(value)
