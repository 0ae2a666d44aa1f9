"""What a cluster costs while nothing runs on it: shown before anybody is asked."""

from __future__ import annotations

from gridbyoc.stack.model import ClusterSpec, DialectName
from gridbyoc.vendors import facts_of


def dollars_a_day(spec: ClusterSpec, dialect: DialectName) -> int | None:
    """The standing cost by the vendor's guide; ``None`` where it names none."""
    return facts_of(dialect).dollars_a_day.get(spec.performance_profile or "default")


def standing_cost(spec: ClusterSpec, dialect: DialectName) -> str:
    """One sentence on the standing cost of a cluster; prices of overprovisioned instances are AWS's own."""
    kept = [f"{t.overprovisioned_ondemand_count} x {t.name}" for t in spec.instance_types]
    kept = [text for text, t in zip(kept, spec.instance_types, strict=True) if t.overprovisioned_ondemand_count]
    extra = f" plus {', '.join(kept)} kept running at the on-demand price" if kept else ""
    dollars = dollars_a_day(spec, dialect)
    if dollars is None:
        return f"{spec.name}: this control plane has no performance profile to price;{extra or ' see its own pricing'}"
    return f"{spec.name}: about ${dollars} a day standing ({spec.performance_profile or 'default'} profile){extra}"
