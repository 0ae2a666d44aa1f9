"""What a plan was made against: state, account, control plane, clusters; and what of it has moved since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridbyoc.control_plane.model import Cluster, Grant, Phase
from gridbyoc.stack.model import LocalBackend
from gridbyoc.steps.prepare import Site
from gridbyoc.steps.run import Run
from gridbyoc.steps.state_place import wanted_backend
from gridbyoc.terraform import place_words, snapshot_of

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class StateMark:
    """Where the state lies and which one it is; an empty ``lineage`` is a state that is not there yet."""

    place: str
    lineage: str
    serial: int


@dataclass(frozen=True, slots=True)
class ClusterMark:
    """A cluster as it was read: ``spec`` is a SHA-256 of its whole spec, fields that are not known here included."""

    id: str
    name: str
    spec: str


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything outside of the stack file that a plan hangs on."""

    account_id: str
    region: str
    control_plane: str
    state: StateMark
    clusters: tuple[ClusterMark, ...]

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Basis:
        """From the object that ``asdict`` makes (its shape has been checked)."""
        state = StateMark(*(found["state"][name] for name in ("place", "lineage", "serial")))
        clusters = tuple(ClusterMark(each["id"], each["name"], each["spec"]) for each in found["clusters"])
        return cls(found["account_id"], found["region"], found["control_plane"], state, clusters)


def basis_of(run: Run, site: Site, grant: Grant | None) -> Basis:
    """What there is now. Reads the state once more; the clusters are those that the preflight has seen."""
    state = snapshot_of({} if site.fresh else site.runner.state())
    flight = site.preflight
    names = {spec.name for spec in run.stack.clusters}
    marks = cluster_marks(flight.clusters, site.roles(grant), names)
    where = StateMark(_place(run, site), state.lineage, state.serial)
    return Basis(flight.caller.account_id, run.stack.aws.region, flight.registrar.url, where, marks)


def cluster_marks(
    clusters: Iterable[Cluster], our_roles: Collection[str], names: Collection[str]
) -> tuple[ClusterMark, ...]:
    """The live clusters that matter to a stack: those of its roles, and those of the names that it asks for."""
    live = (cluster for cluster in clusters if cluster.phase is not Phase.DELETED)
    ours = (cluster for cluster in live if cluster.role_arn in our_roles or cluster.name in names)
    return tuple(ClusterMark(c.id, c.name, _spec_digest(c)) for c in sorted(ours, key=lambda each: each.id))


def moved(then: Basis, now: Basis) -> Iterator[str]:
    """A line for each difference, in the order in which people ask."""
    yield from other_account(then.account_id, now.account_id)
    if then.region != now.region:
        yield f"the region is {now.region}, it was {then.region}"
    if then.control_plane != now.control_plane:
        yield f"the control plane is {now.control_plane}, it was {then.control_plane}"
    yield from _state_moved(then.state, now.state)
    yield from _clusters_moved(then.clusters, now.clusters)


def other_account(then: str, now: str) -> Iterator[str]:
    """The account's own line, for whoever asks for it alone."""
    if then != now:
        yield f"the AWS account is {now}, the plan was made in {then}"


def _state_moved(then: StateMark, now: StateMark) -> Iterator[str]:
    if then.place != now.place:
        yield f"the state lies in {now.place}, it lay in {then.place}"
    elif not then.lineage and now.lineage:
        yield f"there is a state now, at serial {now.serial}; there was none"
    elif then.lineage and not now.lineage:
        yield f"there is no state any more; it was at serial {then.serial}"
    elif then.lineage != now.lineage:
        yield f"the state is another one: lineage {now.lineage}, it was {then.lineage}"
    elif then.serial != now.serial:
        yield f"the state moved from serial {then.serial} to {now.serial}"


def _clusters_moved(then: tuple[ClusterMark, ...], now: tuple[ClusterMark, ...]) -> Iterator[str]:
    before, after = {mark.id: mark for mark in then}, {mark.id: mark for mark in now}
    for mark in then:
        if mark.id not in after:
            yield f"the cluster {mark.name} ({mark.id}) has vanished, or runs through another role"
        elif after[mark.id] != mark:
            yield f"the cluster {mark.name} ({mark.id}) was changed"
    for mark in now:
        if mark.id not in before:
            yield f"the cluster {mark.name} ({mark.id}) has appeared"


def _place(run: Run, site: Site) -> str:
    backend = run.stack.terraform.backend
    if isinstance(backend, LocalBackend):
        return LOCAL
    wanted = wanted_backend(run.stack, backend, native_lock=site.binary.s3_native_lock)
    return place_words(wanted, run.work_dir)


def _spec_digest(cluster: Cluster) -> str:
    spec = cluster.raw.get("spec", {})
    text = json.dumps([cluster.desired_state.value, spec], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
