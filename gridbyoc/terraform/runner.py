"""The Runner: Terraform's verbs on one work_dir."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, TerraformError
from gridbyoc.stack.files import read_json, write_atomic
from gridbyoc.stack.secret import Secret
from gridbyoc.terraform.agreement import wrapper_error
from gridbyoc.terraform.binary import Binary
from gridbyoc.terraform.command_line import FLAG
from gridbyoc.terraform.environment import CallersOwn, CredentialSupply
from gridbyoc.terraform.errored import ERRORED, refuse_errored
from gridbyoc.terraform.events import Diagnostic, TerraformEvent
from gridbyoc.terraform.execution import Call, Execution, Said, Settings, document_of, utc_now
from gridbyoc.terraform.failures import NEEDS_INIT
from gridbyoc.terraform.init_record import InitRecord
from gridbyoc.terraform.mirror import check_mirror
from gridbyoc.terraform.outputs import Outputs, read_outputs, sensitive_values
from gridbyoc.terraform.places import local_state
from gridbyoc.terraform.process import RunCommand, run
from gridbyoc.terraform.snapshot import seed_of, whole
from gridbyoc.terraform.state import (
    Backend,
    backend_of,
    bare_directory,
    blank_directory,
    has_resources,
)
from gridbyoc.terraform.summary import ApplySummary, PlanSummary, apply_summary, plan_summary

LOCK_TIMEOUT = "10s"
_PULL = Call("state pull", document=True, may_be_empty=True)
_OUTPUT = Call("output", document=True)


def ignore(_event: TerraformEvent) -> None:
    """A listener that does not listen."""


class Runner:
    """Runs Terraform in ``work_dir``; each verb is a method with Terraform's own name.

    Args:
        binary: what ``find_binary`` found.
        work_dir: the rendered root module; logs and local state go there too.
        environ: the caller's environment; credentials pass, ``TF_CLI_ARGS*`` and the like do not.
        provider_mirror: a directory to take providers from; else ``GRIDBYOC_PROVIDER_MIRROR``, else the registry.
        on_event: called in this thread with every event as it happens; when it raises, Terraform is stopped
            properly first.
        secrets: values to keep out of logs, events and errors; sensitive outputs are learnt when they are read.
        grace: seconds between asking Terraform to stop and killing it.
        timeout: seconds for any one command; ``None`` is 10 min for init, 30 for a plan, 60 for apply and destroy,
            5 for all else.
        lock_timeout: how long to wait for the state's lock, in Terraform's form.
        run_command: what runs each command; a child process unless a test hands in another.
        credentials: where Terraform gets its AWS credentials; else it looks for them in ``environ``.
        stands_in_for: the directory that ``work_dir`` is a passing copy of. Terraform is started there (a version
            manager chooses by it) and works in the copy; errors name that directory, and no log.

    Every method may raise ``TerraformError`` (with diagnostics), ``StateLockedError``, ``TerraformTimeoutError``,
    ``TerraformInterruptedError`` (Ctrl-C, SIGTERM, ``stop()``), ``TerraformNotFoundError`` (the binary went away)
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
        mirror = check_mirror(provider_mirror, environ)
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
        """Stop the command that runs, as Ctrl-C would, and refuse later ones; from any thread."""
        self._execute.interrupts.request()

    def init_needed(self, digest: str) -> bool:
        """Whether ``init`` would do anything: ``digest`` stands for backend, providers and modules of the root."""
        return not self._record.holds(digest)

    def init(self, *, upgrade: bool = False, reconfigure: bool = False, digest: str | None = None) -> None:
        """Install providers and modules, set up the backend. A good one is remembered under ``digest``."""
        self._record.forget()
        self._verb(
            Call("init", events=self.binary.init_json),
            "init",
            no_color=FLAG,
            input=False,
            upgrade=FLAG if upgrade else None,
            reconfigure=FLAG if reconfigure else None,
            json=FLAG if self.binary.init_json else None,
        )
        if digest is not None:
            self._record.write(digest)

    def validate(self) -> tuple[Diagnostic, ...]:
        """Check the root module; the warnings. An invalid one is a ``TerraformError``."""
        return self._verb(Call("validate", document=True), "validate", json=FLAG).transcript.in_document()

    def plan(
        self,
        *,
        out: Path | None = None,
        destroy: bool = False,
        targets: Sequence[str] = (),
        refresh_only: bool = False,
        lock: bool = True,
    ) -> PlanSummary:
        """Plan; ``out`` saves the plan (mode 0600: it holds secrets) for ``apply``. Changes are no failure.

        Without ``lock`` it only reads, also while another run holds the state's lock.
        """
        try:
            said = self._writing(
                Call("plan", good=(0, 2), events=True),
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
        """Apply a saved plan, exactly as it was shown; without one, plan and apply at once, without a question."""
        saved = (str(plan.absolute()),) if plan else ()
        said = self._writing(Call("apply", events=True), "apply", *saved, auto_approve=None if plan else FLAG)
        return apply_summary(said.transcript)

    def destroy(self, targets: Sequence[str] = ()) -> ApplySummary:
        """Destroy all that is in the state, or ``targets`` (addresses) and what hangs on them; the caller has asked."""
        call = Call("destroy", events=True)
        said = self._writing(call, "apply", destroy=FLAG, auto_approve=FLAG, target=list(targets) or None)
        return apply_summary(said.transcript)

    def show(self, plan: Path | None = None) -> Mapping[str, Any]:
        """The state, or a saved plan, as ``show -json`` has it. It holds secrets: for reading, not for a log."""
        saved = (str(plan.absolute()),) if plan else ()
        return document_of(self._verb(Call("show", document=True), "show", *saved, json=FLAG))

    def output(self) -> Outputs:
        """The module's outputs; ``OutputMissingError`` before the first apply."""
        backend = backend_of(self.work_dir)
        if not backend.remote and not backend.state_file(self.work_dir).exists():
            return read_outputs({})
        state = None if backend.remote else str(backend.state_file(self.work_dir))
        document = self._from_state(backend, _OUTPUT, json=FLAG, state=state)
        self._execute.learn(sensitive_values(document))
        return read_outputs(document)

    def import_(self, address: str, ident: str) -> None:
        """Take what exists in AWS as ``ident`` (Terraform's import id of its kind) into the state, at ``address``."""
        self.refuse_errored()
        flags = {"no_color": FLAG, "input": False, "lock_timeout": self._lock_timeout}
        self._verb(Call("import"), "import", address, ident, **flags)

    def has_state(self) -> bool:
        """Whether any resource is in the state."""
        return has_resources(self.state())

    def state(self) -> Mapping[str, Any]:
        """The state document; empty where there is none. It holds secrets: for reading, not for a log."""
        backend = backend_of(self.work_dir)
        if backend.remote:
            found = self._from_state(backend, _PULL)
            return found or self._no_state(lambda: self._from_state(backend, _OUTPUT, json=FLAG))
        file = backend.state_file(self.work_dir)
        state = read_json(file)
        if "resources" in state or not file.exists() or not file.stat().st_size:
            return state
        # Encrypted (OpenTofu), or damaged, which Terraform will say in its own words.
        return document_of(self._verb(_PULL, "state pull"))

    def pull(self, backend: Backend) -> Mapping[str, Any]:
        """The state at a backend, also one that this work_dir was never initialised with; empty where there is none."""
        if not backend.remote:
            return local_state(self.work_dir, backend)
        with self._at(backend) as place:
            found = document_of(self._execute(replace(_PULL, cwd=place), "state pull"))
            call = replace(_OUTPUT, cwd=place)
            return found or self._no_state(lambda: document_of(self._execute(call, "output", json=FLAG)))

    def push(self, backend: Backend, state: Mapping[str, Any]) -> None:
        """Write a state to a backend, under its lock. Terraform refuses to write over another lineage or a newer one.

        Into nothing at all Terraform writes a lineage of its own making (1.11, 1.15). An empty state, pushed first,
        keeps the lineage: over an empty one it takes whatever comes.
        """
        state = whole(state)
        new = backend.remote and not self.pull(backend).get("lineage")
        with self._at(backend) as place:
            for document in (seed_of(state), state) if new else (state,):
                write_atomic(place / "pushed.json", json.dumps(document))
                call = Call("state push", may_be_empty=True, cwd=place)
                self._execute(call, "state push", "pushed.json", lock_timeout=self._lock_timeout)

    def move(self, source: str, destination: str) -> None:
        """Give a resource or module of the state another address; nothing outside the state changes."""
        self._verb(Call("state mv"), "state mv", source, destination, lock_timeout=self._lock_timeout)

    def refuse_errored(self) -> None:
        """Raise ``TerraformError`` while a state lies in the work_dir that an earlier run could not save."""
        by_hand = self.binary.command(self._own_dir, "state", "push", ERRORED)
        refuse_errored(self._own_dir, self._environ, by_hand)

    def force_unlock(self, lock_id: str) -> None:
        """Take away a lock that a dead run left on the state."""
        self._verb(Call("force-unlock"), "force-unlock", lock_id, force=FLAG)

    @contextmanager
    def _at(self, backend: Backend) -> Iterator[Path]:
        """A directory that is initialised with nothing but this backend."""
        with blank_directory(self.work_dir, backend) as blank:
            self._execute(Call("init", cwd=blank), "init", no_color=FLAG, input=False)
            yield blank

    def _no_state(self, outputs: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Where there is no state, ``state pull`` prints nothing, as if unheard, and ``output -json`` prints ``{}``."""
        if not self._hears_documents and outputs():
            words = "state pull says that there is no state, and output reads one"
            raise wrapper_error(self.binary.path, words, rerun=SAFE_NOTHING_DONE)
        self._hears_documents = True  # once is enough
        return {}

    def _from_state(self, backend: Backend, call: Call, **options: object) -> Mapping[str, Any]:
        """Run a command that needs the state alone: the short way first, the plain one if that does not work."""
        try:
            with bare_directory(self.work_dir, backend) as bare:
                return document_of(self._execute(replace(call, cwd=bare), call.verb, **options))
        except (TerraformError, FileError, OSError) as error:
            # An interrupt, a time-out or a lock stays what it is.
            if isinstance(error, TerraformError) and type(error) is not TerraformError:
                raise
        return document_of(self._verb(call, call.verb, **(options | {"state": None})))

    def _writing(self, call: Call, cmd: str, *args: str, **options: object) -> Said:
        self.refuse_errored()
        return self._verb(call, cmd, *args, json=FLAG, input=False, lock_timeout=self._lock_timeout, **options)

    def _verb(self, call: Call, cmd: str, *args: str, **options: object) -> Said:
        try:
            return self._execute(call, cmd, *args, **options)
        except TerraformError as error:
            if any(sign in line for line in error.diagnostics for sign in NEEDS_INIT):
                self._record.forget()
            raise
