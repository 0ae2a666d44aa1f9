"""One function beside the main thread, which stays free for signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Runs ``function`` in a daemon thread at once; ``result()`` hands on what it returned or raised.

    A daemon, because an interrupted run must not wait for a slow answer before it ends.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:
            self._error = error

    def ended(self, seconds: float) -> bool:
        """Wait ``seconds`` at most; whether it has come to its end."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for the end; the function's value, or its exception raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]
