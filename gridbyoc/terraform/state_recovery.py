"""Recover a state that Terraform could not save: find it, check that it is complete, restore it."""

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
"""The error in which Terraform asks the user to copy the printed state; gridbyoc has already saved it."""


@dataclass(frozen=True, slots=True)
class UnsavedState:
    """A state that could not be saved: ``place`` is a file that holds all of it; ``torn`` files are unreadable.

    ``place`` is ``None`` if no file holds the complete state.
    """

    work_dir: Path
    place: Path | None
    torn: tuple[Path, ...] = ()

    @property
    def where(self) -> str:
        """A sentence that says where the state is."""
        if self.place == self.work_dir / ERRORED:
            return f"Terraform could not save the state to its backend: it is in {ERRORED}."
        if self.place is not None:
            return (
                f"Terraform could not save the state to its backend or the work_dir: it is in {self.place}, which "
                "contains the external id (mode 0600)."
            )
        torn = f"{' and '.join(path.name for path in self.torn)} is no longer a readable state. " if self.torn else ""
        return f"The state could not be saved anywhere. {torn}The resources that were created still exist in AWS."

    def fix(self, by_hand: str = "", file: str = "") -> str:
        """What to do. ``by_hand`` is the command line that pushes ``errored.tfstate``.

        ``file`` is the stack file, quoted for a shell, if it is known.
        """
        push = f"`gridbyoc state push {file}`" if file else "`gridbyoc state push` on the stack file"
        errored = self.work_dir / ERRORED
        if self.place == errored:
            more = f" By hand: `{by_hand}`, then delete the file." if by_hand else ""
            return f"Save it before anything else: run {push}.{more}"
        if self.place is not None:
            move = shlex.join(("mv", str(self.place), str(errored)))
            return f"Free some space, then save it: `{move}`, then {push}."
        remove = f"delete the unreadable files (`{shlex.join(('rm', *map(str, self.torn)))}`) and " if self.torn else ""
        verb = f"bootstrap {file}" if file else "bootstrap"
        return (
            f"Free some space, {remove}run `gridbyoc {verb}`: it finds the role in AWS and imports it into the state. "
            "It does not find resources of a module of your own: import them with `terraform import`."
        )

    @property
    def rerun(self) -> str:
        """Whether a re-run is safe."""
        if self.place is not None:
            return f"A re-run is safe only after {ERRORED} has been pushed."
        return f"A re-run is safe after {'deleting these files' if self.torn else 'freeing some space'}."


def unsaved_state(work_dir: Path, environ: Mapping[str, str]) -> UnsavedState | None:
    """The state that an earlier run could not save; ``None`` if the work_dir has no ``errored.tfstate``."""
    errored = work_dir / ERRORED
    if not os.path.lexists(errored):
        return None
    return _left(work_dir, next(iter([errored] if _is_state(errored) else rescued(work_dir, environ)), None))


def rescue(state: Mapping[str, Any], work_dir: Path, environ: Mapping[str, str]) -> UnsavedState:
    """Write a printed state to the first place with enough space, ``errored.tfstate`` first, with mode 0600."""
    text = json.dumps(state, indent=2)
    name = f"{_prefix(work_dir)}{secrets.token_hex(4)}.tfstate"
    for place in (work_dir / ERRORED, *(directory / name for directory in _elsewhere(environ))):
        with suppress(GridbyocError, OSError):
            write_atomic(place, text)
            if _is_state(place):
                return _left(work_dir, place)
    return _left(work_dir, None)


def rescued(work_dir: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """The complete states of this work_dir that were saved elsewhere, newest first. Only the user's own files count."""
    found: list[tuple[float, Path]] = []
    for directory in _elsewhere(environ):
        for path in directory.glob(f"{_prefix(work_dir)}*.tfstate"):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and _is_state(path):
                    found.append((status.st_mtime, path))
    yield from (path for _, path in sorted(found, reverse=True))


def refuse_errored(work_dir: Path, environ: Mapping[str, str], by_hand: str) -> None:
    """Raise ``TerraformError`` if there is an unsaved state: nothing may be planned or written before it is saved.

    ``by_hand`` is the command line that pushes it.
    """
    unsaved = unsaved_state(work_dir, environ)
    if unsaved is not None:
        raise TerraformError(
            f"An earlier run could not save its state to the backend ({work_dir / ERRORED}).",
            why=f"{unsaved.where} Without that state, Terraform would create existing resources again.",
            fix=unsaved.fix(by_hand),
            rerun=unsaved.rerun,
        )


def _left(work_dir: Path, place: Path | None) -> UnsavedState:
    """The unsaved state, with the unreadable files to delete before the next run.

    The run itself restores an unreadable local state that has a backup.
    """
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
    """Whether the file is a complete state: valid JSON, with Terraform's fields or encrypted by OpenTofu."""
    with suppress(OSError):
        found = json_object(read_regular(path)) or {}
        whole = bool(found.get("lineage")) and isinstance(found.get("resources"), list)
        return whole or "encrypted_data" in found
    return False


def _elsewhere(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Directories to try if the work_dir has no space; ``/dev/shm`` is memory and lasts until a reboot."""
    named: Iterable[str | None] = (environ.get("TMPDIR"), "/tmp", "/var/tmp", environ.get("HOME"), "/dev/shm")  # noqa: S108 - files of mode 0600 with unpredictable names
    return tuple(dict.fromkeys(Path(each) for each in named if each and Path(each).is_dir()))


def _prefix(work_dir: Path) -> str:
    return f"gridbyoc-unsaved-{hashlib.sha256(os.fsencode(work_dir)).hexdigest()[:12]}-"


def restore_backup(state_file: Path) -> bool:
    """Replace an empty or unreadable state with ``terraform.tfstate.backup``; return whether it was replaced.

    The backup dates from the start of the Terraform run that was cut off. A readable state stays, and so does any state
    without a backup, or with a backup without resources. Nobody may hold the lock. Raises ``FileError`` and
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
    """Whether a non-empty file is not a JSON object. Terraform treats an empty file as no state."""
    return state_file.exists() and state_file.stat().st_size > 0 and not read_json(state_file)
