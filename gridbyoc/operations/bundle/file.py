"""What a plan bundle holds, and what it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbyoc.control_plane.model import Cluster, FieldChange, Grant
from gridbyoc.errors import BundleError, BundleKeyError
from gridbyoc.operations.changes import Action, ClusterChange
from gridbyoc.operations.prepare import PreparedStack
from gridbyoc.operations.run import Run
from gridbyoc.operations.sealed_file import COUNT, DIGEST, TEXT, SealedFormat, list_of, object_of, or_null
from gridbyoc.operations.state_place import wanted_backend
from gridbyoc.stack.model import LocalBackend
from gridbyoc.terraform import PlanSummary, ResourceChange, State, place_words
from gridbyoc.terraform.events import in_order

_COUNTS = object_of(add=COUNT, change=COUNT, destroy=COUNT)
HEADER = object_of(
    stack=TEXT,
    created=TEXT,
    tool=TEXT,
    terraform=object_of(flavour=TEXT, version=TEXT),
    digests=object_of(stack_files={"type": "object", "additionalProperties": DIGEST}, module=DIGEST, lock_file=TEXT),
    summary=object_of(
        has_changes={"type": "boolean"},
        terraform=_COUNTS,
        clusters=object_of(create=COUNT, update=COUNT, delete=COUNT),
        destroys=list_of(TEXT),
    ),
    encryption=or_null({"type": "object"}),
    _optional={"only": list_of(TEXT)},  # of a partial plan
)
_RESOURCE = object_of(address=TEXT, action=TEXT, reason=TEXT)
_FIELD = object_of(field=TEXT, before=TEXT, after=TEXT)
PAYLOAD = object_of(
    _optional={"detaches": list_of(TEXT)},  # not in a bundle of an earlier version
    plan=TEXT,
    lock_file=or_null(TEXT),
    overrides=list_of(TEXT),
    root=DIGEST,
    environment=DIGEST,
    run=TEXT,
    against=object_of(
        account_id=TEXT,
        region=TEXT,
        control_plane=TEXT,
        state=object_of(place=TEXT, lineage=TEXT, serial=COUNT),
        clusters=list_of(object_of(id=TEXT, name=TEXT, spec=DIGEST)),
    ),
    terraform=object_of(
        **_COUNTS["properties"],
        has_changes={"type": "boolean"},
        changes=list_of(_RESOURCE),
        outputs=list_of(TEXT),
    ),
    changes=list_of(
        object_of(
            action={"enum": ["create", "update", "delete", "none"]},
            name=TEXT,
            cluster=or_null(TEXT),
            fields=list_of(_FIELD),
        )
    ),
)

BUNDLE = SealedFormat(
    noun="bundle",
    key_variable="GRIDBYOC_BUNDLE_KEY",
    file_error=BundleError,
    key_error=BundleKeyError,
    again="plan again",
    make="Make one with `gridbyoc plan --out FILE`.",
    distrust="Do not apply it. Check who can write to the place that it came from, and plan again.",
    same_key="Give the apply job the key of the plan job, or plan again.",
    header=HEADER,
    payload=PAYLOAD,
    always_encrypted=False,
)


LOCAL = "local"


@dataclass(frozen=True, slots=True)
class StateMark:
    """The place and identity of the state; ``lineage`` is empty if there is no state yet."""

    place: str
    lineage: str
    serial: int


@dataclass(frozen=True, slots=True)
class ClusterMark:
    """A cluster as it was read. ``spec`` is a SHA-256 of its whole spec, including fields unknown to this version."""

    id: str
    name: str
    spec: str


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything outside the stack file that a plan depends on."""

    account_id: str
    region: str
    control_plane: str
    state: StateMark
    clusters: tuple[ClusterMark, ...]

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Basis:
        """Convert the object that ``asdict`` makes (its structure has been checked)."""
        state = StateMark(*(found["state"][name] for name in ("place", "lineage", "serial")))
        clusters = tuple(ClusterMark(each["id"], each["name"], each["spec"]) for each in found["clusters"])
        return cls(found["account_id"], found["region"], found["control_plane"], state, clusters)


def basis_of(run: Run, site: PreparedStack, grant: Grant | None) -> Basis:
    """The current basis: the state that the run has read, and the clusters that the preflight has seen."""
    state = State() if site.fresh else site.state
    preflight = site.preflight
    names = {spec.name for spec in run.stack.clusters}
    marks = cluster_marks(preflight.clusters, site.roles(grant), names)
    where = StateMark(_place(run, site), state.lineage, state.serial)
    return Basis(preflight.caller.account_id, run.stack.aws.region, preflight.registrar.url, where, marks)


