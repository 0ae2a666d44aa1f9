"""The Runner: Terraform's commands in one work_dir."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from python_terraform import IsFlagged, Terraform

from gridbyoc.errors import SAFE_NOTHING_DONE, SAFE_RESUMES, FileError, TerraformError, TerraformNotFoundError
from gridbyoc.stack.clock import utc_now
from gridbyoc.stack.files import read_json, write_atomic
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform.backend_history import InitRecord, local_state
from gridbyoc.terraform.binary import Binary, nearest_directory
from gridbyoc.terraform.environment import (
    CallersOwn,
    CredentialSupply,
    ProviderSource,
    check_mirror,
    child_environment,
    provider_source,
    write_cli_config,
)
from gridbyoc.terraform.events import (
    ApplySummary,
    Diagnostic,
    OnEvent,
    PlanSummary,
    ProviderEvent,
    TerraformEvent,
    Transcript,
    apply_summary,
    plan_summary,
)
from gridbyoc.terraform.failures import (
    NEEDS_INIT,
    WRITES,
    Failure,
    complete_failure,
    contradiction,
    failed,
    interrupted,
    unheeded_errors,
    without_success,
    wrapper_error,
)
from gridbyoc.terraform.logs import Logs
from gridbyoc.terraform.process import (
    Cause,
    Clock,
    ExitInfo,
    Interrupts,
    NotStartedError,
    ProcessCommand,
    RunCommand,
    run,
)
from gridbyoc.terraform.state import (
    Backend,
    Outputs,
    State,
    backend_of,
    bare_directory,
    blank_directory,
    read_outputs,
    sensitive_values,
)
from gridbyoc.terraform.state_recovery import ERRORED, PRINTED, UnsavedState, refuse_errored, rescue, unsaved_state

FLAG = IsFlagged  # marks an option without a value, such as -json
T = TypeVar("T")


class _Closed:
    """A method of the library that uses outdated flags (``destroy -force``) or prompts."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> NoReturn:
        raise AttributeError(f"{self._name}() of python-terraform is not used here: call cmd()")


class TerraformCommandLine(Terraform, Generic[T]):  # type: ignore[misc]  # python-terraform has no types
    """python-terraform with one method, ``cmd()``: it builds the argv for ``execute``, which runs the process."""

    plan = apply = destroy = init = output = _Closed()
    set_workspace = create_workspace = delete_workspace = show_workspace = _Closed()

    def __init__(self, binary: Binary, work_dir: Path, execute: Callable[[tuple[str, ...]], T]) -> None:
        super().__init__(working_dir=str(work_dir), terraform_bin_path=binary.path)
        self._argv = binary.argv
        self._execute = execute

    def __getattr__(self, name: str) -> NoReturn:
        """Raise ``AttributeError``: the library would run ``terraform <name>`` for every misspelt method."""
        raise AttributeError(name)

    def read_state_file(self, file_path: str | None = None) -> None:
        """Do nothing: the library would read the state and its secrets after every command."""

    def cmd(self, cmd: str, *args: str, **options: object) -> T:
        """Run ``terraform <cmd>``; ``options`` in python-terraform's form: ``no_color=FLAG``, ``input=False``.

        A dict is refused: the library would write it to a temporary file of variables that outlives a crash.
        """
        if any(isinstance(value, dict) for value in options.values()):
            raise TypeError("values go to Terraform in terraform.tfvars.json")
        return self._execute((*self._argv, *self.generate_cmd_string(cmd, *args, **options)[1:]))


