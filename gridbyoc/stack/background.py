"""Work in daemon threads, so that the main thread stays free for signals.

The program waits for an executor's threads before it ends, so an interrupted or timed-out run would wait for a slow
answer. https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Background(Generic[T]):
    """Runs ``work`` in a daemon thread while holding ``turn``; ``result()`` returns its value or raises its error."""

    def __init__(self, work: Callable[[], T], turn: AbstractContextManager[object] | None = None) -> None:
        self._work = work
        self._turn = turn or nullcontext()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._turn:
            try:
                self._value.append(self._work())
            except BaseException as error:
                self._error = error

    def ended(self, seconds: float) -> bool:
        """Wait at most ``seconds``; return whether the work ended."""
        self._thread.join(max(seconds, 0.0))
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the end; return the work's value or raise its exception."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """Return what ``work`` returns or raise what it raises; ``None`` after ``seconds``, while its thread runs on."""
    pending = Background(work)
    return pending.result() if pending.ended(seconds) else None


class Readers:
    """Runs at most ``at_once`` calls at a time."""

    def __init__(self, at_once: int) -> None:
        self._turn = threading.Semaphore(at_once)

    def submit(self, work: Callable[[], T]) -> Background[T]:
        """Start ``work`` as soon as fewer than ``at_once`` calls run."""
        return Background(work, self._turn)

    def map(self, work: Callable[[U], T], items: Iterable[U]) -> list[T]:
        """Call ``work`` for each item and wait; return the results in the items' order, or raise the first error."""
        return [answer.result() for answer in self.submit_all(work, items)]

    def submit_all(self, work: Callable[[U], T], items: Iterable[U]) -> list[Background[T]]:
        """``submit`` one call of ``work`` per item."""
        return [self.submit(partial(work, item)) for item in items]
