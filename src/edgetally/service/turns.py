"""`Turns`: cameras take turns at the engine."""

from __future__ import annotations

import heapq
import itertools
import math
import threading


class Turns:
    """A number of places in the engine, shared fairly by those who each wait once at a time.

    Who asks for less than an equal share gets all of it; the rest is shared equally by those who
    ask for more. It is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a turn is
    due one after the same asker's last, the earliest due is next, and now is when the latest that
    was given was due. Who was away is due one before now: a camera whose frame comes a moment
    late does not lose its turn, and nothing more is saved up.
    """

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._next_due: dict[str, float] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def places(self) -> int:
        """How many places there are."""
        return self._places

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self, who: str) -> bool:
        """Wait for a place; False, and none is given, once `close` was called."""
        with self._lock:
            if self._closed:
                return False
            due = max(self._now - 1, self._next_due.get(who, -math.inf))
            self._next_due[who] = due + 1
            if self._free > 0:
                self._free -= 1
                self._now = max(self._now, due)
                return True
            called = threading.Event()
            heapq.heappush(self._waiting, (due, next(self._order), called))
        called.wait()
        return not self._closed

    def leave(self) -> None:
        """Give a place back: to whom is due."""
        with self._lock:
            self._free += 1
            self._call()

    def resize(self, places: int) -> None:
        """Share another number of places; who has one keeps it."""
        with self._lock:
            self._free += places - self._places
            self._places = places
            self._call()

    def close(self) -> None:
        """Send everyone away who waits, and who comes later."""
        with self._lock:
            self._closed = True
            while self._waiting:
                self._waiting.pop()[-1].set()

    def _call(self) -> None:
        while self._free > 0 and self._waiting:
            self._free -= 1
            due, _, called = heapq.heappop(self._waiting)
            self._now = max(self._now, due)
            called.set()
