"""The command line. ``gridbyoc --help`` imports only this module."""

from __future__ import annotations

import codecs
import gc
import os
import sys


def main() -> int:
    """The console script: answers ``--help`` from the shipped text, and passes everything else to click."""
    _open_missing()
    _escape_what_streams_cannot_carry()
    if sys.argv[1:] in (["--help"], ["-h"]) and "_GRIDBYOC_COMPLETE" not in os.environ:
        # click alone takes twice as long as the interpreter's start; a test compares the text with click's.
        try:
            with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as text:  # noqa: PTH118, PTH120, PTH123 - pathlib's import is what this path avoids
                sys.stdout.write(text.read())
                sys.stdout.flush()
        except OSError:
            pass  # a full disk, or a reader that has closed: click's path reports it
        else:
            return 0
    _reset_process_state()
    # Imported modules and botocore's models live until the end: repeated garbage collection over them takes a seventh
    # of a short run.
    gc.set_threshold(200_000, 50, 100)
    from gridbyoc.cli.main import run

    status = run(sys.argv[1:])
    # Context managers have cleaned up (locks, children, temporary files). An interpreter's normal end, which frees
    # botocore's models piece by piece, would take another third of a second.
    _flush()
    os._exit(status)


def _escape_what_streams_cannot_carry() -> None:
    """In an encoding such as ASCII (``LC_ALL=C``), write ``\\u2714`` for characters that it lacks.

    JSON reads it the same.
    """
    codecs.register_error("gridbyoc", _as_escapes)
    for stream in (sys.stdout, sys.stderr):
        carries_all = stream.encoding.lower().replace("_", "-") == "utf-8"
        # UTF-8 with "surrogateescape" (Python's UTF-8 mode) reproduces a file's name byte by byte.
        if not (carries_all and stream.errors == "surrogateescape") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="gridbyoc")


def _as_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high << 8 | low:04x}" for high, low in pairs), error.end


def _reset_process_state() -> None:
    """Reset process attributes inherited from the parent that would change our verdicts; see docs/resilience.md.

    Signal dispositions, the signal mask and the umask survive exec. An ignored SIGINT stays ignored: ``nohup`` and a
    script's ``&`` request that.
    """
    import signal

    # If SIGCHLD is ignored, the kernel drops the status of every child, and each failure reads as 0 (waitpid(2)).
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a blocked Ctrl-C or SIGTERM could not stop a run
    os.umask(os.umask(0o077) & 0o077)  # we must be able to read what we write
    for number in (1, 2):
        try:  # noqa: SIM105 - contextlib's import is what this path avoids
            # A polling parent may leave O_NONBLOCK on a shared stream: a long output would be cut off.
            os.set_blocking(number, True)
        except OSError:
            pass


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - contextlib's import is what this path avoids
            stream.flush()
        except (OSError, ValueError):
            pass  # its reader has closed, or the disk is full: `run` has reported it if possible


def _open_missing() -> None:
    """Replace a standard stream that was closed (``<&-``) by an empty one, before one of our files gets its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - lives as long as we do
