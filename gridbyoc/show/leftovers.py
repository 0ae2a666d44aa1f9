"""A ledger of leftovers, and the result of a destroy, as text and as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, TypedDict

from gridbyoc.operations.destroy import Destroyed
from gridbyoc.operations.leftovers import FoundLeftovers, Ledger, Leftover
from gridbyoc.show.clusters import AwaitedBody, awaits_json
from gridbyoc.show.output import Output, Screen
from gridbyoc.stack.words import counted

COLUMNS = ("order", "kind", "arn", "cluster", "age", "size", "costs", "data", "because")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def leftover_rows(ledger: Ledger) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows, in the order of deletion; ``?`` for unknown values."""
    return COLUMNS, [
        (
            str(one.order),
            one.kind,
            one.arn,
            one.cluster or "?",
            age(one.age),
            size(one.size_bytes),
            "yes" if one.costs_money else "no",
            "yes" if one.holds_data else "no",
            f"{one.evidence}; stays: {one.kept}" if one.kept else one.evidence,
        )
        for one in ledger.leftovers
    ]


def leftover_notes(ledger: Ledger) -> list[str]:
    """Resources that could not be read, and the ledger's notes."""
    articles = {one.kind: "an" if one.kind[0].lower() in "aeiou" else "a" for one in ledger.unknown}
    unknown = [
        f"warning: whether {articles[one.kind]} {one.kind} is left is unknown: {one.why}" for one in ledger.unknown
    ]
    return [*unknown, *ledger.notes]


def summary(ledger: Ledger) -> str:
    """One sentence: how much is left, and how much of it costs money."""
    count = len(ledger.leftovers)
    blind = f"could not be read: {', '.join(one.kind for one in ledger.unknown)}" if ledger.unknown else ""
    if not count:
        return f"Nothing was found; {blind}." if blind else "Nothing is left."
    costly = sum(one.costs_money for one in ledger.leftovers)
    text = f"{count} left over, {costly} of them at a cost"
    return f"{text}; {blind}." if blind else f"{text}."


class LeftoverBody(TypedDict):
    """An AWS resource that provably belonged to a past cluster. ``null`` means unknown; ``kept`` says why it stays."""

    order: int
    kind: str
    id: str
    arn: str
    name: str
    cluster: str
    evidence: str
    created: str | None
    age_seconds: int | None
    size_bytes: int | None
    costs_money: bool
    monthly_estimate_usd: float | None
    holds_data: bool
    kept: str


class UnknownBody(TypedDict):
    """A kind of resource that could not be read."""

    kind: str
    why: str


class LeftoversBody(TypedDict):
    """What deleted clusters left in AWS, in the order of deletion. ``clear``: it is proven that nothing is left."""

    account_id: str
    region: str
    clusters: list[str]
    live: list[str]
    clear: bool
    leftovers: list[LeftoverBody]
    unknown: list[UnknownBody]
    notes: list[str]


def leftovers_json(found: FoundLeftovers) -> LeftoversBody:
    """The ledger."""
    ledger = found.ledger
    return {
        "account_id": found.search.place.account_id,
        "region": found.search.place.region,
        "clusters": [cluster.name for cluster in found.search.clusters],
        "live": list(found.live),
        "clear": ledger.clear,
        "leftovers": [_leftover(one) for one in ledger.leftovers],
        "unknown": [{"kind": one.kind, "why": one.why} for one in ledger.unknown],
        "notes": list(ledger.notes),
    }


def age(value: timedelta | None) -> str:
    """``12m``, ``5h``, ``3d``; ``?`` if unknown."""
    if value is None:
        return "?"
    minutes = max(0, int(value.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // 1440}d"


def size(value: int | None) -> str:
    """``0 B``, ``1.5 KiB``, ``20 GiB``; ``?`` if unknown."""
    if value is None:
        return "?"
    amount, unit = float(value), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f}".removesuffix(".0") + f" {UNITS[unit]}"


def _leftover(one: Leftover) -> LeftoverBody:
    return {
        "order": one.order,
        "kind": one.kind,
        "id": one.id,
        "arn": one.arn,
        "name": one.name,
        "cluster": one.cluster,
        "evidence": one.evidence,
        "created": one.created_at.isoformat() if one.created_at else None,
        "age_seconds": int(one.age.total_seconds()) if one.age else None,
        "size_bytes": one.size_bytes,
        "costs_money": one.costs_money,
        "monthly_estimate_usd": one.monthly_estimate,
        "holds_data": one.holds_data,
        "kept": one.kept,
    }


def write_leftovers(found: FoundLeftovers, screen: Screen) -> None:
    """The table, notes on what could not be read, and the summary."""
    if found.ledger.leftovers:
        screen.table(*leftover_rows(found.ledger))
    for note in leftover_notes(found.ledger):
        screen.note(note)
    screen.line(summary(found.ledger))


LEFTOVERS = Output("leftovers", leftovers_json, write_leftovers)


class DestroyedBody(TypedDict):
    """The clusters and the number of the role's resources that were deleted, and what the clusters left in AWS.

    ``state_versions_removed``: the number of state versions deleted from S3; ``null`` if none were to be deleted.
    ``vendor``: one without an API, whose resources nobody looked for; else empty.
    ``awaits``: clusters whose deletion was not waited for (``--no-wait``). ``unfinished``: the role stays until the
    next destroy.
    """

    clusters: list[str]
    resources: int
    role_arn: str | None
    left: Annotated[dict[str, Any], LEFTOVERS]
    state_versions_removed: int | None
    vendor: str
    awaits: list[AwaitedBody]
    unfinished: bool


def destroyed_json(done: Destroyed) -> DestroyedBody:
    """The result of a destroy."""
    return {
        "clusters": list(done.clusters),
        "resources": done.resources,
        "role_arn": done.role_arn,
        "left": LEFTOVERS.document(done.left, done.stack),
        "state_versions_removed": done.state_versions,
        "vendor": done.vendor,
        "awaits": awaits_json((), done.deleting),
        "unfinished": bool(done.deleting),
    }


def _write_destroyed(done: Destroyed, screen: Screen) -> None:
    if done.deleting:
        names = ", ".join(cluster.name for cluster in done.deleting)
        screen.line(f"The deletion of {names} was requested. The role stays until they are deleted:")
        screen.line("run `gridbyoc destroy` again then.")
        return
    if done.clusters or done.resources:
        names, resources = ", ".join(done.clusters) or "none", counted(done.resources, "resource")
        screen.line(f"Destroyed: clusters {names}; {resources} of the role.")
    else:
        screen.line("Nothing to destroy: the state is empty and no cluster runs through this stack's role.")
    if not done.vendor or done.left.search.clusters:  # the stack may have had another control plane before
        write_leftovers(done.left, screen)
    if done.vendor:
        screen.line(f"What {done.vendor} made in the account was not looked for: {done.vendor} knows what that is.")
    if done.state_versions is not None:
        versions = counted(done.state_versions, "version")
        screen.line(f"The state was deleted from S3: {versions}." if done.state_versions else "No state is left.")


DESTROYED = Output("destroyed", destroyed_json, _write_destroyed)