def cluster_marks(
    clusters: Iterable[Cluster], our_roles: Collection[str], names: Collection[str]
) -> tuple[ClusterMark, ...]:
    """The live clusters that concern a stack: those of its roles, and those whose names it asks for."""
    ours = (cluster for cluster in clusters if cluster.role_arn in our_roles or cluster.name in names)
    return tuple(ClusterMark(c.id, c.name, _spec_digest(c)) for c in sorted(ours, key=lambda each: each.id))


def moved(then: Basis, now: Basis) -> Iterator[str]:
    """One line per difference, in order of importance."""
    yield from other_account(then.account_id, now.account_id)
    if then.region != now.region:
        yield f"the region is {now.region}, but was {then.region}"
    if then.control_plane != now.control_plane:
        yield f"the control plane is {now.control_plane}, but was {then.control_plane}"
    yield from _state_moved(then.state, now.state)
    yield from _clusters_moved(then.clusters, now.clusters)


def other_account(then: str, now: str) -> Iterator[str]:
    """A line if the account differs; also used on its own, before the rest can be compared."""
    if then != now:
        yield f"the AWS account is {now}, but the plan was made in {then}"


def _state_moved(then: StateMark, now: StateMark) -> Iterator[str]:
    if then.place != now.place:
        yield f"the state is in {now.place}, but was in {then.place}"
    elif not then.lineage and now.lineage:
        yield f"there is a state now, at serial {now.serial}; there was none"
    elif then.lineage and not now.lineage:
        yield f"there is no state any more; there was one at serial {then.serial}"
    elif then.lineage != now.lineage:
        yield f"the state is a different one: lineage {now.lineage}, but was {then.lineage}"
    elif then.serial != now.serial:
        yield f"the state changed from serial {then.serial} to {now.serial}"


def _clusters_moved(then: tuple[ClusterMark, ...], now: tuple[ClusterMark, ...]) -> Iterator[str]:
    before, after = {mark.id: mark for mark in then}, {mark.id: mark for mark in now}
    for mark in then:
        if mark.id not in after:
            yield f"the cluster {mark.name} ({mark.id}) was deleted, or runs through another role"
        elif after[mark.id] != mark:
            yield f"the cluster {mark.name} ({mark.id}) was changed"
    for mark in now:
        if mark.id not in before:
            yield f"the cluster {mark.name} ({mark.id}) is new"


def _place(run: Run, site: PreparedStack) -> str:
    backend = run.stack.terraform.backend
    if isinstance(backend, LocalBackend):
        return LOCAL
    wanted = wanted_backend(run.stack, backend, native_lock=site.binary.s3_native_lock)
    return place_words(wanted, run.work_dir)


def _spec_digest(cluster: Cluster) -> str:
    spec = cluster.raw.get("spec", {})
    text = json.dumps([cluster.desired_state.value, spec], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The versions that made the plan, and digests of all files in the checkout that it depends on."""

    tool: str
    flavour: str
    version: str
    stack_files: Mapping[str, str]
    module: str
    lock_file: str

    @classmethod
    def of_header(cls, header: Mapping[str, Any]) -> MadeFrom:
        """Convert a header whose structure has been checked."""
        digests, terraform = header["digests"], header["terraform"]
        files, module, lock_file = (digests[name] for name in ("stack_files", "module", "lock_file"))
        return cls(header["tool"], terraform["flavour"], terraform["version"], files, module, lock_file)


@dataclass(frozen=True, slots=True)
class PlannedCluster:
    """One planned control plane change; ``cluster`` is the id of the cluster that it concerns."""

    action: Action
    name: str
    cluster: str | None = None
    fields: tuple[FieldChange, ...] = ()

    @classmethod
    def of(cls, change: ClusterChange) -> PlannedCluster:
        """The serializable part of a change."""
        return cls(change.action, change.name, change.cluster.id if change.cluster else None, change.fields)

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> PlannedCluster:
        """Convert an object whose structure has been checked."""
        fields = tuple(FieldChange(each["field"], each["before"], each["after"]) for each in found["fields"])
        return cls(found["action"], found["name"], found["cluster"], fields)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, read. ``plan`` is Terraform's saved plan: it holds secrets in plain text; ``overrides`` may, too."""

    stack: str
    created: str
    made: MadeFrom
    plan: bytes = field(repr=False)
    lock_file: str | None
    overrides: tuple[str, ...] = field(repr=False)
    root: str
    environment: str
    run: str
    basis: Basis
    terraform: PlanSummary
    changes: tuple[PlannedCluster, ...]
    detaches: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def summary_of_json(found: Mapping[str, Any]) -> PlanSummary:
    """Terraform's half of the plan, from an object whose structure has been checked."""
    changes = in_order(ResourceChange(each["address"], each["action"], each["reason"]) for each in found["changes"])
    return PlanSummary(
        add=found["add"],
        change=found["change"],
        destroy=found["destroy"],
        changes=changes,
        drift=(),
        outputs=tuple(found["outputs"]),
        has_changes=found["has_changes"],
    )
