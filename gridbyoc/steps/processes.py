"""Which processes of this machine work in a directory; only where the kernel tells (Linux)."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_SHELLS = ("sh", "bash", "zsh", "fish", "dash", "ksh")


@dataclass(frozen=True, slots=True)
class Process:
    """A process by id and the kernel's name for it."""

    pid: int
    name: str

    @property
    def terraform(self) -> bool:
        """By its name a Terraform: a binary, or the Python that carries the embedded one (the kernel cuts at 15)."""
        return any(word in self.name for word in ("terraf", "tofu", "python"))

    def __str__(self) -> str:
        return f"{self.name or 'a process'} (process {self.pid})"


def working_in(directory: Path, proc: Path = PROC) -> tuple[Process, ...] | None:
    """The processes whose current directory is ``directory`` or below, without ourselves and shells.

    Of other users' processes only root sees where they work. ``None`` where nothing can be told: no ``/proc``.
    """
    if not (proc / "self").exists():
        return None
    target, found = directory.resolve(), []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            cwd = (entry / "cwd").readlink()
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue  # ended meanwhile, a zombie, or somebody else's
        if (cwd == target or target in cwd.parents) and name not in _SHELLS:
            found.append(Process(int(entry.name), name))
    return tuple(sorted(found, key=lambda process: process.pid))


def user_name() -> str:
    """Our user's name as Terraform writes it into a lock; empty where the system knows none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
