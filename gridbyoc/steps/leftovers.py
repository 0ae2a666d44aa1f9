"""Leftovers of a stack: which clusters are past, what is left of them, and its deletion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gridbyoc.aws import AwsSession, Caller, caller_identity, guard_account
from gridbyoc.aws.leftovers import HOLDS_DATA, Ledger, Leftover, Patience, Place, Search, State
from gridbyoc.aws.leftovers import delete as delete_in_aws
from gridbyoc.aws.leftovers import find as find_in_aws
from gridbyoc.control_plane.model import Cluster, Phase, Registrar
from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError
from gridbyoc.stack.model import S3Backend
from gridbyoc.steps.events import Note, ResourceProgress
from gridbyoc.steps.past import stacks_past, with_records
from gridbyoc.steps.run import Run

__all__ = [
    "Found",
    "Ledger",
    "Leftover",
    "Wanted",
    "delete_leftovers",
    "find_leftovers",
    "mark_data",
    "open_account",
    "parse_tags",
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks for. ``clusters``: gone ones, as the control plane had them when it still did.

    ``names`` are past clusters beside those of the stack file and the journal; ``tags`` are pairs that prove ownership,
    ``keys`` tags whose value is the cluster's name; ``roles`` are ARNs that are never a leftover.
    """

    clusters: tuple[Cluster, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
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
    every, in_use = stacks_past(run.stack, run.work_dir, asked.names, asked.clusters), _identities(live)
    used = sorted({one.name for one in every} & in_use)
    known = tuple(with_records(registrar, one, asked.clusters) for one in every if one.name not in in_use)
    place = Place(caller.partition, caller.account_id, run.stack.aws.region)
    search = Search(place, known, asked.tags, asked.keys, _spared(run, place, asked, live))
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


def open_account(run: Run) -> tuple[AwsSession, Caller, Registrar]:
    """Both sides: the account (guarded by the stack's ``aws.account_id``) and the control plane."""
    session = run.open_session()
    caller = caller_identity(session)
    guard_account(caller, run.stack.aws.account_id)
    return session, caller, run.connect()


def mark_data(found: Found) -> Found:
    """The same, with what holds data marked as staying."""
    entries = tuple(
        replace(one, kept=HOLDS_DATA) if one.holds_data and not one.kept else one for one in found.ledger.leftovers
    )
    return replace(found, ledger=replace(found.ledger, leftovers=entries))


def parse_tags(texts: Iterable[str]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """``KEY=VALUE`` as pairs, ``KEY`` as keys; ``UsageError`` for what cannot prove anything."""
    pairs = tuple(parse_tag(text) for text in texts if "=" in text)
    keys = tuple(text.strip() for text in texts if "=" not in text)
    if "" in keys:
        raise UsageError("--tag is empty.", fix="Write --tag KEY or --tag KEY=VALUE.", rerun=SAFE_NOTHING_DONE)
    return pairs, keys


def parse_tag(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as a pair; ``UsageError`` for what cannot prove anything."""
    key, _, value = text.partition("=")
    if not key.strip() or not value.strip():
        fix = "Write --tag KEY=VALUE, or --tag KEY if the value is the cluster's name."
        raise UsageError(f"--tag {text!r} is not KEY=VALUE.", fix=fix, rerun=SAFE_NOTHING_DONE)
    if key.startswith("kubernetes.io/cluster/") and value != "owned":
        raise UsageError(
            f"--tag {text!r} proves nothing.",
            why="Only kubernetes.io/cluster/NAME=owned says that a resource goes with its cluster.",
            rerun=SAFE_NOTHING_DONE,
        )
    return key, value


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


def _spared(run: Run, place: Place, wanted: Wanted, live: tuple[Cluster, ...]) -> frozenset[str]:
    """ARNs that are in use or Terraform's own: roles, the buckets of live clusters, the bucket of the state."""
    arns = {*wanted.roles, *(cluster.role_arn for cluster in live if cluster.role_arn)}
    buckets = {cluster.bucket_name for cluster in live if cluster.bucket_name}
    backend = run.stack.terraform.backend
    if isinstance(backend, S3Backend):
        buckets.add(backend.bucket)
    return frozenset(arns | {place.arn("s3", bucket, region=False, account=False) for bucket in buckets})


def _recorder(run: Run) -> Callable[[Leftover, State, str, float], None]:
    """Each deletion as an event, and in the journal before and after."""

    def record(leftover: Leftover, state: State, detail: str, seconds: float) -> None:
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
