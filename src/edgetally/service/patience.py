"""`Patience`: how long a camera's loop waits for the engine, and when that is too long."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

OVERDUE = 30.0
"""Seconds without a result after which an engine is said to hang."""


class Patience:
    """Waits for results without end, but no longer than a grace once the loop is stopped.

    since: on `time.monotonic`, when it began to wait for the result it waits for; else None.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self._until: float | None = None
        self._woken = threading.Condition()

    def end(self, grace: float) -> None:
        """Wait for so many seconds more, in all; any thread may call it."""
        with self._woken:
            self._until = time.monotonic() + grace
            self._woken.notify()

    def has_come(self, result: Future[Any]) -> bool:
        """Wait for a result, or failure; False where patience ended before."""
        if result.done():
            return True
        self.since = time.monotonic()
        result.add_done_callback(self._wake)
        with self._woken:
            while not result.done() and (left := self._left()) != 0:
                self._woken.wait(left)
        if not result.done():
            return False
        self.since = None
        return True

    def _left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    def _wake(self, _: Future[Any]) -> None:
        with self._woken:
            self._woken.notify()


def is_overdue(since: float | None) -> bool:
    """Tell whether who waits since then waits for too long."""
    return since is not None and time.monotonic() - since >= OVERDUE
