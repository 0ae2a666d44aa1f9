"""Prepare a run that reaches AWS and the control plane: render, init, and the preflight in parallel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gridbyoc.aws import role_is_gone
from gridbyoc.control_plane.model import Grant
from gridbyoc.errors import SAFE_NOTHING_DONE, AccountMismatchError, OutputMissingError
from gridbyoc.operations.events import Emit, Note, ProviderProgress, ResourceProgress, provider_words
from gridbyoc.operations.preflight.examine import Preflight, start_preflight
from gridbyoc.operations.run import Run
from gridbyoc.operations.state_place import init_in_place, is_in_place, settle_local_state
from gridbyoc.render import NO_PREVIOUS_ROLE, KnownPolicies, PreviousRole, Rendered, render, standing_ids
from gridbyoc.stack.model import LocalBackend, S3Backend
from gridbyoc.stack.secret import Secret
from gridbyoc.stack.words import counted
from gridbyoc.terraform import (
    LOCK_TIMEOUT,
    Binary,
    Log,
    ModuleInState,
    Outputs,
    PlannedChange,
    ProviderEvent,
    ResourceEvent,
    Runner,
    State,
    TerraformEvent,
    Version,
    read_outputs,
)
from gridbyoc.terraform.environment import ProviderSource

if TYPE_CHECKING:
    from gridbyoc.aws import AwsSession
    from gridbyoc.aws.credential_feed import CredentialFeed


_CHANGES = {"create": 1, "update": 1, "delete": 1, "replace": 2}
"""How many changes a planned action is, as Terraform counts them; all other actions make no change to a resource."""


def terraform_progress(
    emit: Emit, source: Callable[[ProviderEvent], ProviderSource]
) -> Callable[[TerraformEvent], None]:
    """A listener for the Runner that forwards progress on resources and providers, and warnings.

    ``source`` says where a provider comes from. Every apply, also of a saved plan, announces its changes first; each of
    them then ends with one event.
    """
    finished = total = 0

    def listen(event: TerraformEvent) -> None:
        nonlocal finished, total
        if isinstance(event, Version):  # the first line of each command
            finished = total = 0
        elif isinstance(event, PlannedChange):
            total += _CHANGES.get(event.change.action, 0)
        elif isinstance(event, ResourceEvent):
            finished += event.state == "done" and event.action in _CHANGES
            known = total if total >= finished else None
            emit(ResourceProgress(event.address, event.action, event.state, event.seconds, finished, known or None))
        elif isinstance(event, ProviderEvent):
            emit(ProviderProgress(event.name, event.version, event.state, *source(event)))
        elif isinstance(event, Log) and event.level == "warn":
            emit(Note(event.message, "warning"))

    return listen


MODULE = "module.gridbyoc"
"""The address of the stack's role module in the state."""
PREVIOUS_MODULE = "module.gridbyoc_previous"
"""The address, in the state, of a role that is being replaced."""


@dataclass(frozen=True, slots=True)
class PreparedStack:
    """An initialised work_dir, the state and both services, as they were before any change.

    ``fresh``: provably, no resource is in the state. ``state``: read once; code that changes the state replaces it.
    ``previous_role``: a role that is being replaced and still exists. ``previous_arn``: its ARN, also if AWS no longer
    has the role. ``without_api``: nobody can be asked which external id the vendor holds. ``drop_old``: the user
    asserts that such a vendor has the new id.
    """

    runner: Runner
    binary: Binary
    preflight: Preflight
    fresh: bool
    state: State
    previous_role: PreviousRole | None = None
    previous_arn: str | None = None
    without_api: bool = False
    drop_old: bool = False

    @property
    def standing(self) -> ModuleInState:
        """The stack's module in the state."""
        return self.state.module(MODULE)

    @property
    def outputs(self) -> Outputs | None:
        """The module's outputs in the state; ``None`` before the first apply."""
        try:
            return None if self.fresh else read_outputs(self.state.outputs)
        except OutputMissingError:
            return None

    def roles(self, grant: Grant | None) -> frozenset[str]:
        """The ARNs of roles whose clusters are ours: the grant's role, further ones, and one being replaced."""
        further = self.outputs.roles.values() if grant and self.outputs else ()
        return frozenset(arn for arn in (grant.role_arn if grant else None, self.previous_arn, *further) if arn)


