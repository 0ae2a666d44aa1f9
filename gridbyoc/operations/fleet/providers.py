"""Share one copy of the AWS provider among stacks that are new here, without Terraform's plugin cache.

The cache is not safe for several ``terraform init`` in parallel, nor for one beside a running provider: without a lock
file Terraform downloads the provider again and overwrites the running program
(https://developer.hashicorp.com/terraform/cli/config/config-file#provider-plugin-cache). A filesystem mirror is only
read. Therefore one init, before any stack's run, installs the provider into a directory of the fleet. The result is a
mirror, and the runs that need the provider link to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gridbyoc.errors import GridbyocError, StackError, TerraformInterruptedError
from gridbyoc.operations.fleet.model import WRITING, FleetNote, Member, Verb
from gridbyoc.operations.fleet.record import DIRECTORY
from gridbyoc.render.root import AWS_PROVIDER
from gridbyoc.stack.files import home_of, make_private_dir, touch_private, work_root_of, write_atomic
from gridbyoc.stack.load import load
from gridbyoc.terraform import Runner, find_binary

MIRROR = "GRIDBYOC_PROVIDER_MIRROR"
CACHE = "TF_PLUGIN_CACHE_DIR"
_CACHE_SETTING = re.compile(r"^\s*plugin_cache_dir\s*=", re.MULTILINE)
_LOCK_SECONDS = 600.0
_NO_CACHE = f"{CACHE} is left out: Terraform's plugin cache is not safe for several runs at once."
_ONE_AT_ONCE = (
    "The stacks run one after the other: Terraform's CLI configuration sets plugin_cache_dir, which is not safe"
)


@dataclass(frozen=True, slots=True)
class Provision:
    """How the runs get their providers: each run's environment, the number of parallel runs, and notes for the user."""

    environ: Callable[[Member], Mapping[str, str]]
    jobs: int
    notes: tuple[FleetNote, ...] = ()


def provision(
    members: Sequence[Member],
    jobs: int,
    *,
    cwd: Path,
    environ: Mapping[str, str],
    home: Path,
    terraform_bin: str | None = None,
) -> Provision:
    """Make parallel runs safe. Nothing needs to be done if a mirror is configured or only one run is active at a time.

    Raises ``TerraformInterruptedError``. If the provider cannot be installed beforehand, the runs install it
    themselves.
    """
    if environ.get(MIRROR) or jobs == 1 or len(members) < 2:
        return Provision(lambda _member: environ, jobs)
    if _sets_cache(environ, home):
        note = FleetNote(f"{_ONE_AT_ONCE} for several runs at once.")
        return Provision(lambda _member: environ, 1, (note,))
    plain = {name: value for name, value in environ.items() if name != CACHE}
    notes = [FleetNote(_NO_CACHE)] if CACHE in environ else []
    mirrors: dict[Member, Path] = {}
    top = home_of(cwd, work_root_of(environ)) / DIRECTORY / "providers"
    for constraint, sharing in _sharing(members, environ, home).items():
        try:
            mirror = _installed(top, constraint, plain, terraform_bin)
        except TerraformInterruptedError:
            raise
        except (GridbyocError, Timeout) as error:
            notes.append(FleetNote(f"The AWS provider could not be installed once for all: {error}"))
            continue
        mirrors.update(dict.fromkeys(sharing, mirror))
    own = {member: {**plain, MIRROR: str(mirror)} for member, mirror in mirrors.items()}
    return Provision(lambda member: own.get(member, plain), jobs, tuple(notes))


def _sets_cache(environ: Mapping[str, str], home: Path) -> bool:
    named = environ.get("TF_CLI_CONFIG_FILE")
    for path in [Path(named)] if named else [home / ".terraformrc", home / ".tofurc"]:
        try:
            if _CACHE_SETTING.search(path.read_text(encoding="utf-8", errors="replace")):
                return True
        except (OSError, ValueError):
            continue
    return False


def _sharing(members: Sequence[Member], environ: Mapping[str, str], home: Path) -> dict[str, list[Member]]:
    """For each version constraint of the provider, the stacks that would install it, if there are several."""
    found: dict[str, list[Member]] = {}
    for member in members:
        constraint = _constraint(member, environ, home) if _is_new(member) else None
        if constraint is not None:
            found.setdefault(constraint, []).append(member)
    return {constraint: sharing for constraint, sharing in found.items() if len(sharing) > 1}


def _is_new(member: Member) -> bool:
    """Whether nothing is installed yet, and no lock file requires a certain version."""
    work_dir = member.work_dir
    return work_dir is not None and not any(
        (work_dir / name).exists() for name in (".terraform", ".terraform.lock.hcl")
    )


def _constraint(member: Member, environ: Mapping[str, str], home: Path) -> str | None:
    """The AWS provider's version constraint; ``None`` for a stack that may need other providers or has a mirror."""
    try:
        settings = load(member.file, environ=environ, home=home).terraform
    except StackError:
        return None  # its own run says what is wrong
    if settings.module is not None or settings.provider_mirror is not None:
        return None
    return settings.aws_provider_version or AWS_PROVIDER


def _installed(top: Path, constraint: str, environ: Mapping[str, str], terraform_bin: str | None) -> Path:
    """The directory that holds the provider; installed once, and never written again."""
    binary = find_binary(terraform_bin, environ, directory=top)
    digest = hashlib.sha256(json.dumps([constraint, binary.flavour]).encode()).hexdigest()[:12]
    place = top / digest
    make_private_dir(top.parent)
    make_private_dir(top)
    make_private_dir(place)
    touch_private(top / f"{digest}.lock")
    with FileLock(top / f"{digest}.lock", timeout=_LOCK_SECONDS, mode=0o600):
        needs = {"aws": {"source": "hashicorp/aws", "version": constraint}}
        root = {"terraform": {"required_providers": needs}}
        write_atomic(place / "versions.tf.json", json.dumps(root, indent=2) + "\n")
        runner = Runner(binary, place, environ=environ)
        if runner.init_needed(digest):
            runner.init(digest=digest)
    return place / ".terraform" / "providers"


PER_STACK = 800 * 1024 * 1024
"""Memory in bytes that one run needs.

Terraform's AWS provider 0.65 GB (measured, 5.100), Terraform and gridbyoc the rest.
"""
RESERVE = 512 * 1024 * 1024
WAITING = 2
"""Runs per core if a run spends most of its time waiting for clusters."""


def default_jobs(verb: Verb, count: int, *, cores: int, available: int | None) -> int:
    """One job per core (two if the verb waits for clusters), limited by ``available`` bytes of memory.

    At least 1 and at most ``count``. ``validate`` starts no Terraform and needs almost no memory. If the free memory is
    unknown (``None``), only the cores decide.
    """
    jobs = cores * (WAITING if verb in WRITING else 1)
    if available is not None and verb != "validate":
        jobs = min(jobs, (available - RESERVE) // PER_STACK)
    return max(1, min(jobs, count))


def usable_cores() -> int:
    """The number of cores that this process may use (in a container, under ``taskset``), if the system reports it."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that can be used without swapping.

    The kernel's MemAvailable, or a container's remaining limit if smaller.
    """
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except (OSError, ValueError):
        return None
    machine = int(match[1]) * 1024 if match else None
    left = _left_in(cgroup)
    return left if machine is None else machine if left is None else min(machine, left)


def _left_in(cgroup: Path) -> int | None:
    """What a container's memory limit leaves (cgroup v2); ``None`` without a limit."""
    try:
        limit, used = ((cgroup / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used)) if limit != "max" else None
    except (OSError, ValueError):
        return None
