"""Private files: the one place that opens what lies in a work_dir, and that writes a file whole or not at all.

A ``.gridbyoc`` directory may have come with a repository that is not ours. A link in it could make a run read,
overwrite or delete a file that lies elsewhere: no component of a path from ``.gridbyoc`` on is followed if it is one.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError, ForeignFileError, UsageError

HOME = ".gridbyoc"
"""The directory beside the stack file that holds every stack's work_dir."""
WORK_ROOT = "GRIDBYOC_WORK_ROOT"
"""Where the user wants every ``.gridbyoc`` directory to lie, an absolute path."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_KIND = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_LINK = {errno.ELOOP, errno.EMLINK}
"""What ``open`` answers for a link that it must not follow: Linux and macOS, FreeBSD."""
_NO_FILE = {errno.ENXIO}
"""A pipe or socket that is opened for writing."""
_QUIET = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe that nobody writes to must not hold us up."""
_ONLY_PASSED = getattr(os, "O_PATH", os.O_RDONLY)
"""For a directory that is passed through and not read: it need not be readable."""


def file_error(what: str, path: Path, error: OSError) -> FileError:
    """Put an ``OSError`` into words. ``what`` is the verb and the noun, as in ``"Cannot write"``."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else path
    place = named if named.is_absolute() else path
    if error.errno in _NO_ROOM:
        fix = f"Free some space on the file system of {path}, then run the command again."
    elif error.errno in _NOT_ALLOWED:
        fix = f"Give yourself the rights that {place} needs, or use another directory."
    elif error.errno in _WRONG_KIND:
        fix = f"Move {place} out of the way: it is not of the kind that is needed there (file or directory)."
    else:
        fix = f"See what is wrong with {place}, then run the command again."
    return FileError(f"{what} {path}.", why=f"{error.strerror or type(error).__name__} ({place}).", fix=fix)


def home_of(directory: Path, work_root: Path | None) -> Path:
    """The ``.gridbyoc`` directory of the stack files in ``directory``.

    Below ``work_root`` each directory has one of its own, under its whole path: two repositories may use one name.
    """
    if work_root is None:
        return directory / HOME
    return work_root / os.path.realpath(directory).lstrip("/") / HOME


def work_root_of(environ: Mapping[str, str]) -> Path | None:
    """``GRIDBYOC_WORK_ROOT``; ``None`` where it is not set. Raises ``UsageError`` for a relative path."""
    return directory_in(environ, WORK_ROOT)


def directory_in(environ: Mapping[str, str], variable: str) -> Path | None:
    """The directory that the user names in a variable; ``None`` where it is not set. ``UsageError``: relative path."""
    named = environ.get(variable)
    if not named:
        return None
    if not named.startswith("/") or "\0" in named:
        raise UsageError(
            f"{variable} is not an absolute path.",
            fix=f"Set it to one, such as `export {variable}=/srv/gridbyoc`, or unset it.",
            rerun=SAFE_NOTHING_DONE,
        )
    return Path(os.path.normpath(named))


# --- opening ---------------------------------------------------------------------------------------------------------


def open_private(path: Path, flags: int, mode: int = 0o600) -> int:
    """A descriptor of the regular file ``path``; from ``.gridbyoc`` on nothing on the way is a link.

    A file that is opened for writing has one name only: what is written to a hard link is written to the other name's
    file, too. Raises ``ForeignFileError`` and ``OSError``.
    """
    with _directory(path.parent) as directory:
        try:
            # it is emptied once it is known to be ours
            descriptor = os.open(path.name, flags & ~os.O_TRUNC | _QUIET, mode, dir_fd=directory)
        except OSError as error:
            if error.errno in _LINK:
                raise _foreign(path, "link") from None
            if error.errno in _NO_FILE:
                raise _foreign(path, "no file") from None
            raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        _check_file(path, os.fstat(descriptor), written=bool(flags & (os.O_WRONLY | os.O_RDWR)))
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(path: Path, status: os.stat_result, *, written: bool) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise _foreign(path, "no file")
    if written and status.st_nlink > 1:
        raise _foreign(path, "hard link")


def read_private(path: Path) -> bytes:
    """The bytes of a file that ``open_private`` would open. Raises the same."""
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as stream:
        return stream.read()


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object in a text; ``None`` for anything else, also for one that is nested too deeply to be ours."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def touch_private(path: Path) -> None:
    """Make the file where it is not there yet: for whoever opens it by its name next. Raises as ``open_private``."""
    os.close(open_private(path, os.O_RDWR | os.O_CREAT))


def read_regular(path: Path, most: int = -1) -> bytes:
    """Up to ``most`` bytes of a regular file, links followed. ``OSError`` also for a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENXIO, "no regular file", str(path))
        return stream.read(most)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none that can be read. Raises ``ForeignFileError``."""
    try:
        return json_object(read_private(path)) or {}
    except OSError:
        return {}


def require_place(path: Path) -> None:
    """Raise ``FileError`` where no file can be written at ``path``: before the work whose result goes there."""
    if not path.parent.is_dir():
        raise FileError(f"There is no directory {path.parent}.", fix="Make it first.", rerun=SAFE_NOTHING_DONE)
    if path.is_dir():
        raise FileError(f"{path} is a directory.", fix="Name a file.", rerun=SAFE_NOTHING_DONE)


def read_text(path: Path, most: int) -> str | None:
    """Up to ``most`` bytes of a file as text, what is no UTF-8 replaced; ``None`` where it is not there.

    Raises ``FileError`` where it cannot be read.
    """
    try:
        return read_regular(path, most).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise file_error("Cannot read", path, error if isinstance(error, OSError) else OSError(str(error))) from None


# --- writing ---------------------------------------------------------------------------------------------------------


def make_private_dir(path: Path) -> None:
    """Make the directory, with its parents, and close it to everybody else (0700). Raises ``FileError``.

    A directory that is there already is closed, too. Other parents get the usual permissions; ``.gridbyoc`` and what
    lies below it is private as well, and it holds a ``.gitignore``, so that nothing in it is committed by accident.
    """
    if path.parent.name == HOME:
        make_private_dir(path.parent)
        write_atomic(path.parent / ".gitignore", "*\n")
    above, below = _split(path)
    try:
        if below:
            Path(above).mkdir(parents=True, exist_ok=True)
            with _directory(path, make=True):
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise file_error("Cannot make the directory", path, error) from None


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600) -> bool:
    """Put ``data`` (text as UTF-8) into the file, all or nothing, durably; return whether its content changed.

    A file that holds the same already is left as it is, its time too; only its mode is put right. A link in the
    file's place is replaced, and not followed. Raises ``FileError``.
    """
    content = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    return bool(write_all(path.parent, {path.name: (content, mode)}))


def write_all(directory: Path, files: Mapping[str, tuple[bytes, int]]) -> list[str]:
    """``write_atomic`` for several files (content and mode by name) of one directory; the names of those that changed.

    Each file is whole at any time; all of them are durable at the end. Raises ``FileError``.
    """
    changed: list[str] = []
    at = next(iter(files), "")
    try:
        with _directory(directory) as descriptor:
            for at, (content, mode) in files.items():
                if not _holds(descriptor, at, content, mode):
                    _replace(descriptor, at, content, mode)
                    changed.append(at)
            if changed:
                # fsync(2): a new name is durable only once the directory is, which is a file of its own
                os.fsync(descriptor)
    except OSError as error:
        raise file_error("Cannot write", directory / at, error) from None
    return changed


def _holds(directory: int, name: str, content: bytes, mode: int) -> bool:
    """Whether a plain file of one name holds the content; its mode is put right then."""
    try:
        descriptor = os.open(name, os.O_RDONLY | _QUIET, dir_fd=directory)
    except OSError as error:
        if error.errno in _LINK | _NO_FILE | {errno.ENOENT}:
            return False
        raise
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size != len(content):
            return False
        if stream.read() != content:
            return False
        if stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)
    return True


def _replace(directory: int, name: str, content: bytes, mode: int) -> None:
    temporary = f".gridbyoc-{secrets.token_hex(6)}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _QUIET, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def remove(path: Path) -> bool:
    """Remove a file, or a link itself; whether there was one. Raises ``ForeignFileError`` and ``OSError``."""
    try:
        with _directory(path.parent) as directory:
            os.unlink(path.name, dir_fd=directory)
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def remove_tree(path: Path) -> None:
    """Remove a directory and all that is in it; links in it are removed, and not followed. Raises as ``remove``."""
    with _directory(path.parent):
        shutil.rmtree(path)


def put_aside(file: Path, why: str, when: datetime) -> Path:
    """Rename a state file to ``<name>.<why>-<UTC>``, for its owner alone; ``FileError``."""
    aside = file.with_name(f"{file.name}.{why}-{when:%Y%m%dT%H%M%SZ}")
    try:
        descriptor = open_private(file, os.O_RDWR)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        file.rename(aside)
    except OSError as error:
        raise file_error("Cannot put aside", file, error) from None
    return aside


# --- whose it is -----------------------------------------------------------------------------------------------------


Standing = Literal["another's", "terraform", "replaced", "written"]
"""Whose a file in a work_dir is: somebody else's, who put it there; Terraform's alone, also where it is a link; ours,
replaced as a whole; or one that we or Terraform write in place.
"""


def check_plain(directory: Path, standing: Callable[[str], Standing]) -> None:
    """Raise ``ForeignFileError`` where a file that a run opens, or Terraform in its place, is not a plain one.

    ``standing`` is asked with each path relative to ``directory``. What is another's is left alone; a directory of
    Terraform's must be plain itself, and is not looked into.
    """
    ahead = [""]
    while ahead:
        prefix = ahead.pop()
        for name, status in _entries(directory, prefix):
            whose = standing(name)
            if whose == "another's":
                continue
            if stat.S_ISLNK(status.st_mode):
                raise _foreign(directory / name, "link")
            if not stat.S_ISDIR(status.st_mode):
                _check_file(directory / name, status, written=whose == "written")
                continue
            _check_owner(directory / name, status)
            if whose != "terraform":
                ahead.append(f"{name}/")


def _entries(directory: Path, prefix: str) -> list[tuple[str, os.stat_result]]:
    """What is in a directory, without what another run removes meanwhile."""
    found = []
    try:
        for entry in sorted((directory / prefix).iterdir()):
            with suppress(FileNotFoundError):
                found.append((f"{prefix}{entry.name}", entry.lstat()))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise file_error("Cannot read", directory / prefix, error) from None
    return found


def _split(path: Path) -> tuple[str, list[str]]:
    """The directory that holds ``.gridbyoc``, and the components from there on; none where ``path`` is elsewhere."""
    whole = str(path.absolute())
    start = f"{whole}/".rfind(f"/{HOME}/")
    if start < 0:
        return str(path), []
    return whole[:start] or "/", whole[start + 1 :].split("/")


@contextmanager
def _directory(path: Path, *, make: bool = False) -> Iterator[int]:
    """A descriptor of a directory; from ``.gridbyoc`` on no component is a link, or another user's that others write.

    ``make`` makes the components from there on, and closes them to everybody else. Raises ``ForeignFileError`` and
    ``OSError``.
    """
    above, below = _split(path)
    flags = os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(above, flags | (_ONLY_PASSED if below else os.O_RDONLY))
    try:
        place = above
        for name in below:
            place = os.path.join(place, name)  # noqa: PTH118 - as above
            inner = _inner_directory(descriptor, name, place, make=make)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _inner_directory(above: int, name: str, place: str, *, make: bool) -> int:
    """A descriptor of ``name`` in the directory ``above``; ``place`` is its path, for the errors."""
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=above)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, *_LINK} and _is_link(above, name):
            raise _foreign(Path(place), "link") from None
        raise OSError(error.errno, error.strerror, place) from None
    try:
        status = os.fstat(descriptor)
        _check_owner(place, status)
        if make and stat.S_IMODE(status.st_mode) != 0o700:
            os.fchmod(descriptor, 0o700)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_link(above: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _check_owner(place: Path | str, status: os.stat_result) -> None:
    """A container's root works in the directories of a checkout's user: those are refused that third ones can write."""
    if shared_by_another(status, os.geteuid()):
        raise _foreign(Path(place), "shared")


def shared_by_another(status: os.stat_result, user: int) -> bool:
    """Whether a directory is another user's than ``user``, and others than its owner may write in it."""
    return status.st_uid != user and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _foreign(path: Path, kind: Literal["link", "hard link", "no file", "shared"]) -> ForeignFileError:
    quoted = shlex.quote(str(path))
    elsewhere = f"To keep work_dirs elsewhere: `export {WORK_ROOT}=/an/absolute/directory`."
    what, why, fix = {
        "link": (
            f"{path} is a symbolic link: gridbyoc follows none in its own directory.",
            "A run would read, overwrite or delete the file that it leads to. Such a link can come with a repository.",
            f"Look where it leads (`ls -ld {quoted}`), then remove it: `rm {quoted}`. {elsewhere}",
        ),
        "hard link": (
            f"{path} has a second name elsewhere (a hard link): gridbyoc does not write to it.",
            "What a run writes would stand in the other file, too.",
            f"Make it a file of its own: `cp -p {quoted} {quoted}.copy && mv {quoted}.copy {quoted}`.",
        ),
        "no file": (
            f"{path} is no regular file.",
            "A pipe or a device in its place would hold the run up, or give it what is not a record of it.",
            f"Remove it: `rm {quoted}`.",
        ),
        "shared": (
            f"The directory {path} belongs to another user, and others than its owner may write in it.",
            "They could put files and links there that a run takes for its own.",
            f"If you trust what is in it: `chmod go-w {quoted}`, as its owner or root. {elsewhere}",
        ),
    }[kind]
    return ForeignFileError(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
