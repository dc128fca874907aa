"""`CountingTime`: media time without the stretches in which a still camera was not looked at.

Tracks and zones wait and settle in seconds of looking: a camera that rests for a minute must not
make its tracks a minute old.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

_REMEMBERED = 64  # rests; a crossing is never settled so late


class CountingTime:
    """Turns media time, and the idle seconds in it, into counting time and back."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ends: deque[float] = deque([float("-inf")], _REMEMBERED)
        self._idles: deque[float] = deque([0.0], _REMEMBERED)

    def move(self, media_time: float, idle: float) -> float:
        """Go on to a frame of `media_time`, with so many idle seconds before it; return `now`.

        `now` never goes back: a live camera's media time follows a wall clock that may be set.
        """
        if idle != self._idles[-1]:
            self._ends.append(self.now)
            self._idles.append(idle)
        self.now = max(self.now, media_time - idle)
        return self.now

    def idle_before(self, time: float) -> float:
        """Return the idle seconds that lie before a counting time: media time less counting time.

        What happened between two looks happened after the rest between them, which it ended.
        """
        return self._idles[max(bisect_left(self._ends, time) - 1, 0)]
