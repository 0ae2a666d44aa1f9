"""A program in front of Terraform that plays the steps on ``terraform:apply``: no server sees what Terraform writes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from gridbyoc.sandbox.scenario.model import ScenarioStep

_SCRIPT = """#!/bin/sh
case " $* " in
*" apply "*)
  echo >> {turns}
  turn=$(wc -l < {turns})
{steps}  ;;
esac
exec {real} "$@"
"""
_STEP = """  if [ "$turn" -ge {first} ] && [ "$turn" -lt {end} ]; then
    echo {played} >> {log}
    ulimit -f 1
  fi
"""


def write_wrapper(steps: Sequence[ScenarioStep], real: Sequence[str], directory: Path, log: Path) -> Path:
    """Write the program to ``directory`` and return its path.

    ``real`` is the command line of Terraform. The program's name is Terraform's or OpenTofu's own. ``log`` records the
    strikes. ``ulimit`` counts blocks of 512 bytes: the lock file fits, the state does not.
    """
    played = "".join(
        _STEP.format(
            first=step.nth,
            end=step.nth + (step.times or 1),
            played=shlex.quote(json.dumps({"step": index, "request": step.on})),
            log=shlex.quote(str(log)),
        )
        for index, step in enumerate(steps)
        if step.side == "terraform"
    )
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / ("tofu" if "tofu" in Path(real[0]).name else "terraform")
    turns = shlex.quote(str(directory / "turns"))
    program.write_text(_SCRIPT.format(turns=turns, steps=played, real=shlex.join(real)))
    program.chmod(0o700)
    return program
