"""``gridbyoc version``."""

from __future__ import annotations

import platform

import gridbyoc
from gridbyoc.cli.app import App
from gridbyoc.cli.options import command, pass_app
from gridbyoc.errors import TerraformError


@command("version")
@pass_app
def version(app: App) -> None:
    """Show the versions of gridbyoc, Python and the Terraform that would be used."""
    from gridbyoc.terraform import find_binary

    try:
        binary = find_binary(None, app.environ)
        terraform = f"{'.'.join(map(str, binary.version))} ({binary.flavour}, {binary.path})"
    except TerraformError as error:
        terraform = f"none: {error.what}"
    versions = {"gridbyoc": gridbyoc.__version__, "python": platform.python_version(), "terraform": terraform}
    if app.json:
        app.object(versions)
        return
    for name, value in versions.items():
        app.line(f"{name:<10} {value}")
