"""Which clusters a stack has had: by its file, its journal, and what the control plane still remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridbyoc.aws.leftovers import PastCluster
from gridbyoc.control_plane.model import Cluster, Registrar
from gridbyoc.errors import ClusterNotFoundError
from gridbyoc.stack.model import Stack
from gridbyoc.steps.journal import JOURNAL, read_journal


def past_clusters(records: Iterable[Mapping[str, Any]]) -> tuple[PastCluster, ...]:
    """Every cluster that a journal names, with the ids and buckets it had."""
    found: dict[str, PastCluster] = {}
    for record in records:
        name = record.get("cluster")
        if isinstance(name, str) and name:
            before = found.get(name, PastCluster(name))
            ids = _more(before.ids, record.get("id"))
            found[name] = replace(before, ids=ids, bucket_names=_more(before.bucket_names, record.get("bucket")))
    return tuple(found.values())


def _more(before: tuple[str, ...], value: object) -> tuple[str, ...]:
    return (*before, value) if isinstance(value, str) and value and value not in before else before


def stacks_past(
    stack: Stack, work_dir: Path, names: tuple[str, ...], clusters: tuple[Cluster, ...]
) -> tuple[PastCluster, ...]:
    """Every cluster that the stack has or had: by file, by journal, and by ``names`` and ``clusters``; one a name."""
    named = [PastCluster(name) for name in (*(spec.name for spec in stack.clusters), *names)]
    merged: dict[str, PastCluster] = {}
    for one in (*named, *past_clusters(read_journal(work_dir / JOURNAL)), *map(_as_past, clusters)):
        before = merged.get(one.name, PastCluster(one.name))
        ids = tuple(dict.fromkeys((*before.ids, *one.ids)))
        buckets = tuple(dict.fromkeys((*before.bucket_names, *one.bucket_names)))
        merged[one.name] = PastCluster(one.name, ids, buckets)
    return tuple(merged.values())


def _as_past(cluster: Cluster) -> PastCluster:
    return PastCluster(cluster.name, (cluster.id,))


def with_records(registrar: Registrar, past: PastCluster, given: tuple[Cluster, ...]) -> PastCluster:
    """What is known of a deleted cluster, from the caller or because the control plane still remembers it: its bucket.

    Its creation counts only where every id is known: an earlier cluster of the name may have made the bucket.
    """
    records = {cluster.id: cluster for cluster in given}
    known = [records.get(ident) or _remembered(registrar, ident) for ident in past.ids]
    buckets = [cluster.bucket_name for cluster in known if cluster and cluster.bucket_name]
    created = [cluster.created_at for cluster in known if cluster and cluster.created_at]
    born = min(created) if created and len(created) == len(past.ids) else None
    return replace(past, bucket_names=tuple(dict.fromkeys((*past.bucket_names, *buckets))), created_at=born)


def _remembered(registrar: Registrar, ident: str) -> Cluster | None:
    try:
        return registrar.get(ident)
    except ClusterNotFoundError:
        return None
