"""`Turns`: cameras take turns at the engine."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A number of places in the engine, given to those who wait in the order in which they came.

    Who waits once at a time gets the same share as every other: with more cameras than the engine
    can serve, one frame of each goes before the second of any.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self) -> bool:
        """Wait for a place; False, and none is given, once `close` was called."""
        with self._lock:
            if self._closed:
                return False
            if self._free:
                self._free -= 1
                return True
            called = threading.Event()
            self._waiting.append(called)
        called.wait()
        return not self._closed

    def leave(self) -> None:
        """Give a place back: to whom has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def close(self) -> None:
        """Send everyone away who waits, and who comes later."""
        with self._lock:
            self._closed = True
            while self._waiting:
                self._waiting.popleft().set()
