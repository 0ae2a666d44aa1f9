"""Turn a failed Terraform command into an error that says what happened, why, and what to do."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbyoc.errors import (
    SAFE_NOTHING_DONE,
    SAFE_RESUMES,
    GridbyocError,
    StalePlanError,
    StateLockedError,
    TerraformError,
    TerraformInterruptedError,
    TerraformTimeoutError,
    TerraformWrapperError,
)
from gridbyoc.errors.cards import AFTER_FIX, LOCK_CODES, KnownFailure, card_for, with_known_failure
from gridbyoc.stack.words import counted
from gridbyoc.terraform.events import ChangeSummary, Diagnostic, OutputsEvent, PlannedChange, Transcript, Version
from gridbyoc.terraform.process import Cause, ExitInfo
from gridbyoc.terraform.state_recovery import ERRORED, UnsavedState

CommandLine = Callable[..., str]
ROLE_ADDRESS = "module.gridbyoc.aws_iam_role.this"
POLICY_ADDRESS = "module.gridbyoc.aws_iam_policy.this[0]"
_ROLE = re.compile(r"\bRole with name (\S+) already exists")
_POLICY = re.compile(r"\bA policy called (\S+) already exists")


def cards_for(
    errors: Iterable[Diagnostic], words: str, command: CommandLine, profile: str = ""
) -> tuple[KnownFailure, ...]:
    """The known failures that match the diagnostics, each once; without diagnostics, those that match ``words``.

    ``command`` writes a command line for the work_dir; ``profile`` is the AWS profile of the run, empty for none.
    """
    known = {"init_command": command("init"), "migrate_command": command("init", "-migrate-state"), "profile": profile}
    texts = [(f"{error.summary} {error.detail}", error.address) for error in errors] or [(words, "")]
    found = [card_for(text, known={**known, **_import(text, address, command)}) for text, address in texts]
    return tuple(dict.fromkeys(card for card in found if card is not None))


def causes_of(cards: Iterable[KnownFailure]) -> str:
    """The causes of the known failures, joined, each once."""
    return " ".join(dict.fromkeys(card.cause for card in cards))


def fixes_of(cards: Iterable[KnownFailure]) -> str:
    """The fixes of the known failures, joined, each once."""
    return " ".join(dict.fromkeys(card.fix for card in cards))


def _import(text: str, address: str, command: CommandLine) -> Mapping[str, str]:
    """The command that imports the existing resource whose creation failed."""
    line = " ".join(text.split())
    if role := _ROLE.search(line):
        return {"import_command": command("import", address or ROLE_ADDRESS, role[1])}
    if _POLICY.search(line):
        return {"import_command": command("import", address or POLICY_ADDRESS, "POLICY_ARN")}
    return {}


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
    """The facts about a failed command. ``command`` writes a command line for the work_dir.

    ``no_credentials``: why Terraform, which asked us for AWS credentials, got none.
    """

    verb: str
    ended: ExitInfo
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
        """Whether the command may have changed something before it ended."""
        return self.verb in WRITES


def failed(failure: Failure) -> TerraformError:
    """The error for a failure; its class says what the caller can do about it."""
    error = _failed(failure)
    code = failure.ended.code
    if failure.ended.cause is Cause.EXIT and code in ((0, 2) if failure.verb == "plan" else (0,)):
        error.why = _join(error.why, f"Its exit status was {code} nevertheless. {WHY}")
        error.fix = _join(error.fix, FIX)
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
    """The error for interrupting a command that changes nothing."""
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
    why = "second interrupt" if failure.ended.second_interrupt else f"did not end within {failure.grace:g} s"
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
            f"The log shows what it was waiting for: {failure.log}." if failure.log else "",
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
    return with_known_failure(locked, card, keep=True)


def _wait(failure: Failure, lock_id: str) -> str:
    fix = "Wait until the other run has ended (--lock-timeout waits for it)."
    if failure.remote_state and lock_id:
        unlock = failure.command("force-unlock", lock_id)
        fix += " `gridbyoc state unlock` says whether that run is alive, and removes the lock of a dead run."
        fix += f" By hand, only if you are sure that the run no longer exists: `{unlock}`."
    return fix


def _stale(failure: Failure) -> StalePlanError:
    stale = StalePlanError(
        "The state changed after the plan was made: another run has changed the stack.",
        diagnostics=tuple(map(str, failure.errors)),
        why="Terraform applies a saved plan only to the state that it was made from.",
        fix="Run the same command again: it makes a new plan from the current state.",
        rerun=SAFE_NOTHING_DONE,
    )
    return with_known_failure(stale, card_for(_STALE[0]), keep=True)


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
    return with_known_failure(error, cards[0] if cards else None, keep=True)


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
    return f"{lock}A resource that was just being created may exist in AWS but not in the state."


def _unlock_words(failure: Failure) -> str:
    if not failure.remote_state:
        return (
            "Run the same command again; the lock of a local state ended with the process, so it needs no "
            "`force-unlock`."
        )
    unlock = failure.command("force-unlock", "LOCK_ID")
    return (
        "Run the same command again; if it says that the state is locked, run `gridbyoc state unlock`. "
        f"By hand: `{unlock}`."
    )


def _where(failure: Failure) -> str:
    return failure.unsaved.where if failure.unsaved else ""


def _save(failure: Failure) -> str:
    return failure.unsaved.fix(failure.command("state", "push", ERRORED)) if failure.unsaved else ""


def _rerun(failure: Failure, cards: tuple[KnownFailure, ...] = ()) -> str:
    if failure.unsaved:
        return failure.unsaved.rerun
    safe = SAFE_RESUMES if failure.writes else SAFE_NOTHING_DONE
    stays = any(card.rerun == AFTER_FIX for card in cards)
    return f"{safe} It fails in the same way until this is fixed." if stays else safe


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


WHY: Final = (
    "A wrapper around Terraform changes its exit status, its output or its version, so that none of them can be "
    "trusted."
)
FIX: Final = (
    "In GitHub Actions, set `terraform_wrapper: false` for hashicorp/setup-terraform. A script of your own must end "
    'with `exec terraform "$@"` and print nothing on standard output; with a pipe it needs `set -o pipefail`. With a '
    "version manager (tfenv, asdf, mise), pin one version for the stack's directory. Or choose Terraform itself: "
    "--terraform-bin or GRIDBYOC_TERRAFORM_BIN."
)
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_SUCCESS = re.compile("success|initialized", re.IGNORECASE)
_WRITES = frozenset({"apply", "destroy"})
Numbers = tuple[int, int, int]


def numbers_of(version: str) -> Numbers | None:
    """The numbers ``1.11.4`` of a version such as ``v1.11.4-beta1``; ``None`` if it does not start with three."""
    match = _NUMBERS.match(version.removeprefix("v"))
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def wrapper_error(path: str, words: str, *, rerun: str) -> TerraformWrapperError:
    """The error for a program ``path`` that contradicts itself; ``words`` state the contradiction."""
    return TerraformWrapperError(f"{path} cannot be trusted: {words}.", why=WHY, fix=FIX, rerun=rerun)


def unheeded_errors(said: Transcript, *, events: bool) -> tuple[Diagnostic, ...]:
    """The errors that a command reported although its exit status is good.

    If it prints ``events`` or a document, other text is ignored: it may come from another program.
    """
    if events:
        return tuple(each for each in said.kept(Diagnostic) if each.severity == "error")
    if said.stdout.strip():
        return tuple(each for each in said.in_document() if each.severity == "error")
    return said.errors()


def contradiction(verb: str, code: int, said: Transcript, version: Numbers) -> str:
    """How a command with a good exit status and without errors contradicts itself; empty if it does not.

    ``said`` is its event stream; ``version`` is the binary's answer to ``version``.
    """
    heard = said.kept(Version)
    if not heard:
        return f"no output of Terraform arrived, and {verb} ended with status {code}"
    speaks = numbers_of(heard[0].terraform)
    if speaks is not None and speaks != version:
        asked, runs = (".".join(map(str, each)) for each in (version, speaks))
        return f"`version` answered {asked}, but version {runs} ran {verb}"
    if verb == "plan":
        return _of_plan(code, said)
    if verb in _WRITES and _counts(said, planned=False) is None:
        return f"{verb} ended with status {code} but did not report what it did"
    return ""


def without_success(verb: str, said: Transcript) -> str:
    """The contradiction of a command with a good status whose text reports no success; empty if it does.

    Each of these commands prints a sentence: "successfully initialized", "Import successful!", "Successfully moved",
    "successfully unlocked", in Terraform and OpenTofu alike.
    """
    text = "\n".join(said.text).strip()
    if _SUCCESS.search(text):
        return ""
    last = text.splitlines()[-1].strip() if text else "nothing"
    return f"{verb} ended with status 0 but does not say that it succeeded (its last line: {last[:200]!r})"


def complete_failure(verb: str, code: int, said: Transcript) -> str:
    """The contradiction of a command that completed without an error but with a bad exit status; empty if none."""
    ended = _counts(said, planned=verb == "plan") is not None and verb in {"plan", *_WRITES}
    return f"{verb} completed without an error, but its exit status is {code}" if ended and code > 0 else ""


def _of_plan(code: int, said: Transcript) -> str:
    counts = _counts(said, planned=True)
    if counts is None:
        return f"the plan did not complete, but its exit status is {code}"
    changes = [event.change.action for event in said.kept(PlannedChange)]
    outputs = [name for event in said.kept(OutputsEvent) for name in event.changed]
    counted_ = (counts.add, counts.change, counts.destroy, counts.imported)
    if code == 0 and (any(counted_) or changes or outputs):
        found = counted(max(sum(counted_), len(changes)) or len(outputs), "change" if changes else "changed output")
        return f"the plan has {found}, but its exit status is 0, which means no changes"
    listed = {word: changes.count(word) + changes.count("replace") for word in ("create", "delete")}
    if counts.add > listed["create"] or counts.destroy > listed["delete"] or counts.change > changes.count("update"):
        return "the plan counts more changes than it lists"
    return ""


def _counts(said: Transcript, *, planned: bool) -> ChangeSummary | None:
    found = [event for event in said.kept(ChangeSummary) if (event.operation == "plan") is planned]
    return found[-1] if found else None
