"""``gridbyoc bootstrap --yes`` on a stack that is already up, compared with repeating the guide's commands.

The guide's side is a shell that runs terraform init, apply (with nothing to do), output three times and one status
call, on its own stack in the same sandbox, from the same root module. Pairs are interleaved; each ratio and their
median are printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from bootstrap import GRIDBYOC, GUIDE, cli_config, new_stack, timed

from gridbyoc.sandbox import SandboxSettings, running_sandbox


def main() -> None:
    """Bring up a stack for each side, then repeat both sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    ratios = []
    with tempfile.TemporaryDirectory() as scratch, running_sandbox(SandboxSettings(create_seconds=0.0)) as sandbox:
        environ = {**os.environ, **sandbox.env}
        stacks = {name: new_stack(Path(scratch), name, environ) for name in ("tool", "guide")}
        for stack in stacks.values():
            timed([str(GRIDBYOC), "bootstrap", "--yes", "--poll-interval", "0.1s"], stack, environ)
        by_hand = cli_config(Path(scratch), environ)
        for number in range(pairs):
            ours = timed([str(GRIDBYOC), "bootstrap", "--yes"], stacks["tool"], environ)
            work_dir = stacks["guide"] / ".gridbyoc" / "guide"
            guide = timed(["sh", str(GUIDE), "guide", "again"], work_dir, by_hand)
            ratios.append(ours / guide)
            print(f"pair {number + 1}: gridbyoc {ours:5.2f} s   guide {guide:5.2f} s   ratio {ours / guide:.2f}")
    print(f"median ratio of {pairs} pairs: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