def open_runner(run: Run) -> tuple[Runner, Binary]:
    """The Runner on the stack's work_dir, and its Terraform binary. Raises ``TerraformNotFoundError``."""
    binary = run.find_binary()
    override = run.stack.role.external_id
    patience = run.choices.lock_timeout
    runner = Runner(
        binary,
        run.work_dir,
        environ=run.terraform_environ,
        provider_mirror=run.stack.terraform.provider_mirror,
        on_event=terraform_progress(run.outside.emit, lambda event: runner.source_of(event)),
        secrets=(*((override,) if override else ()), *standing_ids(run.work_dir)),
        lock_timeout=LOCK_TIMEOUT if patience is None else f"{patience:.3f}s",
        run_command=run.outside.services.run_command,
        stands_in_for=run.read_from,
        credentials=_credentials(run),
    )
    return runner, binary


def _credentials(run: Run) -> CredentialFeed:
    """Give Terraform the credentials of the run's sessions, for the provider and for the backend.

    Roles that the stack file names are served under profiles of our own, which the rendered root names.
    """
    from gridbyoc.aws.credential_feed import CredentialFeed, FeedRequest  # here: not needed if nothing changes

    stack, outside = run.stack, run.outside
    backend = stack.terraform.backend
    provider = stack.provider_profile if stack.aws.assume_role else None
    state_role = isinstance(backend, S3Backend) and backend.assume_role is not None
    state = None
    if isinstance(backend, S3Backend):
        state = stack.state_profile(backend) if state_role else backend.profile

    def session(profile: str | None) -> AwsSession:
        if provider is not None and profile == provider:
            return run.open_session()
        if isinstance(backend, S3Backend) and state_role and profile == state:
            return run.state_session(backend)
        return run.caller_session(profile)

    asked = FeedRequest(stack.aws.profile, state, provider, state_role=state_role)
    return CredentialFeed(outside.environ, outside.home, asked, session)


def render_stack(run: Run, *, s3_native_lock: bool) -> Rendered:
    """The render step: write the root module and emit its warnings."""
    with run.step("render") as step:
        rendered = render(run.stack, run.work_dir, s3_native_lock=s3_native_lock)
        changed = len(rendered.changed) + len(rendered.removed)
        step.detail = f"{counted(changed, 'file')} changed" if changed else "unchanged"
    for warning in rendered.warnings:
        run.outside.emit(Note(warning, "warning"))
    return rendered


def prepare(run: Run) -> PreparedStack:
    """Render the root, run init with the preflight in parallel, and read the state.

    Values that depend on what is read here (account, external ids to keep, known policies) stay as in the last render
    until ``rerender`` updates them. With remote state, the account is checked before the state is touched.
    """
    runner, binary = open_runner(run)
    # A state that could not be saved may be the only record of what exists.
    runner.refuse_errored()
    registrar = run.registrar(on_warning=lambda text: run.outside.emit(Note(text, "warning")))
    for spec in run.wanted:
        registrar.check(spec)
    rendered = render_stack(run, s3_native_lock=binary.s3_native_lock)
    run.journal.write("tools", terraform=runner.version(), flavour=binary.flavour, root=rendered.digest)
    local = isinstance(run.stack.terraform.backend, LocalBackend)
    with start_preflight(run, registrar, binary) as flight:
        if not local:
            flight.basics()
        _init(run, runner, rendered.digest)
        if local:
            settle_local_state(run)
        preflight = flight.wait()
    state = runner.state()
    manual = run.stack.control_plane.type == "manual"
    fresh = local and not state.has_resources
    site = PreparedStack(runner, binary, preflight, fresh=fresh, state=state, without_api=manual)
    _refuse_other_account(run, site)
    return _with_previous_role(run, site)


