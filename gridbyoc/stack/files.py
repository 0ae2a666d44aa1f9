"""Files that others may not read and that are never half written."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError

HOME = ".gridbyoc"
"""The directory beside the stack file that holds every stack's work_dir."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_KIND = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


def file_error(what: str, path: Path, error: OSError) -> FileError:
    """Put an ``OSError`` into words. ``what`` is the verb and the noun, as in ``"Cannot write"``."""
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else path
    if error.errno in _NO_ROOM:
        fix = f"Free some space on the file system of {path}, then run the command again."
    elif error.errno in _NOT_ALLOWED:
        fix = f"Give yourself the rights that {place} needs, or use another directory."
    elif error.errno in _WRONG_KIND:
        fix = f"Move {place} out of the way: it is not of the kind that is needed there (file or directory)."
    else:
        fix = f"See what is wrong with {place}, then run the command again."
    return FileError(f"{what} {path}.", why=f"{error.strerror or type(error).__name__} ({place}).", fix=fix)


def make_private_dir(path: Path) -> None:
    """Make the directory, with its parents, and close it to everybody else (0700). Raises ``FileError``.

    A directory that is there already is closed, too. Other parents get the usual permissions; ``.gridbyoc`` right
    above is private as well and holds a ``.gitignore``, so that nothing in it is committed by accident.
    """
    if path.parent.name == HOME:
        make_private_dir(path.parent)
        write_atomic(path.parent / ".gitignore", "*\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise file_error("Cannot make the directory", path, error) from None


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
        with path.open("rb") as stream:
            return stream.read(most).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise file_error("Cannot read", path, error if isinstance(error, OSError) else OSError(str(error))) from None


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o600) -> bool:
    """Put ``data`` (text as UTF-8) into the file, all or nothing, durably; return whether its content changed.

    A file that holds the same already is left as it is, its time too; only its mode is put right. Raises ``FileError``.
    """
    content = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    try:
        if _holds(path, content):
            if stat.S_IMODE(path.stat().st_mode) != mode:
                path.chmod(mode)
            return False
        _replace(path, content, mode)
    except OSError as error:
        raise file_error("Cannot write", path, error) from None
    return True


def _holds(path: Path, content: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content
    except FileNotFoundError:
        return False


def _replace(path: Path, content: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".gridbyoc-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Make the new name durable, too (``fsync(2)``: the directory is a file of its own)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
