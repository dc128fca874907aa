"""`Tremble`: how much the box of an object trembles, wherever it goes."""

from __future__ import annotations

import statistics
from collections import deque
from itertools import islice

_ENOUGH = 6  # turns, before which nothing is said
_LATEST = 32
# Of a sighting from the middle between its neighbours: their errors weigh in, and a median
# leaves out what a start, a stop or a misplaced box adds.
_DEVIATION_BY_MEDIAN = 1 / (0.6745 * 1.5**0.5)


class Tremble:
    """Measures how far each sighting lies off the way from the one before to the one after."""

    def __init__(self) -> None:
        # A turn takes three sightings. It is found out when it is asked for: most never are.
        self._seen: deque[tuple[float, float]] = deque(maxlen=_LATEST + 2)

    def see(self, time: float, distance: float) -> None:
        """Take the next sighting: when, and how far from the line."""
        self._seen.append((time, distance))

    @property
    def deviation(self) -> float:
        """The standard deviation of a sighting, in the unit of the distances; 0 until known."""
        seen = self._seen
        if len(seen) < _ENOUGH + 2:
            return 0.0
        turns = [
            abs(between - before - (middle - start) / max(time - start, 1e-3) * (distance - before))
            for (start, before), (middle, between), (time, distance) in zip(
                seen, islice(seen, 1, None), islice(seen, 2, None), strict=False
            )
        ]
        return _DEVIATION_BY_MEDIAN * statistics.median(turns)
