"""Work in threads that nobody has to wait for, beside the main thread, which stays free for signals.

An executor's threads are waited for when the program ends: a run that is interrupted, or out of time, would wait for a
slow answer. https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor
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
    """Runs ``work`` in a daemon thread, within ``turn``; ``result()`` hands on what it returned or raised."""

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
        """Wait ``seconds`` at most; whether it has come to its end."""
        self._thread.join(max(seconds, 0.0))
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the end; the value of the work, or its exception raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """What ``work`` returns (or raises); ``None`` once ``seconds`` are over: it then stays behind."""
    pending = Background(work)
    return pending.result() if pending.ended(seconds) else None


class Readers:
    """Carries out ``at_once`` calls at a time."""

    def __init__(self, at_once: int) -> None:
        self._turn = threading.Semaphore(at_once)

    def submit(self, work: Callable[[], T]) -> Background[T]:
        """Begin, as soon as it is the call's turn."""
        return Background(work, self._turn)

    def map(self, work: Callable[[U], T], items: Iterable[U]) -> list[T]:
        """Do it for each of them, and wait; results in their order, or the first exception."""
        return [answer.result() for answer in self.submit_all(work, items)]

    def submit_all(self, work: Callable[[U], T], items: Iterable[U]) -> list[Background[T]]:
        """Begin to do it for each of them, each as soon as it is its turn."""
        return [self.submit(partial(work, item)) for item in items]