TIMEOUTS: Mapping[str, float] = {"init": 600.0, "plan": 1800.0, "apply": 3600.0, "destroy": 3600.0}
_TIMEOUT = 300.0  # every other verb
_ACTING = frozenset({"plan", "apply", "destroy", "import"})
_KEEP_UMASK = -1


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """How to run one command: its name in logs and messages, its exit statuses of success, its kind of stdout.

    ``events``: the stream of ``-json``; ``document``: one JSON object; neither: text for people. ``may_be_empty``: it
    may succeed without output. ``variables``: secret values of input variables, passed in Terraform's environment
    (``TF_VAR_name``) and written to no file.
    """

    verb: str
    good: tuple[int, ...] = (0,)
    events: bool = False
    document: bool = False
    may_be_empty: bool = False
    cwd: Path | None = None
    variables: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A successful command: its transcript and exit status."""

    transcript: Transcript
    code: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of all commands of one Runner; times in seconds, ``timeout`` ``None`` for each command's default."""

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
    """Runs commands in one work_dir, one at a time."""

    def __init__(self, settings: Settings, secrets: Iterable[Secret]) -> None:
        self._set = settings
        self._redactor = Redactor(secrets)
        self._logs = Logs(settings.work_dir / "logs", self._redactor, settings.now)
        self.interrupts = Interrupts()
        self._unsaved: UnsavedState | None = None

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Keep secrets out of every log, and remove them from the logs that this Runner has already written."""
        if self._redactor.learn(secrets):
            self._logs.scrub()

    def __call__(self, call: CommandSpec, cmd: str, *args: str, **options: object) -> CommandResult:
        """Run ``terraform cmd args``, options in python-terraform's form. Raises ``TerraformError`` or a subclass."""
        line = TerraformCommandLine(self._set.binary, self._set.work_dir, lambda argv: self._run(call, argv))
        return line.cmd(cmd, *args, **options)

    def _run(self, call: CommandSpec, argv: tuple[str, ...]) -> CommandResult:
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
        if ended.cause is Cause.EXIT and self._succeeded(call, ended.code, transcript):
            return CommandResult(transcript, ended.code)
        raise failed(self._failure(call, ended, transcript, log.path, remote=backend.remote))

    def _rescue(self, state: Mapping[str, Any]) -> None:
        """Save a state that Terraform printed immediately: it is the only record of the created resources."""
        outputs = state.get("outputs")
        self.learn(sensitive_values(outputs) if isinstance(outputs, dict) else ())
        self._unsaved = rescue(state, self._set.work_dir, self._set.environ)

    def _succeeded(self, call: CommandSpec, code: int, said: Transcript) -> bool:
        """Whether status and output report success; ``TerraformWrapperError`` if they contradict each other."""
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

    def _unreadable(self, call: CommandSpec, said: Transcript) -> str:
        if said.document() is None:
            return f"{call.verb} ended with status 0 but did not print exactly one JSON object"
        empty = not said.stdout.strip() and not call.may_be_empty
        return f"{call.verb} ended with status 0 but printed nothing" if empty else ""

    def _process(self, call: CommandSpec, argv: tuple[str, ...], transcript: Transcript) -> ExitInfo:
        how = "not run to completion"
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

    def _command(self, call: CommandSpec, argv: tuple[str, ...], offered: Mapping[str, str | None]) -> ProcessCommand:
        config = write_cli_config(self._set.mirror, self._set.work_dir) if self._set.mirror else None
        environ = child_environment(self._set.environ, config, offered)
        environ |= {f"TF_VAR_{name}": value.reveal() for name, value in call.variables.items()}
        # Files are private to their owner, except those that init puts into a shared plugin cache.
        shared = call.verb == "init" and "TF_PLUGIN_CACHE_DIR" in environ
        umask = _KEEP_UMASK if shared else 0o077
        cwd = call.cwd or self._set.work_dir
        if self._set.stands_in_for is not None:
            count = len(self._set.binary.argv)
            argv = (*argv[:count], f"-chdir={cwd}", *argv[count:])
            cwd = nearest_directory(self._set.stands_in_for)
        return ProcessCommand(argv, environ, cwd, self._timeout(call), self._set.grace, umask)

    def _stopping(self, call: CommandSpec, cause: Cause) -> str:
        why = "Interrupted" if cause is Cause.INTERRUPT else f"Not finished after {self._timeout(call):g} s"
        again = " A second Ctrl-C kills it." if cause is Cause.INTERRUPT else ""
        return f"{why}: Terraform was asked to stop and has {self._set.grace:g} s to do so.{again}"

    def _timeout(self, call: CommandSpec) -> float:
        return TIMEOUTS.get(call.verb, _TIMEOUT) if self._set.timeout is None else self._set.timeout

    def _not_started(self, error: NotStartedError) -> TerraformNotFoundError:
        return TerraformNotFoundError(
            f"{self._set.binary.path} cannot be started.",
            why=str(error),
            fix="Check whether it was removed or replaced, or choose a different Terraform with --terraform-bin.",
            rerun=SAFE_NOTHING_DONE,
        )

    def _failure(self, call: CommandSpec, ended: ExitInfo, said: Transcript, log: Path, *, remote: bool) -> Failure:
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
        """The AWS profile of the run: the root module's, else the environment's, else empty."""
        asked = read_json(self._set.work_dir / "terraform.tfvars.json").get("profile")
        environ = self._set.environ
        return asked if isinstance(asked, str) else environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE", "")


