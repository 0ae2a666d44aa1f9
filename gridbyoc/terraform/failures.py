"""A command that did not do what it was asked, as the error that says what happened and what to do."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    GridbyocError,
    StalePlanError,
    StateLockedError,
    TerraformError,
    TerraformInterruptedError,
    TerraformTimeoutError,
)
from gridbyoc.errors.cards import AFTER_FIX, LOCK_CODES, Card, card_for, carrying
from gridbyoc.terraform import agreement
from gridbyoc.terraform.errored import ERRORED, UnsavedState
from gridbyoc.terraform.events import Diagnostic
from gridbyoc.terraform.explanation import CommandLine, cards_for, causes_of, fixes_of
from gridbyoc.terraform.process import Cause, Ended

WRITES = frozenset({"apply", "destroy"})
_LOCK_FIELD = re.compile(r"^\s*(ID|Path|Operation|Who|Created):[ \t]*(\S.*?)\s*$", re.MULTILINE)
_NO_LOCK = "Error acquiring the state lock"
_STALE = ("Saved plan is stale", "Saved plan does not match the given state")
NEEDS_INIT = (
    "Backend initialization required",
    "Backend configuration changed",
    "Inconsistent dependency lock file",
    "Required plugins are not installed",
    "Missing required provider",
    "Module not installed",
    "Module source has changed",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known about a command that ended badly. ``command`` writes a command line for the work_dir.

    ``no_credentials`` is why Terraform, which asked us, got no AWS credentials.
    """

    verb: str
    ended: Ended
    errors: tuple[Diagnostic, ...]
    text: tuple[str, ...]
    command: CommandLine
    log: Path | None
    remote_state: bool
    unsaved: UnsavedState | None
    grace: float
    timeout: float
    profile: str = ""
    no_credentials: GridbyocError | None = None

    @property
    def writes(self) -> bool:
        """It may have changed something before it ended."""
        return self.verb in WRITES


def failed(failure: Failure) -> TerraformError:
    """The error for a failure, of the kind that a caller acts on."""
    error = _failed(failure)
    code = failure.ended.code
    if failure.ended.cause is Cause.EXIT and code in ((0, 2) if failure.verb == "plan" else (0,)):
        error.why = _join(error.why, f"Its exit status was {code} all the same. {agreement.WHY}")
        error.fix = _join(error.fix, agreement.FIX)
    return error


def _failed(failure: Failure) -> TerraformError:
    if failure.ended.cause is Cause.INTERRUPT:
        return _interrupted(failure)
    if failure.ended.cause is Cause.TIMEOUT:
        return _timed_out(failure)
    locked = next((error for error in failure.errors if error.summary == _NO_LOCK), None)
    if any(error.summary in _STALE for error in failure.errors):
        return _stale(failure)
    return _locked(failure, locked) if locked else _refused(failure)


def interrupted(verb: str, *, killed: bool) -> TerraformInterruptedError:
    """An interrupt of a command that changes nothing."""
    how = "had to be killed" if killed else "stopped"
    return TerraformInterruptedError(
        f"terraform {verb} was interrupted and {how}.", killed=killed, rerun=SAFE_NOTHING_DONE
    )


def _interrupted(failure: Failure) -> TerraformInterruptedError:
    if not failure.writes:
        return interrupted(failure.verb, killed=failure.ended.killed)
    if not failure.ended.killed:
        end = "had just finished" if failure.ended.code == 0 else "stopped cleanly"
        return TerraformInterruptedError(
            f"terraform {failure.verb} was interrupted and {end}.",
            why=_where(failure) or "The state is saved and its lock released.",
            fix=_save(failure) or "Run the same command again.",
            rerun=_rerun(failure),
        )
    why = "second interrupt" if failure.ended.insisted else f"did not end within {failure.grace:g} s"
    return TerraformInterruptedError(
        f"terraform {failure.verb} was interrupted and then killed ({why}).",
        killed=True,
        why=_join(_left_behind(failure), _where(failure)),
        fix=_join(_save(failure), _unlock_words(failure)),
        rerun=_rerun(failure),
    )


def _timed_out(failure: Failure) -> TerraformTimeoutError:
    killed = failure.ended.killed
    return TerraformTimeoutError(
        f"terraform {failure.verb} did not end within {failure.timeout:g} s, so it was "
        f"{'killed' if killed else 'stopped'}.",
        diagnostics=tuple(map(str, failure.errors)),
        why=_join(_left_behind(failure) if killed and failure.writes else "", _where(failure)),
        fix=_join(
            _save(failure),
            _unlock_words(failure) if killed and failure.writes else "",
            f"What it was waiting for stands in {failure.log}." if failure.log else "",
        ),
        rerun=_rerun(failure),
    )


