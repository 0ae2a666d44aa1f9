"""The command line. This module is all that ``gridbyoc --help`` loads."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """The console script: answers ``--help`` from the shipped text, hands everything else to click."""
    if sys.argv[1:] in (["--help"], ["-h"]) and "_GRIDBYOC_COMPLETE" not in os.environ:
        # click alone takes twice the interpreter's own start; a test holds the text against click's.
        with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as text:  # noqa: PTH118, PTH120, PTH123 - pathlib's import is what this path avoids
            sys.stdout.write(text.read())
        return 0
    from gridbyoc.cli.main import run

    return run(sys.argv[1:])
