"""The command line. This module is all that ``gridbyoc --help`` loads."""

from __future__ import annotations

import codecs
import gc
import os
import sys


def main() -> int:
    """The console script: answers ``--help`` from the shipped text, hands everything else to click."""
    _open_missing()
    _escape_what_streams_cannot_carry()
    if sys.argv[1:] in (["--help"], ["-h"]) and "_GRIDBYOC_COMPLETE" not in os.environ:
        # click alone takes twice the interpreter's own start; a test holds the text against click's.
        try:
            with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as text:  # noqa: PTH118, PTH120, PTH123 - pathlib's import is what this path avoids
                sys.stdout.write(text.read())
                sys.stdout.flush()
        except OSError:
            pass  # a full disk, a reader that has gone: click's way has the words for it
        else:
            return 0
    _reset_process_state()
    # What is imported, and botocore's models, live to the end: to look through them again and again for garbage takes
    # a seventh of a short run.
    gc.set_threshold(200_000, 50, 100)
    from gridbyoc.cli.main import run

    status = run(sys.argv[1:])
    # What has to be put away (locks, children, temporary files) was, by context managers. To give botocore's models
    # back piece by piece, as an interpreter does at its end, would take another third of a second.
    _flush()
    os._exit(status)


def _escape_what_streams_cannot_carry() -> None:
    """In an encoding such as ASCII (``LC_ALL=C``), write ``\\u2714`` for what it lacks; JSON means the same by it."""
    codecs.register_error("gridbyoc", _as_escapes)
    for stream in (sys.stdout, sys.stderr):
        carries_all = stream.encoding.lower().replace("_", "-") == "utf-8"
        # UTF-8 with "surrogateescape" (Python's UTF-8 mode) gives a file's name back byte by byte.
        if not (carries_all and stream.errors == "surrogateescape") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="gridbyoc")


def _as_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high << 8 | low:04x}" for high, low in pairs), error.end


def _reset_process_state() -> None:
    """Undo what the starting process left in ours that would change our verdicts; see docs/resilience.md.

    Signal dispositions, the signal mask and the umask are kept over exec. An ignored SIGINT stays ignored: that is how
    ``nohup`` and a script's ``&`` ask for it.
    """
    import signal

    # If SIGCHLD is ignored, the kernel drops the status of every child, and each failure reads as 0 (waitpid(2)).
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a blocked Ctrl-C or SIGTERM could not stop a run
    os.umask(os.umask(0o077) & 0o077)  # what we write, we must be able to read
    for number in (1, 2):
        try:  # noqa: SIM105 - contextlib's import is what this path avoids
            # A parent that polls leaves O_NONBLOCK on what it shares with us: a long output would end in the middle.
            os.set_blocking(number, True)
        except OSError:
            pass


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - contextlib's import is what this path avoids
            stream.flush()
        except (OSError, ValueError):
            pass  # its reader has gone, or the disk is full: `run` has said so where it could


def _open_missing() -> None:
    """A standard stream that was closed (``<&-``) becomes an empty one, before a file of ours takes its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - lives as long as we do
