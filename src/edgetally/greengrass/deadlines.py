"""`Deadlines`: a thread that ends the futures nobody else ends in time."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_Entry = tuple[float, int, "Future[Any]", "Callable[[], None]"]


class Deadlines:
    """Calls back for each future that is not done in time; until `close`."""

    def __init__(self, name: str) -> None:
        self._wake = threading.Condition()
        self._entries: list[_Entry] = []
        self._number = itertools.count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def watch(self, future: Future[Any], seconds: float, late: Callable[[], None]) -> None:
        """Call `late`, on a thread of its own, unless the future is done in so many seconds."""
        entry = (time.monotonic() + seconds, next(self._number), future, late)
        with self._wake:
            heapq.heappush(self._entries, entry)
            if self._entries[0] is entry:
                self._wake.notify()

    def close(self) -> None:
        """Call back no more."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            _, _, future, late = entry
            if not future.done():
                late()

    def _next(self) -> _Entry | None:
        with self._wake:
            while not self._closed:
                while self._entries and self._entries[0][2].done():
                    heapq.heappop(self._entries)
                now = time.monotonic()
                if self._entries and self._entries[0][0] <= now:
                    return heapq.heappop(self._entries)
                self._wake.wait(self._entries[0][0] - now if self._entries else None)
        return None
