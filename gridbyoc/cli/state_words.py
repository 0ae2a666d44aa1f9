"""What the commands of ``gridbyoc state`` say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gridbyoc.cli.app import App
from gridbyoc.cli.next_step import tell_next

if TYPE_CHECKING:
    from gridbyoc.stack.model import LocalBackend, S3Backend
    from gridbyoc.steps.state_init import Proposal, Ready
    from gridbyoc.steps.state_migrate import Moved
    from gridbyoc.steps.state_push import Pushed
    from gridbyoc.steps.state_unlock import Lock


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


def show_ready(app: App, stack_file: str, ready: Ready) -> None:
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
    from gridbyoc.steps.state_file import snippet

    app.line("Put this into the stack file:")
    for line in snippet(backend).splitlines():
        app.line(f"  {line}")
