"""Private files: only this module opens files in a work_dir; it writes each file completely or not at all.

A ``.gridbyoc`` directory may come with someone else's repository. A link in it could make a run read, overwrite or
delete a file elsewhere. So from ``.gridbyoc`` on, no component of a path may be a link.
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
"""Environment variable: the directory for all ``.gridbyoc`` directories, an absolute path."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_KIND = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
_LINK = {errno.ELOOP, errno.EMLINK}
"""The errors of ``open`` with ``O_NOFOLLOW`` for a link: on Linux and macOS, and on FreeBSD."""
_NO_FILE = {errno.ENXIO}
"""The error of ``open`` for writing to a pipe without a reader, or to a socket."""
_QUIET = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""``O_NONBLOCK``: ``open`` must not wait for the writer of a pipe."""
_ONLY_PASSED = getattr(os, "O_PATH", os.O_RDONLY)
"""Opens a directory that is only passed through, so it does not have to be readable."""


def file_error(what: str, path: Path, error: OSError) -> FileError:
    """The ``FileError`` for an ``OSError``. ``what`` starts its message, as in ``"Cannot write"``."""
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else path
    place = named if named.is_absolute() else path
    if error.errno in _NO_ROOM:
        fix = f"Free some space on the file system of {path}, then run the command again."
    elif error.errno in _NOT_ALLOWED:
        fix = f"Give yourself permission to use {place}, or use another directory."
    elif error.errno in _WRONG_KIND:
        fix = f"Move {place} away: it is a file where a directory is needed, or the reverse."
    else:
        fix = f"Check {place}, then run the command again."
    return FileError(f"{what} {path}.", why=f"{error.strerror or type(error).__name__} ({place}).", fix=fix)


def home_of(directory: Path, work_root: Path | None) -> Path:
    """The ``.gridbyoc`` directory of the stack files in ``directory``.

    Below ``work_root`` it lies under the whole path of ``directory``, because two repositories may use the same name.
    """
    if work_root is None:
        return directory / HOME
    return work_root / os.path.realpath(directory).lstrip("/") / HOME


def work_root_of(environ: Mapping[str, str]) -> Path | None:
    """``GRIDBYOC_WORK_ROOT``, or ``None`` if it is not set. Raises ``UsageError`` for a relative path."""
    return directory_in(environ, WORK_ROOT)


def directory_in(environ: Mapping[str, str], variable: str) -> Path | None:
    """The directory in a variable, or ``None`` if it is not set. Raises ``UsageError`` for a relative path."""
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
    """A descriptor of the regular file ``path``; from ``.gridbyoc`` on, no component of the path may be a link.

    A file opened for writing must have one name only, because a write to a hard link changes the other file, too.
    Raises ``ForeignFileError`` and ``OSError``.
    """
    with _directory(path.parent) as directory:
        try:
            # truncated only after the checks below
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
    """The bytes of a file, opened and checked by ``open_private``. Raises the same errors."""
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as stream:
        return stream.read()


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """The JSON object in a text; ``None`` for anything else, and for an object that is nested too deeply to parse."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def touch_private(path: Path) -> None:
    """Create the file if it does not exist, for another program to open by name. Raises as ``open_private``."""
    os.close(open_private(path, os.O_RDWR | os.O_CREAT))


def read_regular(path: Path, most: int = -1) -> bytes:
    """Up to ``most`` bytes of a regular file, links followed. Raises ``OSError``, also for a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENXIO, "not a regular file", str(path))
        return stream.read(most)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if it is missing, unreadable or not an object. Raises ``ForeignFileError``."""
    try:
        return json_object(read_private(path)) or {}
    except OSError:
        return {}


def require_place(path: Path) -> None:
    """Raise ``FileError`` if no file can be written at ``path``; call it before the work that produces the file."""
    if not path.parent.is_dir():
        raise FileError(f"There is no directory {path.parent}.", fix="Create it first.", rerun=SAFE_NOTHING_DONE)
    if path.is_dir():
        raise FileError(f"{path} is a directory.", fix="Give the path of a file.", rerun=SAFE_NOTHING_DONE)


def read_text(path: Path, most: int) -> str | None:
    """Up to ``most`` bytes of a file as text, invalid UTF-8 replaced; ``None`` if the file does not exist.

    Raises ``FileError`` if it cannot be read.
    """
    try:
        return read_regular(path, most).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise file_error("Cannot read", path, error if isinstance(error, OSError) else OSError(str(error))) from None


# --- writing ---------------------------------------------------------------------------------------------------------


