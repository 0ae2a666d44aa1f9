"""``gridbyoc fleet matrix``."""

from __future__ import annotations

from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app


@command("matrix", short_help="Write the shards of a CI engine's matrix.")
@pass_app
def matrix(app: App) -> None:
    """Write the shards of a CI engine's matrix."""
