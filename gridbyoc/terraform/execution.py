"""One command from argv to transcript: environment, log, process, and the error if it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, TerraformNotFoundError
from gridbyoc.stack.files import read_json
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform.agreement import (
    complete_failure,
    contradiction,
    unheeded_errors,
    without_success,
    wrapper_error,
)
from gridbyoc.terraform.binary import Binary, nearest_directory
from gridbyoc.terraform.child import Clock, Command, NotStartedError
from gridbyoc.terraform.command_line import TerraformCommandLine
from gridbyoc.terraform.environment import CallersOwn, CredentialSupply, child_environment
from gridbyoc.terraform.errored import PRINTED, UnsavedState, rescue, unsaved_state
from gridbyoc.terraform.failures import WRITES, Failure, failed, interrupted
from gridbyoc.terraform.interrupts import Interrupts
from gridbyoc.terraform.logs import Logs
from gridbyoc.terraform.mirror import write_cli_config
from gridbyoc.terraform.outputs import sensitive_values
from gridbyoc.terraform.process import Cause, Ended, RunCommand, run
from gridbyoc.terraform.redaction import Redactor
from gridbyoc.terraform.state import backend_of
from gridbyoc.terraform.transcript import OnEvent, Transcript

TIMEOUTS: Mapping[str, float] = {"init": 600.0, "plan": 1800.0, "apply": 3600.0, "destroy": 3600.0}
_TIMEOUT = 300.0  # every other verb
_ACTING = frozenset({"plan", "apply", "destroy", "import"})
_KEEP_UMASK = -1


def utc_now() -> datetime:
    """The time that a log is named after."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True, slots=True)
class Call:
    """How one verb is run: its name in logs and messages, the statuses that are no failure, what stdout is.

    ``events``: the stream of ``-json``; ``document``: one JSON object; neither: text for people. ``may_be_empty``:
    it may print nothing and have done what it was asked.
    """

    verb: str
    good: tuple[int, ...] = (0,)
    events: bool = False
    document: bool = False
    may_be_empty: bool = False
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A command that did not fail: what it said, and its exit status."""

    transcript: Transcript
    code: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What every command of one Runner has in common; times in seconds, ``timeout`` ``None`` for each verb's own."""

    binary: Binary
    work_dir: Path
    environ: Mapping[str, str]
    mirror: Path | None
    on_event: OnEvent
    grace: float
    timeout: float | None
    clock: Clock = time.monotonic
    now: Callable[[], datetime] = field(default=utc_now)
    run_command: RunCommand = run
    credentials: CredentialSupply = field(default_factory=CallersOwn)
    stands_in_for: Path | None = None


