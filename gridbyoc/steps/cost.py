"""What a cluster costs while nothing runs on it: shown before anybody is asked."""

from __future__ import annotations

from gridbyoc.stack.model import ClusterSpec, DialectName

DOLLARS_A_DAY = {"cost-saving": 10, "default": 50}
"""The service's own guide: about $10 a day cost-saving, $50 with the default profile."""


def standing_cost(spec: ClusterSpec, dialect: DialectName) -> str:
    """One sentence on the standing cost of a cluster; prices of overprovisioned instances are AWS's own."""
    kept = [f"{t.overprovisioned_ondemand_count} x {t.name}" for t in spec.instance_types]
    kept = [text for text, t in zip(kept, spec.instance_types, strict=True) if t.overprovisioned_ondemand_count]
    extra = f" plus {', '.join(kept)} kept running at the on-demand price" if kept else ""
    if dialect == "lightning":
        return f"{spec.name}: this control plane has no performance profile to price;{extra or ' see its own pricing'}"
    profile = spec.performance_profile or "default"
    return f"{spec.name}: about ${DOLLARS_A_DAY[profile]} a day standing ({profile} profile){extra}"
