"""Clusters: names, instance types."""

from __future__ import annotations

import re

from gridbyoc.stack.findings import Fault, Findings
from gridbyoc.stack.instance_types import instance_type_fault
from gridbyoc.stack.rules.context import Context
from gridbyoc.stack.words import Place, show

NAME_RULE = "1 to 63 of a-z, 0-9 and `-`, with no `-` at either end"
"""Of both dialects: every client of the service checks it before it sends a name."""
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def cluster_name_fault(name: str, dialect: str) -> Fault | None:
    """The control plane's rule; ``dialect`` is only named."""
    if _NAME.fullmatch(name):
        return None
    if len(name) > 63:
        return Fault(f"has {len(name)} characters; at most 63 are allowed")
    better = re.sub(r"[_. ]", "-", name.strip().lower()).strip("-")
    suggestion = f"; for instance `{better}`" if _NAME.fullmatch(better) else ""
    message = f"{show(name)} cannot be a cluster's name on a control plane of type `{dialect}`"
    return Fault(message, f"allowed: {NAME_RULE}{suggestion}")


def check_clusters(findings: Findings, _context: Context) -> None:
    """Names, each once; instance types, each once in a cluster."""
    clusters = findings.document.at("clusters")
    dialect = findings.document.text("control_plane", "type") or "grid"
    first: dict[str, int] = {}
    for index in range(len(clusters) if isinstance(clusters, list) else 0):
        name = findings.document.text("clusters", index, "name")
        if name is not None:
            place: Place = ("clusters", index, "name")
            findings.fault(place, cluster_name_fault(name, dialect))
            other = first.setdefault(name, index)
            if other != index:
                findings.problem(place, f"{show(name)} is the name of clusters[{other}] as well", "names are unique")
        _check_types(findings, index)


def _check_types(findings: Findings, cluster: int) -> None:
    place: Place = ("clusters", cluster, "instance_types")
    types = findings.document.at(*place)
    seen: set[str] = set()
    for index, item in enumerate(types if isinstance(types, list) else []):
        name = item.get("name") if isinstance(item, dict) else item
        if not isinstance(name, str):
            continue
        where: Place = (*place, index, "name") if isinstance(item, dict) else (*place, index)
        findings.type_fault(where, instance_type_fault(name))
        if name in seen:
            findings.problem(where, f"{show(name)} stands here twice", "remove one of them")
        seen.add(name)
