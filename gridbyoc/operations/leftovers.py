"""Leftovers of a stack: find its past clusters, find what they left in AWS, and delete it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.aws.identity import AccountRegion
from gridbyoc.aws.leftovers import HOLDS_DATA, DeletedCluster, DeletionPatience, DeletionStage, Ledger, Leftover, Search
from gridbyoc.aws.leftovers import delete as delete_in_aws
from gridbyoc.aws.leftovers import find as find_in_aws
from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.control_plane.registrar import refuse_unasked
from gridbyoc.control_plane.without_api import VendorWithoutApi
from gridbyoc.errors import SAFE_NOTHING_DONE, ClusterNotFoundError, UsageError
from gridbyoc.operations.events import Note, ResourceProgress
from gridbyoc.operations.journal import JOURNAL, read_journal
from gridbyoc.operations.run import Run
from gridbyoc.stack.defaults import own_policy_arn
from gridbyoc.stack.model import S3Backend, Stack


def past_clusters(records: Iterable[Mapping[str, Any]]) -> tuple[DeletedCluster, ...]:
    """Every cluster that a journal names, with the ids and buckets it had."""
    found: dict[str, DeletedCluster] = {}
    for record in records:
        name = record.get("cluster")
        if isinstance(name, str) and name:
            before = found.get(name, DeletedCluster(name))
            ids = _more(before.ids, record.get("id"))
            found[name] = replace(before, ids=ids, bucket_names=_more(before.bucket_names, record.get("bucket")))
    return tuple(found.values())


def creation_times(records: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    """When each cluster that a journal names was created, by its id. Times that cannot be compared are left out."""
    found: dict[str, datetime] = {}
    for record in records:
        try:
            made = datetime.fromisoformat(str(record.get("created")))
        except ValueError:
            continue
        if made.tzinfo is not None and isinstance(record.get("id"), str):
            found[record["id"]] = made
    return found


def _more(before: tuple[str, ...], value: object) -> tuple[str, ...]:
    return (*before, value) if isinstance(value, str) and value and value not in before else before


def stacks_past(
    stack: Stack, work_dir: Path, names: tuple[str, ...], clusters: tuple[Cluster, ...]
) -> tuple[DeletedCluster, ...]:
    """Every cluster that the stack has or had, from file, journal, ``names`` and ``clusters``; one entry per name."""
    named = [DeletedCluster(name) for name in (*(spec.name for spec in stack.clusters), *names)]
    merged: dict[str, DeletedCluster] = {}
    for one in (*named, *past_clusters(read_journal(work_dir / JOURNAL)), *map(_as_past, clusters)):
        before = merged.get(one.name, DeletedCluster(one.name))
        ids = tuple(dict.fromkeys((*before.ids, *one.ids)))
        buckets = tuple(dict.fromkeys((*before.bucket_names, *one.bucket_names)))
        merged[one.name] = DeletedCluster(one.name, ids, buckets)
    return tuple(merged.values())


def _as_past(cluster: Cluster) -> DeletedCluster:
    return DeletedCluster(cluster.name, (cluster.id,))


def with_records(
    registrar: Registrar, past: DeletedCluster, given: tuple[Cluster, ...], noted: Mapping[str, datetime]
) -> DeletedCluster:
    """Complete a deleted cluster with its buckets, as known to the caller or still recorded by the control plane.

    The creation time is used only if every id is known: an earlier cluster of the same name may own the bucket.
    ``noted``: the journal's creation times by id, for clusters that the control plane has forgotten.
    """
    records = {cluster.id: cluster for cluster in given}
    known = {ident: records.get(ident) or _remembered(registrar, ident) for ident in past.ids}
    buckets = [cluster.bucket_name for cluster in known.values() if cluster and cluster.bucket_name]
    times = [(cluster.created_at if cluster else None) or noted.get(ident) for ident, cluster in known.items()]
    created = [time for time in times if time]
    born = min(created) if created and len(created) == len(past.ids) else None
    return replace(past, bucket_names=tuple(dict.fromkeys((*past.bucket_names, *buckets))), created_at=born)


def _remembered(registrar: Registrar, ident: str) -> Cluster | None:
    try:
        return registrar.get(ident)
    except ClusterNotFoundError:
        return None


__all__ = [
    "FoundLeftovers",
    "Ledger",
    "Leftover",
    "LeftoversRequest",
    "delete_leftovers",
    "find_leftovers",
    "mark_data",
    "parse_tags",
]


@dataclass(frozen=True, slots=True)
class LeftoversRequest:
    """The caller's request. ``clusters``: deleted clusters, as the control plane last showed them.

    ``names``: past clusters besides those of the stack file and the journal. ``tags``: pairs that prove ownership.
    ``keys``: tags whose value is the cluster's name. ``roles``: ARNs that are never a leftover.
    """

    clusters: tuple[Cluster, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundLeftovers:
    """A ledger and its search. ``live`` clusters were left out, because they still use their resources."""

    search: Search
    ledger: Ledger
    live: tuple[str, ...] = ()


def find_leftovers(
    run: Run, session: AwsSession, caller: Caller, registrar: Registrar, wanted: LeftoversRequest | None = None
) -> FoundLeftovers:
    """Find what the stack's past clusters left in AWS: those of the stack file, the journal, and ``wanted``.

    A cluster that the control plane still has is not a past one; naming it in ``wanted.names`` is a ``UsageError``.
    Reads only. Raises ``ControlPlaneError`` kinds and ``AwsCredentialsError``; other refusals of AWS become
    ``unknown``.
    """
    asked = wanted or LeftoversRequest()
    if isinstance(registrar, VendorWithoutApi) and not registrar.told:
        raise run.stack.control_plane.without_api()
    refuse_unasked(registrar, "look for what deleted clusters left")
    live = registrar.list()
    _refuse_live(asked.names, live)
    every, in_use = stacks_past(run.stack, run.work_dir, asked.names, asked.clusters), _identities(live)
    used = sorted({one.name for one in every} & in_use)
    noted = creation_times(read_journal(run.work_dir / JOURNAL))
    known = tuple(with_records(registrar, one, asked.clusters, noted) for one in every if one.name not in in_use)
    place = AccountRegion(caller.partition, caller.account_id, run.stack.aws.region)
    search = Search(place, known, asked.tags, asked.keys, _spared(run, place, asked, live))
    notes = tuple(f"The cluster {name} is not deleted: the resources that it uses are not leftovers." for name in used)
    if not known and not asked.tags:
        return FoundLeftovers(search, Ledger(notes=(*notes, "No past cluster of this stack is known.")), tuple(used))
    ledger = find_in_aws(session, search, run.journal.now)
    return FoundLeftovers(search, replace(ledger, notes=(*notes, *ledger.notes)), tuple(used))


def delete_leftovers(
    run: Run,
    session: AwsSession,
    registrar: Registrar,
    found: FoundLeftovers,
    *,
    delete_data: bool,
    patience: DeletionPatience,
) -> Ledger:
    """Delete what ``found`` shows, in order, then search again. Returns the ledger of what is left, with reasons.

    Runs as the step ``delete``. Resources that hold data stay unless ``delete_data``. Raises ``UsageError`` if the
    control plane has one of the clusters (again); nothing is deleted then.
    """
    _refuse_live(tuple(cluster.name for cluster in found.search.clusters), registrar.list())
    with run.step("delete") as step:
        rest = delete_in_aws(
            session,
            found.search,
            found.ledger.leftovers,
            delete_data=delete_data,
            patience=patience,
            clock=run.outside.clock,
            sleep=run.outside.sleep,
            on_event=_recorder(run),
        )
        gone = len(found.ledger.leftovers) - len(rest)
        step.detail = f"{gone} deleted, {len(rest)} left"
        step.skipped = not found.ledger.leftovers
    return _with_reasons(find_in_aws(session, found.search, run.journal.now), rest)


def mark_data(found: FoundLeftovers) -> FoundLeftovers:
    """``found`` with resources that hold data marked as kept."""
    entries = tuple(
        replace(one, kept=HOLDS_DATA) if one.holds_data and not one.kept else one for one in found.ledger.leftovers
    )
    return replace(found, ledger=replace(found.ledger, leftovers=entries))


def parse_tags(texts: Iterable[str]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """``KEY=VALUE`` as pairs, ``KEY`` as keys; ``UsageError`` if a tag cannot prove ownership."""
    pairs = tuple(parse_tag(text) for text in texts if "=" in text)
    keys = tuple(text.strip() for text in texts if "=" not in text)
    if "" in keys:
        raise UsageError("--tag is empty.", fix="Write --tag KEY or --tag KEY=VALUE.", rerun=SAFE_NOTHING_DONE)
    return pairs, keys


def parse_tag(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as a pair; ``UsageError`` if it cannot prove ownership."""
    key, _, value = text.partition("=")
    if not key.strip() or not value.strip():
        fix = "Write --tag KEY=VALUE, or --tag KEY if the value is the cluster's name."
        raise UsageError(f"--tag {text!r} is not KEY=VALUE.", fix=fix, rerun=SAFE_NOTHING_DONE)
    if key.startswith("kubernetes.io/cluster/") and value != "owned":
        raise UsageError(
            f"--tag {text!r} proves nothing.",
            why="Only kubernetes.io/cluster/NAME=owned says that a resource belongs to its cluster alone.",
            rerun=SAFE_NOTHING_DONE,
        )
    return key, value