class Execution:
    """Runs commands in one work_dir, one after the other."""

    def __init__(self, settings: Settings, secrets: Iterable[Secret]) -> None:
        self._set = settings
        self._redactor = Redactor(secrets)
        self._logs = Logs(settings.work_dir / "logs", self._redactor, settings.now)
        self.interrupts = Interrupts()
        self._unsaved: UnsavedState | None = None

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Take these out of every log, also out of those that this Runner wrote before."""
        if self._redactor.learn(secrets):
            self._logs.scrub()

    def __call__(self, call: Call, cmd: str, *args: str, **options: object) -> Said:
        """Run ``terraform cmd args``, options in python-terraform's form. Raises ``TerraformError`` and its kinds."""
        line = TerraformCommandLine(self._set.binary, self._set.work_dir, lambda argv: self._run(call, argv))
        return line.cmd(cmd, *args, **options)

    def _run(self, call: Call, argv: tuple[str, ...]) -> Said:
        if self.interrupts.requested:
            raise interrupted(call.verb, killed=False)
        backend = backend_of(self._set.work_dir)
        if not backend.remote:
            state = read_json(backend.state_file(self._set.work_dir))
            outputs = state.get("outputs")
            self.learn(sensitive_values(outputs) if isinstance(outputs, dict) else ())
        log = self._logs.open(call.verb, argv)
        self._unsaved = None
        transcript = Transcript(log, self._redactor, self._set.on_event, document=call.document, on_state=self._rescue)
        ended = self._process(call, argv, transcript)
        if ended.cause is Cause.EXIT and self._came_to_its_end(call, ended.code, transcript):
            return Said(transcript, ended.code)
        raise failed(self._failure(call, ended, transcript, log.path, remote=backend.remote))

    def _rescue(self, state: Mapping[str, Any]) -> None:
        """Save a state that Terraform has printed, at once: it holds what was made and has no other copy."""
        outputs = state.get("outputs")
        self.learn(sensitive_values(outputs) if isinstance(outputs, dict) else ())
        self._unsaved = rescue(state, self._set.work_dir, self._set.environ)

    def _came_to_its_end(self, call: Call, code: int, said: Transcript) -> bool:
        """Whether it is done by status and output alike; ``TerraformWrapperError`` where they contradict each other."""
        if code not in call.good:
            words = "" if said.errors() else complete_failure(call.verb, code, said)
        elif unheeded_errors(said, events=call.events):
            return False
        elif call.document:
            words = self._unreadable(call, said)
        elif call.events:
            words = contradiction(call.verb, code, said, self._set.binary.version)
        else:
            words = "" if call.may_be_empty else without_success(call.verb, said)
        if words:
            rerun = SAFE_RESUMES if call.verb in WRITES else SAFE_NOTHING_DONE
            raise wrapper_error(self._set.binary.path, words, rerun=rerun)
        return code in call.good

    def _unreadable(self, call: Call, said: Transcript) -> str:
        if said.document() is None:
            return f"{call.verb} ended with status 0 and answered with what is not a JSON object alone"
        empty = not said.stdout.strip() and not call.may_be_empty
        return f"{call.verb} ended with status 0 and nothing of its answer arrived" if empty else ""

    def _process(self, call: Call, argv: tuple[str, ...], transcript: Transcript) -> Ended:
        how = "not run to its end"
        try:
            with self._set.credentials.offered(acting=call.verb in _ACTING) as offered:
                ended = self._set.run_command(
                    self._command(call, argv, offered),
                    transcript.line,
                    interrupts=self.interrupts,
                    clock=self._set.clock,
                    on_stop=lambda cause: transcript.note(self._stopping(call, cause)),
                )
            how = f"exit status {ended.code} after {ended.seconds:.2f} s"
            how += "" if ended.cause is Cause.EXIT else f", {ended.cause.value}{', killed' if ended.killed else ''}"
        except NotStartedError as error:
            raise self._not_started(error) from None
        finally:
            transcript.end(how)
        return ended

    def _command(self, call: Call, argv: tuple[str, ...], offered: Mapping[str, str | None]) -> Command:
        config = write_cli_config(self._set.mirror, self._set.work_dir) if self._set.mirror else None
        environ = child_environment(self._set.environ, config, offered)
        # Files are for their owner alone; but what init puts into a shared plugin cache is for whoever shares it.
        shared = call.verb == "init" and "TF_PLUGIN_CACHE_DIR" in environ
        umask = _KEEP_UMASK if shared else 0o077
        cwd = call.cwd or self._set.work_dir
        if self._set.stands_in_for is not None:
            count = len(self._set.binary.argv)
            argv = (*argv[:count], f"-chdir={cwd}", *argv[count:])
            cwd = nearest_directory(self._set.stands_in_for)
        return Command(argv, environ, cwd, self._timeout(call), self._set.grace, umask)

    def _stopping(self, call: Call, cause: Cause) -> str:
        why = "Interrupted" if cause is Cause.INTERRUPT else f"No end after {self._timeout(call):g} s"
        again = " Ctrl-C again kills it." if cause is Cause.INTERRUPT else ""
        return f"{why}: Terraform was asked to stop and has {self._set.grace:g} s to do so.{again}"

    def _timeout(self, call: Call) -> float:
        return TIMEOUTS.get(call.verb, _TIMEOUT) if self._set.timeout is None else self._set.timeout

    def _not_started(self, error: NotStartedError) -> TerraformNotFoundError:
        return TerraformNotFoundError(
            f"{self._set.binary.path} cannot be started.",
            why=str(error),
            fix="Was it removed or replaced meanwhile? Name another one with --terraform-bin.",
            rerun=SAFE_NOTHING_DONE,
        )

    def _failure(self, call: Call, ended: Ended, said: Transcript, log: Path, *, remote: bool) -> Failure:
        work_dir, binary = self._set.work_dir, self._set.binary
        shown, passing = self._set.stands_in_for or work_dir, self._set.stands_in_for is not None
        return Failure(
            verb=call.verb,
            ended=ended,
            errors=tuple(each for each in said.errors() if not (said.printed_state and each.summary == PRINTED)),
            text=said.text,
            command=lambda *words: binary.command(shown, *words),
            log=None if passing else log,
            remote_state=remote,
            unsaved=self._unsaved or unsaved_state(shown, self._set.environ),
            grace=self._set.grace,
            timeout=self._timeout(call),
            profile=self._profile(),
            no_credentials=self._set.credentials.failure,
        )

    def _profile(self) -> str:
        """The AWS profile of the run: the root module's, else the environment's."""
        asked = read_json(self._set.work_dir / "terraform.tfvars.json").get("profile")
        environ = self._set.environ
        return asked if isinstance(asked, str) else environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE", "")


def document_of(said: Said) -> Mapping[str, Any]:
    """The JSON object on the stdout of a command that answers with one; empty where it printed nothing."""
    return said.transcript.document() or {}
