"""`Tremble`: how much the box of an object trembles, wherever it goes."""

from __future__ import annotations

import statistics
from collections import deque

_ENOUGH = 6  # turns, before which nothing is said
_LATEST = 32
# Of a sighting from the middle between its neighbours: their errors weigh in, and a median
# leaves out what a start, a stop or a misplaced box adds.
_DEVIATION_BY_MEDIAN = 1 / (0.6745 * 1.5**0.5)


class Tremble:
    """Measures how far each sighting lies off the way from the one before to the one after.

    deviation: of a sighting, the standard one, in the unit of the distances; 0 until known.
    """

    def __init__(self) -> None:
        self.deviation = 0.0
        self._latest: deque[tuple[float, float]] = deque(maxlen=2)
        self._turns: deque[float] = deque(maxlen=_LATEST)

    def see(self, time: float, distance: float) -> None:
        """Take the next sighting: when, and how far from the line."""
        if len(self._latest) == 2:
            (start, before), (middle, between) = self._latest
            share = (middle - start) / max(time - start, 1e-3)
            self._turns.append(abs(between - before - share * (distance - before)))
            if len(self._turns) >= _ENOUGH:
                self.deviation = _DEVIATION_BY_MEDIAN * statistics.median(self._turns)
        self._latest.append((time, distance))
