"""Leftovers of a stack: which clusters are past, what is left of them, and its deletion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gridbyoc.aws import AwsSession, Caller
from gridbyoc.aws.leftovers import HOLDS_DATA, Ledger, Leftover, PastCluster, Patience, Place, Search, State
from gridbyoc.aws.leftovers import delete as delete_in_aws
from gridbyoc.aws.leftovers import find as find_in_aws
from gridbyoc.control_plane.model import Cluster, Phase, Registrar
from gridbyoc.errors import SAFE_NOTHING_DONE, ClusterNotFoundError, UsageError
from gridbyoc.stack.model import S3Backend
from gridbyoc.steps.events import Note, ResourceProgress
from gridbyoc.steps.journal import JOURNAL
from gridbyoc.steps.run import Run


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for. ``clusters``: gone ones, as the control plane had them when it still did.

    ``names`` are past clusters beside those of the stack file and the journal; ``tags`` are pairs that prove ownership;
    ``roles`` are ARNs that are never a leftover.
    """

    clusters: tuple[Cluster, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A ledger, and the search that it answers; ``live`` clusters were left out, because they use what they have."""

    search: Search
    ledger: Ledger
    live: tuple[str, ...] = ()


def find_leftovers(
    run: Run, session: AwsSession, caller: Caller, registrar: Registrar, wanted: Wanted | None = None
) -> Found:
    """What is left in AWS of the stack's past clusters: those of the stack file, the journal, and ``wanted``.

    A cluster that the control plane still has is no past one; naming it in ``wanted.names`` is a ``UsageError``.
    Reads only. Raises ``ControlPlaneError`` kinds and ``AwsCredentialsError``; what else AWS refuses is ``unknown``.
    """
    asked = wanted or Wanted()
    live = _live(registrar)
    _refuse_live(asked.names, live)
    past = [one for one in _past(run, asked) if one.name not in _identities(live)]
    used = sorted({one.name for one in _past(run, asked)} & _identities(live))
    known = tuple(_with_record(registrar, one) for one in past)
    search = Search(
        Place(caller.partition, caller.account_id, run.stack.aws.region), known, asked.tags, _spared(run, asked, live)
    )
    notes = tuple(f"The cluster {name} is not deleted: what it uses is no leftover." for name in used)
    if not known and not asked.tags:
        return Found(search, Ledger(notes=(*notes, "No past cluster of this stack is known.")), tuple(used))
    ledger = find_in_aws(session, search, run.journal.now)
    return Found(search, replace(ledger, notes=(*notes, *ledger.notes)), tuple(used))


def delete_leftovers(
    run: Run, session: AwsSession, registrar: Registrar, found: Found, *, delete_data: bool, patience: Patience
) -> Ledger:
    """Delete what ``found`` shows, in order, then look again; returns the ledger of what is left, with the reasons.

    Holds the step ``delete``. What holds data stays unless ``delete_data``. Nothing is deleted of a cluster that the
    control plane has (again) by now: ``UsageError``.
    """
    _refuse_live(tuple(cluster.name for cluster in found.search.clusters), _live(registrar))
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


def parse_tag(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as a pair; ``UsageError`` for what cannot prove anything."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip() or not value.strip():
        raise UsageError(f"--tag {text!r} is not KEY=VALUE.", fix="Write --tag KEY=VALUE.", rerun=SAFE_NOTHING_DONE)
    if key.startswith("kubernetes.io/cluster/") and value != "owned":
        raise UsageError(
            f"--tag {text!r} proves nothing.",
            why="Only kubernetes.io/cluster/NAME=owned says that a resource goes with its cluster; `shared` outlives it.",
            rerun=SAFE_NOTHING_DONE,
        )
    return key, value


def past_clusters(lines: Iterable[str]) -> tuple[PastCluster, ...]:
    """Every cluster that a journal names, with the ids and buckets it had; a torn or foreign line is passed over."""
    found: dict[str, PastCluster] = {}
    for line in lines:
        record = _record(line)
        name = record.get("cluster")
        if isinstance(name, str) and name:
            before = found.get(name, PastCluster(name))
            ids = _more(before.ids, record.get("id"))
            found[name] = replace(before, ids=ids, bucket_names=_more(before.bucket_names, record.get("bucket")))
    return tuple(found.values())


def _record(line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _more(before: tuple[str, ...], value: object) -> tuple[str, ...]:
    return (*before, value) if isinstance(value, str) and value and value not in before else before


def _past(run: Run, wanted: Wanted) -> tuple[PastCluster, ...]:
    """Every cluster that the stack has or had: by file, journal, and the caller; one entry a name."""
    named = [PastCluster(name) for name in (*(spec.name for spec in run.stack.clusters), *wanted.names)]
    merged: dict[str, PastCluster] = {}
    for one in (*named, *past_clusters(_journal_lines(run.work_dir / JOURNAL)), *map(_as_past, wanted.clusters)):
        before = merged.get(one.name, PastCluster(one.name))
        ids = tuple(dict.fromkeys((*before.ids, *one.ids)))
        buckets = tuple(dict.fromkeys((*before.bucket_names, *one.bucket_names)))
        merged[one.name] = PastCluster(one.name, ids, buckets, _earlier(before.created_at, one.created_at))
    return tuple(merged.values())


def _journal_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _as_past(cluster: Cluster) -> PastCluster:
    buckets = (cluster.bucket_name,) if cluster.bucket_name else ()
    return PastCluster(cluster.name, (cluster.id,), buckets, cluster.created_at)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one and other else one or other


def _with_record(registrar: Registrar, past: PastCluster) -> PastCluster:
    """What the control plane still remembers of a deleted cluster: its bucket.

    Its creation counts only where every id is remembered: an earlier cluster of the name may have made the bucket.
    """
    known = [_remembered(registrar, ident) for ident in past.ids]
    buckets = tuple(cluster.bucket_name for cluster in known if cluster and cluster.bucket_name)
    created = [cluster.created_at for cluster in known if cluster and cluster.created_at]
    born = min(created) if created and len(created) == len(past.ids) else None
    names = tuple(dict.fromkeys((*past.bucket_names, *buckets)))
    return replace(past, bucket_names=names, created_at=_earlier(past.created_at, born) if born else None)


def _remembered(registrar: Registrar, ident: str) -> Cluster | None:
    try:
        return registrar.get(ident)
    except ClusterNotFoundError:
        return None


def _live(registrar: Registrar) -> tuple[Cluster, ...]:
    return tuple(cluster for cluster in registrar.list() if cluster.phase is not Phase.DELETED)


def _identities(clusters: Iterable[Cluster]) -> set[str]:
    return {ident for cluster in clusters for ident in (cluster.name, cluster.id)}


def _refuse_live(names: tuple[str, ...], live: tuple[Cluster, ...]) -> None:
    for cluster in live:
        if cluster.name in names or cluster.id in names:
            raise UsageError(
                f"The cluster {cluster.name} is not deleted: it is {cluster.status}.",
                why="What a cluster uses is no leftover.",
                fix="Delete the cluster first (`gridbyoc destroy`, or take it out of the stack file and bootstrap).",
                rerun=SAFE_NOTHING_DONE,
            )


def _spared(run: Run, wanted: Wanted, live: tuple[Cluster, ...]) -> frozenset[str]:
    """ARNs that are in use or Terraform's own: roles, the buckets of live clusters, the bucket of the state."""
    arns = {*wanted.roles, *(cluster.role_arn for cluster in live if cluster.role_arn)}
    buckets = {cluster.bucket_name for cluster in live if cluster.bucket_name}
    backend = run.stack.terraform.backend
    if isinstance(backend, S3Backend):
        buckets.add(backend.bucket)
    partitions = ("aws", "aws-cn", "aws-us-gov", "aws-eusc")
    return frozenset(arns | {f"arn:{partition}:s3:::{bucket}" for bucket in buckets for partition in partitions})


def _recorder(run: Run) -> Callable[[Leftover, State, str, float], None]:
    """Each deletion as an event, and in the journal before and after."""

    def record(leftover: Leftover, state: State, detail: str, seconds: float) -> None:
        if state in {"started", "done"}:
            kind = "effect_started" if state == "started" else "effect_done"
            run.journal.write(kind, step="delete", resource=leftover.arn)
        run.outside.emit(ResourceProgress(f"{leftover.kind} {leftover.id}", "delete", state, seconds))
        if state == "failed":
            level = "info" if detail == HOLDS_DATA else "warning"
            run.outside.emit(Note(f"The {leftover.kind} {leftover.id} stays: {detail}.", level))

    return record


def _with_reasons(ledger: Ledger, rest: tuple[Leftover, ...]) -> Ledger:
    reasons = {one.key: one.kept for one in rest}
    entries = tuple(replace(one, kept=reasons.get(one.key, one.kept)) for one in ledger.leftovers)
    return replace(ledger, leftovers=entries)
