"""`Budget`: the time that tuning may take, and whether there is enough of it for one more."""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.tuning.candidates import Candidate


class Budget:
    """The time that is left, and what an engine's measurements cost so far, loading it included.

    clock: seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._begun = clock()
        self._costs: dict[tuple[str, str], float] = {}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._begun + self._seconds - self._clock())

    def allows(self, candidate: Candidate, share: float) -> bool:
        """Tell whether a measurement is likely to end within that share of the time."""
        # What was never measured is taken to cost what others do.
        usual = statistics.median(self._costs.values()) if self._costs else 0.0
        cost = self._costs.get((candidate.engine, candidate.precision), usual)
        return self._clock() - self._begun + cost <= share * self._seconds

    @contextmanager
    def spending(self, candidate: Candidate) -> Iterator[None]:
        """Measure what a measurement costs."""
        begun = self._clock()
        yield
        self._costs[candidate.engine, candidate.precision] = self._clock() - begun
