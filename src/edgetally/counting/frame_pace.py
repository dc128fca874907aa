"""`FramePace`: how a camera's frames follow one another."""

from __future__ import annotations

import statistics
from collections import deque


class FramePace:
    """How far apart a camera's frames are, as a rule: the median of the latest gaps.

    interval: seconds; that of one frame a second before two have come.
    """

    def __init__(self) -> None:
        self.interval = 1.0
        self._times: deque[float] = deque(maxlen=32)
        self._gaps: deque[float] = deque(maxlen=15)

    def frame(self, time: float) -> None:
        """A frame was taken at `time`, in seconds."""
        if self._times and time > self._times[-1]:
            self._gaps.append(time - self._times[-1])
            self.interval = statistics.median(self._gaps)
        self._times.append(time)

    def are_neighbours(self, earlier: float, later: float) -> bool:
        """Tell whether no other frame came between two of the latest."""
        return sum(earlier < time <= later for time in self._times) == 1
