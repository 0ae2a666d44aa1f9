"""``gridbyoc bootstrap --yes`` on a fresh stack, compared with the guide's commands on the same sandbox and module.

The guide's side is a shell that runs terraform init, apply, output three times, the create call and one status call.
Pairs are interleaved and clusters run immediately, so that both sides wait only for their own work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

from gridbyoc.sandbox import SandboxSettings, running_sandbox

GRIDBYOC = Path(sysconfig.get_path("scripts"), "gridbyoc")
GUIDE = Path(__file__).with_name("guide.sh")


def timed(command: list[str], cwd: Path, environ: dict[str, str]) -> float:
    """Wall seconds of one run that must succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - began


def new_stack(directory: Path, name: str, environ: dict[str, str]) -> Path:
    """A directory with the starter stack file under ``name``."""
    stack = directory / name
    stack.mkdir()
    arguments = ["new", "--no-input", "--name", name, "--cluster", name]
    subprocess.run([GRIDBYOC, *arguments], cwd=stack, env=environ, check=True, capture_output=True)
    return stack


def cli_config(directory: Path, environ: dict[str, str]) -> dict[str, str]:
    """The environment with a Terraform CLI configuration for the provider mirror, if there is one."""
    mirror = environ.get("GRIDBYOC_PROVIDER_MIRROR")
    if not mirror:
        return environ
    config = directory / "guide.tfrc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    return {**environ, "TF_CLI_CONFIG_FILE": str(config)}


def pair(directory: Path, number: int, environ: dict[str, str]) -> tuple[float, float]:
    """One run of each side, on two fresh stacks: (ours, the guide's)."""
    stack = new_stack(directory, f"tool-{number}", environ)
    ours = timed([str(GRIDBYOC), "bootstrap", "--yes"], stack, environ)
    name = f"guide-{number}"
    stack = new_stack(directory, name, environ)
    subprocess.run([GRIDBYOC, "render"], cwd=stack, env=environ, check=True, capture_output=True)
    work_dir = stack / ".gridbyoc" / name
    guide = timed(["sh", str(GUIDE), name], work_dir, cli_config(directory, environ))
    return ours, guide


def main() -> None:
    """Print each pair and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    ratios = []
    with tempfile.TemporaryDirectory() as scratch, running_sandbox(SandboxSettings(create_seconds=0.0)) as sandbox:
        environ = {**os.environ, **sandbox.env}
        for number in range(pairs):
            ours, guide = pair(Path(scratch), number, environ)
            ratios.append(ours / guide)
            print(f"pair {number + 1}: gridbyoc {ours:5.2f} s   guide {guide:5.2f} s   ratio {ours / guide:.2f}")
    print(f"median ratio of {pairs} pairs: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