def make_private_dir(path: Path) -> None:
    """Create the directory and its parents; make it private to its owner (0700). Raises ``FileError``.

    An existing directory becomes private, too. ``.gridbyoc`` and the directories below it are private as well; other
    parents get the usual permissions. ``.gridbyoc`` holds a ``.gitignore``, so that nobody commits it by accident.
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
        raise file_error("Cannot create the directory", path, error) from None


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600) -> bool:
    """Write ``data`` (text as UTF-8) to the file atomically and durably; return whether its content changed.

    A file with the same content keeps its content and time; only its mode is corrected. A link at the path is
    replaced, not followed. Raises ``FileError``.
    """
    content = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    return bool(write_all(path.parent, {path.name: (content, mode)}))


def write_all(directory: Path, files: Mapping[str, tuple[bytes, int]]) -> list[str]:
    """``write_atomic`` for files (content and mode by name) of one directory; return the names of changed files.

    Each file is complete at any time; all files are durable at the end. Raises ``FileError``.
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
                # fsync(2): a new name is durable only after an fsync of its directory
                os.fsync(descriptor)
    except OSError as error:
        raise file_error("Cannot write", directory / at, error) from None
    return changed


def _holds(directory: int, name: str, content: bytes, mode: int) -> bool:
    """Whether a regular file without hard links has the content; if so, correct its mode."""
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
    """Remove a file, or the link itself; return whether it existed. Raises ``ForeignFileError`` and ``OSError``."""
    try:
        with _directory(path.parent) as directory:
            os.unlink(path.name, dir_fd=directory)
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def remove_tree(path: Path) -> None:
    """Remove a directory and its contents; links in it are removed, not followed. Raises as ``remove``."""
    with _directory(path.parent):
        shutil.rmtree(path)


def put_aside(file: Path, why: str, when: datetime) -> Path:
    """Rename a state file to ``<name>.<why>-<UTC>``, readable by its owner only. Raises ``FileError``."""
    aside = file.with_name(f"{file.name}.{why}-{when:%Y%m%dT%H%M%SZ}")
    try:
        descriptor = open_private(file, os.O_RDWR)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        file.rename(aside)
    except OSError as error:
        raise file_error("Cannot rename", file, error) from None
    return aside


# --- ownership -------------------------------------------------------------------------------------------------------


Standing = Literal["another's", "terraform", "replaced", "written"]
"""Who owns a file in a work_dir. ``another's``: someone else put it there. ``terraform``: Terraform's alone, even if it
is a link. ``replaced``: ours, always replaced as a whole. ``written``: we or Terraform write it in place.
"""


def check_plain(directory: Path, standing: Callable[[str], Standing]) -> None:
    """Raise ``ForeignFileError`` if a file that gridbyoc or Terraform opens is a link, hard-linked or not regular.

    ``standing`` is called with each path relative to ``directory``. Other people's files are ignored. A directory of
    Terraform's must not be a link; its contents are not checked.
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
    """The entries of a directory, without those that another run removes meanwhile."""
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
    """The directory that holds ``.gridbyoc``, and the components from there on; none if ``path`` is elsewhere."""
    whole = str(path.absolute())
    start = f"{whole}/".rfind(f"/{HOME}/")
    if start < 0:
        return str(path), []
    return whole[:start] or "/", whole[start + 1 :].split("/")


@contextmanager
def _directory(path: Path, *, make: bool = False) -> Iterator[int]:
    """A directory's descriptor. From ``.gridbyoc`` on, no component may be a link or another user's shared directory.

    ``make`` creates the components from there on, private to their owner. Raises ``ForeignFileError`` and ``OSError``.
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
    """Refuse another user's directory only if more users can write to it: root in a container uses the checkout's."""
    if shared_by_another(status, os.geteuid()):
        raise _foreign(Path(place), "shared")


def shared_by_another(status: os.stat_result, user: int) -> bool:
    """Whether a directory does not belong to ``user`` and not only its owner may write to it."""
    return status.st_uid != user and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _foreign(path: Path, kind: Literal["link", "hard link", "no file", "shared"]) -> ForeignFileError:
    quoted = shlex.quote(str(path))
    elsewhere = f"To keep work_dirs elsewhere: `export {WORK_ROOT}=/an/absolute/directory`."
    what, why, fix = {
        "link": (
            f"{path} is a symbolic link: gridbyoc follows no links in its own directory.",
            "A run would read, overwrite or delete the file that it points to. A repository can contain such a link.",
            f"Check where it points (`ls -ld {quoted}`), then remove it: `rm {quoted}`. {elsewhere}",
        ),
        "hard link": (
            f"{path} has a second name elsewhere (a hard link): gridbyoc does not write to it.",
            "A run would change the other file, too.",
            f"Make it a file of its own: `cp -p {quoted} {quoted}.copy && mv {quoted}.copy {quoted}`.",
        ),
        "no file": (
            f"{path} is not a regular file.",
            "A pipe or a device in its place could block the run, or give it data that gridbyoc did not write.",
            f"Remove it: `rm {quoted}`.",
        ),
        "shared": (
            f"The directory {path} belongs to another user, and not only its owner may write to it.",
            "They could put files and links there that a run takes for its own.",
            f"If you trust its contents: `chmod go-w {quoted}`, as its owner or root. {elsewhere}",
        ),
    }[kind]
    return ForeignFileError(what, why=why, fix=fix, rerun=SAFE_NOTHING_DONE)