def _identities(clusters: Iterable[Cluster]) -> set[str]:
    return {ident for cluster in clusters for ident in (cluster.name, cluster.id)}


def _refuse_live(names: tuple[str, ...], live: tuple[Cluster, ...]) -> None:
    for cluster in live:
        if cluster.name in names or cluster.id in names:
            raise UsageError(
                f"The cluster {cluster.name} is not deleted: it is {cluster.status}.",
                why="The resources of a live cluster are not leftovers.",
                fix="Delete the cluster first (`gridbyoc destroy`, or remove it from the stack file and bootstrap).",
                rerun=SAFE_NOTHING_DONE,
            )


def _spared(run: Run, place: AccountRegion, wanted: LeftoversRequest, live: tuple[Cluster, ...]) -> frozenset[str]:
    """ARNs that must not be deleted: roles, buckets of live clusters, the bucket of the state.

    Includes the role that the stack file names and its own policy: an adopted role lacks the tag that would protect it.
    """
    arns = {*wanted.roles, *(cluster.role_arn for cluster in live if cluster.role_arn)}
    role = run.stack.role
    if role.name:
        named = place.iam(f"role{role.path or '/'}{role.name}")
        arns |= {named, own_policy_arn(named, role)}
    buckets = {cluster.bucket_name for cluster in live if cluster.bucket_name}
    backend = run.stack.terraform.backend
    if isinstance(backend, S3Backend):
        buckets.add(backend.bucket)
    return frozenset(arns | {place.s3(bucket) for bucket in buckets})


def _recorder(run: Run) -> Callable[[Leftover, DeletionStage, str, float], None]:
    """Record each deletion as an event, and in the journal before and after."""

    def record(leftover: Leftover, state: DeletionStage, detail: str, seconds: float) -> None:
        if state in {"started", "done"}:
            kind = "effect_started" if state == "started" else "effect_done"
            run.journal.write(kind, step="delete", resource=leftover.arn)
        if detail != HOLDS_DATA:
            run.outside.emit(ResourceProgress(f"{leftover.kind} {leftover.id}", "delete", state, seconds))
        if state == "failed":
            text = f"The {leftover.kind} {leftover.id} stays: {detail}."
            run.outside.emit(Note(text, "info" if detail == HOLDS_DATA else "warning"))

    return record


def _with_reasons(ledger: Ledger, rest: tuple[Leftover, ...]) -> Ledger:
    reasons = {one.key: one.kept for one in rest}
    entries = tuple(replace(one, kept=reasons.get(one.key, one.kept)) for one in ledger.leftovers)
    return replace(ledger, leftovers=entries)
