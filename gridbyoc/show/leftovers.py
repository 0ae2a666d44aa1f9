"""A ledger of leftovers, as a table and as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gridbyoc.operations.leftovers import FoundLeftovers, Ledger, Leftover

COLUMNS = ("order", "kind", "arn", "cluster", "age", "size", "costs", "data", "because")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def leftover_rows(ledger: Ledger) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows, in the order of deletion; ``?`` where something is not known."""
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
    """What could not be read, and what else is worth a line."""
    unknown = [f"warning: whether a {one.kind} is left is unknown: {one.why}" for one in ledger.unknown]
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


def leftovers_object(stack: str, found: FoundLeftovers) -> dict[str, Any]:
    """The ledger as the last object of ``--format json``. Ages are seconds, sizes bytes, ``null`` is not known."""
    ledger = found.ledger
    return {
        "type": "leftovers",
        "stack": stack,
        "account_id": found.search.place.account_id,
        "region": found.search.place.region,
        "clusters": [cluster.name for cluster in found.search.clusters],
        "live": list(found.live),
        "clear": ledger.clear,
        "leftovers": [_object(one) for one in ledger.leftovers],
        "unknown": [{"kind": one.kind, "why": one.why} for one in ledger.unknown],
        "notes": list(ledger.notes),
    }


def age(value: timedelta | None) -> str:
    """``12m``, ``5h``, ``3d``; ``?`` where it is not known."""
    if value is None:
        return "?"
    minutes = max(0, int(value.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // 1440}d"


def size(value: int | None) -> str:
    """``0 B``, ``1.5 KiB``, ``20 GiB``; ``?`` where it is not known."""
    if value is None:
        return "?"
    amount, unit = float(value), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f}".removesuffix(".0") + f" {UNITS[unit]}"


def _object(one: Leftover) -> dict[str, Any]:
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
