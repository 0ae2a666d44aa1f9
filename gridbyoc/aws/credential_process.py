"""A bounded wait for the ``credential_process`` of a profile: botocore itself waits for one without end."""

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
"""AWS's SDKs that have a limit wait for a minute; the one in Terraform does so for ours, which is to say why first.
https://pkg.go.dev/github.com/aws/aws-sdk-go-v2/credentials/processcreds#pkg-constants
"""
GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""


def process_timeout(environ: Mapping[str, str]) -> float:
    """Seconds that a ``credential_process`` may take; ``UsageError`` where the variable holds no such number."""
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
    """Starts what a profile names, in the place of ``subprocess.Popen`` in botocore's ``ProcessProvider``.

    One that has once run into the limit is not waited for again: several checks ask one after the other.
    """

    def __init__(
        self,
        seconds: float,
        too_slow: Callable[[], Exception],
        popen: Callable[..., Any] = subprocess.Popen,
    ) -> None:
        """``too_slow`` makes the error to raise after ``seconds``."""
        self._seconds = seconds
        self._too_slow = too_slow
        self._popen = popen
        self._given_up = threading.Event()

    def __call__(self, command: Sequence[str], **options: Any) -> Waited:  # noqa: ANN401 - Popen's
        """Start it."""
        if self._given_up.is_set():
            raise self._too_slow()
        return Waited(self._popen(command, **options), self._wait)

    def _wait(self, process: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - Popen's
        atexit.register(process.kill)  # a run may end before it, for another reason
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