def _locked(failure: Failure, error: Diagnostic) -> StateLockedError:
    facts = dict(_LOCK_FIELD.findall(error.detail))
    lock_id = facts.get("ID", "")
    holder = ", ".join(f"{name.lower()} {facts[name]}" for name in ("Who", "Operation", "Created") if name in facts)
    card = card_for(f"{error.summary} {error.detail}", known={"profile": failure.profile})
    held = card is None or card.code in LOCK_CODES
    locked = StateLockedError(
        f"Another run holds the lock of the state ({holder or 'unknown'})."
        if held
        else "The lock of the state could not be taken.",
        lock_id=lock_id,
        why=error.detail.split("\n", 1)[0],
        fix=_wait(failure, lock_id) if held else "",
        rerun=SAFE_NOTHING_DONE,
    )
    locked.diagnostics = tuple(map(str, failure.errors))
    return carrying(locked, card, keep=True)


def _wait(failure: Failure, lock_id: str) -> str:
    fix = "Wait until the other run has ended (--lock-timeout waits for it)."
    if failure.remote_state and lock_id:
        unlock = failure.command("force-unlock", lock_id)
        fix += " `gridbyoc state unlock` tells whether that run is alive, and breaks the lock of a dead one."
        fix += f" By hand, only if you are sure that it no longer exists: `{unlock}`."
    return fix


def _stale(failure: Failure) -> StalePlanError:
    stale = StalePlanError(
        "The state moved after the plan was made: another run has changed the stack meanwhile.",
        diagnostics=tuple(map(str, failure.errors)),
        why="Terraform applies a saved plan only to the very state that it was made from.",
        fix="Run the same command again: it plans anew, from what the other run made.",
        rerun=SAFE_NOTHING_DONE,
    )
    return carrying(stale, card_for(_STALE[0]), keep=True)


def _refused(failure: Failure) -> TerraformError:
    died = failure.ended.code < 0 and failure.writes
    last_words = "" if failure.errors else _last_words(failure)
    cards = cards_for(failure.errors, f"{_reason(failure)}. {last_words}", failure.command, failure.profile)
    ours = failure.no_credentials
    error = TerraformError(
        f"terraform {failure.verb} failed: {_reason(failure)}.",
        diagnostics=tuple(map(str, failure.errors)),
        why=_join(
            f"{ours.what} {ours.why}" if ours else causes_of(cards),
            last_words,
            _left_behind(failure) if died else "",
            _where(failure),
        ),
        fix=_join(
            _save(failure),
            ours.fix if ours else fixes_of(cards),
            _unlock_words(failure) if died else "",
            f"The full log: {failure.log}." if failure.log else "",
        ),
        rerun=_rerun(failure, cards),
    )
    return carrying(error, cards[0] if cards else None, keep=True)


def _reason(failure: Failure) -> str:
    code = failure.ended.code
    if code < 0:
        return f"it was ended by {_signal_name(-code)}"
    if not failure.errors:
        return f"it ended with exit status {code}"
    first, more = failure.errors[0], len(failure.errors) - 1
    where = f" ({first.place})" if first.place else ""
    return f"{first.summary.rstrip('.')}{where}" + (f", and {more} more" if more else "")


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name}, as when memory runs out" if number == signal.SIGKILL else name


def _last_words(failure: Failure) -> str:
    return "\n".join(line for line in failure.text if line.strip())[-2000:]


def _left_behind(failure: Failure) -> str:
    lock = "The lock of the remote state may still be held. " if failure.remote_state else ""
    return f"{lock}A resource that was being made just then may exist in AWS and not in the state."


def _unlock_words(failure: Failure) -> str:
    if not failure.remote_state:
        return (
            "Run the same command again; the lock of a local state ended with the process, no `force-unlock` is needed."
        )
    unlock = failure.command("force-unlock", "LOCK_ID")
    return (
        "Run the same command again; if it says that the state is locked, `gridbyoc state unlock` explains it. "
        f"By hand: `{unlock}`."
    )


def _where(failure: Failure) -> str:
    return failure.unsaved.where if failure.unsaved else ""


def _save(failure: Failure) -> str:
    return failure.unsaved.fix(failure.command("state", "push", ERRORED)) if failure.unsaved else ""


def _rerun(failure: Failure, cards: tuple[Card, ...] = ()) -> str:
    if failure.unsaved:
        return failure.unsaved.rerun
    safe = SAFE_RESUMES if failure.writes else SAFE_NOTHING_DONE
    stays = any(card.rerun == AFTER_FIX for card in cards)
    return f"{safe} It ends the same way until this is put right." if stays else safe


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
