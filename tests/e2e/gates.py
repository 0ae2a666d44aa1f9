"""Places where a run is stopped and killed: around a command of Terraform's, and around a request to either service.

Nothing of it is in the tool: Terraform is a script that waits before or after the real one (GRIDBYOC_TERRAFORM_BIN),
and a proxy holds a request before the service sees it, or the answer after it was carried out.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.e2e.conftest import Started
from tests.e2e.fault_proxy import Proxy

When = Literal["before", "after"]
PATIENCE = 60.0

WRAPPER = r"""#!/bin/sh
verb=
for word in "$@"; do
  case "$word" in -destroy*) verb=destroy ;; -*) ;; *) [ -n "$verb" ] || verb=$word ;; esac
done
echo >> "GATES/$verb.turns"
turn=$(wc -l < "GATES/$verb.turns" | tr -d ' ')
stop() {
  [ -e "GATES/$1-$verb-$turn" ] || return 0
  echo $$ > "GATES/reached.new"
  mv "GATES/reached.new" "GATES/reached"
  while [ -e "GATES/$1-$verb-$turn" ]; do sleep 0.02; done
}
stop before
LIGHT
[ -e "GATES/after-$verb-$turn" ] || exec terraform "$@"
terraform "$@"
code=$?
stop after
exit $code
"""
# The AWS provider is needed by no resource of a fast stack, and loading it takes 1.5 s of every plan and apply.
LIGHT = """\
case "$1" in -chdir=*) cd "${1#-chdir=}" || exit 1; shift ;; esac
[ ! -e modules/custom ] || rm -f providers.tf versions.tf"""


class Gates:
    """A ``terraform`` that stops at chosen points; ``light`` runs fast stacks without the AWS provider."""

    def __init__(self, directory: Path, *, light: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.program = directory / "terraform"
        text = WRAPPER.replace("GATES", str(directory)).replace("LIGHT", LIGHT if light else ":")
        self.program.write_text(text)
        self.program.chmod(0o755)

    def close(self, when: When, verb: str, turn: int = 1) -> None:
        """The ``turn``-th run of ``verb`` from now on stops there."""
        turns = self._directory / f"{verb}.turns"
        so_far = len(turns.read_text().splitlines()) if turns.exists() else 0
        (self._directory / f"{when}-{verb}-{so_far + turn}").touch()

    def reached(self) -> int | None:
        """The process that waits at the gate; ``None`` while none does."""
        path = self._directory / "reached"
        return int(path.read_text()) if path.exists() else None

    def open(self) -> None:
        """Nobody is stopped any more."""
        for path in (*self._directory.glob("before-*"), *self._directory.glob("after-*"), self._directory / "reached"):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Stop:
    """Where a run is stopped: at a command of Terraform's, or at a request to AWS or to the control plane."""

    at: Literal["terraform", "aws", "plane"]
    name: str
    when: When
    turn: int = 1

    def __str__(self) -> str:
        turn = f" ({self.turn})" if self.turn > 1 else ""
        return f"{self.when} {'terraform ' if self.at == 'terraform' else ''}{self.name}{turn}"


class Held:
    """A closed gate, whichever kind it is: has it been reached, and let nothing more come of it."""

    def __init__(self, stop: Stop, gates: Gates, aws: Proxy, plane: Proxy) -> None:
        self._gates = gates
        self._hold = None
        if stop.at == "terraform":
            gates.close(stop.when, stop.name, stop.turn)
        else:
            self._hold = (aws if stop.at == "aws" else plane).hold(stop.name, stop.when, stop.turn)

    def reached(self) -> bool:
        return self._hold.reached.is_set() if self._hold else self._gates.reached() is not None

    def leashed(self, tool: int) -> bool:
        """Whether the tool is past the instant between the start of Terraform and that of its watcher."""
        return self._hold is not None or any(watches for _, watches in children(tool))

    def cut(self) -> None:
        """The connection is cut where it is held; a waiting script has to die by itself first."""
        if self._hold:
            self._hold.drop()
            return
        waiting = self._gates.reached()
        try:
            until(lambda: waiting is None or not alive(waiting), "the end of the script at the gate")
        finally:
            self._gates.open()


def until(reached: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for something that comes soon."""
    end = time.monotonic() + patience
    while not reached():
        assert time.monotonic() < end, f"this never came: {what}"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid: int) -> Iterator[tuple[int, bool]]:
    """The processes that a tool runs right now, and of each whether it is the one that watches over Terraform."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if path.read_text().rsplit(")", 1)[1].split()[1] == str(pid):
                yield int(path.parent.name), b"gridbyoc-leash" in (path.parent / "cmdline").read_bytes().split(b"\0")


def group_of(leader: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = path.read_text().rsplit(")", 1)[1].split()
            if words[2] == str(leader) and words[0] not in "ZX":
                found.append(int(path.parent.name))
    return found


def kill_at(held: Held, process: Started, who: Literal["tool", "terraform", "both"]) -> tuple[int, str]:
    """Wait until the run is where it is to be killed, and do it; its status, and what it could still say."""
    until(lambda: held.reached() or process.poll() is not None, "the place to be killed at")
    if process.poll() is not None:
        raise AssertionError("it ended before it was there:\n" + "".join(process.communicate()))
    until(lambda: held.leashed(process.pid), "Terraform's watcher")
    victims = [process.pid] if who != "terraform" else []
    victims += [pid for pid, watches in children(process.pid) if not watches] if who != "tool" else []
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    if who != "terraform":
        process.wait()
    held.cut()
    out, err = process.communicate(timeout=PATIENCE)
    terraforms = [pid for pid in victims if pid != process.pid]
    until(lambda: not any(map(group_of, terraforms)), "the end of the providers of a Terraform that was killed")
    return process.returncode, out + err
