"""``errored.tfstate``: the state that Terraform could not save where it belongs."""

from __future__ import annotations

from pathlib import Path

from gridbyoc.errors import TerraformError
from gridbyoc.terraform.binary import Binary


def refuse_errored(binary: Binary, work_dir: Path) -> None:
    """Raise ``TerraformError`` while such a file lies in the work_dir: nothing may be planned or written before it."""
    errored = work_dir / "errored.tfstate"
    if errored.exists():
        raise TerraformError(
            "An earlier run could not save its state where it belongs; it left it in errored.tfstate.",
            why="Without that state Terraform would make again what exists already.",
            fix="`gridbyoc state push` on the stack file saves that state and puts the file aside. By hand: "
            f"`{binary.command(work_dir, 'state', 'push', errored.name)}`, then delete {errored}.",
            rerun="A re-run is safe once the state has been pushed.",
        )
