"""``gridbyoc state``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import click

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next
from gridbyoc.cli.options import command, group, pass_app, profile_option, set_option, stack_argument
from gridbyoc.cli.running import lock_option, open_run, terraform_options
from gridbyoc.errors import UsageError
from gridbyoc.stack.clock import utc_now

if TYPE_CHECKING:
    from gridbyoc.operations.state_migrate import Move, Proposal
    from gridbyoc.operations.state_unlock import Lock


@group("state")
def state() -> None:
    """Terraform's state: its bucket, its lock, and moving it safely."""


@command("init")
@stack_argument
@set_option
@profile_option
@click.option("--bucket", metavar="NAME", help="The bucket (default: the stack's, else gridbyoc-state-ACCOUNT-REGION).")
@click.option("--key", metavar="KEY", help="The state's key in it (default: the stack's, else gridbyoc/NAME.tfstate).")
@click.option("--region", metavar="REGION", help="The bucket's region (default: the stack's).")
@click.option("--kms-key-id", metavar="ARN", help="Encrypt with this KMS key (default: SSE-S3).")
@click.option("--yes", "-y", is_flag=True, help="Approve what is created and changed.")
@pass_app
def init(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    bucket: str | None,
    key: str | None,
    region: str | None,
    kms_key_id: str | None,
    yes: bool,
) -> None:
    """Create the S3 bucket for STACK_FILE's state, and point STACK_FILE at it.

    The bucket is versioned, encrypted, closed to the public, accessible over TLS only, and owns its objects. An
    existing bucket is corrected; correct settings are not touched. Moves no state: `state migrate` does that.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_migrate import BucketRequest, init_state
    from gridbyoc.show.state import STATE_INIT, StackState

    asked = BucketRequest(bucket, key, region, kms_key_id)
    with open_run(app, stack_file, overrides, "state init", Choices()) as run:
        ready = init_state(run, asked, lambda proposal: yes or _ask_init(app, proposal))
    app.show(STATE_INIT, StackState(stack_file, ready), run.stack.name)
    if ready.pointed or ready.proposal.points_already:
        tell_next(app, "state init with a state elsewhere" if ready.state_left_in else "state init")


def _ask_init(app: App, proposal: Proposal) -> bool:

    for line in proposal_lines(proposal):
        app.note(line)
    return app.confirm("Apply these changes?", flag="--yes")


@command("migrate")
@stack_argument
@set_option
@profile_option
@click.option("--to", "to", type=click.Choice(["s3", "local"]), help="The target (default: the one in STACK_FILE).")
@click.option("--yes", "-y", is_flag=True, help="Approve the move.")
@lock_option
@terraform_options
@pass_app
def migrate(
    app: App,
    stack_file: str,
    overrides: tuple[str, ...],
    to: Literal["s3", "local"] | None,
    yes: bool,
    lock_timeout: float | None,
    terraform_bin: str | None,
) -> None:
    """Move STACK_FILE's state to S3 or back to the work_dir, and update STACK_FILE.

    The state is copied and compared (lineage, serial, every instance, the outputs). Only then the old one is set aside:
    a local file is renamed, an object in S3 stays. A target that holds another state is refused. If the command is
    killed, run it again.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_migrate import migrate as run_migrate
    from gridbyoc.operations.state_place import point_at
    from gridbyoc.show.state import STATE_MIGRATE, MovedState
    from gridbyoc.stack.model import LocalBackend

    choices = Choices(terraform_bin, lock_timeout=lock_timeout)
    with open_run(app, stack_file, overrides, "state migrate", choices) as run:
        backend = run.stack.terraform.backend
        if to == "s3" and isinstance(backend, LocalBackend):
            raise UsageError(
                "The stack file names no bucket.",
                fix=f"Run `gridbyoc state init {shlex.quote(stack_file)}` first: it makes one.",
            )
        wanted = LocalBackend() if to == "local" else backend
        moved = run_migrate(run, wanted, approve=lambda move: yes or _ask_move(app, move), now=utc_now)
        pointed = point_at(run.stack, wanted)
    to_paste = wanted if wanted != backend and not pointed else None
    app.show(STATE_MIGRATE, MovedState(moved, stack_file if pointed else None, to_paste), run.stack.name)
    if not to_paste:
        tell_next(app, "state migrate")


