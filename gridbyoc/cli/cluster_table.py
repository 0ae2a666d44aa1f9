"""The guide's table of clusters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gridbyoc.stack.words import minute

if TYPE_CHECKING:
    from gridbyoc.control_plane.model import Cluster

COLUMNS = ("id", "name", "type", "status", "created")


def cluster_rows(clusters: Iterable[Cluster]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows: id, name, type, status (``terminating`` while a deletion is under way), created (UTC)."""
    return COLUMNS, [(c.id, c.name, c.cluster_type, c.status, minute(c.created_at)) for c in clusters]
