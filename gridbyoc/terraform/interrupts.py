"""Requests to stop, counted instead of raised.

While a child runs, Ctrl-C must not throw an exception into the middle of our own bookkeeping: the handlers here
only take note, and the one loop that watches the child looks at the notes ten times a second.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_BOUNCE = 0.3  # seconds; `uv run`, `make` and the like pass on a Ctrl-C that the terminal has delivered already


class Interrupts:
    """What was asked for while a command runs.

    ``asked`` is true after the first SIGINT or SIGTERM, or a ``request()``; ``insisted`` after a second SIGINT. A
    SIGTERM that follows does not insist: CI services send SIGINT first and SIGTERM some seconds later.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requested = threading.Event()
        self._must_end = threading.Event()
        self._first: float | None = None
        self._insisted = False

    @property
    def asked(self) -> bool:
        """Someone wants the command to stop."""
        return self._first is not None or self.requested

    @property
    def requested(self) -> bool:
        """``request()`` was called, which stays so."""
        return self._requested.is_set()

    @property
    def insisted(self) -> bool:
        """Ctrl-C was pressed again: no more waiting."""
        return self._insisted or self._must_end.is_set()

    def request(self) -> None:
        """Stop this command and every later one; from any thread."""
        self._requested.set()

    def insist(self) -> None:
        """What a second Ctrl-C does; from any thread."""
        self._requested.set()
        self._must_end.set()

    def signalled(self, number: int, _frame: FrameType | None = None) -> None:
        """The signal handler: takes note and returns."""
        if self._first is None:
            self._first = self._clock()
        elif number == signal.SIGINT and self._clock() - self._first >= _BOUNCE:
            self._insisted = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the time of one command; a no-op outside of the main thread."""
        self._first, self._insisted = None, False
        before = dict(self._take_over()) if threading.current_thread() is threading.main_thread() else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take_over(self) -> Iterator[tuple[signal.Signals, Any]]:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            # Ignored (nohup, `&` in a script) stays ignored; None was not set from Python and cannot be restored.
            if handler not in (signal.SIG_IGN, None):
                yield number, handler
                signal.signal(number, self.signalled)
