"""Rollback: if the control plane refuses a registration for good, delete what this run created, and only that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import ControlPlaneError
from gridbyoc.operations.events import Event, Note, ResourceProgress
from gridbyoc.operations.partial import run_words
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.run import Run
from gridbyoc.operations.wait import delete_and_wait
from gridbyoc.stack.words import counted


@dataclass(slots=True)
class CreatedResources:
    """What this run created: resource addresses, as Terraform reported them, and clusters, without adopted ones.

    ``before``: addresses already in the state. A resource created at one of them is a replacement.
    """

    addresses: list[str] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    before: frozenset[str] = frozenset()

    @property
    def created(self) -> list[str]:
        """The addresses that did not exist before."""
        return [address for address in self.addresses if address not in self.before]

    def snapshot(self, site: PreparedStack) -> None:
        """Record the addresses in the state, before anything is applied."""
        self.before = frozenset() if site.fresh else site.runner.state().addresses

    def watching(self, run: Run) -> Run:
        """The same run, which records its created resources here."""
        emit = run.outside.emit

        def listen(event: Event) -> None:
            if isinstance(event, ResourceProgress) and (event.action, event.state) == ("create", "done"):
                self.addresses.append(event.address)
            emit(event)

        return replace(run, outside=replace(run.outside, emit=listen))


@contextmanager
def compensating(
    run: Run, site: PreparedStack, grant: Grant, made: CreatedResources, *, rollback: bool
) -> Iterator[None]:
    """Wraps a registration: after a permanent refusal (4xx), roll back if requested; otherwise say how to continue."""
    try:
        yield
    except ControlPlaneError as error:
        if not _for_good(error):
            raise
        if rollback:
            stays = _roll_back(run, site, made)
            error.rerun = stays or "What this run created was destroyed again, and nothing else; a re-run is safe."
        else:
            again = run_words("gridbyoc bootstrap", run.only)
            error.rerun = (
                f"The role {grant.role_arn} stays. Correct what was refused and run `{again}` again: it continues from "
                "there."
            )
            if not run.only:  # destroy would also delete the clusters that a partial run leaves alone
                error.rerun += " Or delete the role with `gridbyoc destroy`."
        raise


def _for_good(error: ControlPlaneError) -> bool:
    return 400 <= error.http_status < 500 and error.http_status not in {408, 425, 429}


def _roll_back(run: Run, site: PreparedStack, made: CreatedResources) -> str:
    """Delete what the run created. Returns what stays and why; empty if everything was deleted."""
    run.outside.emit(Note("The registration was refused: deleting what this run created.", "warning"))
    delete_and_wait(run, site.preflight.registrar, made.clusters)
    if not made.created:
        return ""
    with run.step("destroy") as step:
        others = () if site.fresh else _dependents(site, made.created)
        if others:
            step.skipped = True
            step.detail = "left unchanged"
            others_too = ", ".join(others)
            return f"What this run created in AWS stays: Terraform would also destroy {others_too}; a re-run is safe."
        with run.effect("destroy", role="what this run created"):
            done = site.runner.destroy(() if site.fresh else made.created)
        step.detail = f"{counted(done.destroy, 'resource')} of this run destroyed"
    return ""


def _dependents(site: PreparedStack, targets: Sequence[str]) -> tuple[str, ...]:
    """The other resources that Terraform would destroy with these: everything that depends on them, old or new."""
    planned = site.runner.plan(destroy=True, targets=targets)
    return tuple(change.address for change in planned.changes if change.address not in targets)
