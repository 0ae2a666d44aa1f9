"""Logs of Terraform commands in ``<work_dir>/logs``: one file per command, without secrets, the newest fifty."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from gridbyoc.errors import SAFE_NOTHING_DONE, FileError
from gridbyoc.stack.files import make_private_dir, open_private, read_private, remove
from gridbyoc.stack.redaction import Redactor
from gridbyoc.stack.words import json_escaped

KEPT = 50
Now = Callable[[], datetime]


class RunLog:
    """The log of one command. After it is opened, a full disk does not stop the command."""

    def __init__(self, path: Path, file: TextIO, redactor: Redactor) -> None:
        self.path = path
        self._file = file
        self._redactor = redactor

    def line(self, text: str) -> None:
        """Write one line immediately; invisible characters are escaped, so that the log is safe on a terminal."""
        with suppress(OSError, ValueError):
            self._file.write(f"{json_escaped(self._redactor.clean(text))}\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._file.close()


class Logs:
    """The directory of logs. It remembers the logs it wrote, to remove secrets that become known later."""

    def __init__(self, directory: Path, redactor: Redactor, now: Now) -> None:
        self._directory = directory
        self._redactor = redactor
        self._now = now
        self._written: list[Path] = []

    def open(self, verb: str, argv: Sequence[str]) -> RunLog:
        """Start the log of one command. Raises ``FileError`` if the work_dir cannot be written."""
        stamp = self._now().strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._directory / f"{stamp}-{verb.replace(' ', '-')}.log"
        try:
            os.stat(f"{self._directory.parent}/.")  # noqa: PTH116 - pathlib drops the dot, which requires a directory
            make_private_dir(self._directory)
            self._prune()
            file = os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "w", encoding="utf-8")
        except OSError as error:
            raise FileError(
                f"The work_dir cannot be written: {path}.",
                why=error.strerror or str(error),
                fix="If the directory is missing, render first; otherwise correct its owner or mode, or free space.",
                rerun=SAFE_NOTHING_DONE,
            ) from None
        self._written.append(path)
        log = RunLog(path, file, self._redactor)
        log.line(f"# {stamp} {shlex.join(argv)}")
        return log

    def scrub(self) -> None:
        """Remove newly known secrets from the logs written so far."""
        for path in self._written:
            with suppress(OSError):
                text = read_private(path).decode("utf-8", "replace")
                if (clean := self._redactor.clean(text)) != text:
                    # in place, because the running command's log is open
                    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
                        file.write(clean)

    def _prune(self) -> None:
        for old in sorted(self._directory.glob("*.log"))[: -(KEPT - 1)]:
            with suppress(OSError):
                remove(old)
