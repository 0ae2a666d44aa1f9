"""The text of a stack file, from wherever it is."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Protocol, TextIO

from gridbyoc.errors import Problem, StackError
from gridbyoc.stack.files import read_regular
from gridbyoc.stack.words import show

LARGEST = 1024 * 1024
_OPENED = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
STDIN = "<stdin>"


class _Reading(Protocol):
    def read(self, size: int, /) -> bytes | str: ...


def read_source(path: Path, shown: str) -> bytes:
    """The bytes of a file, one more than the most; ``StackError`` where it is missing, a directory or unreadable.

    A pipe or a device, which could hold the run up, is read only where the caller itself has opened it and hands it
    over by its number, as a shell's ``<(…)`` does.
    """
    try:
        if str(path).startswith(_OPENED):
            with path.open("rb") as stream:
                return stream.read(LARGEST + 1)
        if stat.S_ISFIFO(path.stat().st_mode) or stat.S_ISCHR(path.stat().st_mode):
            raise broken(shown, "is no regular file", f"`- < {shown}` reads a pipe")
        return read_regular(path, LARGEST + 1)
    except FileNotFoundError:
        command = "gridbyoc new" if shown == "gridbyoc.yaml" else f"gridbyoc new {shown}"
        raise broken(shown, "there is no such file", f"{show(command)} writes a starter") from None
    except IsADirectoryError:
        raise broken(shown, "is a directory", "name the stack file in it") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "not a path"
        raise broken(shown, f"cannot be read: {reason}", "check the path and its permissions") from None


def read_stdin(stdin: TextIO | str | bytes | None) -> bytes:
    """The bytes of standard input (a text stream with a buffer below gives its bytes)."""
    if isinstance(stdin, bytes):
        return stdin
    if isinstance(stdin, str):
        return stdin.encode("utf-8", "surrogatepass")
    if stdin is None:
        return b""
    stream: _Reading = getattr(stdin, "buffer", stdin)
    try:
        data = stream.read(LARGEST + 1)
    except (OSError, ValueError):
        raise broken(STDIN, "cannot be read", "give the stack file on standard input, or name a file") from None
    return data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")


def decode(data: bytes, file: str) -> str:
    """Bytes → text; ``StackError`` where they are too many or no UTF-8 text. A byte order mark is dropped."""
    if len(data) > LARGEST:
        raise broken(file, "is larger than 1 MB", "a stack file is small: is it the right file?")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise broken(file, "is UTF-16", "save it as UTF-8")
    if b"\0" in data:
        raise broken(file, "is a binary file", "a stack file is text: is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise broken(file, "is not valid UTF-8", "save it as UTF-8", line) from None


def broken(file: str, message: str, hint: str = "", line: int | None = None) -> StackError:
    """The error of a file that cannot be looked into; it has one problem."""
    problem = Problem(file, line, "", message, hint)
    return StackError(f"The stack file {show(file)} cannot be used.", problems=(problem,))
