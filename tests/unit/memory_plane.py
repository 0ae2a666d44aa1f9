"""A control plane in memory. The rules of a create, an update and a diff are the product's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gridbyoc.control_plane.changes import being_deleted, differences, refuse_change, refuse_impossible
from gridbyoc.control_plane.create import Calls, ClusterIdentity, create_once
from gridbyoc.control_plane.failures import LostAnswerError
from gridbyoc.control_plane.model import Cluster, Created, FieldChange, Grant, Listing, OfferedInstanceType, Phase
from gridbyoc.control_plane.settings import check_cluster
from gridbyoc.control_plane.wire import pick
from gridbyoc.errors import ClusterNotFoundError, ControlPlaneError, ControlPlaneUnreachableError
from gridbyoc.stack.model import ClusterSpec
from gridbyoc.stack.secret import Secret
from tests.unit.fakes import Time

ANSWERS: Mapping[str, Callable[[], ControlPlaneError]] = {
    "lost": lambda: LostAnswerError("The connection was dropped."),
    "kept, then lost": lambda: LostAnswerError("The connection was dropped."),
    "unreachable": lambda: ControlPlaneUnreachableError("The connection was refused."),
    **{str(code): (lambda code=code: ControlPlaneError(f"HTTP {code}", http_status=code)) for code in  # type: ignore[misc]  # a default argument binds the loop's value
       (400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 503)},
    "unknown": lambda: ClusterNotFoundError("There is no such cluster.", http_status=404),
}  # fmt: skip
"""What a call may be answered with, instead of being carried out; only "kept, then lost" is carried out."""


@dataclass
class MemoryPlane:
    """A ``Registrar``. Clusters by id, also deleted ones. A new cluster runs after ``create_seconds``.

    ``answers``: by ``POST``, ``PUT``, ``DELETE``, ``GET`` (of one) and ``LIST``, how the next calls are answered (see
    ``ANSWERS``; ``""`` is well). ``noon``: when the clock began, to report times of
    creation. ``story``: the phases of a cluster from its creation on, each with the second at which
    it begins. ``shows_ids``: whether it shows which external id a cluster holds.
    """

    time: Time
    happens: Callable[[str], None] = lambda _what: None
    clusters: dict[str, Cluster] = field(default_factory=dict)
    answers: dict[str, list[str]] = field(default_factory=dict)
    unasked: str = ""
    noon: datetime | None = None
    story: tuple[tuple[float, Phase, str], ...] = ((0.0, Phase.PENDING, ""), (60.0, Phase.RUNNING, ""))
    delete_seconds: float = 60.0
    shows_ids: bool = True
    url: str = "https://plane.test"
    calls: list[str] = field(default_factory=list)
    on_change: Callable[[], None] = lambda: None
    _since: dict[str, float] = field(default_factory=dict)
    _ids: int = 0

    # --- a Registrar

    def check(self, spec: ClusterSpec) -> None:
        check_cluster(spec, "grid")

    def list(self) -> tuple[Cluster, ...]:
        self._answered("LIST")
        return tuple(each for each in map(self._now, self.clusters) if each.phase is not Phase.DELETED)

    def listing(self) -> Listing:
        return Listing(self.list())

    def get(self, cluster_id: str, *, within: float | None = None) -> Cluster:
        self._answered("GET")
        found = self._now(cluster_id) if cluster_id in self.clusters else None
        if found is None or found.phase is Phase.DELETED:
            raise ClusterNotFoundError(f"There is no cluster {cluster_id}.", http_status=404)
        return found

    def find(self, name: str) -> Cluster | None:
        return pick(self.list(), name)

    def request(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        aws = {"externalId": grant.external_id.reveal(), "region": grant.region, "roleArn": grant.role_arn}
        return {"name": spec.name, "spec": {"driver": {"kubernetes": {"aws": aws}}}}

    def create(self, spec: ClusterSpec, grant: Grant, *, body: Mapping[str, Any] | None = None) -> Created:
        self.check(spec)
        wanted = ClusterIdentity(str(body["name"]) if body else spec.name, grant.role_arn)
        return create_once(Calls(self.find, lambda: self._post(wanted.name, spec, grant)), wanted, self.time.sleep)

    def diff(self, cluster: Cluster, spec: ClusterSpec, grant: Grant | None) -> tuple[FieldChange, ...]:
        return differences(cluster, spec, grant)

    def update(self, cluster: Cluster, spec: ClusterSpec, grant: Grant) -> Cluster:
        current = self.get(cluster.id)
        refuse_impossible(current, grant, "grid")
        if not self.diff(current, spec, grant):
            return current
        lost = self._write("PUT", cluster.name)
        self.clusters[cluster.id] = replace(self.clusters[cluster.id], **self._asked(spec, grant))
        self._done("PUT", cluster.name, lost)
        return self.get(cluster.id)

    def replace(self, cluster: Cluster, spec: Mapping[str, Any]) -> Cluster:
        current = self.get(cluster.id)
        refuse_change(current, "grid")
        lost = self._write("PUT", cluster.name)
        self.clusters[cluster.id] = replace(self.clusters[cluster.id], raw={"spec": dict(spec)})
        self._done("PUT", cluster.name, lost)
        return self.get(cluster.id)

    def delete(self, cluster_id: str, *, force: bool = False) -> None:
        cluster = self.clusters[cluster_id]
        lost = self._write("DELETE", cluster.name)
        self.clusters[cluster_id] = replace(self._now(cluster_id), desired_state=Phase.DELETED)
        self._since[cluster_id] = self.time.now
        self._done("DELETE", cluster.name, lost)

    def instance_types(self, cluster_id: str) -> tuple[OfferedInstanceType, ...]:
        return ()

    def cloud_account_id(self, cluster_id: str) -> str | None:
        return None

    # --- for the tests

    def put(self, cluster: Cluster) -> Cluster:
        """A cluster that somebody made: as it is, for ever."""
        self.clusters[cluster.id] = cluster
        return cluster

    def live(self) -> dict[str, Cluster]:
        """By name, what is not deleted; nothing is asked for."""
        found = map(self._now, self.clusters)
        return {each.name: each for each in found if each.phase is not Phase.DELETED}

    def held(self) -> dict[str, tuple[str, str]]:
        """Role and external id of each cluster that is not deleted, by id; also where the id is not shown."""
        return {
            ident: (str(each.role_arn), each.external_id.reveal() if each.external_id else "")
            for ident, each in self.clusters.items()
            if self._now(ident).phase is not Phase.DELETED
        }

    def _post(self, name: str, spec: ClusterSpec, grant: Grant) -> Cluster:
        lost = self._write("POST", name)
        existing = pick(tuple(self.live().values()), name)
        if existing is not None:
            raise being_deleted(existing) if existing.status == "terminating" else ANSWERS["409"]()
        self._ids += 1
        ident = f"cluster-{self._ids}"
        made = self.noon + timedelta(seconds=self.time.now) if self.noon else None
        self.clusters[ident] = Cluster(ident, name, Phase.PENDING, created_at=made, **self._asked(spec, grant))
        self._since[ident] = self.time.now
        self._done("POST", name, lost)
        return self._now(ident)

    def _asked(self, spec: ClusterSpec, grant: Grant) -> dict[str, Any]:
        asked = {"role_arn": grant.role_arn, "external_id": Secret(grant.external_id.reveal()), "region": grant.region}
        raw = {"spec": {**asked, "types": repr(spec.instance_types), "external_id": grant.external_id.reveal()}}
        types = {"instance_types": spec.instance_types} if spec.instance_types else {}
        profile = {"performance_profile": spec.performance_profile or "default"}
        return {**asked, **types, **profile, "bucket_name": f"{spec.name}-bucket", "raw": raw}

    def _now(self, ident: str) -> Cluster:
        cluster = self.clusters[ident]
        began = self._since.get(ident)
        if began is not None:
            passed = self.time.now - began
            if cluster.desired_state is Phase.DELETED:
                phase = Phase.DELETED if passed >= self.delete_seconds else cluster.phase
                cluster = replace(cluster, phase=phase)
            else:
                _, phase, reason = max(each for each in self.story if each[0] <= passed)
                cluster = replace(cluster, phase=phase, reason=reason)
        return cluster if self.shows_ids else replace(cluster, external_id=None)

    def _answered(self, method: str) -> str:
        waiting = self.answers.get(method)
        answer = waiting.pop(0) if waiting else ""
        if answer and answer != "kept, then lost":
            raise ANSWERS[answer]()
        return answer

    def _write(self, method: str, name: str) -> bool:
        """Before a change: whether its answer will be lost."""
        self.calls.append(f"{method} {name}")
        self.happens(f"before {method} {name}")
        return bool(self._answered(method))

    def _done(self, method: str, name: str, lost: bool) -> None:
        self.on_change()
        self.happens(f"{method} {name}")
        if lost:
            raise ANSWERS["lost"]()
