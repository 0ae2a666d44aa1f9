"""Compensation: when the control plane refuses a registration for good, take back what this run made, and only that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from gridbyoc.control_plane.model import Cluster, Grant
from gridbyoc.errors import ControlPlaneError
from gridbyoc.steps.events import Event, Note, ResourceProgress
from gridbyoc.steps.prepare import Site
from gridbyoc.steps.run import Run
from gridbyoc.steps.wait import delete_and_wait


@dataclass(slots=True)
class Made:
    """What this run created: resource addresses, as Terraform reported them, and clusters that it did not take on."""

    addresses: list[str] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)

    def watching(self, run: Run) -> Run:
        """The same run, with its created resources noted here."""
        emit = run.outside.emit

        def listen(event: Event) -> None:
            if isinstance(event, ResourceProgress) and (event.action, event.state) == ("create", "done"):
                self.addresses.append(event.address)
            emit(event)

        return replace(run, outside=replace(run.outside, emit=listen))


@contextmanager
def compensating(run: Run, site: Site, grant: Grant, made: Made, *, rollback: bool) -> Iterator[None]:
    """Around a registration: a refusal for good (4xx) rolls back where that was asked for, else says how to go on."""
    try:
        yield
    except ControlPlaneError as error:
        if not _for_good(error):
            raise
        if rollback:
            _roll_back(run, site, made)
            error.rerun = "What this run created was destroyed again, and nothing else; a re-run is safe."
        else:
            error.rerun = (
                f"The role {grant.role_arn} stays. Mend what was refused and run `gridbyoc bootstrap` again: it goes "
                "on from there. Or take the role away with `gridbyoc destroy`."
            )
        raise


def _for_good(error: ControlPlaneError) -> bool:
    return 400 <= error.http_status < 500 and error.http_status not in {408, 425, 429}


def _roll_back(run: Run, site: Site, made: Made) -> None:
    run.outside.emit(Note("The registration was refused: taking back what this run created.", "warning"))
    delete_and_wait(run, site.preflight.registrar, made.clusters)
    if not made.addresses:
        return
    with run.step("destroy") as step, run.effect("destroy", role="what this run created"):
        done = site.runner.destroy(() if site.fresh else made.addresses)
        step.detail = f"{done.destroy} resources of this run destroyed"
