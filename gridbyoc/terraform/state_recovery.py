"""A state that Terraform could not save: where it is, whether it is whole, and how it is put back."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridbyoc.errors import GridbyocError, TerraformError
from gridbyoc.stack.files import json_object, read_json, read_private, read_regular, write_atomic
from gridbyoc.terraform.state import State, backend_of

ERRORED = "errored.tfstate"
PRINTED = "Failed to persist state to backend"
"""The error in which Terraform asks to copy the state that it has printed: we have taken care of that."""


@dataclass(frozen=True, slots=True)
class UnsavedState:
    """What is left of a state that could not be saved: ``place`` holds all of it; ``torn`` files hold none.

    ``place`` is ``None`` where it was written nowhere as a whole.
    """

    work_dir: Path
    place: Path | None
    torn: tuple[Path, ...] = ()

    @property
    def where(self) -> str:
        """Where it is, in a sentence."""
        if self.place == self.work_dir / ERRORED:
            return f"The state could not be saved where it belongs: it is in {ERRORED}."
        if self.place is not None:
            return (
                f"The state could not be saved where it belongs, nor in the work_dir: it is in {self.place}, which "
                "holds the external id (mode 0600)."
            )
        torn = f"{_names(self.torn)} can be read as a state no more. " if self.torn else ""
        return f"The state could not be saved anywhere. {torn}What was made exists in AWS all the same."

    def fix(self, by_hand: str = "", file: str = "") -> str:
        """What to do. ``by_hand`` is the command line that pushes ``errored.tfstate``.

        ``file`` is the stack file as a shell takes it, where it is known.
        """
        push = f"`gridbyoc state push {file}`" if file else "`gridbyoc state push` on the stack file"
        errored = self.work_dir / ERRORED
        if self.place == errored:
            more = f" By hand: `{by_hand}`, then delete the file." if by_hand else ""
            return f"Save it before anything else: {push} does.{more}"
        if self.place is not None:
            move = shlex.join(("mv", str(self.place), str(errored)))
            return f"Make room, then save it: `{move}`, then {push}."
        remove = f"delete what is torn (`{shlex.join(('rm', *map(str, self.torn)))}`) and " if self.torn else ""
        verb = f"bootstrap {file}" if file else "bootstrap"
        return (
            f"Make room, {remove}run `gridbyoc {verb}`: it finds the role in AWS and takes it into the state. "
            "It does not look for what a module of your own made: `terraform import` takes that in."
        )

    @property
    def rerun(self) -> str:
        """Whether a re-run is safe."""
        if self.place is not None:
            return f"A re-run is safe only after {ERRORED} has been pushed."
        return "A re-run is safe once these files are gone." if self.torn else "A re-run is safe once there is room."


def unsaved_state(work_dir: Path, environ: Mapping[str, str]) -> UnsavedState | None:
    """What an earlier run could not save, by what lies in the work_dir; ``None`` where there is no such thing."""
    errored = work_dir / ERRORED
    if not os.path.lexists(errored):
        return None
    return _left(work_dir, next(iter([errored] if _is_state(errored) else rescued(work_dir, environ)), None))


def rescue(state: Mapping[str, Any], work_dir: Path, environ: Mapping[str, str]) -> UnsavedState:
    """Write a state that Terraform has printed to where there is room, mode 0600: ``errored.tfstate`` first."""
    text = json.dumps(state, indent=2)
    name = f"{_prefix(work_dir)}{secrets.token_hex(4)}.tfstate"
    for place in (work_dir / ERRORED, *(directory / name for directory in _elsewhere(environ))):
        with suppress(GridbyocError, OSError):
            write_atomic(place, text)
            if _is_state(place):
                return _left(work_dir, place)
    return _left(work_dir, None)


def rescued(work_dir: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """The whole states of this work_dir that were written elsewhere, the newest first. Only files of our own count."""
    found: list[tuple[float, Path]] = []
    for directory in _elsewhere(environ):
        for path in directory.glob(f"{_prefix(work_dir)}*.tfstate"):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and _is_state(path):
                    found.append((status.st_mtime, path))
    yield from (path for _, path in sorted(found, reverse=True))


def refuse_errored(work_dir: Path, environ: Mapping[str, str], by_hand: str) -> None:
    """Raise ``TerraformError`` while an unsaved state lies there: nothing may be planned or written before it.

    ``by_hand`` is the command line that pushes it.
    """
    unsaved = unsaved_state(work_dir, environ)
    if unsaved is not None:
        raise TerraformError(
            f"An earlier run could not save its state where it belongs ({work_dir / ERRORED}).",
            why=f"{unsaved.where} Without that state Terraform would make again what exists already.",
            fix=unsaved.fix(by_hand),
            rerun=unsaved.rerun,
        )


def _left(work_dir: Path, place: Path | None) -> UnsavedState:
    """With the files that must go before a run can go on. A torn local state with a copy is put back by the run."""
    if place is not None:
        return UnsavedState(work_dir, place)
    backend, errored = backend_of(work_dir), work_dir / ERRORED
    torn = [errored] if os.path.lexists(errored) else []
    if not backend.remote:
        state = backend.state_file(work_dir)
        copy = state.with_name(f"{state.name}.backup")
        if state.exists() and not _is_state(state) and not State(read_json(copy)).has_resources:
            torn.append(state)
    return UnsavedState(work_dir, None, tuple(torn))


def _is_state(path: Path) -> bool:
    """A whole state: it parses, and is one of Terraform's or an encrypted one of OpenTofu's."""
    with suppress(OSError):
        found = json_object(read_regular(path)) or {}
        whole = bool(found.get("lineage")) and isinstance(found.get("resources"), list)
        return whole or "encrypted_data" in found
    return False


def _elsewhere(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Directories that may have room where the work_dir has none; ``/dev/shm`` is memory, and lasts until a reboot."""
    named: Iterable[str | None] = (environ.get("TMPDIR"), "/tmp", "/var/tmp", environ.get("HOME"), "/dev/shm")  # noqa: S108 - files of mode 0600 under names that nobody can know beforehand
    return tuple(dict.fromkeys(Path(each) for each in named if each and Path(each).is_dir()))


def _prefix(work_dir: Path) -> str:
    return f"gridbyoc-unsaved-{hashlib.sha256(os.fsencode(work_dir)).hexdigest()[:12]}-"


def _names(paths: tuple[Path, ...]) -> str:
    return " and ".join(path.name for path in paths)


def restore_backup(state_file: Path) -> bool:
    """Put ``terraform.tfstate.backup`` in the place of a state that is empty or torn; whether that was so.

    The copy is of the moment when the Terraform that was cut off began. Nothing is done to a state that can be read,
    where there is no copy, or where the copy knows of no resource. Nobody may hold the lock. Raises ``FileError`` and
    ``OSError``.
    """
    if not state_file.exists() or read_json(state_file):
        return False
    copy = state_file.with_name(f"{state_file.name}.backup")
    if not State(read_json(copy)).has_resources:
        return False
    write_atomic(state_file, read_private(copy))
    return True


def is_torn(state_file: Path) -> bool:
    """Whether the file holds something that is no JSON object. An empty one is no state, to Terraform as well."""
    return state_file.exists() and state_file.stat().st_size > 0 and not read_json(state_file)
