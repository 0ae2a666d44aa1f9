"""The files of a work_dir: those that runs and Terraform make, and those that somebody else put there."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, StateMovedError
from gridbyoc.render import read_by_terraform, rendered_files
from gridbyoc.stack.files import WORK_ROOT, Standing, check_plain, file_error, remove, remove_tree

_HALF_WRITTEN = r"(\.[a-z0-9_]{8})?"
"""Suffix of a file that is being written; it stays if the run is killed."""
_WRITTEN = re.compile(
    r"journal\.jsonl|run\.lock(\.json)?|\.terraform\.lock\.hcl|\.terraform\.tfstate\.lock\.info|crash(\..+)?\.log"
    rf"|(terraform|errored)\.tfstate((\.\d+)?\.backup|\.(migrated|pushed|torn)-\d{{8}}T\d{{6}}Z|{_HALF_WRITTEN})"
    r"|logs/[^/]+\.log"
)
"""Records, locks and states, which are written in place; states that were set aside, or copied by Terraform."""
_REPLACED = re.compile(
    rf"(converged|released)\.json|gridbyoc\.tfplan|\.gridbyoc(\.tfrc|-(init|state|rendered)\.json){_HALF_WRITTEN}"
    r"|\.gridbyoc-[^/]+\.tmp|logs"
)
_PASSING = re.compile(r"\.gridbyoc-\d+-[^/]+|\.reading-[^/]+")
"""Directories of a single command; a killed run leaves them behind."""
_TERRAFORMS = ".terraform"
STATE = "terraform.tfstate"


def check_work_dir(work_dir: Path) -> None:
    """Raise ``ForeignFileError`` if a file that a run or Terraform opens leads to another place."""
    made = _made_by_runs(work_dir)

    def standing(name: str) -> Standing:
        # Terraform reads it. We read it too, to copy it and to see whether it has changed.
        return "replaced" if made(name) == "another's" and read_by_terraform(name) else made(name)

    check_plain(work_dir, standing)


def refuse_state_left_behind(beside: Path, work_dir: Path) -> None:
    """Raise ``StateMovedError`` if the state is beside the stack file but the work_dir is now elsewhere.

    With an empty state, Terraform would create every resource a second time.
    """
    old, new = beside / STATE, work_dir / STATE
    if beside == work_dir or not _is_plain(old) or _is_plain(new):
        return
    home, there = shlex.quote(str(work_dir.parent)), shlex.quote(str(work_dir))
    raise StateMovedError(
        f"{WORK_ROOT} puts the work_dir into {work_dir}, but the stack's state is in {beside}.",
        why="Without that state every resource would be created a second time.",
        fix=f"If it is the stack's, move it: `mkdir -p {home} && mv {shlex.quote(str(beside))} {there}`. If it came "
        f"with a repository that is not yours, remove it: `rm -r {shlex.quote(str(beside))}`.",
        rerun=SAFE_NOTHING_DONE,
    )


def _is_plain(file: Path) -> bool:
    try:
        status = file.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def remove_local_files(work_dir: Path, kept: Collection[str]) -> tuple[Path, ...]:
    """Remove the files that runs and Terraform made in a work_dir, except the names in ``kept``.

    Returns the other files, which stay. Raises ``FileError``.
    """
    made = _made_by_runs(work_dir)
    return tuple(_cleared(work_dir, "", lambda name: "kept" if name in kept else made(name)))


def _cleared(work_dir: Path, prefix: str, standing: Callable[[str], str]) -> Iterator[Path]:
    for entry in sorted(os.scandir(work_dir / prefix), key=lambda each: each.name):
        name, path = f"{prefix}{entry.name}", work_dir / prefix / entry.name
        whose = standing(name)
        if whose == "another's":
            yield path
        if whose in {"another's", "kept"}:
            continue
        try:
            if not entry.is_dir(follow_symlinks=False):
                remove(path)
            elif whose == "terraform":
                remove_tree(path)
            else:
                yield from _cleared(work_dir, f"{name}/", standing)
                if not any(path.iterdir()):
                    path.rmdir()
        except OSError as error:
            raise file_error("Cannot remove", path, error) from None


def _made_by_runs(work_dir: Path) -> Callable[[str], Standing]:
    """Classify a path in the work_dir by its name and by the list of rendered files."""
    rendered = rendered_files(work_dir)
    directories = {parent.as_posix() for name in rendered for parent in Path(name).parents[:-1]}

    def standing(name: str) -> Standing:
        if name == _TERRAFORMS or _PASSING.fullmatch(name):
            return "terraform"
        if _WRITTEN.fullmatch(name):
            return "written"
        return "replaced" if name in rendered or name in directories or _REPLACED.fullmatch(name) else "another's"

    return standing