def document_of(said: CommandResult) -> Mapping[str, Any]:
    """The JSON object that a command printed on stdout; empty if it printed nothing."""
    return said.transcript.document() or {}


LOCK_TIMEOUT = "10s"
_PULL = CommandSpec("state pull", document=True, may_be_empty=True)
_OUTPUT = CommandSpec("output", document=True)


def ignore(_event: TerraformEvent) -> None:
    """An ``on_event`` that does nothing."""


class Runner:
    """Runs Terraform in ``work_dir``; each method has the name of Terraform's command.

    Args:
        binary: the result of ``find_binary``.
        work_dir: the rendered root module; logs and local state go there, too.
        environ: the caller's environment; credentials pass, ``TF_CLI_ARGS*`` and similar variables do not.
        provider_mirror: a directory with providers; else ``GRIDBYOC_PROVIDER_MIRROR``, else the registry.
        on_event: called in this thread with every event as it happens; if it raises, Terraform is stopped
            properly first.
        secrets: values to keep out of logs, events and errors; sensitive outputs are added when they are read.
        grace: seconds between asking Terraform to stop and killing it.
        timeout: seconds for one command; ``None`` means 10 min for init, 30 for plan, 60 for apply and destroy,
            5 for others.
        lock_timeout: how long to wait for the state's lock, in Terraform's form.
        run_command: runs each command; a child process unless a test passes another function.
        credentials: where Terraform gets its AWS credentials; by default it finds them in ``environ``.
        stands_in_for: the directory of which ``work_dir`` is a temporary copy. Terraform is started there (a version
            manager chooses by it) and works in the copy; errors name that directory, and no log.

    Every method may raise ``TerraformError`` (with diagnostics), ``StateLockedError``, ``TerraformTimeoutError``,
    ``TerraformInterruptedError`` (Ctrl-C, SIGTERM, ``stop()``), ``TerraformNotFoundError`` (the binary was deleted)
    and ``FileError`` (the work_dir is missing or cannot be written).
    """

    def __init__(
        self,
        binary: Binary,
        work_dir: Path,
        *,
        environ: Mapping[str, str],
        provider_mirror: Path | None = None,
        on_event: Callable[[TerraformEvent], None] = ignore,
        secrets: Iterable[Secret] = (),
        grace: float = 60.0,
        timeout: float | None = None,
        lock_timeout: str = LOCK_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        run_command: RunCommand = run,
        credentials: CredentialSupply | None = None,
        stands_in_for: Path | None = None,
    ) -> None:
        self.binary = binary
        self.work_dir = work_dir.absolute()
        mirror = self._mirror = check_mirror(provider_mirror, environ)
        own = credentials or CallersOwn()
        settings = Settings(
            binary,
            self.work_dir,
            environ,
            mirror,
            on_event,
            grace,
            timeout,
            clock,
            now,
            run_command,
            own,
            stands_in_for,
        )
        self._execute = Execution(settings, secrets)
        self._record = InitRecord(self.work_dir, binary, mirror)
        self._lock_timeout = lock_timeout
        self._environ = environ
        self._own_dir = stands_in_for or self.work_dir
        self._hears_documents = False

    def version(self) -> str:
        """The version of the binary, such as ``1.11.4``."""
        return ".".join(map(str, self.binary.version))

    def stop(self) -> None:
        """Stop the running command as Ctrl-C would, and refuse later ones. Callable from any thread."""
        self._execute.interrupts.request()

    def init_needed(self, digest: str) -> bool:
        """Whether ``init`` is needed: ``digest`` represents the root module's backend, providers and modules."""
        return not self._record.holds(digest)

    def init(
        self, *, upgrade: bool = False, reconfigure: bool = False, digest: str | None = None
    ) -> tuple[ProviderEvent, ...]:
        """Install providers and modules, and set up the backend. A success is recorded with ``digest``.

        Returns the providers that were installed.
        """
        self._record.forget()
        said = self._verb(
            CommandSpec("init", events=self.binary.init_json),
            "init",
            no_color=FLAG,
            input=False,
            upgrade=FLAG if upgrade else None,
            reconfigure=FLAG if reconfigure else None,
            json=FLAG if self.binary.init_json else None,
        )
        if digest is not None:
            self._record.write(digest)
        return tuple(each for each in said.transcript.kept(ProviderEvent) if each.state == "installed")

    def source_of(self, event: ProviderEvent) -> ProviderSource:
        """Where ``init`` takes the provider of ``event`` from; empty if that is unknown. See ``provider_source``."""
        return provider_source(self._mirror, event, self.binary.registry, self._environ)

    def validate(self) -> tuple[Diagnostic, ...]:
        """Check the root module and return the warnings. Raises ``TerraformError`` if it is invalid."""
        return self._verb(CommandSpec("validate", document=True), "validate", json=FLAG).transcript.in_document()

    def plan(
        self,
        *,
        out: Path | None = None,
        destroy: bool = False,
        targets: Sequence[str] = (),
        refresh_only: bool = False,
        lock: bool = True,
        variables: Mapping[str, Secret] | None = None,
    ) -> PlanSummary:
        """Plan; ``out`` saves the plan (mode 0600: it holds secrets) for ``apply``. Changes are not a failure.

        ``variables`` are input variables that must not be written to a file; a saved plan contains them. Without
        ``lock``, it plans even if another run holds the state's lock.
        """
        self._execute.learn((variables or {}).values())
        try:
            said = self._writing(
                CommandSpec("plan", good=(0, 2), events=True, variables=variables or {}),
                "plan",
                detailed_exitcode=FLAG,
                out=str(out.absolute()) if out else None,
                destroy=FLAG if destroy else None,
                target=list(targets) or None,
                refresh_only=FLAG if refresh_only else None,
                lock=None if lock else False,
            )
        except BaseException:
            if out:
                out.unlink(missing_ok=True)
            raise
        return plan_summary(said.transcript, has_changes=said.code != 0)

    def apply(self, plan: Path | None = None) -> ApplySummary:
        """Apply a saved plan, exactly as it was shown; without one, plan and apply without asking."""
        saved = (str(plan.absolute()),) if plan else ()
        said = self._writing(CommandSpec("apply", events=True), "apply", *saved, auto_approve=None if plan else FLAG)
        return apply_summary(said.transcript)

    def destroy(self, targets: Sequence[str] = ()) -> ApplySummary:
        """Destroy everything in the state, or ``targets`` (addresses) and their dependents. The caller asks first."""
        call = CommandSpec("destroy", events=True)
        said = self._writing(call, "apply", destroy=FLAG, auto_approve=FLAG, target=list(targets) or None)
        return apply_summary(said.transcript)

    def show(self, plan: Path | None = None) -> Mapping[str, Any]:
        """The state, or a saved plan, as ``show -json`` prints it. It holds secrets: never log it."""
        saved = (str(plan.absolute()),) if plan else ()
        return document_of(self._verb(CommandSpec("show", document=True), "show", *saved, json=FLAG))

    def output(self) -> Outputs:
        """The module's outputs. Raises ``OutputMissingError`` before the first apply."""
        backend = backend_of(self.work_dir)
        if not backend.remote and not backend.state_file(self.work_dir).exists():
            return read_outputs({})
        state = None if backend.remote else str(backend.state_file(self.work_dir))
        document = self._from_state(backend, _OUTPUT, json=FLAG, state=state)
        self._execute.learn(sensitive_values(document))
        return read_outputs(document)

    def import_(self, address: str, ident: str) -> None:
        """Import the AWS resource with the import id ``ident`` into the state, at ``address``."""
        self.refuse_errored()
        flags = {"no_color": FLAG, "input": False, "lock_timeout": self._lock_timeout}
        self._verb(CommandSpec("import"), "import", address, ident, **flags)

    def state(self) -> State:
        """The state; empty if there is none. From now on its sensitive outputs are kept out of every log."""
        state = State(self._state())
        self._execute.learn(sensitive_values(state.outputs))
        return state

    def _state(self) -> Mapping[str, Any]:
        backend = backend_of(self.work_dir)
        if backend.remote:
            found = self._from_state(backend, _PULL)
            return found or self._no_state(lambda: self._from_state(backend, _OUTPUT, json=FLAG))
        file = backend.state_file(self.work_dir)
        state = read_json(file)
        if "resources" in state or not file.exists() or not file.stat().st_size:
            return state
        # Encrypted (OpenTofu), or damaged, which Terraform reports itself.
        return document_of(self._verb(_PULL, "state pull"))

    def pull(self, backend: Backend) -> State:
        """The state in any backend, even if this work_dir was never initialised with it; empty if there is none."""
        if not backend.remote:
            return State(local_state(self.work_dir, backend))
        with self._at(backend) as place:
            found = document_of(self._execute(replace(_PULL, cwd=place), "state pull"))
            call = replace(_OUTPUT, cwd=place)
            return State(found or self._no_state(lambda: document_of(self._execute(call, "output", json=FLAG))))

    def push(self, backend: Backend, state: State) -> None:
        """Write a state to a backend, under its lock. Terraform refuses to overwrite another lineage or a newer state.

        If there is no state yet, Terraform would generate a new lineage (1.11, 1.15). So an empty state is pushed
        first, which keeps the lineage; Terraform accepts any push over an empty state.
        """
        state = state.whole()
        new = backend.remote and not self.pull(backend).lineage
        with self._at(backend) as place:
            for each in (state.seed(), state) if new else (state,):
                write_atomic(place / "pushed.json", json.dumps(each.document))
                call = CommandSpec("state push", may_be_empty=True, cwd=place)
                self._execute(call, "state push", "pushed.json", lock_timeout=self._lock_timeout)

    def move(self, source: str, destination: str) -> None:
        """Change the address of a resource or module in the state; nothing outside the state changes."""
        self._verb(CommandSpec("state mv"), "state mv", source, destination, lock_timeout=self._lock_timeout)

    def refuse_errored(self) -> None:
        """Raise ``TerraformError`` if the work_dir holds a state that an earlier run could not save."""
        by_hand = self.binary.command(self._own_dir, "state", "push", ERRORED)
        refuse_errored(self._own_dir, self._environ, by_hand)

    def force_unlock(self, lock_id: str) -> None:
        """Remove a lock that a dead run left on the state."""
        self._verb(CommandSpec("force-unlock"), "force-unlock", lock_id, force=FLAG)

    @contextmanager
    def _at(self, backend: Backend) -> Iterator[Path]:
        """A directory that is initialised with only this backend."""
        with blank_directory(self.work_dir, backend) as blank:
            self._execute(CommandSpec("init", cwd=blank), "init", no_color=FLAG, input=False)
            yield blank

    def _no_state(self, outputs: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Confirm that there is no state: ``state pull`` printed nothing, and ``output -json`` must print ``{}``.

        Without this check, lost output would look like a missing state.
        """
        if not self._hears_documents and outputs():
            words = "state pull prints no state, but output reads one"
            raise wrapper_error(self.binary.path, words, rerun=SAFE_NOTHING_DONE)
        self._hears_documents = True  # one check is enough
        return {}

    def _from_state(self, backend: Backend, call: CommandSpec, **options: object) -> Mapping[str, Any]:
        """Run a command that needs only the state: in a bare directory, or if that fails, in the work_dir."""
        try:
            with bare_directory(self.work_dir, backend) as bare:
                return document_of(self._execute(replace(call, cwd=bare), call.verb, **options))
        except (TerraformError, FileError, OSError) as error:
            # Do not retry after an interrupt, a time-out or a lock.
            if isinstance(error, TerraformError) and type(error) is not TerraformError:
                raise
        return document_of(self._verb(call, call.verb, **(options | {"state": None})))

    def _writing(self, call: CommandSpec, cmd: str, *args: str, **options: object) -> CommandResult:
        self.refuse_errored()
        return self._verb(call, cmd, *args, json=FLAG, input=False, lock_timeout=self._lock_timeout, **options)

    def _verb(self, call: CommandSpec, cmd: str, *args: str, **options: object) -> CommandResult:
        try:
            return self._execute(call, cmd, *args, **options)
        except TerraformError as error:
            if any(sign in line for line in error.diagnostics for sign in NEEDS_INIT):
                self._record.forget()
            raise