def _ask_move(app: App, move: Move) -> bool:
    app.note(f"{move.instances} instances in {move.source} would be copied to {move.target}.")
    return app.confirm("Move the state?", flag="--yes")


@command("push")
@stack_argument
@set_option
@profile_option
@lock_option
@terraform_options
@pass_app
def push(
    app: App, stack_file: str, overrides: tuple[str, ...], lock_timeout: float | None, terraform_bin: str | None
) -> None:
    """Push back the state that a run could not save (errored.tfstate), and set the file aside.

    Refused if the state has another lineage, or has changed since.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_migrate import push_errored
    from gridbyoc.show.state import STATE_PUSH

    choices = Choices(terraform_bin, lock_timeout=lock_timeout)
    with open_run(app, stack_file, overrides, "state push", choices) as run:
        pushed = push_errored(run, now=utc_now)
    app.show(STATE_PUSH, pushed, run.stack.name)
    if pushed:
        tell_next(app, "state push")


@command("unlock")
@stack_argument
@set_option
@profile_option
@click.option("--yes", "-y", is_flag=True, help="Break a lock whose holder is provably dead.")
@click.option("--force", metavar="LOCK_ID", help="Break this lock on your word that its holder is dead.")
@terraform_options
@pass_app
def unlock(
    app: App, stack_file: str, overrides: tuple[str, ...], yes: bool, force: str | None, terraform_bin: str | None
) -> None:
    """Explain the lock on STACK_FILE's state: who holds it, since when, and whether that run is alive.

    Never breaks it silently: it breaks the lock of a run in this work_dir that is provably over with --yes, any other
    only with --force and its id, and never the lock of a live process. Ends with status 8 while the state stays locked.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_unlock import break_lock, find_lock, refusal
    from gridbyoc.show.state import STATE_UNLOCK, LockFound

    with open_run(app, stack_file, overrides, "state unlock", Choices(terraform_bin)) as run:
        lock = find_lock(run)
        with run.asking():
            broken = lock is not None and bool(lock.command) and _may_break(app, lock, yes=yes, force=force)
        if lock is not None and broken:
            break_lock(run, lock)
    app.show(STATE_UNLOCK, LockFound(lock, broken), run.stack.name)
    if broken:
        tell_next(app, "state unlock")
    if lock is not None and not broken and not lock.harmless:
        raise refusal(lock, stack_file)


def _may_break(app: App, lock: Lock, *, yes: bool, force: str | None) -> bool:
    if force is not None and force != lock.info.id:
        raise UsageError(
            f"The lock's id is {lock.info.id}, not {force}.", fix="Check again: another run may hold it now."
        )
    if lock.verdict == "alive":
        return False
    if force is not None or (yes and lock.verdict == "dead"):
        return True
    if not app.interactive:
        return False
    app.note(f"{lock.info}: {lock.reason}.")
    if lock.verdict == "dead":
        return app.confirm("Break this lock?", flag="--yes")
    return app.prompt("To break it anyway, type its id").strip() == lock.info.id


for _command in (init, migrate, push, unlock):
    state.add_command(_command)


def proposal_lines(proposal: Proposal) -> Iterator[str]:
    """What `state init` would do, for the question."""
    bucket = proposal.bucket
    if proposal.settings is None:
        yield f"+ bucket {bucket.name} in {bucket.region}, account {bucket.account_id}"
    else:
        yield f"  bucket {bucket.name} in {bucket.region} exists"
    for setting in proposal.settings or ():
        yield f"{' ' if setting.in_order else '~'} {setting.name}: {setting.wanted}"
    if not proposal.points_already:
        yield f"~ terraform.backend of the stack file: s3://{proposal.backend.bucket}/{proposal.backend.key}"
