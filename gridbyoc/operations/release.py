"""Release a stack: role, clusters, state and work_dir stay, and no run changes them any more."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from gridbyoc.control_plane.model import Cluster
from gridbyoc.errors import SAFE_NOTHING_DONE, ApprovalRequiredError, GridbyocError, OutputMissingError
from gridbyoc.operations.adopt import clusters_through
from gridbyoc.operations.prepare import MODULE, initialise, open_runner, read_state
from gridbyoc.operations.release_marker import (
    Marker,
    adopt_command,
    file_words,
    read_marker,
    remove_marker,
    write_marker,
)
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_place import wanted_backend
from gridbyoc.terraform import CLI_CONFIG_FILE, Outputs, Runner, State, check_mirror, place_words, read_outputs


@dataclass(frozen=True, slots=True)
class Left:
    """Everything that stays, and how to continue with Terraform by hand.

    ``policies``: ARNs that the state has as attached. ``clusters``: ``None`` if the control plane could not be asked
    (``unknown`` says why). ``cd`` and ``setting`` (for the provider mirror) precede each command. ``pending``: the
    changes that ``terraform plan`` shows now; empty if there are none.
    """

    role_arn: str
    policies: tuple[str, ...]
    clusters: tuple[Cluster, ...] | None
    unknown: str
    state: str
    cd: str
    setting: str
    program: str
    flavour: str
    version: str
    pending: str

    def command(self, *words: str) -> str:
        """A Terraform command in the work_dir, ready to be typed."""
        return f"{self.cd} && {self.setting}{shlex.join((self.program, *words))}"


@dataclass(frozen=True, slots=True)
class Released:
    """A released stack. ``left`` is ``None`` if it was already released. ``adopt``: the command that takes it back."""

    marker: Marker
    adopt: str
    left: Left | None = None


def release(run: Run, approve: Callable[[Left], bool]) -> Released:
    """Write the marker and change nothing else: not AWS, not the control plane, not the state.

    The caller holds the stack's lock. Raises ``OutputMissingError`` if the state holds no role,
    ``ApprovalRequiredError`` if not approved.
    """
    standing = read_marker(run.work_dir)
    if standing is not None:
        return Released(standing, adopt_command(standing, file_words(run.stack)))
    left = _look(run)
    with run.asking():
        approved = approve(left)
    if not approved:
        raise ApprovalRequiredError("The release was not approved.", rerun=SAFE_NOTHING_DONE)
    marker = Marker(run.outside.now().isoformat(timespec="seconds"), left.role_arn)
    write_marker(run.work_dir, run.stack, marker)
    run.journal.write("released", role=marker.role_arn)
    return Released(marker, adopt_command(marker, file_words(run.stack)), left)


def holds_released_role(run: Run, role_arn: str) -> bool:
    """Whether the stack was released and its state still holds this role: nothing needs to be imported then."""
    if read_marker(run.work_dir) is None:
        return False
    try:
        return read_outputs(read_state(run).outputs).role_arn == role_arn
    except OutputMissingError:
        return False


def take_back(run: Run) -> None:
    """End the release, if there is one.

    A run has proven that everything matches the stack file. Raises ``FileError``.
    """
    if remove_marker(run.work_dir):
        run.journal.write("taken_back")


def _look(run: Run) -> Left:
    runner, binary = open_runner(run)
    runner.refuse_errored()
    state = read_state(run)
    outputs = _outputs(run, state)
    if not (run.work_dir / ".terraform").exists():
        initialise(run, runner, binary)
    clusters, unknown = _clusters(run, outputs.role_arn)
    backend = wanted_backend(run.stack, run.stack.terraform.backend, native_lock=binary.s3_native_lock)
    mirror = check_mirror(run.stack.terraform.provider_mirror, run.terraform_environ)
    config = shlex.quote(str(run.work_dir / CLI_CONFIG_FILE))
    return Left(
        role_arn=outputs.role_arn,
        policies=tuple(sorted(state.module(MODULE).attached)),
        clusters=clusters,
        unknown=unknown,
        state=place_words(backend, run.work_dir),
        cd=f"cd {shlex.quote(str(run.work_dir))}",
        setting=f"TF_CLI_CONFIG_FILE={config} " if mirror else "",
        program=binary.program,
        flavour=binary.flavour,
        version=runner.version(),
        pending=_pending(run, runner),
    )


def _outputs(run: Run, state: State) -> Outputs:
    try:
        return read_outputs(state.outputs)
    except OutputMissingError as error:
        raise OutputMissingError(
            f"There is nothing to release: the state of the stack {run.stack.name} holds no role.",
            why=error.why,
            fix="If the stack was destroyed or never bootstrapped, delete its stack file.",
            rerun=SAFE_NOTHING_DONE,
        ) from None


def _clusters(run: Run, role_arn: str) -> tuple[tuple[Cluster, ...] | None, str]:
    try:
        registrar = run.registrar()
        found = clusters_through(registrar.list(), role_arn)
    except GridbyocError as error:
        return None, f"{error.what} {error.why}".strip()
    return (None, registrar.unasked) if registrar.unasked else (found, "")


def _pending(run: Run, runner: Runner) -> str:
    """The changes that Terraform would show by hand. The plan takes no lock, so that nothing is written."""
    with run.step("plan") as step:
        plan = runner.plan(lock=False)
        counts = ((plan.add, "add"), (plan.change, "change"), (plan.destroy, "destroy"))
        words = ", ".join(f"{count} to {verb}" for count, verb in counts if count) or "outputs change"
        step.detail = words if plan.has_changes else "no changes"
    return words if plan.has_changes else ""
