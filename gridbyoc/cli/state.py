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
    from gridbyoc.operations.state_migrate import Move, Moved, Proposal, Pushed, ReadyBucket
    from gridbyoc.operations.state_unlock import Lock
    from gridbyoc.stack.model import LocalBackend, S3Backend


@group("state")
def state() -> None:
    """Where Terraform's state lies: its bucket, its lock, and moving it safely."""


@command("init")
@stack_argument
@set_option
@profile_option
@click.option("--bucket", metavar="NAME", help="The bucket (default: the stack's, else gridbyoc-state-ACCOUNT-REGION).")
@click.option("--key", metavar="KEY", help="The state's key in it (default: the stack's, else gridbyoc/NAME.tfstate).")
@click.option("--region", metavar="REGION", help="The bucket's region (default: the stack's).")
@click.option("--kms-key-id", metavar="ARN", help="Encrypt with this KMS key (default: SSE-S3).")
@click.option("--yes", "-y", is_flag=True, help="Approve what is made and changed.")
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
    """Make the S3 bucket for STACK_FILE's state, and point STACK_FILE at it.

    Versioned, encrypted, closed to the public, over TLS only, its objects owned by the bucket's owner. A bucket that
    is there already is put right, and nothing in it that is in order is touched. Moves no state: `state migrate` does.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_migrate import BucketRequest, init_state

    asked = BucketRequest(bucket, key, region, kms_key_id)
    with open_run(app, stack_file, overrides, "state init", Choices()) as run:
        ready = init_state(run, asked, lambda proposal: yes or _ask_init(app, proposal))
    show_ready(app, stack_file, ready)


def _ask_init(app: App, proposal: Proposal) -> bool:

    for line in proposal_lines(proposal):
        app.note(line)
    return app.confirm("Do this?", flag="--yes")


@command("migrate")
@stack_argument
@set_option
@profile_option
@click.option("--to", "to", type=click.Choice(["s3", "local"]), help="Where to (default: where STACK_FILE puts it).")
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
    """Move STACK_FILE's state to S3 or back to the work_dir, and STACK_FILE with it.

    Copied, compared (lineage, serial, every instance, the outputs), and only then is the old one set aside: a local
    file is renamed, an object in S3 stays. A target that holds another state is refused. Killed anywhere, run it again.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_migrate import migrate as run_migrate
    from gridbyoc.operations.state_place import point_at
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
    snippet_of = wanted if wanted != backend and not pointed else None
    show_moved(app, moved, stack_file if pointed else None, snippet_of)


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
    """Push back the state that a run could not save (errored.tfstate), and put the file aside.

    Refused where the state is of another lineage, or has moved on since.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_migrate import push_errored

    choices = Choices(terraform_bin, lock_timeout=lock_timeout)
    with open_run(app, stack_file, overrides, "state push", choices) as run:
        pushed = push_errored(run, now=utc_now)
    show_pushed(app, pushed)


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
    """Explain the lock on STACK_FILE's state: who holds it, since when, and whether that run lives.

    Never breaks it silently: a lock of a run in this work_dir that is provably over with --yes, any other only with
    --force and its id, and the lock of a live process never. Ends with status 8 while the state stays locked.
    """
    from gridbyoc.operations.run import Choices
    from gridbyoc.operations.state_unlock import break_lock, find_lock, refusal

    with open_run(app, stack_file, overrides, "state unlock", Choices(terraform_bin)) as run:
        lock = find_lock(run)
        with run.asking():
            broken = lock is not None and bool(lock.command) and _may_break(app, lock, yes=yes, force=force)
        if lock is not None and broken:
            break_lock(run, lock)
    show_lock(app, lock, broken=broken)
    if lock is not None and not broken and not lock.harmless:
        raise refusal(lock, stack_file)


def _may_break(app: App, lock: Lock, *, yes: bool, force: str | None) -> bool:
    if force is not None and force != lock.info.id:
        raise UsageError(
            f"The lock's id is {lock.info.id}, not {force}.", fix="Look again: another run may hold it now."
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
    return app.prompt("To break it all the same, type its id").strip() == lock.info.id


for _command in (init, migrate, push, unlock):
    state.add_command(_command)


def proposal_lines(proposal: Proposal) -> Iterator[str]:
    """What `state init` would do."""
    bucket = proposal.bucket
    if proposal.settings is None:
        yield f"+ bucket {bucket.name} in {bucket.region}, account {bucket.account_id}"
    else:
        yield f"  bucket {bucket.name} in {bucket.region} is there"
    for setting in proposal.settings or ():
        yield f"{' ' if setting.in_order else '~'} {setting.name}: {setting.wanted}"
    if not proposal.points_already:
        yield f"~ terraform.backend of the stack file: s3://{proposal.backend.bucket}/{proposal.backend.key}"


def show_ready(app: App, stack_file: str, ready: ReadyBucket) -> None:
    """What `state init` did."""
    bucket, backend = ready.proposal.bucket, ready.proposal.backend
    to_paste = not ready.pointed and not ready.proposal.points_already
    if app.json:
        settings = [{"name": each.name, "wanted": each.wanted, "changed": not each.in_order} for each in ready.settings]
        told = {"bucket": bucket.name, "region": bucket.region, "key": backend.key, "made": ready.made}
        left = ready.state_left_in
        _document(app, {**told, "settings": settings, "stack_file_changed": ready.pointed, "state_left_in": left})
        return
    app.line(f"bucket {bucket.name} in {bucket.region}: {'made' if ready.made else 'there already'}")
    for setting in ready.settings:
        app.line(f"  {setting.name}: {setting.wanted} ({'as it was' if setting.in_order else 'set'})")
    if ready.pointed:
        app.line(f"{stack_file}: terraform.backend is now s3://{backend.bucket}/{backend.key}; commit it.")
    elif to_paste:
        _paste(app, backend)
    if ready.state_left_in:
        app.note(f"The state still lies in {ready.state_left_in}.")
    if not to_paste:
        tell_next(app, "state init with a state elsewhere" if ready.state_left_in else "state init")


def show_moved(app: App, moved: Moved, changed: str | None, to_paste: LocalBackend | S3Backend | None) -> None:
    """What `state migrate` did; ``changed`` is the stack file that says so now, ``to_paste`` what it does not yet."""
    if app.json:
        told = {"source": moved.source, "target": moved.target, "moved": moved.moved, "instances": moved.instances}
        told |= {"lineage": moved.lineage, "serial": moved.serial, "stack_file_changed": changed is not None}
        _document(app, {**told, "set_aside": str(moved.aside) if moved.aside else None, "left": moved.left})
        return
    if moved.moved:
        app.line(f"The state is in {moved.target}: {moved.instances} instances, compared with {moved.source}.")
    elif moved.instances or moved.lineage:
        app.line(f"The state is in {moved.target} already: {moved.instances} instances.")
    else:
        app.line(f"There is no state yet; it will be made in {moved.target}.")
    if moved.aside:
        app.line(f"The old file is now {moved.aside}. It holds secrets: delete it once you trust the new place.")
    if moved.left:
        app.line(f"The old state in {moved.left} was left as it was. Delete it once you trust the new place.")
    if changed:
        app.line(f"{changed}: terraform.backend says so now; commit it.")
    if to_paste:
        _paste(app, to_paste)
    else:
        tell_next(app, "state migrate")


def show_pushed(app: App, pushed: Pushed | None) -> None:
    """What `state push` did."""
    if app.json:
        told = None
        if pushed:
            told = {"place": pushed.place, "instances": pushed.instances, "serial": pushed.serial}
            told |= {"already": pushed.already, "set_aside": str(pushed.aside)}
        _document(app, {"pushed": told})
    elif pushed is None:
        app.line("There is nothing to push: no run has left an errored.tfstate.")
    else:
        how = "held it already" if pushed.already else "holds it now"
        app.line(f"{pushed.place} {how}: {pushed.instances} instances, serial {pushed.serial}.")
        app.line(f"The file is now {pushed.aside}.")
        tell_next(app, "state push")


def show_lock(app: App, lock: Lock | None, *, broken: bool) -> None:
    """A lock, and what became of it."""
    if app.json:
        told = None
        if lock:
            info = lock.info
            created = info.created.isoformat() if info.created else None
            told = {"id": info.id, "who": info.who, "operation": info.operation, "created": created, "path": info.path}
            told |= {"verdict": lock.verdict, "reason": lock.reason, "command": lock.command or None}
        _document(app, {"lock": told, "broken": broken})
    elif lock is None:
        app.line("The state is not locked.")
    elif broken:
        app.line(f"The lock is gone. It was held by {lock.info}: {lock.reason}.")
        tell_next(app, "state unlock")
    elif lock.harmless:
        app.line(f"The state is not locked. A dead run left a note ({lock.info}): {lock.reason}.")
    else:
        app.line(f"locked by {lock.info}")
        app.line(f"  the holder: {lock.verdict}; {lock.reason}")
        if lock.command and lock.verdict != "alive":
            app.line(f"  to break it by hand: {lock.command}")


def _document(app: App, value: object) -> None:
    """One line, because events may stand before it."""
    app.record(value)


def _paste(app: App, backend: LocalBackend | S3Backend) -> None:
    from gridbyoc.operations.state_place import snippet

    app.line("Put this into the stack file:")
    for line in snippet(backend).splitlines():
        app.line(f"  {line}")
