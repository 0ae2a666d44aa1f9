"""``gridbyoc --help`` compared with ``python -c pass``, in the same minute.

The median ratio, and heavy imports (none).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

HEAVY = ("boto3", "botocore", "jinja2", "jsonschema", "requests", "rich", "ruamel")
ROUNDS = 30


def timed(command: list[str]) -> float:
    """Wall seconds of one run."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def heavy_imports(command: list[str]) -> list[str]:
    """The heavy packages that a command imports, according to ``-X importtime``."""
    done = subprocess.run([sys.executable, "-X", "importtime", *command], capture_output=True, text=True, check=True)
    names = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    return sorted(names & set(HEAVY))


def main() -> None:
    """Interleave both commands; print both medians and their ratio."""
    script = Path(sysconfig.get_path("scripts"), "gridbyoc")
    baseline, ours = [], []
    for _ in range(ROUNDS):
        baseline.append(timed([sys.executable, "-c", "pass"]))
        ours.append(timed([str(script), "--help"]))
    floor, median = statistics.median(baseline), statistics.median(ours)
    print(f"python -c pass   {floor * 1000:6.1f} ms")
    print(f"gridbyoc --help  {median * 1000:6.1f} ms")
    print(f"ratio            {median / floor:6.2f}")
    for arguments in (["--help"], ["bootstrap", "--help"], ["clusters", "--help"]):
        found = heavy_imports([str(script), *arguments])
        print(f"heavy imports of `gridbyoc {' '.join(arguments)}`: {', '.join(found) or 'none'}")


if __name__ == "__main__":
    main()
