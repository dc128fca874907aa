"""`Rate`: how many may leave now, where so many a second may."""

from __future__ import annotations

_NEARLY_ONE = 1 - 1e-9  # what a wait is good for, rounding aside


class Rate:
    """Lets `per_second` through, a tenth of a second's worth at once at most, or `burst`.

    Times are seconds that never go back, given by the caller.

    >>> rate = Rate(10, now=0)
    >>> rate.take()
    >>> rate.allowed(0), rate.wait(0), rate.allowed(0.1)
    (0, 0.1, 1)
    """

    def __init__(self, per_second: float, now: float, *, burst: float = 0.0) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second / 10, burst)
        self._credit, self._seen = max(1.0, burst), now

    def allowed(self, now: float) -> int:
        """Return how many may leave."""
        self._credit = min(self._burst, self._credit + (now - self._seen) * self._per_second)
        self._seen = now
        return int(self._credit + 1 - _NEARLY_ONE)

    def take(self) -> None:
        """Note that one left."""
        self._credit -= 1

    def wait(self, now: float) -> float:
        """Return the seconds until the next may leave."""
        return 0.0 if self.allowed(now) else (1 - self._credit) / self._per_second