def _refuse_other_account(run: Run, site: PreparedStack) -> None:
    """Refuse credentials of another account than the role's: Terraform would not find the role and create a second one.

    Not checked if the stack file names the caller's account, which decides, or if another module makes the roles: they
    may be in several accounts.
    """
    if site.fresh or run.stack.terraform.module is not None or run.stack.aws.account_id is not None:
        return
    caller = site.preflight.caller
    role_arn = site.standing.role_arn
    account = role_arn.split(":")[4] if role_arn else caller.account_id
    if account != caller.account_id:
        raise AccountMismatchError(
            f"The AWS credentials belong to account {caller.account_id}, but the stack's role is in account {account}.",
            why=f"The state holds {role_arn}; the caller is {caller.arn}.",
            fix=f"Use credentials of account {account}. To abandon that role and create one in account "
            f'{caller.account_id}, write aws.account_id: "{caller.account_id}" in the stack file.',
            rerun=SAFE_NOTHING_DONE,
        )


def rerender(
    run: Run,
    site: PreparedStack,
    kept_ids: tuple[Secret, ...] | None = None,
    known: KnownPolicies | None = None,
    imports: Mapping[str, str] | None = None,
) -> None:
    """Render the root again for the current site; run init again if needed (a module was added or removed).

    Call it before the first Terraform command that uses the configuration: plan, import, destroy. It limits the
    provider to the caller's account, even if the stack file names none.
    """
    rendered = render(
        run.stack,
        run.work_dir,
        s3_native_lock=site.binary.s3_native_lock,
        previous_external_ids=kept_ids,
        previous_role=site.previous_role or NO_PREVIOUS_ROLE,
        account_id=site.preflight.caller.account_id,
        known=known,
        imports=imports,
    )
    if site.runner.init_needed(rendered.digest):
        _init(run, site.runner, rendered.digest)


def _with_previous_role(run: Run, site: PreparedStack) -> PreparedStack:
    """Continue a replacement of the role that was interrupted. The state shows it, whatever this work_dir holds."""
    if site.fresh or run.stack.terraform.module is not None:
        return site
    found = site.state.module(PREVIOUS_MODULE)
    if found.role_name is None:
        # The role may be deleted while other resources of its module remain: the next apply deletes them.
        return site
    if found.role_arn and role_is_gone(site.preflight.session, found.role_arn):
        # A run destroyed it and was killed before the state recorded that. The role is not created again: see above.
        return replace(site, previous_arn=found.role_arn)
    previous = PreviousRole.of(found.role_name, found.role_arn, found.own_policy)
    return replace(site, previous_role=previous, previous_arn=found.role_arn)


def _init(run: Run, runner: Runner, digest: str) -> None:
    with run.step("init") as step:
        if runner.init_needed(digest):
            installed = init_in_place(run, runner, digest)
            step.detail = ", ".join(
                provider_words(ProviderProgress(each.name, each.version, each.state, *runner.source_of(each)))
                for each in installed
            )
        else:
            step.skipped = True
            step.detail = "nothing it depends on has changed"


def grant_of(run: Run, outputs: Outputs) -> Grant:
    """The grant that the control plane receives, from the module's outputs."""
    return Grant(outputs.role_arn, outputs.external_id, run.stack.aws.region)


def read_state(run: Run) -> State:
    """The stack's state. Remote state is initialised first if this work_dir has not used it yet.

    Raises ``StateMovedError`` if the state is elsewhere than the stack file says.
    """
    runner, binary = open_runner(run)
    unmet = not isinstance(run.stack.terraform.backend, LocalBackend) and not (run.work_dir / ".terraform").exists()
    if unmet or not is_in_place(run):
        initialise(run, runner, binary)
    return runner.state()


def initialise(run: Run, runner: Runner, binary: Binary) -> None:
    """Render the root and run ``terraform init`` if needed. Raises as ``read_state``."""
    rendered = render_stack(run, s3_native_lock=binary.s3_native_lock)
    _init(run, runner, rendered.digest)


def current_grant(run: Run, site: PreparedStack) -> Grant | None:
    """The grant in the state; ``None`` before the first apply."""
    return grant_of(run, site.outputs) if site.outputs else None
