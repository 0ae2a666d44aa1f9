"""How many stacks this machine runs at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gridbyoc.steps.fleet.model import WRITING, Verb

PER_STACK = 800 * 1024 * 1024
"""Bytes that one run takes: Terraform's AWS provider 0.65 GB (measured, 5.100), Terraform and we the rest."""
RESERVE = 512 * 1024 * 1024
WAITING = 2
"""Runs for each core, where a run spends most of its time waiting for clusters."""


def default_jobs(verb: Verb, count: int, *, cores: int, available: int | None) -> int:
    """A job for each core (two where the verb waits for clusters), as far as ``available`` bytes of memory go.

    At least 1 and at most ``count``. ``validate`` starts no Terraform and takes next to no memory; where nobody says
    how much memory is free (``None``), the cores alone decide.
    """
    jobs = cores * (WAITING if verb in WRITING else 1)
    if available is not None and verb != "validate":
        jobs = min(jobs, (available - RESERVE) // PER_STACK)
    return max(1, min(jobs, count))


def usable_cores() -> int:
    """The cores that this process may use (a container's, ``taskset``'s), where the system tells."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that can be used without swapping: the kernel's MemAvailable, or less where a container has less left."""
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except (OSError, ValueError):
        return None
    machine = int(match[1]) * 1024 if match else None
    left = _left_in(cgroup)
    return left if machine is None else machine if left is None else min(machine, left)


def _left_in(cgroup: Path) -> int | None:
    """What a container's limit leaves (cgroup v2); ``None`` without a limit."""
    try:
        limit, used = ((cgroup / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used)) if limit != "max" else None
    except (OSError, ValueError):
        return None
