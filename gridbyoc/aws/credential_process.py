"""Limit the wait for a profile's ``credential_process``: botocore itself would wait for ever."""

from __future__ import annotations

import atexit
import math
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gridbyoc.errors import SAFE_NOTHING_DONE, UsageError

TIMEOUT = "GRIDBYOC_CREDENTIAL_PROCESS_TIMEOUT"
SECONDS = 55.0
"""Less than the minute that Terraform's AWS SDK waits for our process, so that our error comes first.
https://pkg.go.dev/github.com/aws/aws-sdk-go-v2/credentials/processcreds#pkg-constants
"""
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""


def process_timeout(environ: Mapping[str, str]) -> float:
    """Seconds that a ``credential_process`` may take. Raises ``UsageError`` if the variable is not a valid number."""
    text = environ.get(TIMEOUT, "")
    with suppress(ValueError):
        if 0 < (seconds := float(text or SECONDS)) < math.inf:
            return seconds
    raise UsageError(
        f"{TIMEOUT}={text} is not a number of seconds.",
        why="It limits how long a profile's credential_process may take.",
        fix=f"`unset {TIMEOUT}` ({SECONDS:.0f} seconds), or set it to a number such as 300.",
        rerun=SAFE_NOTHING_DONE,
    )


class BoundedProcess:
    """Starts a profile's process; replaces ``subprocess.Popen`` in botocore's ``ProcessProvider``.

    After one time-out it does not start the process again, because several checks ask for credentials in turn.
    """

    def __init__(
        self,
        seconds: float,
        too_slow: Callable[[], Exception],
        popen: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        """``too_slow`` creates the error to raise after ``seconds``."""
        self._seconds = seconds
        self._too_slow = too_slow
        self._popen = popen
        self._given_up = threading.Event()

    def __call__(self, command: Sequence[str], **options: Any) -> Waited:  # noqa: ANN401 - Popen's
        """Start the process."""
        if self._given_up.is_set():
            raise self._too_slow()
        return Waited(self._popen(command, **options), self._wait)

    def _wait(self, process: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - Popen's
        atexit.register(process.kill)  # the run may end before the process
        try:
            said: tuple[bytes, bytes] = process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            self._given_up.set()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=GRACE)
            process.kill()
            raise self._too_slow() from None
        finally:
            atexit.unregister(process.kill)
        return said


class Waited:
    """The part of ``Popen`` that botocore calls."""

    def __init__(self, process: Any, wait: Callable[[Any], tuple[bytes, bytes]]) -> None:  # noqa: ANN401 - Popen's
        self._process = process
        self._wait = wait

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the process; return its stdout and stderr. Raises the error of ``too_slow`` after the limit."""
        return self._wait(self._process)

    @property
    def returncode(self) -> int:
        """The exit status."""
        return int(self._process.returncode)
